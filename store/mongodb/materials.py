"""The collections that the log is made into, for everybody who looks something up. Whoever applies a piece of the log does so as
often as he likes: each document keeps the number of the piece that changed it last, and an earlier one leaves it alone."""
from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from pymongo import IndexModel, InsertOne, UpdateOne
from pymongo.errors import BulkWriteError

from store.mongodb.cells import CELL_INDEXES, Cells, gone
from store.mongodb.client import Database, in_our_words, only_duplicates
from store.mongodb.log import Piece
from store.mongodb.wire import Entry, Gone, Joined
from store.records import (
    App,
    AppDeleted,
    Delivered,
    Delivery,
    Event,
    Item,
    ItemEnded,
    RunHeld,
    RunLeft,
    Session,
    SessionEnded,
    Tick,
    Topic,
    Wait,
    WaitEnded,
    Workspace,
    WorkspaceDeleted,
)

_INDEXES: dict[str, list[list[tuple[str, int]]]] = {
    "events": [[("ws", 1), ("n", 1)], [("ws", 1), ("type", 1), ("n", 1)], [("ws", 1), ("correlation", 1), ("n", 1)],
               [("ws", 1), ("session", 1), ("n", 1)], [("ws", 1), ("created", 1)]],
    "deliveries": [[("node", 1)], [("ws", 1)], [("ended", 1)]],
    "waits": [[("ws", 1)], [("ended", 1)]],
    "ticks": [[("ws", 1), ("automation", 1), ("fired", 1)]],
    "topics": [[("ws", 1)]],
    "sessions": [[("ends", 1)], [("ended", 1)]],
    "items": [[("ends", 1)], [("ws", 1), ("collection", 1)], [("ended", 1)]],
    "runs": [[("ended", 1)]],
}
_LIVES = ("sessions", "items")
_OPEN = ("deliveries", "waits", "sessions", "items", "runs", "nodes")
"""Collections whose facts others end. What has ended stays a while, so that who comes too late does not revive it."""


class Materials:
    def __init__(self, database: Database) -> None:
        self.database = database
        self.cells = Cells(database)

    async def create_indexes(self, *, expiring: bool) -> None:
        """All at the same time, where there are none yet."""
        wanted = {name: [IndexModel(keys) for keys in indexes] for name, indexes in (_INDEXES | CELL_INDEXES).items()}
        for name in (*_LIVES, "contexts") if expiring else ():
            wanted[name].append(IndexModel([("gone", 1)], expireAfterSeconds=0))
        await asyncio.gather(*(self.database[name].create_indexes(indexes) for name, indexes in wanted.items()))

    async def apply(self, piece: Piece) -> None:
        """Raises `Unavailable`; applying it again is always right."""
        with in_our_words():
            facts, begin = piece.facts, 0
            position = piece.first
            for end in [i for i, fact in enumerate(facts) if type(fact) is WorkspaceDeleted] + [len(facts)]:
                position = await self._apply(piece, facts[begin:end], position)
                if end < len(facts):
                    await self._delete_workspace(facts[end].id)
                begin = end

    async def _apply(self, piece: Piece, facts: Sequence[Entry], position: int) -> int:
        writes = _Writes(piece, position)
        for fact in facts:
            take = _TAKES.get(type(fact))
            if take is not None:
                take(writes, fact)
        first, then = self.cells.writes(piece.n, facts)
        if first:
            await self._write("contexts", first)
        await asyncio.gather(*[self._write(name, [*bulk.values()]) for name, bulk in writes.bulks.items() if bulk], self._write("contexts", then))
        return writes.position

    async def _write(self, name: str, bulk: Sequence[Any]) -> None:
        if not bulk:
            return
        try:
            await self.database[name].bulk_write(bulk, ordered=False)
        except BulkWriteError as failure:                  # somebody applied this or a later piece already
            if not only_duplicates(failure):
                raise

    async def once(self, name: str, id: str, **fields: Any) -> None:
        """Unless there is a document with this id already."""
        await self._write(name, [UpdateOne({"_id": id}, {"$setOnInsert": fields}, upsert=True)])

    async def _delete_workspace(self, id: str) -> None:
        await self.cells.delete_workspace(id)
        for name in ("deliveries", "waits", "topics", "ticks", "items"):
            await self.database[name].delete_many({"ws": id})

    async def forget(self, *, ended_by: int, before: int) -> None:
        """Drop what ended in piece `ended_by` of the log or earlier, or at a time before."""
        for name in _OPEN:
            await self.database[name].delete_many({"ended": {"$gte": 1, "$lte": ended_by}})
        for name in _LIVES:
            await self.database[name].delete_many({"ends": {"$lte": before}})
        await self.cells.forget(before)


