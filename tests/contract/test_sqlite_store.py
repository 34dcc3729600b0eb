"""What holds for the embedded store alone: its folder, its file, and what each thing costs."""
from __future__ import annotations

import asyncio
import random
import sqlite3
from pathlib import Path
from typing import Any

import pytest

import store as stores
from runtime.values import encode
from store.embedded.conditions import add_functions
from store.embedded.search import find_events
from store.embedded.sqlite import SqliteStore
from store.errors import Conflict, Full, StoreError, Unavailable
from store.protocol import Store
from store.query import EVERYTHING, Condition, EventQuery, Is
from store.records import Change, ContextKey, Delivered, Tick, Workspace, WorkspaceDeleted
from tests.contract.facts import CELL, NOON, change, delivery, documents, event, session, wait, workspace


async def reopened(store: Store, folder: Path) -> Store:
    await store.close()
    return await stores.open(f"file:{folder}")


async def test_everything_is_there_when_the_folder_is_opened_again(tmp_path: Path) -> None:
    store = await stores.open(f"file:{tmp_path}/a/b")
    await store.commit([event(1), change("replace", ["a"], 1), delivery("d1"), delivery("d2"), wait("x1"), session("s1"),
                        workspace("w1", "shop"), Tick("w1", "greet", NOON)])
    store = await reopened(store, tmp_path / "a/b")
    assert await store.head() == 1
    assert await store.commit([event(2), change("add", ["a"], 1), Delivered("d1")]) == 2
    store = await reopened(store, tmp_path / "a/b")
    assert [e.position for e in await store.events(EventQuery("w1"))] == [2, 1]
    assert await documents(store, [CELL], NOON) == [{"a": 2}]
    assert await store.deliveries() == [delivery("d2")]
    assert await store.waits() == [wait("x1")]
    assert await store.session("s1", NOON) == session("s1")
    assert await store.workspaces() == [workspace("w1", "shop")]
    assert await store.ticks() == [Tick("w1", "greet", NOON)]
    await store.close()


async def test_reads_do_not_wait_for_writes(tmp_path: Path) -> None:
    store = await stores.open(f"file:{tmp_path}")
    await store.commit([event(1), change("replace", ["a"], 1)])
    other = sqlite3.connect(tmp_path / "motorik.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    waiting = store.commit([event(2)])
    assert [e.position for e in await store.events(EventQuery("w1"))] == [1]
    assert await documents(store, [CELL], NOON) == [{"a": 1}]
    assert await store.head() == 1
    assert not waiting.done()
    other.execute("ROLLBACK")
    assert await waiting == 2
    other.close()
    await store.close()


async def test_a_folder_is_held_by_one_store_at_a_time(tmp_path: Path) -> None:
    store = await stores.open(f"file:{tmp_path}")
    with pytest.raises(Unavailable, match="in use by process"):
        await stores.open(f"file:{tmp_path}")
    await store.close()
    await (await stores.open(f"file:{tmp_path}")).close()


async def test_a_file_of_a_newer_version_is_refused_and_left_alone(tmp_path: Path) -> None:
    await (await stores.open(f"file:{tmp_path}")).close()
    file = sqlite3.connect(tmp_path / "motorik.db")
    file.execute("PRAGMA user_version = 999")
    file.close()
    for _ in range(2):
        with pytest.raises(Unavailable, match="newer version"):
            await stores.open(f"file:{tmp_path}")


async def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "motorik.db").write_bytes(b"not a database, and long enough to be sure of it" * 30)
    with pytest.raises(StoreError):
        await stores.open(f"file:{tmp_path}")
    with pytest.raises(StoreError):
        await stores.open(f"file:{tmp_path / 'motorik.db'}")


async def test_an_unknown_durability_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="durability"):
        await stores.open(f"file:{tmp_path}", durability="sometimes")
    await (await stores.open(f"file:{tmp_path}", durability="relaxed")).close()


