"""Fires what schedules ask for: a heap of due times, and one task that sleeps until the earliest of them."""
from __future__ import annotations

import asyncio
import heapq
import logging
from asyncio import Future
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import NamedTuple

from runtime.clock import Clock
from runtime.errors import InvalidSchedule
from runtime.settings import RuntimeSettings
from runtime.triggers.schedule import Schedule, parse_cron, parse_minimum

_log = logging.getLogger("motorik.scheduler")

# The wall clock may be set, and a laptop may sleep: look at it at least this often.
_LONGEST_REST_SECONDS = 60.0
# A loop that comes this late is busy, not down: even without catching up, it fires.
_LATE_MS = 60_000

Fire = Callable[[str, str, str, int], Awaitable[object]]
"""(workspace id, automation, cron, milliseconds): start the automation; done when its run is."""


class Firing(NamedTuple):
    """A tick that has come. `cron` is the text as it was written."""

    workspace_id: str
    automation: str
    cron: str
    at: int


@dataclass(slots=True)
class _Plan:
    """When one automation is due next: a schedule, and its next tick, for each of its crons."""

    workspace_id: str
    automation: str
    schedules: tuple[Schedule, ...]
    ticks: list[int]
    is_live: bool = True


class Scheduler:
    """Plans automations, and fires each of their ticks once on this node.

    Ticks that were missed are not replayed, except the latest one while it is younger than `schedules_catchup_seconds`.
    """

    def __init__(self, clock: Clock, *, fire: Fire, settings: RuntimeSettings) -> None:
        self._clock = clock
        self._fire = fire
        self._minimum = parse_minimum(settings.schedules_maximum_occurrence_pattern)
        self._catchup_ms = int(settings.schedules_catchup_seconds * 1000)
        self._slots = asyncio.Semaphore(settings.schedules_concurrency)
        self._plans: dict[str, dict[str, _Plan]] = {}
        self._heap: list[tuple[int, int, _Plan]] = []
        self._pushes = 0
        self._waker: Future[None] | None = None
        self._is_stopped = False
        self.is_running = False
        """Whether what falls due is noticed."""

    def plan(self, workspace_id: str, automation: str, crons: Iterable[str], last_tick_ms: int | None = None) -> None:
        """Fire `automation` as its crons say, instead of as they said before.

        `last_tick_ms` is its last firing as the store knows it, given after a downtime: what came later was missed.
        """
        self.forget(workspace_id, automation)
        schedules = tuple(self._schedules(workspace_id, automation, crons))
        if not schedules:
            return
        now = self._clock.now()
        # A last tick that lies ahead was written under a wrong clock.
        after = now if last_tick_ms is None else min(now, max(last_tick_ms, now - self._catchup_ms))
        plan = _Plan(workspace_id, automation, schedules, [schedule.next(after) for schedule in schedules])
        self._plans.setdefault(workspace_id, {})[automation] = plan
        self._push(plan)
        self._wake()

    def forget(self, workspace_id: str, automation: str | None = None) -> None:
        """Fire this automation no more, or no automation of the workspace."""
        plans = self._plans.get(workspace_id, {})
        for slug in [*plans] if automation is None else [automation]:
            self._retire(plans.pop(slug, None))
        if not plans:
            self._plans.pop(workspace_id, None)

    def next_due(self) -> int | None:
        """When the earliest tick comes; None when nothing is planned."""
        while self._heap and not self._heap[0][2].is_live:
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def due(self, now: int) -> list[Firing]:
        """Take the ticks that have come, the latest one of each automation, and plan the ones after them."""
        firings = []
        while (earliest := self.next_due()) is not None and earliest <= now:
            plan = heapq.heappop(self._heap)[2]
            firing = self._advance(plan, now)
            if firing is not None:
                firings.append(firing)
            self._push(plan)
        return firings

    async def run(self) -> None:
        """Fire until stopped; returns when the firings under way have ended. Cancelling it cancels them."""
        self.is_running = True
        try:
            await self._keep()
        finally:
            self.is_running = False

    async def _keep(self) -> None:
        async with asyncio.TaskGroup() as firings:
            while not self._is_stopped:
                for firing in self.due(self._clock.now()):
                    await self._slots.acquire()
                    if self._is_stopped:
                        return
                    firings.create_task(self._start(firing))
                await self._rest()

    async def stop(self) -> None:
        """Fire nothing more; firings under way go on."""
        self._is_stopped = True
        self._wake()

    def _schedules(self, workspace_id: str, automation: str, crons: Iterable[str]) -> Iterable[Schedule]:
        for text in crons:
            try:
                yield Schedule(parse_cron(text), self._minimum)
            except InvalidSchedule as error:
                # Definitions are checked when they are saved. One that got in by another way must not keep others from firing.
                _log.error("a schedule of %s in workspace %s is left out: %s", automation, workspace_id, error.details)

    def _advance(self, plan: _Plan, now: int) -> Firing | None:
        """Move every cron of the plan beyond `now`; crons on the same mark are one firing, named after the first."""
        oldest = now - max(self._catchup_ms, _LATE_MS)
        latest, cron = oldest, ""
        for index, schedule in enumerate(plan.schedules):
            tick = plan.ticks[index]
            if tick <= oldest:
                tick = schedule.next(oldest)
            while tick <= now:
                if tick > latest:
                    latest, cron = tick, schedule.cron.text
                tick = schedule.next(tick)
            plan.ticks[index] = tick
        return Firing(plan.workspace_id, plan.automation, cron, latest) if cron else None

    def _push(self, plan: _Plan) -> None:
        self._pushes += 1
        heapq.heappush(self._heap, (min(plan.ticks), self._pushes, plan))

    def _retire(self, plan: _Plan | None) -> None:
        """Its place in the heap stays until it comes up, or until half of the heap is such places."""
        if plan is None:
            return
        plan.is_live = False
        if len(self._heap) > 2 * sum(map(len, self._plans.values())) + 100:
            self._heap = [entry for entry in self._heap if entry[2].is_live]
            heapq.heapify(self._heap)

    async def _start(self, firing: Firing) -> None:
        try:
            await self._fire(*firing)
        except Exception:                             # an edge: what fails here is one firing, not the scheduler
            _log.exception("a firing failed: %r", firing)
        finally:
            self._slots.release()

    async def _rest(self) -> None:
        due, rest = self.next_due(), _LONGEST_REST_SECONDS
        if due is not None:
            rest = min(rest, max(0.0, (due - self._clock.now()) / 1000))
        waker = self._waker = asyncio.get_running_loop().create_future()
        timer = self._clock.call_later(rest, self._wake)
        try:
            await waker
        finally:
            timer.cancel()

    def _wake(self) -> None:
        if self._waker is not None and not self._waker.done():
            self._waker.set_result(None)
