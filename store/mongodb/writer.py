"""The writer: commits go to the log in groups, then into the collections, and then those who wait are told."""
from __future__ import annotations

import asyncio
from asyncio import Future, Task
from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from pymongo.errors import PyMongoError

from store.errors import Fenced, StoreError
from store.ledger import Ledger, Undo
from store.mongodb.log import Piece
from store.mongodb.nodes import GUEST, Nodes
from store.mongodb.wire import Entry, encoded
from store.records import Change, ContextKey, Event

if TYPE_CHECKING:
    from store.mongodb.mongo import MongoStore

_GROUP_FACTS = 4000
_GROUP_BYTES = 4_000_000
_PIECE_BYTES = 12_000_000           # a document of MongoDB may have 16 million
_UNTOLD = 2                         # pieces that may be on their way into the collections while the next one is written


class _Nothing(StoreError):
    """No batch of a group can be written; each knows why."""


class _Job(NamedTuple):
    """`node` is the name under which it was handed over: what an earlier self has left behind is not written any more."""

    node: str
    facts: Sequence[Entry]
    future: Future[int]


class _Group:
    """Batches that are written together."""

    def __init__(self, jobs: list[_Job]) -> None:
        self.jobs = jobs
        self.admitted: list[tuple[_Job, int]] = []
        """Those that conflict with nothing, each with the position of its first event."""
        self.piece: Piece | None = None
        self._taken: list[Undo] = []

    def build(self, ledger: Ledger, nodes: Nodes, n: int, position: int) -> Piece:
        """Raises `_Nothing` when every batch conflicts with something: there is nothing to append."""
        last, jobs, self.jobs = position, self.jobs, []
        for job in jobs:
            try:
                if job.node not in (GUEST, nodes.id):
                    raise Fenced("the other nodes have gone on without what this one was under an earlier name")
                self._taken.append(ledger.take(job.facts, nodes.id))
            except StoreError as failure:
                _refuse(job, failure)
                continue
            self.jobs.append(job)
            events = sum(type(fact) is Event for fact in job.facts)
            self.admitted.append((job, last + 1 if events else 0))
            last += events
        if not self.admitted:
            raise _Nothing
        self.piece = Piece(n, nodes.id, position + 1, last, nodes.settled, [fact for job, _ in self.admitted for fact in job.facts])
        return self.piece

    def take_back(self, ledger: Ledger) -> None:
        """It was not written; those that are left may be tried again."""
        for undo in reversed(self._taken):
            ledger.take_back(undo)
        self._taken, self.admitted = [], []

    def fail(self, failure: StoreError) -> None:
        for job in self.jobs:
            _refuse(job, failure)