class _Writes:
    """What a piece of the log does to each collection; the last word on a document counts."""

    def __init__(self, piece: Piece, position: int) -> None:
        self.n = piece.n
        self.node = piece.node
        self.position = position
        self.bulks: dict[str, dict[str, Any]] = defaultdict(dict)

    def event(self, fact: Event) -> None:
        self.bulks["events"][str(self.position)] = InsertOne({
            "_id": self.position, "n": self.position, "ws": fact.workspace_id, "type": fact.type, "correlation": fact.correlation_id,
            "session": fact.session_id, "created": fact.created_at, "body": fact.body.decode()})
        self.position += 1

    def put(self, name: str, id: str, **fields: Any) -> None:
        self.bulks[name][id] = UpdateOne({"_id": id, "at": {"$lt": self.n}}, {"$set": {**fields, "at": self.n, "ended": 0}}, upsert=True)

    def end(self, name: str, id: str) -> None:
        self.bulks[name][id] = UpdateOne({"_id": id, "at": {"$lt": self.n}}, {"$set": {"at": self.n, "ended": self.n}}, upsert=True)

    def once(self, name: str, id: str, **fields: Any) -> None:
        self.bulks[name][id] = UpdateOne({"_id": id}, {"$setOnInsert": fields}, upsert=True)

    def delivery(self, fact: Delivery) -> None:
        self.put("deliveries", fact.id, ws=fact.workspace_id, event=fact.event_id, automation=fact.automation, created=fact.created_at,
                 body=fact.body.decode(), node=self.node, i=len(self.bulks["deliveries"]))

    def end_open(self, name: str, id: str) -> None:
        """What began in this very piece was never there for anybody else."""
        if self.bulks[name].pop(id, None) is None:
            self.end(name, id)

    def wait(self, fact: Wait) -> None:
        self.put("waits", fact.id, ws=fact.workspace_id, correlation=fact.correlation_id, ends=fact.expires_at, body=fact.body.decode(),
                 i=len(self.bulks["waits"]))

    def session(self, fact: Session) -> None:
        self.put("sessions", fact.id, user=fact.user_id, ends=fact.expires_at, gone=gone(fact.expires_at), body=fact.body.decode())

    def item(self, fact: Item) -> None:
        first = {"first": 1} if fact.is_first else {}
        self.put("items", f"{fact.collection}\0{fact.id}", collection=fact.collection, ws=fact.workspace_id, ends=fact.expires_at,
                 gone=gone(fact.expires_at), body=fact.body.decode(), **first)

    def workspace(self, fact: Workspace) -> None:
        self.put("workspaces", fact.id, slug=fact.slug, revision=fact.revision, created=fact.created_at, updated=fact.updated_at,
                 body=fact.body.decode())

    def app(self, fact: App) -> None:
        self.put("apps", fact.slug, ws=fact.workspace_id, body=fact.body.decode())

    def tick(self, fact: Tick) -> None:
        self.once("ticks", f"{fact.workspace_id}\0{fact.automation}\0{fact.at}", ws=fact.workspace_id, automation=fact.automation, fired=fact.at)

    def topic(self, fact: Topic) -> None:
        self.once("topics", "\0".join(fact), ws=fact.workspace_id, topic=fact.topic, user=fact.user_id)

    def held(self, fact: RunHeld) -> None:
        self.put("runs", "\0".join(fact), node=self.node)

    def member(self, fact: Joined) -> None:
        member = fact.member
        self.put("nodes", member.id, url=member.url, host=member.host, pid=member.pid, settled=self.n - 1)


_TAKES: dict[type, Any] = {
    Event: _Writes.event, Delivery: _Writes.delivery, Delivered: lambda w, f: w.end_open("deliveries", f.id),
    Wait: _Writes.wait, WaitEnded: lambda w, f: w.end_open("waits", f.id), Tick: _Writes.tick, Topic: _Writes.topic,
    Session: _Writes.session, SessionEnded: lambda w, f: w.end("sessions", f.id),
    Item: _Writes.item, ItemEnded: lambda w, f: w.end("items", "\0".join(f)),
    Workspace: _Writes.workspace, WorkspaceDeleted: lambda w, f: w.end("workspaces", f.id),
    App: _Writes.app, AppDeleted: lambda w, f: w.end("apps", f.slug),
    RunHeld: _Writes.held, RunLeft: lambda w, f: w.end_open("runs", "\0".join(f)),
    Joined: _Writes.member, Gone: lambda w, f: w.end("nodes", f.id),
}
