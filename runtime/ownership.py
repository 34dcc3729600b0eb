"""Which runs live on this node, where several nodes share a store: a correlation id belongs to one node at a time."""
from __future__ import annotations

import logging
from asyncio import Future
from collections.abc import Iterable

from runtime.errors import HeldElsewhere, TooBusy
from store.errors import Conflict, StoreError
from store.protocol import Cluster, Store
from store.records import RunHeld, RunLeft

_log = logging.getLogger("motorik.ownership")
_MOST_TRIES = 5

Key = tuple[str, str]
"""Workspace and correlation id."""


class Ownership:
    """The runs this node has told the others to be its own. A run that is over with its first batch is never told of."""

    def __init__(self, store: Store, cluster: Cluster) -> None:
        self._store = store
        self._cluster = cluster
        self._held: set[Key] = set()

    def __len__(self) -> int:
        return len(self._held)

    def holds(self, key: Key) -> bool:
        return key in self._held

    def take(self, key: Key) -> tuple[RunHeld, ...]:
        """What the next batch of this run has to say first, so that it stays here: nothing if the others know."""
        if key in self._held or self._cluster.owner(*key) is not None:
            return ()
        self._held.add(key)
        return (RunHeld(*key),)

    async def claim(self, key: Key) -> None:
        """Hold a run that may have lived anywhere; its correlation id is not new. Raises `HeldElsewhere`, `TooBusy`."""
        for _ in range(_MOST_TRIES):
            if key in self._held:
                return
            owner = self._cluster.owner(*key)
            if owner is not None:
                raise HeldElsewhere(owner.url)
            try:
                await self._store.commit([RunHeld(*key)])
            except Conflict:                               # another node was faster: hear which
                await self._cluster.catch_up()
            else:
                self._held.add(key)
                return
        raise TooBusy("The run is moving between nodes", {"retryAfter": 1})

    def leave(self, key: Key) -> None:
        """Let another node go on with the run."""
        if key in self._held:
            self._held.discard(key)
            self._store.commit([RunLeft(*key)]).add_done_callback(_noticed)

    def disown(self, keys: Iterable[Key]) -> None:
        """The batches that told of these runs were not written."""
        self._held.difference_update(keys)

    def clear(self) -> None:
        self._held.clear()


def _noticed(left: Future[int]) -> None:
    failure = left.exception()
    if isinstance(failure, StoreError):
        _log.warning("a run that is over still counts as held here: %s", failure)
