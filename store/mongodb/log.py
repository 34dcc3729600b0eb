"""The one order of all commits: documents numbered 1, 2, 3, …, each holding what one node committed in one piece.

Whoever appends takes the next number; the unique key lets one node have it, and the others read on before they try again. So a
node that appends has heard of everything before, nothing needs a transaction, and a late write of a node that was declared dead
finds its number taken.
"""
from __future__ import annotations

import asyncio
import logging
from asyncio import Future, Task
from collections.abc import Callable
from contextlib import suppress
from typing import Any, AsyncIterator, NamedTuple

from pymongo.errors import DuplicateKeyError, OperationFailure, PyMongoError

from store.errors import Fenced, StoreError
from store.mongodb.client import Collection, in_our_words, is_passing, translated, was_never_sent
from store.mongodb.wire import Entry, decoded

_log = logging.getLogger("motorik.store")

_READ_AT_ONCE = 200
_PATIENCE = (0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2)
"""Seconds between tries to find out whether a document was written."""
_POLL_SECONDS = 0.5
"""How often the log is read, whether a change stream rings or not."""


class Piece(NamedTuple):
    """One document of the log. `first` is the position of its first event; `settled` the number up to which the collections
    hold what its node committed."""

    n: int
    node: str
    first: int
    last: int
    settled: int
    facts: list[Entry]


Build = Callable[[int, int], dict[str, Any]]
"""(number, position of the last event) → the document to append."""


class Log:
    """`hear` is called, in order and under the lock of the log, for each piece that was not appended here."""

    def __init__(self, collection: Collection, hear: Callable[[Piece], None]) -> None:
        self.seen = 0
        self.position = 0
        self._collection = collection
        self._hear = hear
        self._lock = asyncio.Lock()
        self._waiting: list[Future[None]] = []
        self._reader: Task[None] | None = None
        self._listeners: list[Task[None]] = []

    async def open(self) -> None:
        """Begin behind the last piece there is."""
        await self._collection.create_index([("n", 1)], unique=True)
        await self.skip_to_end()

    async def skip_to_end(self) -> None:
        async for document in self._collection.find({}, {"n": 1, "last": 1}).sort("n", -1).limit(1):
            self.seen, self.position = document["n"], document["last"]

    def listen(self) -> None:
        """From now on hear what others append as it happens."""
        if not self._listeners:
            self._listeners = [asyncio.create_task(self._follow()), asyncio.create_task(self._poll())]

    async def close(self) -> None:
        tasks = [*self._listeners, *([self._reader] if self._reader is not None else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def append(self, build: Build) -> bool:
        """Write the document that `build` makes as the next one; False if another node was faster. Raises `Unavailable` when it
        was not written, `Fenced` when nobody knows."""
        async with self._lock:
            document, waiting = build(self.seen + 1, self.position), self._take_waiting()
            landed = False
            try:
                landed = await self._insert(document)
            finally:
                if landed:                                 # so nothing came before it that this node has not heard
                    self.seen, self.position = document["n"], document["last"]
                    _tell(waiting)
                else:
                    self._waiting += waiting
            return landed

    async def catch_up(self) -> None:
        """Hear everything that was appended before the call."""
        waiter: Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(waiter)
        if self._reader is None:
            self._reader = asyncio.create_task(self._read_for_others())
        await waiter

    async def pieces(self, after: int) -> AsyncIterator[Piece]:
        async for document in self._collection.find({"n": {"$gt": after}}).sort("n", 1):
            yield _piece(document)

    async def forget(self, up_to: int) -> None:
        await self._collection.delete_many({"n": {"$lte": up_to}})

    async def _insert(self, document: dict[str, Any]) -> bool:
        for pause in (*_PATIENCE, None):
            try:
                return await self._try_to_insert(document)
            except PyMongoError as failure:
                if was_never_sent(failure) and pause == _PATIENCE[0] or not is_passing(failure):
                    raise translated(failure) from failure
                if pause is None:
                    raise Fenced(f"nobody knows whether this was written: {failure}") from failure
            except (OverflowError, UnicodeError, TypeError) as failure:
                raise StoreError(f"this cannot be stored: {failure}") from failure
            await asyncio.sleep(pause)
        raise AssertionError("the last try ends the loop")

    async def _try_to_insert(self, document: dict[str, Any]) -> bool:
        """A number that is taken may have been taken by an earlier try, of which no answer came."""
        try:
            await self._collection.insert_one(document)
            return True
        except DuplicateKeyError:
            found = await self._collection.find_one({"n": document["n"]}, {"token": 1})
            return found is not None and found["token"] == document["token"]

    def _take_waiting(self) -> list[Future[None]]:
        """Those who want to catch up are served by whatever succeeds next, be it a read or an append."""
        waiting, self._waiting = self._waiting, []
        return waiting

    async def _read_for_others(self) -> None:
        while self._waiting:
            async with self._lock:
                waiting = self._take_waiting()
                try:
                    if waiting:
                        await self._read_on()
                except StoreError as failure:
                    _tell(waiting, failure)
                else:
                    _tell(waiting)
        self._reader = None

    async def _read_on(self) -> None:
        with in_our_words():
            while True:
                found = await self._collection.find({"n": {"$gt": self.seen}}).sort("n", 1).limit(_READ_AT_ONCE).to_list(_READ_AT_ONCE)
                for document in found:
                    self._take(document)
                if len(found) < _READ_AT_ONCE:
                    return

    def _take(self, document: dict[str, Any]) -> None:
        piece = _piece(document)
        if piece.n != self.seen + 1:
            raise Fenced("this node has slept so long that what happened meanwhile is no longer in the log")
        self.seen, self.position = piece.n, piece.last
        self._hear(piece)

    async def _follow(self) -> None:
        """A change stream rings, where there are any."""
        while True:
            try:
                async with self._collection.watch([{"$match": {"operationType": "insert"}}], max_await_time_ms=1000) as stream:
                    await self.catch_up()
                    async for _ in stream:
                        await self.catch_up()
            except OperationFailure as failure:
                _log.warning("MongoDB gives no change stream (%s): other nodes are heard by asking; several nodes want a replica set",
                             failure.code)
                return
            except (PyMongoError, StoreError) as failure:
                _log.warning("the change stream broke off: %s", failure)
                await asyncio.sleep(_POLL_SECONDS)

    async def _poll(self) -> None:
        """What no stream has told is heard all the same, a little later."""
        while True:
            await asyncio.sleep(_POLL_SECONDS)
            with suppress(StoreError):                     # whoever needs to know asks for himself
                await self.catch_up()


def _tell(waiting: list[Future[None]], failure: StoreError | None = None) -> None:
    for waiter in waiting:
        if not waiter.done():
            waiter.set_result(None) if failure is None else waiter.set_exception(failure)


def _piece(document: dict[str, Any]) -> Piece:
    return Piece(document["n"], document["node"], document["first"], document["last"], document["settled"], decoded(document["facts"]))