async def test_a_full_disk_is_said_so_and_the_store_goes_on(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path, max_bytes=600_000)
    await store.commit([delivery("d1")._replace(body=b"x" * 200_000)])
    answers = await asyncio.gather(store.commit([event(1)]), store.commit([event(2, text="x" * 600_000)]),
                                   store.commit([event(3)]), return_exceptions=True)
    assert isinstance(answers[1], Full)
    assert answers[0] < answers[2]
    await store.commit([Delivered("d1")])
    await store.commit([event(4, text="x" * 100_000), change("add", ["n"], 1)])
    assert len(await store.events(EventQuery("w1"))) == 3
    await store.close()


async def test_a_failed_group_forgets_what_it_had_in_mind(tmp_path: Path) -> None:
    store = await stores.open(f"file:{tmp_path}")
    await store.commit([delivery("d1"), wait("x1"), Tick("w1", "a", NOON)])
    with pytest.raises(Conflict):
        await store.commit([Delivered("d1"), event(1, workspace="new"), change("replace", ["a"], 1), Tick("w1", "a", NOON)])
    assert await store.deliveries() == [delivery("d1")]
    assert await store.head() == 0
    await store.commit([Delivered("d1"), event(1, workspace="new"), change("replace", ["a"], 2)])
    assert await store.deliveries() == []
    assert len(await store.events(EventQuery("new"))) == 1
    assert await documents(store, [CELL], NOON) == [{"a": 2}]
    await store.close()


async def test_a_fact_that_cannot_be_stored_fails_alone(tmp_path: Path) -> None:
    store = await stores.open(f"file:{tmp_path}")
    answers = await asyncio.gather(store.commit([event(1)]), store.commit([event(2), "no fact"]),
                                   store.commit([Workspace("w", "\ud800", 1, 1, 1, b"")]), store.commit([event(3)]),
                                   return_exceptions=True)
    assert [isinstance(answer, StoreError) for answer in answers] == [False, True, True, False]
    assert len(await store.events(EventQuery("w1"))) == 2
    await store.close()


def rows(folder: Path, table: str) -> int:
    with sqlite3.connect(folder / "motorik.db") as file:
        return file.execute(f"SELECT count(*) FROM {table}").fetchone()[0]


async def test_an_operation_log_does_not_outgrow_its_document(tmp_path: Path) -> None:
    store = await stores.open(f"file:{tmp_path}")
    for n in range(1500):
        await store.commit([change("replace", [f"k{n % 10}"], n), change("push", ["list"], n)] if n % 9 == 0
                           else [change("add", ["n"], 1)])
    found = (await documents(store, [CELL], NOON))[0]
    assert found["list"] == list(range(0, 1500, 9))
    assert found["n"] == 1500 - len(found["list"])
    await store.close()
    assert rows(tmp_path, "documents") == 1


async def test_a_long_log_is_folded_from_its_beginning_and_every_document_stays_what_it_is(tmp_path: Path) -> None:
    store, chance, model = await stores.open(f"file:{tmp_path}", durability="relaxed"), random.Random(7), {}
    cells = [ContextKey(f"w{n % 3}", "user", f"u{n}") for n in range(300)]
    for turn in range(45):
        batch: list[Any] = []
        for _ in range(2000):
            cell, key = chance.choice(cells), f"k{chance.randrange(5)}"
            if chance.random() < 0.002:
                batch.append(Change(cell, "replace", b"[]", b'{"whole":%d}' % turn, NOON + 1))
                model[cell] = {"whole": turn}
            else:
                batch.append(Change(cell, "replace", b'["%s"]' % key.encode(), b'"%s %d"' % (b"x" * 40, turn), NOON + 1))
                model.setdefault(cell, {})[key] = "x" * 40 + f" {turn}"
        await store.commit(batch)
        if turn % 15 == 7:                                 # the documents of one workspace go, those of another end, some come back
            await store.commit([WorkspaceDeleted("w1")])
            model = {cell: document for cell, document in model.items() if cell.workspace_id != "w1"}
        if turn % 15 == 11:
            ended = [cell for cell in cells[::3] if cell in model]
            await store.commit([Change(cell, "replace", b'["last"]', b"1", NOON) for cell in ended])
            assert await store.expire(NOON) == len(ended)
            assert await store.expire(NOON) == 0
            model = {cell: document for cell, document in model.items() if cell not in ended}
    for _ in range(2):
        found = await store.contexts(cells, NOON)
        assert [stored and stored.document for stored in found] == [model.get(cell) for cell in cells]
        await store.close()
        assert rows(tmp_path, "changes") < 60_000
        store = await stores.open(f"file:{tmp_path}")
    await store.close()


