"""What every store promises. Each sentence of a docstring here is a test that runs against all of them."""
from __future__ import annotations

from asyncio import Future
from collections.abc import Callable, Sequence
from typing import Protocol

from store.query import EventQuery
from store.records import (
    App,
    ContextKey,
    Delivery,
    Fact,
    Item,
    Member,
    Session,
    StoredContext,
    StoredEvent,
    Tick,
    Topic,
    Wait,
    Workspace,
)

Hear = Callable[[int, Sequence[Fact]], None]
"""(position of the first event among them, facts): what another node committed in one piece."""


class Store(Protocol):
    """Facts, durable and ordered. Stores never read a clock and never make an identifier: time comes in as `now`."""

    cluster: "Cluster | None"
    """What only a store has that several nodes may share."""

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

    async def item(self, collection: str, id: str, now: int) -> Item | None:
        """The item with this id unless its life ended at or before `now`. Its `is_first` tells nothing."""

    async def items(self, collection: str, workspace_id: str, now: int) -> list[Item]:
        """The living items of a workspace (or, for an empty id, of the installation), by id."""

    async def expire(self, now: int) -> int:
        """Drop contexts, sessions and items whose life ended at or before `now`; how many. Housekeeping only: reads
        never show them."""

    async def forget_events(self, workspace_id: str, *, before_time: int | None = None, keep: int | None = None) -> int:
        """Drop the events accepted before `before_time` (milliseconds), and all but the newest `keep`; how many went. Their
        room is given back to the disk, if not at once then soon; commits go on meanwhile."""

    async def oldest(self, workspace_id: str) -> int:
        """The position of the oldest event of the workspace that is still there; 0 when there is none."""

    async def event_workspaces(self) -> list[str]:
        """The ids of all workspaces that have events, those of deleted workspaces included."""

    async def ping(self) -> None:
        """Raises `Unavailable` when nothing can be read; after a write that was not possible, also `Full` or `Unavailable` until
        one is, which it finds out itself."""

    async def close(self) -> None:
        """Write what is waiting, then let go of the files. A commit after it raises `Unavailable`."""


class Cluster(Protocol):
    """Several nodes on one store: what each commits is told to all of them, in one order."""

    async def join(self, member: Member, hear: Hear) -> None:
        """Become a node. Nothing can be committed before. From now on `hear` is called on the loop, in the order of the
        commits, with what other nodes committed: earlier ones before the future of a commit of ours is done, later ones after.
        Joining again, under a new id, is how a fenced node comes back."""

    async def leave(self) -> None:
        """Let go of everything; the others need not wait for the end of a lease."""

    async def catch_up(self) -> None:
        """When this returns, `hear` was called for every commit that any node was told of before the call."""

    def owner(self, workspace_id: str, correlation_id: str) -> Member | None:
        """The other node that holds this run, as far as `hear` has heard; None when nobody does, or this node."""

    async def beat(self) -> dict[str, int]:
        """Show that this node lives. The answer: for each other node, a number that grows while it does. Raises `Fenced`."""

    async def take_over(self, id: str) -> list[Delivery]:
        """Declare a node dead. From the moment of this commit it can write nothing, and its runs are free; the first node to
        say so gets its unfinished deliveries, in order, the others an empty list. Those of nodes that left before come along;
        an empty `id` asks for them alone."""

    async def agree(self, name: str, value: str) -> str:
        """The value that all nodes keep under this name: `value` when nobody kept one before."""
