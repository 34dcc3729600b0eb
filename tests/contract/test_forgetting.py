"""The embedded store forgets events: nothing of them stays behind, and the disk gets its room back."""
from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given, settings
from hypothesis import strategies as st

import store as stores
from store.memory import MemoryStore
from store.protocol import Store
from store.query import EVERYTHING, EventQuery, Is
from store.records import Event
from tests.contract.facts import NOON, event
from tests.contract.test_migrations import file_of_version_1

EVENTS = st.builds(event, st.integers(0, 5), st.sampled_from(["a", "b"]), workspace=st.sampled_from(["w1", "w2"]),
                   correlation=st.sampled_from(["c1", "c2"]), session=st.sampled_from([None, "s1"]),
                   at=st.integers(NOON, NOON + 9))
MOVES = st.lists(st.one_of(
    st.tuples(st.lists(EVENTS, min_size=1, max_size=5), st.integers(1, 20)),
    st.tuples(st.sampled_from(["w1", "w2"]), st.none() | st.integers(NOON, NOON + 9), st.none() | st.integers(0, 70))), max_size=12)
QUERIES = [EventQuery(workspace, where, limit=1000) for workspace in ("w1", "w2") for where in (
    EVERYTHING, Is(("type",), ("a",)), Is(("source", "correlationId"), ("c1",)), Is(("source", "sessionId"), ("s1",)),
    Is(("id",), (f"{NOON + 3}-3",)))]


async def move(store: Store, step: tuple[list[Event], int] | tuple[str, int | None, int | None]) -> int:
    if len(step) == 2:
        return await store.commit(step[0] * step[1])
    workspace_id, before_time, keep = step
    return await store.forget_events(workspace_id, before_time=before_time, keep=keep)


@settings(max_examples=30, deadline=None)
@given(moves=MOVES)
async def test_what_is_left_is_found_as_a_model_finds_it(moves: list) -> None:
    with TemporaryDirectory() as folder:
        store, model = await stores.open(f"file:{folder}", durability="relaxed"), MemoryStore()
        for step in moves:
            assert await move(store, step) == await move(model, step)
            for workspace_id in ("w1", "w2"):
                assert await store.oldest(workspace_id) == await model.oldest(workspace_id)
        for query in QUERIES:
            assert await store.events(query) == await model.events(query)
        assert await store.event_workspaces() == await model.event_workspaces()
        assert await store.head() == await model.head()
        await store.close()


def count(folder: Path, table: str) -> int:
    file = sqlite3.connect(folder / "motorik.db")
    found = file.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
    file.close()
    return found


async def test_nothing_of_forgotten_events_stays_behind(tmp_path: Path) -> None:
    store = await stores.open(f"file:{tmp_path}", durability="relaxed")
    await store.commit([event(n, f"t{n}", correlation=f"c{n}", session=f"s{n}", at=NOON + n) for n in range(500)])
    await store.forget_events("w1", before_time=NOON + 499)
    assert [count(tmp_path, table) for table in ("events", "blocks", "postings", "tenants")] == [1, 1, 5, 1]
    await store.forget_events("w1", keep=0)
    assert [count(tmp_path, table) for table in ("events", "blocks", "postings", "tenants")] == [0, 0, 0, 0]
    await store.close()
    store = await stores.open(f"file:{tmp_path}")
    assert await store.head() == 500
    assert await store.commit([event(1)]) == 501
    await store.close()


async def forget_under_load(store: Store) -> tuple[int, int]:
    """Forget the events of w1 accepted before noon and a second while w2 commits: how many went, how many were committed."""
    is_over = False

    async def write() -> int:
        n = 0
        while not is_over:
            n += 1
            await store.commit([event(n, workspace="w2", at=NOON + 5000)])
        return n

    writing = asyncio.create_task(write())
    forgotten = await store.forget_events("w1", before_time=NOON + 1000)
    is_over = True
    return forgotten, await writing


async def shrinks(store: Store, folder: Path, below: int) -> None:
    """Soon, while commits go on."""
    async with asyncio.timeout(20):
        while (folder / "motorik.db").stat().st_size >= below:
            await store.commit([event(1, workspace="w3")])
            await asyncio.sleep(0.005)


async def test_the_file_shrinks_while_commits_go_on(tmp_path: Path) -> None:
    store = await stores.open(f"file:{tmp_path}", durability="relaxed")
    for n in range(0, 2000, 50):
        await store.commit([event(m, "old" if m % 2 else "odd", correlation=f"c{m // 10}", at=NOON + m, text="x" * 8000)
                            for m in range(n, n + 50)])
    await store.close()
    before = (tmp_path / "motorik.db").stat().st_size
    store = await stores.open(f"file:{tmp_path}", durability="relaxed")
    left = [e for e in await store.events(EventQuery("w1", limit=2000)) if b'"number":1' in e.body and e.position > 1000]
    forgotten, committed = await forget_under_load(store)
    assert forgotten == 1000
    assert committed > 4
    await shrinks(store, tmp_path, below=before * 2 // 3)
    assert [e for e in await store.events(EventQuery("w1", limit=2000)) if b'"number":1' in e.body] == left
    assert len(await store.events(EventQuery("w1", Is(("type",), ("old",)), limit=2000))) == 500
    assert len(await store.events(EventQuery("w1", Is(("source", "correlationId"), ("c50", "c150"))))) == 10
    assert len(await store.events(EventQuery("w2", limit=100_000))) == committed
    await store.close()
    assert (tmp_path / "motorik.db").stat().st_size < before * 2 // 3
    assert not (tmp_path / "motorik.db-wal").exists()
    file = sqlite3.connect(tmp_path / "motorik.db")
    assert file.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    file.close()


async def test_a_file_of_version_1_shrinks_too(tmp_path: Path) -> None:
    file_of_version_1(tmp_path, events=12_000)
    before = (tmp_path / "motorik.db").stat().st_size
    store = await stores.open(f"file:{tmp_path}", durability="relaxed")
    assert await store.forget_events("w1", keep=100) == 11_900
    await shrinks(store, tmp_path, below=before * 3 // 4)
    await store.close()


async def test_a_store_closes_in_the_middle_of_giving_room_back(tmp_path: Path) -> None:
    store = await stores.open(f"file:{tmp_path}", durability="relaxed")
    await store.commit([event(n, text="x" * 50_000) for n in range(200)])
    await store.forget_events("w1", keep=1)
    await store.close()
    store = await stores.open(f"file:{tmp_path}")
    assert len(await store.events(EventQuery("w1"))) == 1
    await store.close()
