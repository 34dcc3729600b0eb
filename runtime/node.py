"""An engine that is one of several on the same store: what it does besides running automations."""
from __future__ import annotations

import asyncio
import logging
from asyncio import Task
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from runtime.catalog import Catalog
from runtime.errors import HeldElsewhere, TooBusy
from runtime.membership import Membership
from runtime.neighbours import Neighbours
from runtime.renewals import by_delivery
from runtime.services import Services
from runtime.supervisor import Supervisor
from store.errors import StoreError
from store.protocol import Cluster
from store.records import ContextKey, Delivery, Member, Wait

_log = logging.getLogger("motorik.node")
_REST_SECONDS = 1.0
"""Before a delivery whose run lives elsewhere is tried again."""

StartAgain = Callable[[Delivery, tuple[Wait, ...]], Awaitable[None]]
"""(delivery, what it waited for before): start what another node, or an earlier process, has not finished."""


class Node:
    """Joins, hears the others, takes over from those who died, and starts from nothing when it was taken for dead itself."""

    def __init__(self, cluster: Cluster, member: Member, services: Services, catalog: Catalog, supervisor: Supervisor, *,
                 start_again: StartAgain, on_drop: Callable[[], None]) -> None:
        bus, clock = services.bus, services.clock
        self.neighbours = Neighbours(bus, catalog, services.cells, supervisor, clock)
        self._membership = Membership(cluster, member, self.neighbours, clock, services.ids, lease_seconds=services.settings.run_lease_seconds,
                                      on_inherit=self._inherit, on_fenced=self._drop, on_back=self._come_back)
        self._services = services
        self._catalog = catalog
        self._supervisor = supervisor
        self._start_again = start_again
        self._on_drop = on_drop
        self._tasks: set[Task[Any]] = set()
        self.catch_up = self._membership.catch_up
        """See everything that was acknowledged on any node before. Raises `TooBusy` while that cannot be."""
        services.cells.on_renewed = self._renewed
        bus.on_fenced = self._membership.fenced
        services.throttles.live_nodes = lambda: self._membership.live_nodes
        bus.catch_up = self.catch_up

    @property
    def name(self) -> str:
        """Another one after this node was taken for dead."""
        return self._membership.member.id

    async def join(self) -> None:
        """From now on nothing that the others do is missed; it takes effect after `begin`."""
        await self._membership.join()

    async def begin(self, head: int) -> None:
        """Everything up to the position `head` was read."""
        await self._membership.proceed(head)
        self._hold(self._membership.run())

    async def stop(self) -> None:
        """Tell the others. Nothing may be committed after it."""
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.neighbours.stop()
        await self._membership.leave()

    async def load_topics(self) -> None:
        for topic in await self._services.store.topics():
            space = self._services.bus.spaces.get(topic.workspace_id)
            if space is not None:
                space.join(topic.topic, topic.user_id)

    # --- in the place of others -----------------------------------------------------------------------

    def _inherit(self, deliveries: Sequence[Delivery]) -> None:
        self._hold(self._start_all_again(deliveries))

    async def _start_all_again(self, deliveries: Sequence[Delivery]) -> None:
        try:
            waits = by_delivery(await self._services.store.waits())
        except StoreError:
            waits = {}                                     # they begin anew
        for delivery in deliveries:
            earlier = waits.get(delivery.id, ())
            if not await self._is_started(delivery, earlier):
                self._hold(self._start_later(delivery, earlier))

    async def _start_later(self, delivery: Delivery, earlier: tuple[Wait, ...]) -> None:
        is_done = False
        while not is_done:
            await self._services.clock.sleep(_REST_SECONDS)
            is_done = await self._is_finished(delivery) or await self._is_started(delivery, earlier)

    async def _is_finished(self, delivery: Delivery) -> bool:
        """Whoever holds its run may have carried it out."""
        try:
            return all(delivery.id != left.id for left in await self._services.store.deliveries())
        except StoreError:
            return False

    async def _is_started(self, delivery: Delivery, earlier: tuple[Wait, ...]) -> bool:
        """False when a call has made its run live on another node already, or the store cannot be reached."""
        try:
            await self._start_again(delivery, earlier)
        except (HeldElsewhere, TooBusy, StoreError) as error:
            _log.info("delivery %s has to wait: %s", delivery.id, error)
            return False
        return True

    # --- after having been taken for dead ---------------------------------------------------------------

    async def _drop(self) -> None:
        """Forget everything that this node must not go on with: the others have started it again."""
        for task in [task for task in self._tasks if task is not asyncio.current_task()]:
            task.cancel()
        self._on_drop()
        await self._supervisor.abandon()
        self._services.ownership.clear()
        self._services.cells.forget()
        for space in self._services.bus.spaces.values():
            space.close()

    async def _come_back(self) -> None:
        """Read again what may have been missed."""
        store = self._services.store
        head = await store.head()
        await self._catalog.reload()
        await self.load_topics()
        for space in tuple(self._services.bus.spaces.values()):
            await space.publish_missed(store, head)
        await self._membership.proceed(head)

    def _renewed(self, key: ContextKey) -> None:
        space = self._services.bus.spaces.get(key.workspace_id)
        if space is not None and key.context == "config":
            space.renewed(key.key)

    def _hold(self, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
