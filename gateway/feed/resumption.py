"""Who may take a lost connection up again: its identity, its subscriptions, and how far each of them was.

The records are in the store, so that any node can go on with them, also when this one has died. Open connections are looked at once a
second, and what has moved is written in one batch; changes of subscriptions and closings are written at once.
"""
from __future__ import annotations

import asyncio
import logging
from asyncio import Future
from collections.abc import Iterable
from hashlib import sha256
from itertools import islice
from typing import Any, NamedTuple, Protocol

from gateway.feed.cursors import Cursor, parse_cursor
from runtime.clock import Clock
from runtime.ids import Ids
from runtime.values import decode, encode
from store.errors import StoreError
from store.protocol import Store
from store.records import Fact, Item, ItemEnded

_log = logging.getLogger("motorik.sockets")
_COLLECTION = "feed"
_SAVE_SECONDS = 1.0
_STALE_MS = 60_000
"""A place where nothing was written to the client is moved along this often: a later replay has less to look through."""
_REFRESH_MS = 3_600_000
"""A record of an open connection is written this often, moved or not, so that it does not expire."""
_SLICE = 500
"""Connections looked at before others get the loop."""


class Saved(NamedTuple):
    """A subscription as it was when its connection ended."""

    id: str
    filters: Any
    cursor: Cursor


class Holder(Protocol):
    """An open connection."""

    def replace(self) -> None:
        """Save the subscriptions and close: another connection goes on in this one's place."""

    def moved(self, *, is_stale: bool) -> tuple[Saved, ...] | None:
        """Where the subscriptions are; None when nothing was written since this was last asked, unless `is_stale`, and None
        when it is not certain yet that the client gets what was written."""


class Record:
    """One socket identity. `owner` is the session it belongs to; `holder` the open connection, if there is one.

    `turn` counts the nodes that held it: the one that took it last is right about it.
    """

    __slots__ = ("token", "id", "socket_id", "workspace_id", "owner", "holder", "subscriptions", "closed_at", "saved_at", "turn")

    def __init__(self, token: str, socket_id: str, workspace_id: str, *, owner: str, turn: int = 0) -> None:
        self.token = token
        self.id = _hashed(token)
        self.socket_id = socket_id
        self.workspace_id = workspace_id
        self.owner = owner
        self.holder: Holder | None = None
        self.subscriptions: tuple[Saved, ...] = ()
        self.closed_at: int | None = None
        """Milliseconds: since when nobody listened, as far as it is known."""
        self.saved_at = 0
        self.turn = turn


