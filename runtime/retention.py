"""How long events are kept: by their age, by their number, and by what became of their workspace."""
from __future__ import annotations

from runtime.clock import Clock
from runtime.settings import RuntimeSettings
from store.protocol import Store
from store.query import EventQuery

_DAY_MS = 24 * 3600 * 1000
_PASS_MS = 3600 * 1000
"""Between two looks at everything: an event may stay that much longer."""


class Retention:
    """Asked often, looks rarely. Works on any store, and on several nodes at once."""

    def __init__(self, store: Store, clock: Clock, settings: RuntimeSettings) -> None:
        self._store = store
        self._clock = clock
        self._settings = settings
        self._due = 0

    async def tidy(self) -> int:
        """Forget what need not be kept any longer, if it is time for a look; how many events went."""
        now = self._clock.now()
        if now < self._due:
            return 0
        gone = 0
        existing = {workspace.id for workspace in await self._store.workspaces()}
        for workspace_id in await self._store.event_workspaces():
            gone += await self._forget(workspace_id, now, is_deleted=workspace_id not in existing)
        self._due = now + _PASS_MS                       # after it: a look that failed is taken again
        return gone

    async def _forget(self, workspace_id: str, now: int, *, is_deleted: bool) -> int:
        settings = self._settings
        if await (self._is_long_deleted(workspace_id, now) if is_deleted else self._is_idle(workspace_id, now)):
            return await self._store.forget_events(workspace_id, keep=0)
        days, most = settings.events_retention_days, settings.events_retention_max
        if days < 0 and not most:
            return 0
        return await self._store.forget_events(workspace_id, before_time=now - days * _DAY_MS if days >= 0 else None, keep=most or None)

    async def _is_long_deleted(self, workspace_id: str, now: int) -> bool:
        """Its last event tells of its end."""
        days = self._settings.events_scheduled_deletion_days
        return days >= 0 and await self._is_silent(workspace_id, now - days * _DAY_MS)

    async def _is_idle(self, workspace_id: str, now: int) -> bool:
        """Nothing has happened for long, and little before that: somebody's trial."""
        days, most = self._settings.events_cleanup_workspace_inactivity_days, self._settings.events_cleanup_workspace_max_events
        if days < 0 or most <= 0 or not await self._is_silent(workspace_id, now - days * _DAY_MS):
            return False
        return len(await self._store.events(EventQuery(workspace_id, limit=most))) < most

    async def _is_silent(self, workspace_id: str, since: int) -> bool:
        return not await self._store.events(EventQuery(workspace_id, after_time=since - 1, limit=1))
