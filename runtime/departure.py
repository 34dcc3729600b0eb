"""The end of a workspace on this node: its last runs, those who listen, and then whatever memory and store still hold of it."""
from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from runtime.catalog import Catalog
from runtime.services import Services
from runtime.space import Space
from runtime.supervisor import Supervisor
from store.errors import StoreError
from store.records import WorkspaceDeleted

_log = logging.getLogger("motorik.departure")
_PATIENCE_SECONDS = 5
_LOOK_SECONDS = 0.05


class Departure:
    """`on_gone` are called with the id of a workspace when nothing runs in it any more."""

    def __init__(self, services: Services, supervisor: Supervisor, catalog: Catalog) -> None:
        self._services = services
        self._supervisor = supervisor
        self._catalog = catalog
        self.on_gone: list[Callable[[str], None]] = []

    async def see_off(self, space: Space) -> None:
        """The runs that the deletion set off still end, in time; what runs then is broken off."""
        clock = self._services.clock
        deadline = clock.monotonic() + _PATIENCE_SECONDS
        await asyncio.sleep(0)
        while self._supervisor.is_running(space) and clock.monotonic() < deadline:
            await clock.sleep(_LOOK_SECONDS)
        for run in self._supervisor.break_off(space):
            await run.cancel()
        self._services.cells.forget(space.id)
        for listener in self.on_gone:
            listener(space.id)
        await self._clear(space.id)

    async def _clear(self, id: str) -> None:
        """What its runs handed over before they knew of its end was written after it."""
        if self._catalog.get(id) is not None:               # made again, under the same id
            return
        try:
            await self._services.store.commit([WorkspaceDeleted(id)])
        except StoreError as error:
            _log.warning("what the last runs of workspace %s left stays for now: %s", id, error)
