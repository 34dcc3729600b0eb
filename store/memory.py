"""The store of tests and trials: every promise but the one about power cuts, in dictionaries."""
from __future__ import annotations

import asyncio
from asyncio import Future
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from operator import itemgetter
from typing import Any

import orjson

from store.documents import fold, operation
from store.errors import StoreError, Unavailable
from store.ledger import Ledger
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

_LOOKED_AT_ONCE = 1000          # events, before the loop does something else


@dataclass(slots=True)
class _Cell:
    document: dict[str, Any]
    expires_at: int | None


class MemoryStore:
    """Commits at once and forgets everything when it closes."""

    cluster = None

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._is_closed = False
        self._position = 0
        self._ledger = Ledger()
        self._workspaces: dict[str, Workspace] = {}
        self._apps: dict[str, App] = {}
        self._events: dict[str, list[tuple[int, Event]]] = {}
        self._cells: dict[ContextKey, _Cell] = {}
        self._deliveries: dict[str, Delivery] = {}
        self._waits: dict[str, Wait] = {}
        self._sessions: dict[str, Session] = {}
        self._topics: dict[Topic, None] = {}
        self._items: dict[tuple[str, str], Item] = {}

    def commit(self, facts: Sequence[Fact]) -> Future[int]:
        future: Future[int] = self._loop.create_future()
        try:
            self._check_open()
            future.set_result(self._write(tuple(facts)))
        except StoreError as failure:
            future.set_exception(failure)
        return future

    def _write(self, facts: Sequence[Fact]) -> int:
        self._ledger.take(facts, "")
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
            case Item():
                self._items[fact[:2]] = fact._replace(is_first=False)
            case ItemEnded():
                self._items.pop(fact, None)
            case Workspace():
                self._workspaces[fact.id] = fact
            case WorkspaceDeleted(id):
                self._workspaces.pop(id, None)
                self._forget(id)
            case App():
                self._apps[fact.slug] = fact
            case AppDeleted(slug):
                self._apps.pop(slug, None)

    def _forget(self, workspace_id: str) -> None:
        for table in (self._cells, self._topics):
            for key in [key for key in table if key.workspace_id == workspace_id]:
                del table[key]
        for facts in (self._deliveries, self._waits, self._items):
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
        holds, most = predicate(query.where), query.offset + query.limit
        events = self._between(query)
        events = events if query.ascending else events[::-1]
        found: list[StoredEvent] = []
        for start in range(0, len(events), _LOOKED_AT_ONCE):
            if start:
                await asyncio.sleep(0)                     # others get their turn, and a search may be given up
            looked_at = (StoredEvent(position, event.body) for position, event in events[start:start + _LOOKED_AT_ONCE]
                         if _is_within(query, event) and holds(orjson.loads(event.body), event.body))
            found += islice(looked_at, most - len(found))
            if len(found) == most:
                break
        return found[query.offset:]

    def _between(self, query: EventQuery) -> list[tuple[int, Event]]:
        """The events between the positions that bound the query."""
        events = self._events.get(query.workspace_id, [])
        first = 0 if query.after is None else bisect_right(events, query.after, key=itemgetter(0))
        last = len(events) if query.before is None else bisect_left(events, query.before, key=itemgetter(0))
        return events[first:last]

    async def head(self) -> int:
        return self._position

    async def workspaces(self) -> list[Workspace]:
        self._check_open()
        return sorted(self._workspaces.values(), key=lambda w: (w.created_at, w.id))

    async def apps(self) -> list[App]:
        self._check_open()
        return sorted(self._apps.values())

    async def deliveries(self) -> list[Delivery]:
        self._check_open()
        return list(self._deliveries.values())

    async def waits(self) -> list[Wait]:
        self._check_open()
        return list(self._waits.values())

    async def ticks(self) -> list[Tick]:
        self._check_open()
        return sorted(Tick(*whose, max(at)) for whose, at in self._ledger.ticks.items())

    async def session(self, id: str, now: int) -> Session | None:
        self._check_open()
        found = self._sessions.get(id)
        return None if found is None or _is_over(found.expires_at, now) else found

    async def topics(self) -> list[Topic]:
        self._check_open()
        return sorted(self._topics)

    async def item(self, collection: str, id: str, now: int) -> Item | None:
        self._check_open()
        found = self._items.get((collection, id))
        return None if found is None or _is_over(found.expires_at, now) else found

    async def items(self, collection: str, workspace_id: str, now: int) -> list[Item]:
        self._check_open()
        return sorted(item for item in self._items.values() if item[:3:2] == (collection, workspace_id) and not _is_over(item.expires_at, now))

    async def expire(self, now: int) -> int:
        self._check_open()
        dropped = self._drop_cells(list(self._cells), now)
        for facts in (self._sessions, self._items):
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


def _is_within(query: EventQuery, event: Event) -> bool:
    return ((query.after_time is None or event.created_at > query.after_time)
            and (query.before_time is None or event.created_at < query.before_time))