async def test_a_small_change_of_a_large_document_writes_little(tmp_path: Path) -> None:
    store = await stores.open(f"file:{tmp_path}", durability="relaxed")
    await store.commit([change("replace", [], {"big": ["x" * 100] * 10_000})])
    log = tmp_path / "motorik.db-wal"
    before = log.stat().st_size
    for n in range(20):
        await store.commit([change("replace", ["small"], n)])
    assert log.stat().st_size - before < 20 * 40_000
    assert (await documents(store, [CELL], NOON))[0]["small"] == 19
    await store.close()


async def test_the_log_is_copied_into_the_file_while_commits_go_on(tmp_path: Path) -> None:
    store = await stores.open(f"file:{tmp_path}", durability="relaxed")
    for n in range(90):
        await store.commit([event(n, text="x" * 700_000)])
    assert (tmp_path / "motorik.db-wal").stat().st_size < 55_000_000       # of the 63 million that were written
    await store.close()
    assert not (tmp_path / "motorik.db-wal").exists()
    assert rows(tmp_path, "events") == 90


def effort(folder: Path, query: EventQuery) -> tuple[int, int]:
    """How many instructions of SQLite's machine a query takes, in tens, and how many events it finds."""
    file = sqlite3.connect(folder / "motorik.db")
    add_functions(file)
    steps = 0

    def count() -> None:
        nonlocal steps
        steps += 1

    file.set_progress_handler(count, 10)
    found = len(find_events(file, query))
    file.close()
    return steps, found


RARE = [Is(("source", "correlationId"), ("rare",)), Is(("source", "sessionId"), ("rare",)), Is(("type",), ("rare",)),
        Is(("type",), ("rare", "common")), Is(("id",), ("9f2c7a34-rare",)), EVERYTHING]


@pytest.mark.parametrize("condition", RARE, ids=["run", "session", "type", "types", "id", "workspace"])
async def test_the_newest_events_take_the_same_effort_however_many_there_are(tmp_path: Path, condition: Condition) -> None:
    store = await stores.open(f"file:{tmp_path}", durability="relaxed")
    few = [event(n, "rare" if n % 2 else "common", correlation="rare", session="rare", id="9f2c7a34-rare" if n == 9 else None)
           for n in range(64)]
    await store.commit([event(n, "common", correlation=f"c{n // 4}") for n in range(1000)] + few)
    query = EventQuery("w1", condition, limit=20)
    steps, found = effort(tmp_path, query)
    await store.commit([event(n, "common", workspace="w2", correlation=f"c{n // 4}") for n in range(10_000)])
    more, found_again = effort(tmp_path, query)
    assert found == found_again > 0
    assert more < steps * 1.5 + 20
    await store.close()


async def test_a_body_is_kept_as_it_was_written(tmp_path: Path) -> None:
    store = await stores.open(f"file:{tmp_path}")
    texts = ["é", "😀", "\x7f", "\\u0041", "a\u2028b", "\x00"]
    await store.commit([event(n, text=text) for n, text in enumerate(texts)])
    bodies = [found.body for found in await store.events(EventQuery("w1", ascending=True))]
    assert bodies == [event(n, text=text).body for n, text in enumerate(texts)]
    assert encode(texts[0]) in bodies[0]
    await store.close()