class Resumption:
    """Records of this node's connections. A session keeps as many as it may have connections, so they stay few."""

    def __init__(self, store: Store, clock: Clock, ids: Ids, *, ttl_seconds: float, most_per_session: int) -> None:
        self._store = store
        self._clock = clock
        self._ids = ids
        self._ttl = int(ttl_seconds * 1000)
        self._most = most_per_session
        self._node = ids.token(8)
        self._since = clock.now()
        self._open: dict[str, Record] = {}
        self._closed: dict[str, dict[str, int]] = {}
        """By owner, the connections that ended here, in that order, and when."""
        self._unwritten: dict[str, Fact] = {}
        self._written: Future[int] | None = None
        self._is_scheduled = False
        self._saving: asyncio.Task[None] | None = None

    def issue(self, workspace_id: str, owner: str, holder: Holder) -> Record:
        return self._hold(Record(self._ids.token(), self._ids.token(12), workspace_id, owner=owner), holder)

    async def take(self, token: str, workspace_id: str, owner: str, *, holder: Holder) -> Record | None:
        """The identity behind the token, now held by `holder`; None when it is unknown, too old or somebody else's.
        A connection that still holds it is closed first."""
        record = self._open.get(_hashed(token)) or await self._read(token)
        if record is None or (record.workspace_id, record.owner) != (workspace_id, owner):
            return None
        record = self._open.get(record.id, record)         # somebody else may have been faster
        if record.holder is not None:
            record.holder.replace()
        self._closed.get(owner, {}).pop(record.id, None)
        record.turn += 1
        return self._hold(record, holder)

    def release(self, record: Record, subscriptions: tuple[Saved, ...]) -> None:
        """Its connection has ended."""
        if self._open.get(record.id) is not record:
            return                                          # it belongs to another node now
        self._drop(record)
        record.holder, record.closed_at = None, self._clock.now()
        self._note(record, subscriptions)
        closed = self._closed.setdefault(record.owner, {})
        closed[record.id] = record.closed_at
        if len(closed) > self._most:
            id = next(iter(closed))
            del closed[id]
            self._unwritten[id] = ItemEnded(_COLLECTION, id)
        self._expire()

    def changed(self, record: Record, subscriptions: tuple[Saved, ...]) -> None:
        """The client subscribed to something, or no longer."""
        if self._open.get(record.id) is record:
            self._note(record, subscriptions)

    def hear(self, fact: Item) -> None:
        """What another node has written about a connection. When the connection is held there now, the one here is closed."""
        record = self._open.get(fact.id) if fact.collection == _COLLECTION else None
        if record is None:
            return
        body = decode(fact.body)
        if (body["turn"], body["node"]) > (record.turn, self._node):
            self._drop(record)
            self._unwritten.pop(record.id, None)
            if record.holder is not None:
                record.holder.replace()
        else:
            self._note(record, record.subscriptions)       # written before that node had heard of ours

    def _hold(self, record: Record, holder: Holder) -> Record:
        record.holder = holder
        self._open[record.id] = record
        self._note(record, record.subscriptions)
        if self._saving is None:
            self._saving = asyncio.create_task(self._save())
        return record

    def _drop(self, record: Record) -> None:
        del self._open[record.id]
        if not self._open and self._saving is not None:
            self._saving.cancel()
            self._saving = None

    # --- writing -------------------------------------------------------------------------------------

    async def _save(self) -> None:
        """While there are open connections, write how far they are."""
        while True:
            await self._clock.sleep(_SAVE_SECONDS)
            for number, record in enumerate(tuple(self._open.values()), 1):
                self._look_at(record)
                if number % _SLICE == 0:
                    await asyncio.sleep(0)
            self._write()

    def _look_at(self, record: Record) -> None:
        if self._open.get(record.id) is not record:
            return                                          # closed while others had the loop
        age = self._clock.now() - record.saved_at
        holder = record.holder
        moved = holder.moved(is_stale=age >= _STALE_MS) if holder is not None else None
        if moved is not None and (moved != record.subscriptions or age >= _REFRESH_MS):
            self._put(record, moved)

    def _note(self, record: Record, subscriptions: tuple[Saved, ...]) -> None:
        """To be written with whatever else is noted in this turn of the loop."""
        self._put(record, subscriptions)
        if not self._is_scheduled:
            self._is_scheduled = True
            asyncio.get_running_loop().call_soon(self._write)

    def _put(self, record: Record, subscriptions: tuple[Saved, ...]) -> None:
        record.subscriptions, record.saved_at = subscriptions, self._clock.now()
        life = self._ttl if record.holder is None else self._ttl + _REFRESH_MS
        self._unwritten[record.id] = Item(_COLLECTION, record.id, record.workspace_id, record.saved_at + life, self._body(record))

    def _body(self, record: Record) -> bytes:
        subscriptions = [{"id": one.id, "filters": one.filters, "cursor": str(one.cursor)} for one in record.subscriptions]
        return encode({"socketId": record.socket_id, "owner": record.owner, "node": self._node, "turn": record.turn, "at": record.saved_at,
                       "subscriptions": subscriptions})

    def _write(self) -> None:
        self._is_scheduled = False
        if not self._unwritten:
            return
        facts, self._unwritten = self._unwritten, {}
        self._written = self._store.commit(tuple(facts.values()))
        self._written.add_done_callback(lambda done: self._told(facts, done))

    def _told(self, facts: dict[str, Fact], done: Future[int]) -> None:
        """What could not be written is tried again with the next; a closed connection would go on from where it was seen last."""
        failure = None if done.cancelled() else done.exception()
        if failure is not None:
            _log.warning("places of %d connections were not saved: %s", len(facts), failure)
            self._unwritten = {**{id: fact for id, fact in facts.items() if id in self._open}, **self._unwritten}

    async def settle(self) -> None:
        """When this returns, everything was written, or will not be."""
        self._write()
        if self._written is not None and not self._written.done():
            await asyncio.wait([self._written])

    # --- reading -------------------------------------------------------------------------------------

    async def _read(self, token: str) -> Record | None:
        try:
            await self.settle()
            found = await self._store.item(_COLLECTION, _hashed(token), self._clock.now())
        except StoreError as error:
            _log.warning("a connection cannot be resumed: %s", error)
            return None
        if found is None:
            return None
        body = decode(found.body)
        record = Record(token, body["socketId"], found.workspace_id, owner=body["owner"], turn=body["turn"])
        record.subscriptions = tuple(_read_back(body["subscriptions"]))
        # What was never stored this process has not seen before it began.
        record.closed_at = body["at"] if body["at"] > self._since else 0
        return record

    def _expire(self) -> None:
        """Look at the two owners that were not looked at for longest: over time all that the store has forgotten is forgotten."""
        oldest = self._clock.now() - self._ttl
        for owner in list(islice(self._closed, 2)):
            closed = {id: at for id, at in self._closed.pop(owner).items() if at > oldest}
            if closed:
                self._closed[owner] = closed


def _hashed(token: str) -> str:
    """What the store knows of a token: enough to find it, too little to use it."""
    return sha256(token.encode("utf-8", "replace")).hexdigest()


def _read_back(subscriptions: Iterable[dict[str, Any]]) -> Iterable[Saved]:
    for one in subscriptions:
        yield Saved(one["id"], one.get("filters"), parse_cursor(one["cursor"]) or Cursor(0))