class Writer:
    """One group is under way at a time; what arrives meanwhile is the next one."""

    def __init__(self, store: MongoStore) -> None:
        self._store = store
        self._waiting: deque[_Job] = deque()
        self._writer: Task[None] | None = None
        self._teller: Task[None] | None = None
        self._folding: Task[None] | None = None
        self._untold: deque[tuple[Piece, list[tuple[_Job, int]]]] = deque()
        self._room = asyncio.Event()
        self._listeners: list[tuple[int, Future[None]]] = []
        self._pending: dict[ContextKey, Future[int]] = {}
        self._token = 0

    def submit(self, facts: Sequence[Entry]) -> Future[int]:
        future: Future[int] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Job(self._store.nodes.id, facts, future))
        for fact in facts:
            if type(fact) is Change:
                self._pending[fact.cell] = future
        future.add_done_callback(lambda done: self._no_longer_pending(facts, done))
        if self._writer is None:
            self._writer = asyncio.create_task(self._write())
        return future

    def _no_longer_pending(self, facts: Sequence[Entry], future: Future[int]) -> None:
        for fact in facts:
            if type(fact) is Change and self._pending.get(fact.cell) is future:
                del self._pending[fact.cell]

    async def _write(self) -> None:
        """One group after the other; what arrives meanwhile is the next one."""
        await asyncio.sleep(0)                             # the rest of this turn of the loop comes along
        while self._waiting:
            await self._write_group(_Group(self._take_group()))
            while len(self._untold) >= _UNTOLD:
                self._room.clear()
                await self._room.wait()
        self._writer = None

    def _take_group(self) -> list[_Job]:
        jobs, facts, size = [], 0, 0
        while self._waiting and facts < _GROUP_FACTS and size < _GROUP_BYTES:
            job = self._waiting.popleft()
            jobs.append(job)
            facts += len(job.facts)
            size += sum(len(getattr(fact, "body", b"")) + len(getattr(fact, "value", b"")) for fact in job.facts)
        return jobs

    async def _write_group(self, group: _Group) -> None:
        def build(n: int, position: int) -> dict[str, Any]:
            self._store.nodes.check()
            return self._document(group.build(self._store.ledger, self._store.nodes, n, position))

        while group.jobs:
            try:
                if await self._store.log.append(build):
                    self._store.nodes.took(group.piece.facts)
                    self._append_untold(group.piece, group.admitted)
                    return
                group.take_back(self._store.ledger)
                await self._store.log.catch_up()
            except StoreError as failure:
                group.take_back(self._store.ledger)
                self._failed(group, failure)

    def _failed(self, group: _Group, failure: StoreError) -> None:
        """A batch that cannot be stored fails alone; without a connection all do."""
        if isinstance(failure, Fenced):
            self._store.nodes.is_fenced = True
        if len(group.jobs) > 1 and type(failure) is StoreError:
            half = len(group.jobs) // 2
            self._waiting.extendleft(reversed(group.jobs[half:]))
            del group.jobs[half:]
            return
        group.fail(failure)
        group.jobs = []

    def _document(self, piece: Piece) -> dict[str, Any]:
        try:
            facts = encoded(piece.facts)
        except (TypeError, UnicodeError) as failure:
            raise StoreError(f"this cannot be stored: {failure}") from failure
        if len(facts) > _PIECE_BYTES:
            raise StoreError(f"a batch of {len(facts)} bytes is too large for MongoDB, which takes {_PIECE_BYTES}")
        self._token += 1
        return {"_id": piece.n, "n": piece.n, "token": f"{self._store.nodes.id} {self._token}", "node": piece.node, "first": piece.first,
                "last": piece.last, "settled": piece.settled, "facts": facts}

    # --- telling -------------------------------------------------------------------------------------

    def heard(self, piece: Piece) -> None:
        """Another node appended this."""
        self._store.ledger.hear(piece.facts, piece.node)
        self._store.nodes.heard(piece)
        self._append_untold(piece, [])

    def _append_untold(self, piece: Piece, admitted: list[tuple[_Job, int]]) -> None:
        self._untold.append((piece, admitted))
        if self._teller is None:
            self._teller = asyncio.create_task(self._tell())

    async def _tell(self) -> None:
        """Whatever happened, here or elsewhere, in the order of the log; what happened here once the collections have it."""
        loop = asyncio.get_running_loop()
        while self._untold:
            piece, admitted = self._untold[0]
            if admitted:
                self._answer(admitted, await self._settled(piece))
            else:
                loop.call_soon(self._store.nodes.tell, piece)     # after the callbacks of what came before
            self._untold.popleft()
            self._room.set()
            ready = [listener for n, listener in self._listeners if n <= piece.n]
            self._listeners = [(n, listener) for n, listener in self._listeners if n > piece.n]
            for listener in ready:
                loop.call_soon(_wake, listener)
            if not self._untold:
                await self._store.nodes.show_settled()
        self._teller = None
        if self._store.materials.cells.heavy and self._folding is None:
            self._folding = asyncio.create_task(self._fold())

    def _answer(self, admitted: list[tuple[_Job, int]], failure: StoreError | None) -> None:
        for job, first in admitted:
            if not job.future.done():
                job.future.set_result(first) if failure is None else job.future.set_exception(failure)

    async def told(self) -> None:
        """When this returns, everything appended or heard before the call has been told."""
        if self._untold:
            await self._until_told(self._untold[-1][0].n)
        else:
            await asyncio.sleep(0)

    async def applied(self, before: int) -> None:
        """When this returns, the collections hold what this node appended before that number, as far as they could be reached."""
        own = [piece.n for piece, admitted in self._untold if admitted and piece.n < before]
        if own:
            await self._until_told(own[-1])

    async def _until_told(self, n: int) -> None:
        listener: Future[None] = asyncio.get_running_loop().create_future()
        self._listeners.append((n, listener))
        await listener

    async def _settled(self, piece: Piece) -> StoreError | None:
        try:
            await self._store.nodes.settle_before(piece)
            await self._store.materials.apply(piece)
        except StoreError as failure:                      # the log has it: another name will find it there
            self._store.nodes.leave_unsettled(piece)
            return Fenced(f"the commit is in the log, but nobody has seen it yet: {failure}")
        self._store.nodes.settled = piece.n
        if self._store.nodes.was_replaced(piece.node):     # what it set off has been started elsewhere
            return Fenced("the commit was written, and the other nodes have gone on with it")
        return None

    async def _fold(self) -> None:
        cells = self._store.materials.cells
        try:
            while cells.heavy:
                await cells.fold(cells.heavy.pop())
        except PyMongoError:                               # nothing is lost; the next change asks for it again
            pass
        self._folding = None

    async def written(self, keys: Sequence[ContextKey]) -> None:
        """When this returns, what was submitted before about these documents is in the collections, or has failed."""
        if pending := {future for key in keys if (future := self._pending.get(key)) is not None}:
            await asyncio.wait(pending)

    async def close(self) -> None:
        while tasks := [task for task in (self._writer, self._teller, self._folding) if task is not None]:
            await asyncio.wait(tasks)


def _refuse(job: _Job, failure: StoreError) -> None:
    if not job.future.done():                              # nobody may be waiting any more
        job.future.set_exception(failure)


def _wake(listener: Future[None]) -> None:
    if not listener.done():
        listener.set_result(None)
