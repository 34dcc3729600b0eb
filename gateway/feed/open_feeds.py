"""Every open feed of this node, so that those end in time whose session or workspace has ended, and all of them at shutdown."""
from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from runtime.errors import TooBusy

SESSION_ENDED, WORKSPACE_DELETED, DRAINING = 4001, 4004, 1012
_FAREWELL_SECONDS = 4.0
"""How long the feeds of a deleted workspace stay open for its last events."""


class OpenFeed(Protocol):
    workspace_id: str

    @property
    def session_id(self) -> str | None: ...

    @property
    def waiting(self) -> int:
        """Frames that wait for the reader."""

    def close(self, code: int, reason: str) -> None: ...


class OpenFeeds:
    def __init__(self, gateway: Any) -> None:
        self._gateway = gateway
        self._by_session: dict[str | None, set[OpenFeed]] = {}
        self._all: set[OpenFeed] = set()
        self._emptied: asyncio.Event | None = None
        self._on_drained: list[Callable[[], Awaitable[None]]] = []
        self.dropped: dict[int, int] = {}
        """How many websockets the server has closed, by code."""
        gateway.sessions.on_end(self._session_ended)
        gateway.engine.on_workspace_deleted(self._workspace_deleted)

    def __len__(self) -> int:
        return len(self._all)

    def waiting(self) -> int:
        """Frames that wait for all readers together."""
        return sum(feed.waiting for feed in self._all)

    def count_drop(self, code: int) -> None:
        self.dropped[code] = self.dropped.get(code, 0) + 1

    def of_session(self, session_id: str | None) -> int:
        return len(self._by_session.get(session_id, ()))

    def admit(self) -> None:
        """Raises `TooBusy` once the node is draining."""
        if self._gateway.is_draining or self._emptied is not None:
            raise TooBusy("The server is restarting, try again")

    def add(self, feed: OpenFeed) -> None:
        self._all.add(feed)
        self._by_session.setdefault(feed.session_id, set()).add(feed)

    def remove(self, feed: OpenFeed) -> None:
        self._all.discard(feed)
        same = self._by_session.get(feed.session_id)
        if same is not None:
            same.discard(feed)
            if not same:
                del self._by_session[feed.session_id]
        if self._emptied is not None and not self._all:
            self._emptied.set()

    async def drain(self) -> None:
        """Take no more, and end those that are open."""
        self._emptied = asyncio.Event()
        for feed in tuple(self._all):
            feed.close(DRAINING, "draining")
        if self._all:
            await self._emptied.wait()
        for listener in self._on_drained:
            await listener()

    def on_drained(self, listener: Callable[[], Awaitable[None]]) -> None:
        """`listener` is awaited at the end of `drain`."""
        self._on_drained.append(listener)

    def _session_ended(self, session_id: str) -> None:
        for feed in tuple(self._by_session.get(session_id, ())):
            feed.close(SESSION_ENDED, "session_ended")

    def _workspace_deleted(self, workspace_id: str) -> None:
        """What the deletion sets off is still to be seen, so not at once."""
        asyncio.get_running_loop().call_later(_FAREWELL_SECONDS, self.end_workspace, workspace_id)

    def end_workspace(self, workspace_id: str) -> None:
        """Nothing more will happen there."""
        for feed in [feed for feed in self._all if feed.workspace_id == workspace_id]:
            feed.close(WORKSPACE_DELETED, "workspace_deleted")
