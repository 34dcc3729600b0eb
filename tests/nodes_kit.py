"""Several engines on one store, a clock for all of them, and the means to let them fail."""
from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, AsyncIterator

from runtime.settings import RuntimeSettings
from runtime.testing import CountedIds, HandClock, Sandbox
from store.memory_cluster import MemoryCluster, MemoryNode
from store.records import Member

LEASE = 9.0
LIVING_PID = 0
"""No process: whether it lives is told by its beats alone."""


class Nodes:
    """The nodes count from 1."""

    def __init__(self, automations: dict[str, Any], settings: dict[str, Any]) -> None:
        self.cluster = MemoryCluster()
        self.clock = HandClock()
        self._definition = {"name": "Shop", "automations": automations}
        self._settings = RuntimeSettings(fetch_allowed_hosts=("127.0.0.1",), run_lease_seconds=LEASE, **settings)
        self.boxes: list[Sandbox] = []

    def __getitem__(self, number: int) -> Sandbox:
        return self.boxes[number - 1]

    def store(self, number: int) -> MemoryNode:
        return self[number].store

    async def add(self, exits: AsyncExitStack, *, pid: int = LIVING_PID) -> Sandbox:
        number = len(self.boxes) + 1
        box = Sandbox(self._definition, store=self.cluster.node(), clock=self.clock, settings=self._settings,
                      ids=CountedIds(number * 100_000), member=Member("", f"http://node-{number}", "host", pid))
        self.boxes.append(box)
        return await exits.enter_async_context(box)

    async def settle(self, turns: int = 60) -> None:
        """Let the loop turn until nothing can be left to do."""
        for _ in range(turns):
            await asyncio.sleep(0)

    async def pass_time(self, seconds: float) -> None:
        """Beat by beat, so that everybody has the chance to show that it lives."""
        end = self.clock.monotonic() + seconds
        while self.clock.monotonic() < end:
            self.clock.advance(min(1.0, end - self.clock.monotonic()))
            await self.settle()


@asynccontextmanager
async def nodes(automations: dict[str, Any], count: int = 2, **settings: Any) -> AsyncIterator[Nodes]:
    """So many nodes that serve one workspace of these automations."""
    house = Nodes(automations, settings)
    async with AsyncExitStack() as exits:
        for _ in range(count):
            await house.add(exits)
        yield house
