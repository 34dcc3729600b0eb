"""Several nodes on one content, in memory: the store of tests that ask what nodes do to each other, and when the network fails."""
from __future__ import annotations

import asyncio
from asyncio import Future
from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

from store.errors import Fenced, StoreError, Unavailable
from store.ledger import Ledger
from store.memory import MemoryStore
from store.protocol import Hear
from store.query import EventQuery
from store.records import (
    App,
    ContextKey,
    Delivered,
    Delivery,
    Event,
    Fact,
    Item,
    Member,
    RunHeld,
    RunLeft,
    Session,
    StoredContext,
    StoredEvent,
    Tick,
    Topic,
    Wait,
    Workspace,
)

Run = tuple[str, str]


class _Piece(NamedTuple):
    """What one node committed; without facts, that it is gone."""

    node: str
    first: int
    facts: tuple[Fact, ...]


class _Answer(NamedTuple):
    """What somebody on a node waits for."""

    future: Future[int]
    outcome: int | StoreError


class MemoryCluster:
    """What the nodes share. Make them with `node`."""

    def __init__(self) -> None:
        self.content = MemoryStore()
        self.living: dict[str, Member] = {}
        self.beats: dict[str, int] = {}
        self.agreed: dict[str, str] = {}
        self._ledger = Ledger()
        self._nodes: list[MemoryNode] = []
        self._whose: dict[str, str] = {}
        """Delivery → node."""

    def node(self) -> MemoryNode:
        node = MemoryNode(self)
        self._nodes.append(node)
        return node

    def write(self, facts: tuple[Fact, ...], writer: MemoryNode) -> int:
        """All nodes but the writer will hear. Raises `Conflict`, and then nothing is written."""
        undo = self._ledger.take(facts, writer.id)
        try:
            position = self.content.commit(facts).result()
        except StoreError:
            self._ledger.take_back(undo)
            raise
        for fact in facts:
            if type(fact) is Delivery:
                self._whose[fact.id] = writer.id
            elif type(fact) is Delivered:
                self._whose.pop(fact.id, None)
        self._tell(_Piece(writer.id, position, facts), writer)
        return position

    def bury(self, id: str) -> None:
        """From now on this node writes nothing, and holds nothing."""
        if self.living.pop(id, None) is not None:
            self._ledger.release(id)
            self._tell(_Piece(id, 0, ()), None)

    async def adopt(self, id: str) -> list[Delivery]:
        """The deliveries of nobody who lives, for this node."""
        found = [d for d in await self.content.deliveries() if self._whose[d.id] not in self.living]
        self._whose.update((delivery.id, id) for delivery in found)
        return found

    def _tell(self, piece: _Piece, writer: MemoryNode | None) -> None:
        for node in self._nodes:
            if node is not writer:
                node.post(piece)


