"""A server that dies at a named point: `python -m tests.crash.victim POINT COUNT`, when the point is reached for the COUNT-th time.

It serves like `motorik serve`, and counts from the moment it gets SIGUSR1. Death is SIGKILL: nothing is flushed, nobody is told.
"""
from __future__ import annotations

import asyncio
import logging
import os
import random
import re
import signal
import sqlite3
import sys
import threading
from asyncio import Future
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import store as stores
from gateway import keys
from gateway.app import build
from gateway.config import Settings
from runtime.ids import RandomIds
from store.errors import StoreError
from store.protocol import Store
from store.records import Delivered, Event, Fact

HALF_DONE = "number.half"
"""The event that a listener emits between its first write and its last."""
_HOUSEKEEPING_SECONDS = 0.05


def _any(facts: Sequence[Fact]) -> bool:
    return True


def _is_half_a_delivery(facts: Sequence[Fact]) -> bool:
    return any(isinstance(fact, Event) and fact.type == HALF_DONE for fact in facts)


def _ends_a_delivery(facts: Sequence[Fact]) -> bool:
    return any(isinstance(fact, Delivered) for fact in facts)


BEFORE: dict[str, Callable[[Sequence[Fact]], bool]] = {
    "before-commit": _any, "before-the-end-of-a-delivery": _ends_a_delivery}
"""Nothing of this batch is written."""
AFTER: dict[str, Callable[[Sequence[Fact]], bool]] = {
    "in-the-middle-of-a-delivery": _is_half_a_delivery, "after-commit": _any, "after-the-end-of-a-delivery": _ends_a_delivery}
"""This batch is durable, and nobody has been told."""
STATEMENTS = {"in-a-transaction": re.compile("COMMIT"), "during-compaction": re.compile("INSERT INTO documents ")}
"""Statements of the embedded store, before which it happens."""
EXPIRY, CHECKPOINT = "during-expiry", "during-checkpoint"
EVERYWHERE = (*AFTER, *BEFORE, EXPIRY)
EMBEDDED = (*EVERYWHERE, *STATEMENTS, CHECKPOINT)


class Point:
    """Where this process dies."""

    def __init__(self, name: str, count: int) -> None:
        self.name = name
        self.is_armed = False
        self._left = count
        self._connections: list[sqlite3.Connection] = []

    def arm(self) -> None:
        self.is_armed = True
        if self.name in STATEMENTS:
            for connection in self._connections:
                connection.set_trace_callback(self._sees)

    def reach(self) -> None:
        if self._is_the_one():
            os.kill(os.getpid(), signal.SIGKILL)

    def reach_soon(self, seconds: float) -> None:
        """Somewhere in the middle of what takes so long."""
        if self._is_the_one():
            threading.Timer(random.random() * seconds, os.kill, (os.getpid(), signal.SIGKILL)).start()

    def audit(self, event: str, arguments: tuple[Any, ...]) -> None:
        """Notices connections of the embedded store as they are made; once it serves, only a checkpoint makes one."""
        if event == "sqlite3.connect/handle":
            self._connections.append(arguments[0])
            if self.name == CHECKPOINT:
                self.reach_soon(0.01)

    def _sees(self, statement: str) -> None:
        if STATEMENTS[self.name].match(statement):
            self.reach()

    def _is_the_one(self) -> bool:
        if self.is_armed:
            self._left -= 1
        return self.is_armed and self._left == 0


class DeadlyStore:
    """Does what `inner` does, up to the point."""

    def __init__(self, inner: Store, point: Point) -> None:
        self._inner = inner
        self._point = point

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def commit(self, facts: Sequence[Fact]) -> Future[int]:
        name = self._point.name
        if name in BEFORE and BEFORE[name](facts):
            self._point.reach()
        future = self._inner.commit(facts)
        if name in AFTER and AFTER[name](facts):
            future.add_done_callback(lambda done: self._point.reach())
        return future

    async def expire(self, now: int) -> int:
        if self._point.name == EXPIRY:
            self._point.reach_soon(0.005)
        return await self._inner.expire(now)


async def serve(point: Point) -> None:
    """Like the command, except that what has expired goes at once."""
    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, point.arm)
    settings = Settings.from_environment(os.environ)
    store = DeadlyStore(await stores.open(settings.storage_url, durability=settings.storage_durability), point)
    ids = RandomIds()
    secrets = keys.load(settings, ids) if store.cluster is None else await keys.agree(settings, ids, store.cluster)
    server = await build(settings, secrets, store=store)
    await server.open()
    await server.listen()
    while True:
        await asyncio.sleep(_HOUSEKEEPING_SECONDS)
        with suppress(StoreError):                         # as the housekeeping of every server does
            await store.expire(server.gateway.clock.now())


if __name__ == "__main__":
    import uvloop
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr)
    chosen = Point(sys.argv[1], int(sys.argv[2]))
    sys.addaudithook(chosen.audit)
    uvloop.run(serve(chosen))
