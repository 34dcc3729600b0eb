"""What the other nodes of the store commit, applied here as if it had been committed here, except that it starts nothing."""
from __future__ import annotations

import asyncio
import logging
from asyncio import Task
from collections import deque
from collections.abc import Callable, Sequence

from runtime.catalog import Catalog
from runtime.clock import Clock
from runtime.contexts import Cells
from runtime.envelope import told
from runtime.events import Bus
from runtime.secrets import COLLECTION as SECRETS
from runtime.space import Space
from runtime.supervisor import Supervisor
from store.errors import StoreError
from store.records import (
    App,
    AppDeleted,
    Change,
    Event,
    Fact,
    Item,
    ItemEnded,
    RunHeld,
    SessionEnded,
    Topic,
    Volatile,
    Workspace,
    WorkspaceDeleted,
)

_log = logging.getLogger("motorik.neighbours")
_REST_SECONDS = 0.25
"""Before documents that could not be read are tried again."""


class Neighbours:
    """Hears the others. What they do is applied in order, and each piece whole, after what this node was told of its own commits."""

    def __init__(self, bus: Bus, catalog: Catalog, cells: Cells, supervisor: Supervisor, clock: Clock) -> None:
        self._bus = bus
        self._catalog = catalog
        self._cells = cells
        self._supervisor = supervisor
        self._clock = clock
        self._pieces: deque[tuple[int, Sequence[Fact]]] = deque()
        self._is_paused = True
        self._known = 0
        """Events up to this position were read from the store."""
        self._on_session_end: list[Callable[[str], None]] = []
        self._on_item: list[Callable[[Item], None]] = []
        self._renewing: Task[None] | None = None
        cells.on_stale = self._renew

    def on_session_end(self, listener: Callable[[str], None]) -> None:
        """`listener` is called with the id of every session that was logged out on another node."""
        self._on_session_end.append(listener)

    def on_item(self, listener: Callable[[Item], None]) -> None:
        """`listener` is called with what another node has written about a connection."""
        self._on_item.append(listener)

    def hear(self, first: int, facts: Sequence[Fact]) -> None:
        """Called by the store. Put off until the callbacks of what was committed here before have run."""
        self._pieces.append((first, facts))
        if len(self._pieces) == 1 and not self._is_paused:
            asyncio.get_running_loop().call_soon(self._apply_all)

    def pause(self) -> None:
        """Keep what is heard while everything is read."""
        self._is_paused = True

    def proceed(self, known: int) -> None:
        self._known = known
        self._is_paused = False
        self._apply_all()

    async def settled(self) -> None:
        """When this returns, everything heard before the call was applied."""
        while self._pieces and not self._is_paused:
            await asyncio.sleep(0)

    async def stop(self) -> None:
        self._is_paused = True
        if self._renewing is not None:
            self._renewing.cancel()
            await asyncio.gather(self._renewing, return_exceptions=True)

    def _apply_all(self) -> None:
        while self._pieces and not self._is_paused:
            first, facts = self._pieces.popleft()
            try:
                self._apply(first, facts)
            except Exception:                              # an edge: one piece that cannot be understood, not the whole node
                _log.exception("what another node committed could not be applied")

    def _apply(self, position: int, facts: Sequence[Fact]) -> None:
        leaving = {fact.id: self._bus.spaces.get(fact.id) for fact in facts if type(fact) is WorkspaceDeleted}
        for fact in facts:
            match fact:
                case Event():
                    self._tell(self._bus.spaces.get(fact.workspace_id) or leaving.get(fact.workspace_id), fact.body, position)
                    position += 1
                case Volatile(workspace_id, body):
                    self._tell(self._bus.spaces.get(workspace_id), body, 0)
                case Change():
                    self._cells.outdate(fact.cell)
                case RunHeld():
                    self._supervisor.forget(tuple(fact))
                case Topic():
                    self._join(fact)
                case SessionEnded(id):
                    for listener in self._on_session_end:
                        listener(id)
                case ItemEnded():
                    self._catalog.sharing.hear(fact)
                case Item():
                    self._catalog.sharing.hear(fact)
                    if fact.collection == SECRETS:
                        self._catalog.hear(fact)
                    for hear in self._on_item:
                        hear(fact)
                case Workspace() | WorkspaceDeleted() | App() | AppDeleted():
                    self._catalog.hear(fact)

    def _tell(self, space: Space | None, body: bytes, position: int) -> None:
        """Waits see it, and the live feed; the node that committed it starts the automations. `position` is 0 for a volatile one."""
        if space is None or 0 < position <= self._known:
            return
        space.tell(told(body, position))

    def _join(self, topic: Topic) -> None:
        space = self._bus.spaces.get(topic.workspace_id)
        if space is not None:
            space.join(topic.topic, topic.user_id)

    def _renew(self) -> None:
        """Runs that go on see within moments what the others wrote."""
        if self._renewing is None or self._renewing.done():
            self._renewing = asyncio.create_task(self._renew_all())

    async def _renew_all(self) -> None:
        while self._cells.stale:
            try:
                await self._cells.renew(self._clock.now())
            except StoreError as error:
                _log.warning("contexts that other nodes changed cannot be read: %s", error)
                await self._clock.sleep(_REST_SECONDS)
