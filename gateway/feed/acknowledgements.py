"""Emits that were asked for with a key: asked again, the same key gives the first answer instead of a second event."""
from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, NamedTuple

from runtime.clock import Clock

_KEPT_SECONDS = 600
_MOST = 100_000


class _Kept(NamedTuple):
    until: float
    task: asyncio.Task[Any]


class Acknowledgements:
    """Kept in the memory of this node, for ten minutes, each for the session that asked."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._kept: dict[tuple[str, str, str], _Kept] = {}

    def once(self, workspace_id: str, owner: str, key: str | None, *,
             accept: Callable[[], Coroutine[Any, Any, Any]]) -> tuple[asyncio.Task[Any], bool]:
        """The task that accepts the event, and whether it was begun by an earlier emit. A failure is not kept."""
        if key is None:
            return asyncio.create_task(accept()), False
        now = self._clock.monotonic()
        self._forget(now)
        kept = self._kept.get((workspace_id, owner, key))
        if kept is not None and kept.until > now:
            return kept.task, True
        self._kept.pop((workspace_id, owner, key), None)
        task = asyncio.create_task(accept())
        self._kept[workspace_id, owner, key] = _Kept(now + _KEPT_SECONDS, task)
        task.add_done_callback(lambda done: self._drop_failure((workspace_id, owner, key), done))
        return task, False

    def _drop_failure(self, key: tuple[str, str, str], task: asyncio.Task[Any]) -> None:
        kept = self._kept.get(key)
        if kept is not None and kept.task is task and (task.cancelled() or task.exception() is not None):
            del self._kept[key]

    def _forget(self, now: float) -> None:
        """Entries stand in the order of their end."""
        while self._kept:
            oldest = next(iter(self._kept))
            if self._kept[oldest].until > now and len(self._kept) < _MOST:
                return
            del self._kept[oldest]
