"""The store of tests and trials: every promise but the one about power cuts, in dictionaries."""
from __future__ import annotations

import asyncio
from asyncio import Future
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import orjson

from store.documents import fold, operation
from store.embedded.definitions import TICKS_KEPT_MS
from store.errors import Conflict, StoreError, Unavailable
from store.query import EventQuery, predicate
from store.records import (
    App,
    AppDeleted,
    Change,
    ContextKey,
    Delivered,
    Delivery,
    Event,
    Fact,
    FeedRecord,
    FeedRecordEnded,
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


@dataclass(slots=True)
class _Definitions:
    """What a fact may conflict with. A batch works on a copy, which takes the original's place when all went well."""

    workspaces: dict[str, Workspace] = field(default_factory=dict)
    apps: dict[str, App] = field(default_factory=dict)
    ticks: dict[tuple[str, str], frozenset[int]] = field(default_factory=dict)

    def copied(self) -> _Definitions:
        return _Definitions(self.workspaces.copy(), self.apps.copy(), self.ticks.copy())

    def take(self, fact: Fact) -> None:
        match fact:
            case Workspace():
                if any(w.slug == fact.slug and w.id != fact.id for w in self.workspaces.values()):
                    raise Conflict(f"the slug {fact.slug!r} belongs to another workspace")
                self.workspaces[fact.id] = fact
            case WorkspaceDeleted(id):
                self.workspaces.pop(id, None)
                self.ticks = {whose: at for whose, at in self.ticks.items() if whose[0] != id}
            case App():
                if self.apps.get(fact.slug, fact).workspace_id != fact.workspace_id:
                    raise Conflict(f"the slug {fact.slug!r} belongs to another workspace's app")
                self.apps[fact.slug] = fact
            case AppDeleted(slug):
                self.apps.pop(slug, None)
            case Tick():
                self._tick(fact)

    def _tick(self, fact: Tick) -> None:
        fired = self.ticks.get(fact[:2], frozenset())
        forgotten = max(fired | {fact.at}) - TICKS_KEPT_MS
        if fact.at in fired or fact.at <= forgotten:
            raise Conflict(f"{fact.automation} fired at {fact.at} before")
        self.ticks[fact[:2]] = frozenset(at for at in fired | {fact.at} if at > forgotten)


@dataclass(slots=True)
class _Cell:
    document: dict[str, Any]
    expires_at: int | None


_CHECKED = (Workspace, WorkspaceDeleted, App, AppDeleted, Tick)


class MemoryStore:
    """Commits at once and forgets everything when it closes."""

    cluster = None

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._is_closed = False
        self._position = 0
        self._definitions = _Definitions()
        self._events: dict[str, list[tuple[int, Event]]] = {}
        self._cells: dict[ContextKey, _Cell] = {}
        self._deliveries: dict[str, Delivery] = {}
        self._waits: dict[str, Wait] = {}
        self._sessions: dict[str, Session] = {}
        self._topics: dict[Topic, None] = {}
        self._feed_records: dict[str, FeedRecord] = {}

    def commit(self, facts: Sequence[Fact]) -> Future[int]:
        future: Future[int] = self._loop.create_future()
        try:
            self._check_open()
            future.set_result(self._write(tuple(facts)))
        except StoreError as failure:
            future.set_exception(failure)
        return future

    def _write(self, facts: Sequence[Fact]) -> int:
        checked = [fact for fact in facts if isinstance(fact, _CHECKED)]
        if checked:
            definitions = self._definitions.copied()
            for fact in checked:
                definitions.take(fact)
            self._definitions = definitions
        before = self._position
        for fact in facts:
            self._take(fact)
        return before + 1 if self._position > before else 0

    def _take(self, fact: Fact) -> None:
        match fact:
            case Event():
                self._position += 1
                self._events.setdefault(fact.workspace_id, []).append((self._position, fact))
            case Change():
                cell = self._cells.setdefault(fact.cell, _Cell({}, None))
                cell.document = fold([operation(fact)], cell.document)
                cell.expires_at = fact.expires_at
            case Delivery():
                self._deliveries.pop(fact.id, None)
                self._deliveries[fact.id] = fact
            case Delivered(id):
                self._deliveries.pop(id, None)
            case Wait():
                self._waits.pop(fact.id, None)
                self._waits[fact.id] = fact
            case WaitEnded(id):
                self._waits.pop(id, None)
            case Session():
                self._sessions[fact.id] = fact
            case SessionEnded(id):
                self._sessions.pop(id, None)
            case Topic():
                self._topics[fact] = None
            case FeedRecord():
                self._feed_records[fact.id] = fact
            case FeedRecordEnded(id):
                self._feed_records.pop(id, None)
            case WorkspaceDeleted(id):
                self._forget(id)

    def _forget(self, workspace_id: str) -> None:
        for table in (self._cells, self._topics):
            for key in [key for key in table if key.workspace_id == workspace_id]:
                del table[key]
        for facts in (self._deliveries, self._waits, self._feed_records):
            for id in [id for id, fact in facts.items() if fact.workspace_id == workspace_id]:
                del facts[id]

    async def contexts(self, keys: Sequence[ContextKey], now: int) -> list[StoredContext | None]:
        self._check_open()
        self._drop_cells([key for key in keys if key in self._cells], now)
        found = (self._cells.get(key) for key in keys)
        return [cell and StoredContext(orjson.loads(orjson.dumps(cell.document)), cell.expires_at) for cell in found]

    def _drop_cells(self, keys: Sequence[ContextKey], now: int) -> int:
        """What comes after the end of a document starts from an empty one."""
        ended = {key for key in keys if _is_over(self._cells[key].expires_at, now)}
        for key in ended:
            del self._cells[key]
        return len(ended)

    async def events(self, query: EventQuery) -> list[StoredEvent]:
        self._check_open()
        holds = predicate(query.where)
        events = self._events.get(query.workspace_id, [])
        found = (StoredEvent(position, event.body) for position, event in (events if query.ascending else reversed(events))
                 if _is_within(query, position, event) and holds(orjson.loads(event.body), event.body))
        return list(islice(found, query.offset, query.offset + query.limit))

    async def head(self) -> int:
        return self._position

    async def workspaces(self) -> list[Workspace]:
        self._check_open()
        return sorted(self._definitions.workspaces.values(), key=lambda w: (w.created_at, w.id))

    async def apps(self) -> list[App]:
        self._check_open()
        return sorted(self._definitions.apps.values())

    async def deliveries(self) -> list[Delivery]:
        self._check_open()
        return list(self._deliveries.values())

    async def waits(self) -> list[Wait]:
        self._check_open()
        return list(self._waits.values())

    async def ticks(self) -> list[Tick]:
        self._check_open()
        return sorted(Tick(*whose, max(at)) for whose, at in self._definitions.ticks.items())

    async def session(self, id: str, now: int) -> Session | None:
        self._check_open()
        found = self._sessions.get(id)
        return None if found is None or _is_over(found.expires_at, now) else found

    async def topics(self) -> list[Topic]:
        self._check_open()
        return sorted(self._topics)

    async def feed_record(self, id: str, now: int) -> FeedRecord | None:
        self._check_open()
        found = self._feed_records.get(id)
        return None if found is None or _is_over(found.expires_at, now) else found

    async def expire(self, now: int) -> int:
        self._check_open()
        dropped = self._drop_cells(list(self._cells), now)
        for facts in (self._sessions, self._feed_records):
            ended = [id for id, fact in facts.items() if _is_over(fact.expires_at, now)]
            for id in ended:
                del facts[id]
            dropped += len(ended)
        return dropped

    async def forget_events(self, workspace_id: str, *, before_time: int | None = None, keep: int | None = None) -> int:
        self._check_open()
        events = self._events.get(workspace_id, [])
        kept = events if keep is None else events[max(len(events) - keep, 0):]
        kept = [entry for entry in kept if before_time is None or entry[1].created_at >= before_time]
        self._events[workspace_id] = kept
        return len(events) - len(kept)

    async def oldest(self, workspace_id: str) -> int:
        self._check_open()
        events = self._events.get(workspace_id)
        return events[0][0] if events else 0

    async def event_workspaces(self) -> list[str]:
        self._check_open()
        return sorted(id for id, events in self._events.items() if events)

    async def ping(self) -> None:
        self._check_open()

    async def close(self) -> None:
        self._is_closed = True

    def _check_open(self) -> None:
        if self._is_closed:
            raise Unavailable("the store is closed")


def _is_over(expires_at: int | None, now: int) -> bool:
    return expires_at is not None and expires_at <= now


def _is_within(query: EventQuery, position: int, event: Event) -> bool:
    return ((query.after is None or position > query.after) and (query.before is None or position < query.before)
            and (query.after_time is None or event.created_at > query.after_time)
            and (query.before_time is None or event.created_at < query.before_time))
