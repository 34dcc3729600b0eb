"""A file of an older version becomes one of this version when it is opened, whole or not at all."""
from __future__ import annotations

import re
import sqlite3
from pathlib import Path

import pytest

import store as stores
from store.embedded import migrations
from store.embedded.postings import correlation_term, id_term, moment_of, type_term
from store.query import EventQuery, Is
from store.records import Delivered, Item
from tests.contract.facts import CELL, NOON, delivery, documents, event, session

OLD_SCHEMA = Path(__file__).with_name("schema_1.sql").read_text()


def opened(folder: Path) -> sqlite3.Connection:
    return sqlite3.connect(folder / "motorik.db", isolation_level=None)


def file_of_version_1(folder: Path, *, events: int) -> None:
    """As version 1 wrote it: one run of so many events, a document, a delivery and a login."""
    folder.mkdir(exist_ok=True)
    file = opened(folder)
    file.execute("PRAGMA page_size = 8192")
    file.execute("PRAGMA journal_mode = WAL").fetchone()
    file.executescript(f"BEGIN; {OLD_SCHEMA} PRAGMA user_version = 1; COMMIT; BEGIN;")
    file.execute("INSERT INTO tenants VALUES (1, 'w1')")
    for position in range(1, events + 1):
        one = event(position)
        terms = type_term("w1", one.type), correlation_term(one.correlation_id)
        file.execute("INSERT INTO events VALUES (?, 1, ?, ?, NULL, ?, ?)", (position, *terms, NOON, one.body.decode()))
        file.executemany("INSERT OR IGNORE INTO postings VALUES (?, ?)",
                         [(term, position >> 6) for term in (1, *terms, id_term(moment_of(one.id)))])
        file.execute("INSERT OR IGNORE INTO blocks VALUES (?, ?, ?)", (position >> 6, NOON, NOON))
    file.execute("INSERT INTO cells VALUES (?, 1, 'replace', x'', ?, NULL)", (b"w1\0global\0w1", b'{"a":1}'))
    file.execute("INSERT INTO deliveries VALUES (1, ?, ?, ?, ?, ?, ?)", delivery("d1"))
    file.execute("INSERT INTO sessions VALUES (?, ?, ?, ?)", session("s1"))
    file.execute("COMMIT")
    file.close()


def shape(folder: Path) -> set[tuple[str, str]]:
    """What the file consists of, however it was typed."""
    file = opened(folder)
    found = file.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL").fetchall()
    file.close()
    return {(name, re.sub(r"\s+", " ", sql)) for name, sql in found}


async def test_a_file_of_version_1_is_upgraded_when_it_is_opened(tmp_path: Path) -> None:
    file_of_version_1(tmp_path, events=200)
    store = await stores.open(f"file:{tmp_path}")
    assert await store.head() == 200
    assert await store.commit([event(201), Item("feed", "f1", "w1", NOON + 1, b"{}"), Delivered("d1")]) == 201
    assert [e.position for e in await store.events(EventQuery("w1", Is(("source", "correlationId"), ("c1",)), limit=2))] == [201, 200]
    assert await documents(store, [CELL], NOON) == [{"a": 1}]
    assert await store.session("s1", NOON) == session("s1")
    assert await store.item("feed", "f1", NOON) == Item("feed", "f1", "w1", NOON + 1, b"{}")
    assert await store.deliveries() == []
    await store.close()
    fresh = tmp_path / "fresh"
    await (await stores.open(f"file:{fresh}")).close()
    assert shape(tmp_path) == shape(fresh)
    for folder in (tmp_path, fresh):
        file = opened(folder)
        assert file.execute("PRAGMA user_version").fetchone() == (migrations.SCHEMA_VERSION,)
        assert file.execute("PRAGMA auto_vacuum").fetchone() == (2,)
        assert file.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        file.close()


def test_a_step_that_fails_leaves_the_version_before_it(tmp_path: Path) -> None:
    file_of_version_1(tmp_path, events=1)
    before = shape(tmp_path)
    file = opened(tmp_path)
    file.execute("CREATE TABLE probes (what)")        # the last thing that the step makes is in its way
    with pytest.raises(sqlite3.Error):
        migrations.upgrade(file)
    assert file.execute("PRAGMA user_version").fetchone() == (1,)
    file.execute("DROP TABLE probes")
    assert shape(tmp_path) == before
    migrations.upgrade(file)
    assert file.execute("PRAGMA user_version").fetchone() == (migrations.SCHEMA_VERSION,)
    file.close()


@pytest.mark.parametrize("after", [10, 60, 120])
def test_a_crash_in_the_middle_of_a_step_leaves_the_version_before_it(tmp_path: Path, after: int) -> None:
    file_of_version_1(tmp_path, events=1)
    before = shape(tmp_path)
    file = opened(tmp_path)
    steps = 0

    def end() -> int:
        nonlocal steps
        steps += 1
        return steps > after

    file.set_progress_handler(end, 1)                  # the process is gone after so many instructions of the machine
    with pytest.raises(sqlite3.Error):
        migrations.upgrade(file)
    file.set_progress_handler(None, 1)
    assert file.execute("PRAGMA user_version").fetchone() == (1,)
    file.close()
    assert shape(tmp_path) == before
