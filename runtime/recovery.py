"""After a batch was lost: what runs left in memory is ahead of the store. They are broken off, memory is read again, and the deliveries
they had not finished start again."""
from __future__ import annotations

import asyncio
import logging
from asyncio import Task
from collections.abc import Awaitable, Callable, Iterable, Sequence

from runtime.errors import AutomationsError, HeldElsewhere
from runtime.renewals import by_delivery
from runtime.run import Run
from runtime.services import Services
from runtime.space import Space
from runtime.supervisor import Supervisor
from store.errors import Fenced, Full, StoreError, Unavailable
from store.records import Delivered, Delivery, Fact, Topic, Wait

_log = logging.getLogger("motorik.recovery")
_REST_SECONDS = 1.0
_LONGEST_REST_SECONDS = 30.0
_MOST_TIMES = 6
"""A delivery whose end the store takes for wrong is not tried for ever: the next process tries it again."""

StartAgain = Callable[[Delivery, tuple[Wait, ...]], Awaitable[None]]


class Recovery:
    """Hears of lost batches and of deliveries that could not be carried out, and sees to both."""

    def __init__(self, services: Services, supervisor: Supervisor, start_again: StartAgain) -> None:
        self._services = services
        self._supervisor = supervisor
        self._start_again = start_again
        self._left: set[str] = set()
        self._times: dict[str, int] = {}
        self._task: Task[None] | None = None
        self._breaking_off: set[Task[None]] = set()
        services.bus.on_lost = self.lost
        services.bus.on_left = self.left

    def lost(self, space: Space, batch: Sequence[Fact], failure: StoreError) -> None:
        """A batch of a run was not written: no run of its workspace may go on from what it saw."""
        runs = self._supervisor.break_off(space)
        self._services.cells.forget(space.id)
        space.close()
        for fact in batch:
            if type(fact) is Topic:
                space.part(fact.topic, fact.user_id)
        task = asyncio.ensure_future(_cancelled(runs))
        self._breaking_off.add(task)
        task.add_done_callback(self._breaking_off.discard)
        if not isinstance(failure, Fenced):                # else others have started them already
            self._keep([fact.id for fact in batch if type(fact) is Delivered], may_give_up=not isinstance(failure, (Unavailable, Full)))
            self.left([id for run in runs for id in run.unfinished()])

    def left(self, ids: Iterable[str]) -> None:
        """These deliveries are in the store, and nobody carries them out."""
        self._keep(ids, may_give_up=False)

    def _keep(self, ids: Iterable[str], *, may_give_up: bool) -> None:
        for id in ids:
            times = self._times[id] = self._times.get(id, 0) + 1
            if may_give_up and times > _MOST_TIMES:
                _log.error("delivery %s is left to the next start of the server", id)
            else:
                self._left.add(id)
        if self._left and self._task is None:
            self._task = asyncio.ensure_future(self._work())

    def forget(self) -> None:
        """Another node has taken over whatever was left."""
        self._left.clear()
        self._times.clear()
        if self._task is not None:
            self._task.cancel()
            self._task = None

    async def stop(self) -> None:
        tasks = [*self._breaking_off, *([self._task] if self._task is not None else ())]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _work(self) -> None:
        clock = self._services.clock
        while self._left:
            await clock.sleep(min(_REST_SECONDS * max(self._times[id] for id in self._left), _LONGEST_REST_SECONDS))
            ids, self._left = self._left, set()
            try:
                await self._start_all_again(ids)
            except (StoreError, AutomationsError) as error:
                _log.warning("%d deliveries wait: %s", len(ids), error)
            self._left |= ids
        self._task = None

    async def _start_all_again(self, ids: set[str]) -> None:
        """Takes from `ids` what was started, or is done."""
        store = self._services.store
        waits = by_delivery(await store.waits())           # read first: a delivery ends together with its waits
        deliveries = await store.deliveries()
        self._times = {delivery.id: self._times[delivery.id] for delivery in deliveries if delivery.id in self._times}
        for delivery in deliveries:
            if delivery.id in ids:
                try:
                    await self._start_again(delivery, waits.get(delivery.id, ()))
                except HeldElsewhere:
                    pass                                   # it was started there
                ids.discard(delivery.id)
        ids.clear()


async def _cancelled(runs: Sequence[Run]) -> None:
    for run in runs:
        await run.cancel()
