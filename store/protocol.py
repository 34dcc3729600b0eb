"""What every store promises. Each sentence of a docstring here is a test that runs against all of them."""
from __future__ import annotations

from asyncio import Future
from collections.abc import Sequence
from typing import Protocol

from store.query import EventQuery
from store.records import App, ContextKey, Delivery, Fact, Session, StoredContext, StoredEvent, Tick, Topic, Wait, Workspace


class Store(Protocol):
    """Facts, durable and ordered. Stores never read a clock and never make an identifier: time comes in as `now`."""

    def commit(self, facts: Sequence[Fact]) -> "Future[int]":
        """Write all of `facts` or none; when the future is done they survive a power cut.

        Batches take effect in the order of the calls. The result is the position of the batch's first event (0 when it
        has none); its other events have the following positions. Positions grow along the calls. Batches that wait at the same time
        are written together. Cancelling the future does not take the batch back. Raises `Conflict`, `Full`, `Unavailable`.
        """

    async def contexts(self, keys: Sequence[ContextKey], now: int) -> list[StoredContext | None]:
        """The documents of `keys`, in that order, with every change committed before the call and the end of their life; None
        where there is none or its life ended at or before `now`. Nobody else holds a part of any of them."""

    async def events(self, query: EventQuery) -> list[StoredEvent]:
        """The events that meet the query, in its order. Reads do not wait for writes."""

    async def head(self) -> int:
        """The highest position committed; 0 for an empty store."""

    async def workspaces(self) -> list[Workspace]: ...

    async def apps(self) -> list[App]: ...

    async def deliveries(self) -> list[Delivery]:
        """The deliveries without a `Delivered`, in the order they were committed."""

    async def waits(self) -> list[Wait]: ...

    async def ticks(self) -> list[Tick]:
        """The last firing of each automation."""

    async def session(self, id: str, now: int) -> Session | None:
        """The login with this id unless its life ended at or before `now`."""

    async def topics(self) -> list[Topic]: ...

    async def expire(self, now: int) -> int:
        """Drop contexts and sessions whose life ended at or before `now`; how many. Housekeeping only: reads never show them."""

    async def ping(self) -> None:
        """Raises `Unavailable` when nothing can be read."""

    async def close(self) -> None:
        """Write what is waiting, then let go of the files. A commit after it raises `Unavailable`."""
