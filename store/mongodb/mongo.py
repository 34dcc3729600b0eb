"""The store on MongoDB: commits go to the log in groups, then into the collections; then those who wait are told."""
from __future__ import annotations

import asyncio
from asyncio import Future
from collections import deque
from collections.abc import Sequence
from typing import Any

from store.embedded.definitions import TICKS_KEPT_MS
from store.errors import Unavailable
from store.ledger import Ledger
from store.mongodb.client import Connection, in_our_words
from store.mongodb.log import Log
from store.mongodb.materials import Materials
from store.mongodb.nodes import Nodes
from store.mongodb.search import find_events
from store.mongodb.wire import CellEnded, Entry
from store.mongodb.writer import Writer
from store.query import EventQuery
from store.records import (
    App,
    AppDeleted,
    ContextKey,
    Delivered,
    Delivery,
    Fact,
    Item,
    ItemEnded,
    Session,
    SessionEnded,
    StoredContext,
    StoredEvent,
    Tick,
    Topic,
    Wait,
    WaitEnded,
    Workspace,
    WorkspaceDeleted,
)

_KINDS: dict[str, frozenset[type]] = {
    "workspaces": frozenset({Workspace, WorkspaceDeleted}), "apps": frozenset({App, AppDeleted}), "topics": frozenset({Topic, WorkspaceDeleted}),
    "sessions": frozenset({Session, SessionEnded}), "items": frozenset({Item, ItemEnded, WorkspaceDeleted}),
    "deliveries": frozenset({Delivery, Delivered}), "waits": frozenset({Wait, WaitEnded})}
"""Which facts decide what a collection holds."""
_EXPIRED_AT_ONCE = 500
_KEPT_MS = 3_600_000
"""How long the log, and the numbers of what has ended, are kept for nodes that come late."""


