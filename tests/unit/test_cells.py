"""Cells: memory of context documents that runs share."""
from __future__ import annotations

import asyncio

import pytest

from runtime.contexts import Cell, Cells
from runtime.errors import ContextTooLarge
from store.memory import MemoryStore
from store.protocol import Store
from store.records import Change, ContextKey, StoredContext

ONE, OTHER = ContextKey("w1", "user", "one"), ContextKey("w1", "user", "other")
NOON = 1_763_812_800_000


class Slow:
    """A store that answers when it is told to."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.goes_on = asyncio.Event()

    async def contexts(self, keys: list[ContextKey], now: int) -> list[StoredContext | None]:
        await self.goes_on.wait()
        return await self._store.contexts(keys, now)


async def test_a_document_that_nobody_else_holds_any_more_is_not_lost_while_others_are_read() -> None:
    memory = MemoryStore()
    await memory.commit([Change(ONE, "replace", b'["n"]', b"1", None)])
    slow = Slow(memory)
    slow.goes_on.set()
    cells = Cells(slow, keep=0)
    [held] = await cells.load([ONE], NOON)
    slow.goes_on.clear()
    loading = asyncio.ensure_future(cells.load([ONE, OTHER], NOON))
    await asyncio.sleep(0)
    del held
    slow.goes_on.set()
    one, other = await loading
    assert (one.document, other.document) == ({"n": 1}, {})


async def test_a_document_read_back_ends_when_it_was_to_end() -> None:
    memory = MemoryStore()
    await memory.commit([Change(ONE, "replace", b'["n"]', b"1", NOON + 10)])
    [cell] = await Cells(memory).load([ONE], NOON)
    assert cell.live(NOON + 9) == {"n": 1}
    assert cell.live(NOON + 10) == {}


async def test_what_is_written_after_the_end_of_a_document_is_all_there_is_of_it_in_the_store_too() -> None:
    memory = MemoryStore()
    [cell] = await Cells(memory).load([ONE], NOON)
    await memory.commit([cell.write("replace", ("old",), 1, NOON + 10)])
    assert cell.live(NOON + 10) == {}
    await memory.commit([cell.write("push", ("new",), 2, NOON + 20)])
    await memory.commit([cell.write("push", ("new",), 3, NOON + 20)])
    [stored] = await memory.contexts([ONE], NOON + 11)
    assert stored == StoredContext({"new": [2, 3]}, NOON + 20)


def test_a_value_in_the_place_of_another_counts_once() -> None:
    cell = Cell(ONE)
    for op, path in (("replace", ("a",)), ("replace", ("a",)), ("merge", ()), ("replace", ("a",))):
        cell.write(op, path, {"a": "x" * 1500} if not path else "x" * 1500, None, 1000)
        assert cell.outgrown
    with pytest.raises(ContextTooLarge):
        cell.write("replace", ("b",), "x" * 600, None, 1000)
    assert list(cell.document) == ["a"]
    cell.write("replace", ("a",), "x", None, 1000)
    assert not cell.outgrown
