"""A store as one file: whole or not there at all, and never over something else by accident."""
from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path

import pytest

import store as stores
from store.embedded import copies
from store.errors import Conflict, Unavailable
from store.protocol import Store
from store.query import EventQuery
from tests.contract.facts import CELL, NOON, change, documents, event
from tests.contract.test_migrations import file_of_version_1


async def filled(folder: Path, number: int = 1) -> Store:
    store = await stores.open(f"file:{folder}")
    await store.commit([event(number), change("replace", ["a"], number)])
    return store


async def content(folder: Path) -> tuple[int, object]:
    store = await stores.open(f"file:{folder}")
    found = len(await store.events(EventQuery("w1", limit=100_000))), (await documents(store, [CELL], NOON))[0]
    await store.close()
    return found


async def test_a_copy_of_an_open_store_has_everything_committed_before(tmp_path: Path) -> None:
    store = await filled(tmp_path / "a")
    size = copies.copy(tmp_path / "a", tmp_path / "copy")
    assert size == (tmp_path / "copy").stat().st_size
    assert (tmp_path / "copy").stat().st_mode & 0o777 == 0o600
    await store.commit([event(2)])
    await store.close()
    copies.put(tmp_path / "copy", tmp_path / "b")
    assert await content(tmp_path / "b") == (1, {"a": 1})
    assert await content(tmp_path / "a") == (2, {"a": 1})
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a", "b", "copy"]


async def test_commits_go_on_while_a_copy_is_made(tmp_path: Path) -> None:
    store = await filled(tmp_path / "a")
    await store.commit([event(n, text="x" * 5000) for n in range(2000)])
    copying = asyncio.create_task(asyncio.to_thread(copies.copy, tmp_path / "a", tmp_path / "copy"))
    committed = 0
    while not copying.done():
        await store.commit([event(1), change("add", ["n"], 1)])
        committed += 1
    await store.close()
    copies.put(tmp_path / "copy", tmp_path / "b")
    events, document = await content(tmp_path / "b")
    assert 2001 <= events <= 2001 + committed
    assert document.get("n", 0) == events - 2001       # one moment: never a half of a batch


async def test_nothing_is_replaced_unless_asked_for(tmp_path: Path) -> None:
    await (await filled(tmp_path / "a", 1)).close()
    await (await filled(tmp_path / "b", 2)).close()
    (tmp_path / "copy").write_text("mine")
    with pytest.raises(Conflict, match="--force"):
        copies.copy(tmp_path / "a", tmp_path / "copy")
    assert (tmp_path / "copy").read_text() == "mine"
    copies.copy(tmp_path / "a", tmp_path / "copy", replace=True)
    with pytest.raises(Conflict, match="--force"):
        copies.put(tmp_path / "copy", tmp_path / "b")
    assert await content(tmp_path / "b") == (1, {"a": 2})
    copies.put(tmp_path / "copy", tmp_path / "b", replace=True)
    assert await content(tmp_path / "b") == (1, {"a": 1})


async def test_what_a_killed_server_left_in_the_log_does_not_come_back(tmp_path: Path) -> None:
    await (await filled(tmp_path / "a", 1)).close()
    copies.copy(tmp_path / "a", tmp_path / "copy")
    store = await filled(tmp_path / "b", 2)
    for name in ("motorik.db", "motorik.db-wal"):      # as a kill leaves them
        (tmp_path / "c").mkdir(exist_ok=True)
        (tmp_path / "c" / name).write_bytes((tmp_path / "b" / name).read_bytes())
    await store.close()
    assert (tmp_path / "c" / "motorik.db-wal").stat().st_size > 0
    copies.put(tmp_path / "copy", tmp_path / "c", replace=True)
    assert await content(tmp_path / "c") == (1, {"a": 1})


async def test_a_damaged_store_can_be_replaced(tmp_path: Path) -> None:
    await (await filled(tmp_path / "a", 1)).close()
    copies.copy(tmp_path / "a", tmp_path / "copy")
    (tmp_path / "a" / "motorik.db").write_bytes(b"ruined" * 1000)
    copies.put(tmp_path / "copy", tmp_path / "a", replace=True)
    assert await content(tmp_path / "a") == (1, {"a": 1})


async def test_a_folder_that_is_in_use_is_left_alone(tmp_path: Path) -> None:
    store = await filled(tmp_path / "a")
    copies.copy(tmp_path / "a", tmp_path / "copy")
    with pytest.raises(Unavailable, match="in use by process"):
        copies.put(tmp_path / "copy", tmp_path / "a", replace=True)
    await store.close()


async def test_a_copy_of_an_older_version_is_upgraded_when_it_is_opened(tmp_path: Path) -> None:
    file_of_version_1(tmp_path / "a", events=10)
    copies.copy(tmp_path / "a", tmp_path / "copy")
    copies.put(tmp_path / "copy", tmp_path / "b")
    assert await content(tmp_path / "b") == (10, {"a": 1})


async def test_what_is_no_copy_is_refused(tmp_path: Path) -> None:
    store = await filled(tmp_path / "a")
    copies.copy(tmp_path / "a", tmp_path / "copy")
    whole = (tmp_path / "copy").read_bytes()
    other = sqlite3.connect(tmp_path / "other")
    other.executescript("CREATE TABLE things (a); PRAGMA user_version = 1;")
    other.close()
    newer = sqlite3.connect(tmp_path / "copy")
    newer.execute("PRAGMA user_version = 99")
    newer.close()
    (tmp_path / "cut").write_bytes(whole[:len(whole) // 2])
    (tmp_path / "text").write_text("not a database at all, but long enough")
    for name, complaint in (("absent", "cannot be read"), ("text", "no backup"), ("other", "no backup"), ("copy", "newer version"),
                            ("cut", "damaged"), ("a/motorik.db", "no backup")):
        with pytest.raises(Unavailable, match=complaint):
            copies.put(tmp_path / name, tmp_path / "b")
        assert not (tmp_path / "b" / "motorik.db").exists()
    with pytest.raises(Unavailable, match="no store"):
        copies.copy(tmp_path / "nowhere", tmp_path / "copy-2")
    await store.close()