class MongoStore:
    """Keeps every promise of `Store` for any number of nodes on one database."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._database = database = connection.database
        self.ledger = Ledger()
        self.materials = Materials(database)
        self.cluster = self.nodes = Nodes(self)
        self.writer = Writer(self)
        self.log = Log(database["log"], self.writer.heard)
        self._marks: deque[tuple[int, int]] = deque()
        self._is_closed = False

    @classmethod
    async def open(cls, url: str, *, durability: str, expire_by_index: bool) -> MongoStore:
        """Raises `Unavailable` or `StoreError` with a sentence for the operator."""
        connection = Connection(url, durability=durability)
        await connection.check()
        store = cls(connection)
        with in_our_words():
            await store.materials.create_indexes(expiring=expire_by_index)
            await store.log.open()
            await store.nodes.open()
            await store._load()
        store.log.listen()
        return store

    async def _load(self) -> None:
        ledger = self.ledger
        for workspace in await self.workspaces():
            ledger.slugs[workspace.slug] = workspace.id
            ledger.revisions[workspace.id] = (workspace.revision, workspace.slug)
        for app in await self.apps():
            ledger.apps[app.slug] = app.workspace_id
        async for tick in self._database["ticks"].find({}):
            whose = tick["ws"], tick["automation"]
            ledger.ticks[whose] = ledger.ticks.get(whose, frozenset()) | {tick["fired"]}
        async for item in self._database["items"].find({"first": 1, "ended": 0}):
            ledger.firsts[_item(item)[:2]] = item["ws"]
        async for run in self._database["runs"].find({"ended": 0}):
            if self.nodes.is_alive(run["node"]):
                workspace_id, _, correlation_id = run["_id"].partition("\0")
                ledger.holders[workspace_id, correlation_id] = run["node"]

    def commit(self, facts: Sequence[Fact]) -> Future[int]:
        return self.submit(tuple(facts))

    def submit(self, facts: Sequence[Entry]) -> Future[int]:
        """The same for facts that only this store knows."""
        if self._is_closed:
            future: Future[int] = asyncio.get_running_loop().create_future()
            future.set_exception(Unavailable("the store is closed"))
            return future
        return self.writer.submit(facts)

    # --- reading -------------------------------------------------------------------------------------

    async def contexts(self, keys: Sequence[ContextKey], now: int) -> list[StoredContext | None]:
        await self.writer.written(keys)
        await self.nodes.settle_cells(keys)
        self._check_open()
        with in_our_words():
            cells = await self.materials.cells.read(keys)
        ended = [CellEnded(key, now) for key, cell in zip(keys, cells, strict=True) if cell is not None and _is_over(cell.expires_at, now)]
        if ended:                                          # takes effect before any change the caller makes of this answer
            self.submit(ended).add_done_callback(_let_be)
        return [cell if cell is not None and not _is_over(cell.expires_at, now) else None for cell in cells]

    async def events(self, query: EventQuery) -> list[StoredEvent]:
        self._check_open()
        await self.nodes.settle_events(query.workspace_id)
        with in_our_words():
            return await find_events(self._database["events"], query)

    async def head(self) -> int:
        return self.log.position

    async def workspaces(self) -> list[Workspace]:
        found = [Workspace(d["_id"], d["slug"], d["revision"], d["created"], d["updated"], d["body"].encode())
                 for d in await self._all("workspaces", {"ended": 0})]
        return sorted(found, key=lambda w: (w.created_at, w.id))

    async def apps(self) -> list[App]:
        return sorted(App(d["_id"], d["ws"], d["body"].encode()) for d in await self._all("apps", {"ended": 0}))

    async def deliveries(self) -> list[Delivery]:
        found = await self._all("deliveries", {"ended": 0})
        return [delivery_of(document) for document in sorted(found, key=lambda d: (d["at"], d["i"]))]

    async def waits(self) -> list[Wait]:
        found = sorted(await self._all("waits", {"ended": 0}), key=lambda d: (d["at"], d["i"]))
        return [Wait(d["_id"], d["ws"], d["correlation"], d["ends"], d["body"].encode()) for d in found]

    async def ticks(self) -> list[Tick]:
        self._check_open()
        return sorted(Tick(*whose, max(at)) for whose, at in self.ledger.ticks.items() if at)

    async def session(self, id: str, now: int) -> Session | None:
        [found] = await self._all("sessions", {"_id": id, "ended": 0}) or [None]
        return None if found is None or _is_over(found["ends"], now) else Session(id, found["user"], found["ends"], found["body"].encode())

    async def topics(self) -> list[Topic]:
        return sorted(Topic(d["ws"], d["topic"], d["user"]) for d in await self._all("topics", {}))

    async def item(self, collection: str, id: str, now: int) -> Item | None:
        [found] = await self._all("items", {"_id": f"{collection}\0{id}", "ended": 0}) or [None]
        return None if found is None or _is_over(found["ends"], now) else _item(found)

    async def items(self, collection: str, workspace_id: str, now: int) -> list[Item]:
        found = await self._all("items", {"ws": workspace_id, "collection": collection, "ended": 0})
        return sorted(_item(document) for document in found if not _is_over(document["ends"], now))

    async def oldest(self, workspace_id: str) -> int:
        self._check_open()
        with in_our_words():
            found = await self._database["events"].find({"ws": workspace_id}, {"n": 1}).sort("n", 1).limit(1).to_list(1)
        return found[0]["n"] if found else 0

    async def event_workspaces(self) -> list[str]:
        self._check_open()
        with in_our_words():
            return sorted(await self._database["events"].distinct("ws"))

    async def ping(self) -> None:
        self._check_open()
        self.nodes.check()
        with in_our_words():
            await self._connection.client.admin.command("ping")

    async def _all(self, name: str, where: dict[str, Any]) -> list[dict[str, Any]]:
        self._check_open()
        await self.nodes.settle_kinds(_KINDS[name])
        with in_our_words():
            return await self._database[name].find(where).to_list(None)

    # --- housekeeping --------------------------------------------------------------------------------

    async def expire(self, now: int) -> int:
        self._check_open()
        dropped = 0
        with in_our_words():
            while keys := await self.materials.cells.ended(now, _EXPIRED_AT_ONCE):
                await self.submit([CellEnded(key, now) for key in keys])
                dropped += len(keys)
            for name in ("sessions", "items"):
                done = await self._database[name].delete_many({"ends": {"$lte": now}, "ended": 0})
                dropped += done.deleted_count
            await self._database["ticks"].delete_many({"fired": {"$lte": now - 2 * TICKS_KEPT_MS}})
            self._marks.append((now, self.log.seen))
            while self._marks[0][0] < now - _KEPT_MS:
                _, seen = self._marks.popleft()
                await self.materials.forget(ended_by=seen, before=now - _KEPT_MS)
                await self.log.forget(min(seen, await self.nodes.settled_everywhere()))
        return dropped

    async def forget_events(self, workspace_id: str, *, before_time: int | None = None, keep: int | None = None) -> int:
        self._check_open()
        events = self._database["events"]
        with in_our_words():
            too_many = [] if keep is None else await events.find({"ws": workspace_id}, {"n": 1}).sort("n", -1).skip(keep).limit(1).to_list(1)
            forgotten = [{"created": {"$lt": before_time}}] if before_time is not None else []
            forgotten += [{"n": {"$lte": document["n"]}} for document in too_many]
            return sum([(await events.delete_many({"ws": workspace_id, **which})).deleted_count for which in forgotten])

    async def close(self) -> None:
        if self._is_closed:
            return
        self._is_closed = True
        await self.writer.close()
        await self.nodes.close()
        await self.log.close()
        self._connection.close()

    def _check_open(self) -> None:
        if self._is_closed:
            raise Unavailable("the store is closed")


def delivery_of(document: dict[str, Any]) -> Delivery:
    return Delivery(document["_id"], document["ws"], document["event"], document["automation"], document["created"], document["body"].encode())


def _item(document: dict[str, Any]) -> Item:
    collection, _, id = document["_id"].partition("\0")
    return Item(collection, id, document["ws"], document["ends"], document["body"].encode())


def _is_over(expires_at: int | None, now: int) -> bool:
    return expires_at is not None and expires_at <= now


def _let_be(future: Future[Any]) -> None:
    """Housekeeping that failed is nobody's failure: reads look at the time themselves."""
    if not future.cancelled():
        future.exception()
