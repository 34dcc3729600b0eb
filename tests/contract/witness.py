"""A store that keeps a record of what became durable when, between what left the runs, and may be cut off like a power supply."""
from __future__ import annotations

import asyncio
from asyncio import Future
from collections.abc import Sequence
from typing import Any

from runtime.calls import Response
from runtime.values import decode
from store.errors import StoreError
from store.protocol import Store
from store.records import Change, Fact

_TURNS = 7


class Witness:
    """Passes everything on to another store, commits some turns of the loop later than it could.

    `record` has `("durable", facts)` for each batch, and whatever the test adds to it. After `cut_after` batches it neither
    writes nor answers any more.
    """

    def __init__(self, store: Store, *, cut_after: int | None = None) -> None:
        self._store = store
        self._left = cut_after
        self._earlier: Future[Any] | None = None
        self.record: list[tuple[str, Any]] = []
        self._tasks: set[asyncio.Task[None]] = set()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def commit(self, facts: Sequence[Fact]) -> Future[int]:
        future: Future[int] = asyncio.get_running_loop().create_future()
        task = asyncio.ensure_future(self._write(tuple(facts), future, self._earlier))
        self._earlier = task
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return future

    async def _write(self, facts: tuple[Fact, ...], future: Future[int], earlier: Future[Any] | None) -> None:
        if earlier is not None:
            await asyncio.wait([earlier])
        for _ in range(_TURNS):
            await asyncio.sleep(0)
        if self.is_cut:
            return
        try:
            position = await self._store.commit(facts)
        except StoreError as failure:
            if not future.done():
                future.set_exception(failure)
            return
        if self._left is not None:
            self._left -= 1                                # not before: whoever sees the cut may open the store again
        self.record.append(("durable", facts))
        if not future.done():
            future.set_result(position)

    @property
    def is_cut(self) -> bool:
        return self._left == 0

    def leaves(self, what: Any) -> None:
        """Something that the outside can see."""
        self.record.append(("left", what))

    def written_before(self, what: Any, context: str) -> dict[str, Any]:
        """The last values of the members of a context that were durable when this left."""
        found: dict[str, Any] = {}
        for kind, entry in self.record[:self.record.index(("left", what))]:
            if kind == "durable":
                for change in entry:
                    if isinstance(change, Change) and change.cell.context == context and change.op == "replace" and (path := decode(change.path)):
                        found[path[-1]] = decode(change.value)
        return found


class Seen(Response):
    """A caller who notes what reaches him while the automation still runs."""

    def __init__(self, witness: Witness) -> None:
        super().__init__()
        self._witness = witness

    async def write(self, data: bytes) -> None:
        await super().write(data)
        self._witness.leaves(("chunk", decode(data)))
