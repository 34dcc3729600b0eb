"""Cells of two nodes: whatever both do, and however late they hear of each other, in the end all hold what the store holds."""
from __future__ import annotations

import asyncio
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.contexts import Cell, Cells
from store.memory_cluster import MemoryCluster, MemoryNode
from store.records import Change, ContextKey, Member

KEY = ContextKey("w1", "global", "")
NOW = 1_763_812_800_000

WRITES = st.one_of(
    st.tuples(st.just("add"), st.just(("sum",)), st.integers(-9, 9)),
    st.tuples(st.just("push"), st.just(("list",)), st.integers(0, 9)),
    st.tuples(st.just("replace"), st.sampled_from([("a",), ("map", "b"), ("map", "c")]), st.integers(0, 9)),
    st.tuples(st.just("merge"), st.just(("map",)), st.dictionaries(st.sampled_from("bcd"), st.integers(0, 9), max_size=2)),
    st.tuples(st.just("delete"), st.sampled_from([("a",), ("map", "b"), ("list",)]), st.none()))
STEPS = st.tuples(st.integers(0, 1), st.one_of(WRITES, st.sampled_from(["hear late", "hear", "renew", "load", "turn"])))


class Side:
    def __init__(self, store: MemoryNode) -> None:
        self.store = store
        self.cells = Cells(store)
        self.tasks: list[asyncio.Task[Any]] = []
        self.cell: Cell

    async def join(self, id: str) -> None:
        await self.store.cluster.join(Member(id, "", "", 0), self.hear)
        [self.cell] = await self.cells.load([KEY], NOW)

    def hear(self, first: int, facts: Any) -> None:
        for fact in facts:
            if type(fact) is Change:
                self.cells.outdate(fact.cell)

    async def do(self, step: Any) -> None:
        match step:
            case "hear late":
                self.store.deafen()
            case "hear":
                self.store.listen()
            case "renew":
                self.tasks.append(asyncio.ensure_future(self.cells.renew(NOW)))
            case "load":
                self.tasks.append(asyncio.ensure_future(self.cells.load([KEY], NOW)))
            case "turn":
                await asyncio.sleep(0)
            case (op, path, value):
                self.store.commit([self.cell.write(op, path, value, None)])


async def played(steps: list[tuple[int, Any]]) -> None:
    cluster = MemoryCluster()
    sides = [Side(cluster.node()) for _ in range(2)]
    for number, side in enumerate(sides):
        await side.join(f"n{number}")
    for number, step in steps:
        await sides[number].do(step)
    for side in sides:
        await side.store.cluster.catch_up()
        await asyncio.gather(*side.tasks)
        while side.cells.stale:
            await side.cells.renew(NOW)
    [stored] = await cluster.content.contexts([KEY], NOW)
    for side in sides:
        assert side.cell.document == (stored.document if stored else {})
        assert (await side.cells.load([KEY], NOW))[0] is side.cell


@settings(max_examples=150, deadline=None)
@given(st.lists(STEPS, max_size=30))
def test_all_nodes_come_to_hold_what_the_store_holds(steps: list[tuple[int, Any]]) -> None:
    asyncio.run(played(steps))


async def test_nobody_begins_to_use_a_stale_cell() -> None:
    cluster = MemoryCluster()
    one, two = Side(cluster.node()), Side(cluster.node())
    await one.join("n1")
    await two.join("n2")
    await two.store.commit([two.cell.write("replace", ("a",), 1, None)])
    await one.store.cluster.catch_up()
    assert one.cells.find(KEY) is None
    assert one.cell.document == {}
    [found] = await one.cells.load([KEY], NOW)
    assert found is one.cell is one.cells.find(KEY)
    assert found.document == {"a": 1}


async def test_what_another_node_changes_while_a_document_is_read_is_read_again() -> None:
    cluster = MemoryCluster()
    one, two = Side(cluster.node()), Side(cluster.node())
    other = ContextKey("w1", "user", "alice")
    await one.join("n1")
    await two.join("n2")
    loading = asyncio.ensure_future(one.cells.load([other], NOW))
    await asyncio.sleep(0)
    await two.store.commit([Change(other, "replace", b'["a"]', b"1", None)])
    one.hear(0, [Change(other, "replace", b'["a"]', b"1", None)])
    [cell] = await loading
    assert cell.document == {}
    assert other in one.cells.stale
    assert (await one.cells.load([other], NOW))[0].document == {"a": 1}
