"""Live runs by correlation id: find or start, admit, drain, bury."""
from __future__ import annotations

import asyncio
from asyncio import Future

from runtime.admission import Admission
from runtime.clock import Timer
from runtime.contexts import Cell
from runtime.lifespans import taken_from
from runtime.run import Run
from runtime.services import Services
from runtime.space import Space
from store.records import ContextKey, StoredContext

_MOST_REMEMBERED = 10_000


class Supervisor:
    """Owns the runs of this node. A run that is over is kept a while when its `run` context holds something."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._signals = services.signals
        self._runs: dict[tuple[str, str], Run] = {}
        self._remembered: dict[tuple[str, str], Timer] = {}
        """When runs that are over are forgotten."""
        settings = services.settings
        self.admission = Admission(settings.run_max_concurrency, settings.workspace_max_concurrent_runs, on_empty=self._calm)
        self.is_draining = False
        self._quiet: Future[None] | None = None
        self._signals.gauges.update(runs_open=lambda: self.open_runs, runs_remembered=lambda: len(self._remembered),
                                    calls_waiting=lambda: self.admission.waiting)

    @property
    def open_runs(self) -> int:
        return sum(1 for run in self._runs.values() if run.open)

    def is_running(self, space: Space) -> bool:
        return any(run.open for (workspace_id, _), run in self._runs.items() if workspace_id == space.id)

    def find(self, space: Space, correlation_id: str) -> Run | None:
        return self._runs.get((space.id, correlation_id))

    def start(self, space: Space, correlation_id: str) -> Run:
        """The run of a correlation id that nobody used before, or the one this node holds."""
        key = (space.id, correlation_id)
        run = self._runs.get(key)
        if run is None:
            self._signals.runs += 1
            cell = Cell(ContextKey(space.id, "run", correlation_id))
            run = self._runs[key] = Run(self._services, space, correlation_id, cell, self._bury)
        return run

    async def resume(self, space: Space, correlation_id: str) -> Run:
        """The run of a correlation id that may have run before, with the `run` context it left. Raises `HeldElsewhere` when it
        lives on another node."""
        key, ownership = (space.id, correlation_id), self._services.ownership
        while True:
            run = self._runs.get(key)
            if run is None or ownership is not None and not run.open and not ownership.holds(key):
                if ownership is not None:
                    await ownership.claim(key)
                    run = self._runs.get(key)
            if run is not None:
                return run
            stored = await self._left_behind(key)
            if ownership is None or ownership.holds(key):  # else what was here a moment ago is over, and let go of
                break
        run = self.start(space, correlation_id)
        run.is_resumed = True
        if stored is not None and not run.cell.document:
            run.cell.document.update(stored.document)
            run.cell.expires_at = stored.expires_at
            run.cell.ends = taken_from(run.cell.document)
        return run

    async def _left_behind(self, key: tuple[str, str]) -> StoredContext | None:
        try:
            [stored] = await self._services.store.contexts([ContextKey(key[0], "run", key[1])], self._services.clock.now())
        except BaseException:
            if key not in self._runs:
                self._leave(key)
            raise
        return stored

    # --- the end -------------------------------------------------------------------------------------

    def _bury(self, run: Run) -> None:
        """A quiet run is forgotten: at once when it remembers nothing, else after the life of the `run` context."""
        key = (run.space.id, run.correlation_id)
        if self._runs.get(key) is not run:
            return
        earlier = self._remembered.pop(key, None)
        if earlier is not None:
            earlier.cancel()
        if run.cell.document and len(self._remembered) < _MOST_REMEMBERED and not self.is_draining:
            life = self._services.settings.context_run_expire_time
            self._remembered[key] = self._services.clock.call_later(life, lambda: self._forget(key, run))
        else:
            self._drop(key)
        self._calm()

    def _forget(self, key: tuple[str, str], run: Run) -> None:
        del self._remembered[key]
        if run.is_over:
            self._drop(key)

    def _drop(self, key: tuple[str, str]) -> None:
        del self._runs[key]
        self._leave(key)

    def _leave(self, key: tuple[str, str]) -> None:
        if self._services.ownership is not None:
            self._services.ownership.leave(key)

    def forget(self, key: tuple[str, str]) -> None:
        """Another node has taken a run that was only remembered here."""
        run, timer = self._runs.get(key), self._remembered.pop(key, None)
        if timer is not None:
            timer.cancel()
        if run is not None and run.is_over:
            del self._runs[key]

    def let_go(self, run: Run) -> None:
        """Of a run that was resumed for something that started nothing in it."""
        key = (run.space.id, run.correlation_id)
        if run.is_over and key not in self._remembered and self._runs.get(key) is run:
            self._drop(key)

    async def abandon(self) -> None:
        """Another node may be running what runs here: forget all of it, and write nothing more."""
        runs, self._runs = tuple(self._runs.values()), {}
        for timer in self._remembered.values():
            timer.cancel()
        self._remembered.clear()
        for run in runs:
            run.abandon()
        for run in runs:
            await run.cancel()

    def break_off(self, space: Space) -> list[Run]:
        """What the runs of this workspace saw is not true: forget them, and let them write nothing more. Somebody has to cancel them."""
        broken = [(key, run) for key, run in self._runs.items() if key[0] == space.id]
        for key, run in broken:
            timer = self._remembered.pop(key, None)
            if timer is not None:
                timer.cancel()
            run.abandon()
            self._drop(key)
        self._calm()
        return [run for _, run in broken]

    async def drain(self, seconds: float) -> None:
        """Take no more calls, let runs end for `seconds`, then cancel what still waits."""
        self.is_draining = True
        self.admission.close()
        if self._is_busy and seconds > 0:
            self._quiet = asyncio.get_running_loop().create_future()
            timer = self._services.clock.call_later(seconds, self._wake)
            await self._quiet
            timer.cancel()
        self.admission.turn_away()
        for run in tuple(self._runs.values()):
            await run.cancel()

    @property
    def _is_busy(self) -> bool:
        """A call that has been let in may not have begun its run yet."""
        return bool(self.admission.inside or self.open_runs)

    def _calm(self) -> None:
        if self.is_draining and not self._is_busy:
            self._wake()

    def _wake(self) -> None:
        if self._quiet is not None and not self._quiet.done():
            self._quiet.set_result(None)