class MemoryNode:
    """The store as one node sees it. A test may cut it off from the others, or make it hard of hearing."""

    def __init__(self, cluster: MemoryCluster) -> None:
        self.id = ""
        self.cluster = self
        self._shared = cluster
        self._content = cluster.content
        self._loop = asyncio.get_running_loop()
        self._hear: Hear = lambda first, facts: None
        self._holders: dict[Run, Member] = {}
        self._inbox: deque[_Piece | _Answer] = deque()
        self._due = 0
        """So many of them may not wait, even if this node is deaf."""
        self._is_pumping = False
        self._is_deaf = False
        self._is_cut = False
        self._is_closed = False
        self._stuck: deque[tuple[tuple[Fact, ...], Future[int]]] = deque()
        self._reachable = asyncio.Event()
        self._reachable.set()

    # --- what may go wrong ---------------------------------------------------------------------------

    def cut_off(self, *, hang: bool = False) -> None:
        """Nothing comes through, in either direction, until `heal`. Calls fail at once, or they hang."""
        self._is_cut = True
        if hang:
            self._reachable.clear()

    def heal(self) -> None:
        self._is_cut = False
        self._reachable.set()
        while self._stuck:
            self._commit(*self._stuck.popleft())
        self._pump_soon()

    def deafen(self) -> None:
        """What others commit is heard no sooner than the protocol demands, until `listen`."""
        self._is_deaf = True

    def listen(self) -> None:
        self._is_deaf = False
        self._pump_soon()

    # --- Cluster -------------------------------------------------------------------------------------

    async def join(self, member: Member, hear: Hear) -> None:
        await self._reach()
        self.id, self._hear = member.id, hear
        self._shared.living[member.id] = member
        self._shared.beats[member.id] = 0

    async def leave(self) -> None:
        await self._reach()
        self._shared.bury(self.id)

    async def catch_up(self) -> None:
        await self._reach()
        self._check_living()
        caught_up: Future[int] = self._loop.create_future()
        self.post(_Answer(caught_up, 0))
        await caught_up

    def owner(self, workspace_id: str, correlation_id: str) -> Member | None:
        return self._holders.get((workspace_id, correlation_id))

    async def beat(self) -> dict[str, int]:
        await self.catch_up()
        self._shared.beats[self.id] += 1
        return {id: self._shared.beats[id] for id in self._shared.living if id != self.id}

    async def take_over(self, id: str) -> list[Delivery]:
        await self.catch_up()
        self._shared.bury(id)
        return await self._shared.adopt(self.id)

    async def agree(self, name: str, value: str) -> str:
        await self._reach()
        return self._shared.agreed.setdefault(name, value)

    # --- writing and hearing -------------------------------------------------------------------------

    def commit(self, facts: Sequence[Fact]) -> Future[int]:
        future: Future[int] = self._loop.create_future()
        if self._reachable.is_set():
            self._commit(tuple(facts), future)
        else:
            self._stuck.append((tuple(facts), future))
        return future

    def _commit(self, facts: tuple[Fact, ...], future: Future[int]) -> None:
        """The answer comes later, behind what others committed before."""
        try:
            self._check_open()
            self._check_living()
            outcome: int | StoreError = self._shared.write(facts, self)
        except StoreError as failure:
            outcome = failure
        if self._is_cut:
            future.set_exception(Unavailable("the store cannot be reached"))
        else:
            self.post(_Answer(future, outcome))

    def post(self, item: _Piece | _Answer) -> None:
        self._inbox.append(item)
        if type(item) is _Answer:
            self._due = len(self._inbox)
        self._pump_soon()

    def _pump_soon(self) -> None:
        if not self._is_pumping:
            self._is_pumping = True
            self._loop.call_soon(self._pump)

    def _pump(self) -> None:
        """One at a time, so that whoever waits for an answer goes on before what comes behind it is heard."""
        self._is_pumping = False
        if self._is_cut or not self._inbox or self._is_deaf and not self._due:
            return
        item = self._inbox.popleft()
        self._due = max(0, self._due - 1)
        if type(item) is _Piece:
            self._take(item)
        elif not item.future.done():
            if isinstance(item.outcome, StoreError):
                item.future.set_exception(item.outcome)
            else:
                item.future.set_result(item.outcome)
        self._pump_soon()

    def _take(self, piece: _Piece) -> None:
        if not piece.facts:
            self._holders = {run: holder for run, holder in self._holders.items() if holder.id != piece.node}
            return
        for fact in piece.facts:
            if type(fact) is RunHeld and piece.node in self._shared.living:
                self._holders[tuple(fact)] = self._shared.living[piece.node]
            elif type(fact) is RunLeft:
                self._holders.pop(tuple(fact), None)
        first = piece.first if any(type(fact) is Event for fact in piece.facts) else 0
        self._hear(first, piece.facts)

    async def _reach(self) -> None:
        await self._reachable.wait()
        self._check_open()

    def _check_open(self) -> None:
        if self._is_closed:
            raise Unavailable("the store is closed")
        if self._is_cut:
            raise Unavailable("the store cannot be reached")

    def _check_living(self) -> None:
        if self.id not in self._shared.living:
            raise Fenced("the other nodes have gone on without this one")

    # --- reading -------------------------------------------------------------------------------------

    async def contexts(self, keys: Sequence[ContextKey], now: int) -> list[StoredContext | None]:
        await self._reach()
        found = await self._content.contexts(keys, now)
        await asyncio.sleep(0)                             # an answer is always a little older than its arrival
        return found

    async def events(self, query: EventQuery) -> list[StoredEvent]:
        await self._reach()
        return await self._content.events(query)

    async def head(self) -> int:
        await self._reach()
        return await self._content.head()

    async def workspaces(self) -> list[Workspace]:
        await self._reach()
        return await self._content.workspaces()

    async def apps(self) -> list[App]:
        await self._reach()
        return await self._content.apps()

    async def deliveries(self) -> list[Delivery]:
        await self._reach()
        return await self._content.deliveries()

    async def waits(self) -> list[Wait]:
        await self._reach()
        return await self._content.waits()

    async def ticks(self) -> list[Tick]:
        await self._reach()
        return await self._content.ticks()

    async def session(self, id: str, now: int) -> Session | None:
        await self._reach()
        return await self._content.session(id, now)

    async def topics(self) -> list[Topic]:
        await self._reach()
        return await self._content.topics()

    async def item(self, collection: str, id: str, now: int) -> Item | None:
        await self._reach()
        return await self._content.item(collection, id, now)

    async def items(self, collection: str, workspace_id: str, now: int) -> list[Item]:
        await self._reach()
        return await self._content.items(collection, workspace_id, now)

    async def expire(self, now: int) -> int:
        await self._reach()
        return await self._content.expire(now)

    async def forget_events(self, workspace_id: str, *, before_time: int | None = None, keep: int | None = None) -> int:
        await self._reach()
        return await self._content.forget_events(workspace_id, before_time=before_time, keep=keep)

    async def oldest(self, workspace_id: str) -> int:
        await self._reach()
        return await self._content.oldest(workspace_id)

    async def event_workspaces(self) -> list[str]:
        await self._reach()
        return await self._content.event_workspaces()

    async def ping(self) -> None:
        await self._reach()

    async def close(self) -> None:
        self._is_closed = True
        self._reachable.set()
