"""How often the nodes of one store have let somebody in: each tells the others its own number, and whoever asks adds them up."""
from __future__ import annotations

import asyncio
import logging

from runtime.clock import Clock
from runtime.values import decode, encode
from store.errors import StoreError
from store.protocol import Store
from store.records import Item

_log = logging.getLogger("motorik.limits")

_COLLECTION = "tallies"
_MOST_KEYS = 50_000
_PAUSE_SECONDS = 0.2
"""Between two batches of numbers: by so much the others' knowledge may be behind."""
_AT_ONCE = 500


class Tallies:
    """`whom` is what is counted, `used` how often on this node so far, `ends` when that is forgotten (milliseconds)."""

    def __init__(self, store: Store, clock: Clock, node: str) -> None:
        self._store = store
        self._clock = clock
        self._node = node
        self._elsewhere: dict[str, dict[str, tuple[int, int]]] = {}
        self._untold: dict[str, tuple[int, int]] = {}
        self._telling: asyncio.Task[None] | None = None

    def hear(self, item: Item) -> None:
        """Another node has written this."""
        if item.collection != _COLLECTION or item.expires_at is None:
            return
        if len(self._elsewhere) >= _MOST_KEYS:
            self._forget()
        node, _, whom = item.id.partition(" ")
        self._elsewhere.setdefault(whom, {})[node] = (decode(item.body), item.expires_at)

    def elsewhere(self, whom: str) -> tuple[int, int]:
        """How often on the other nodes, as far as it was heard, and when the last of that is forgotten."""
        now, heard = self._clock.now(), self._elsewhere.get(whom)
        alive = [tally for tally in heard.values() if tally[1] > now] if heard else []
        return sum(used for used, _ in alive), max((ends for _, ends in alive), default=0)

    async def agree(self, whom: str, used: int, ends: int) -> int:
        """How often on all nodes up to this time. However many ask at once, no two of them are told the same number: a node has heard
        what was committed before its own commit is done, and nothing else. Raises `StoreError`."""
        await self._store.commit([self._item(whom, used, ends)])
        return used + self.elsewhere(whom)[0]

    def tell(self, whom: str, used: int, ends: int) -> None:
        """The others will hear of it in a moment."""
        self._untold[whom] = (used, ends)
        if self._telling is None or self._telling.done():
            self._telling = asyncio.create_task(self._tell_all())

    async def close(self) -> None:
        if self._telling is not None:
            self._telling.cancel()
            await asyncio.gather(self._telling, return_exceptions=True)

    async def _tell_all(self) -> None:
        while self._untold:
            await self._clock.sleep(_PAUSE_SECONDS)
            batch = [(whom, self._untold.pop(whom)) for whom in list(self._untold)[:_AT_ONCE]]
            try:
                await self._store.commit([self._item(whom, used, ends) for whom, (used, ends) in batch])
            except StoreError as error:
                _log.warning("the other nodes do not hear what was counted here: %s", error)

    def _item(self, whom: str, used: int, ends: int) -> Item:
        return Item(_COLLECTION, f"{self._node} {whom}", "", ends, encode(used))

    def _forget(self) -> None:
        """What is over; and everything when a flood leaves nothing else to drop."""
        now = self._clock.now()
        self._elsewhere = {whom: heard for whom, heard in self._elsewhere.items() if any(ends > now for _, ends in heard.values())}
        if len(self._elsewhere) >= _MOST_KEYS:
            self._elsewhere.clear()
