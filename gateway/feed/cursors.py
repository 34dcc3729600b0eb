"""Places in the order of a workspace's events, as clients see them: opaque text that names everything up to an event.

`41` is the place behind stored event 41; `41~1763829000123-4` behind the unstored event with that id, which came
after stored event 41.
"""
from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

from runtime.errors import NotFound
from runtime.filters import moment
from runtime.values import decode
from store.query import EventQuery, Is


class Cursor(NamedTuple):
    position: int
    volatile_id: str = ""

    def __str__(self) -> str:
        return f"{self.position}~{self.volatile_id}" if self.volatile_id else str(self.position)


class Start(NamedTuple):
    """Where a replay begins. `is_lost`: the events right after the place that was asked for are not kept any more."""

    cursor: Cursor
    is_lost: bool = False


def parse_cursor(text: str) -> Cursor | None:
    position, _, volatile_id = text.partition("~")
    if not (position.isascii() and position.isdigit() and len(position) <= 18):
        return None
    return Cursor(int(position), volatile_id)


def behind(event: Any) -> Cursor:
    """The place right behind a live event."""
    return Cursor(event.position) if event.persistent else Cursor(event.position, event.event["id"])


def before(event: Any) -> Cursor:
    """A place from which a live event is still ahead, and no stored event comes twice."""
    return Cursor(event.position - 1 if event.persistent else event.position)


def head(feed: Any) -> Cursor:
    """The place behind everything that was published."""
    volatile = feed.volatile()
    if volatile and volatile[-1].position >= feed.head:
        return behind(volatile[-1])
    return Cursor(feed.head)


async def locate(engine: Any, workspace_id: str, since: str) -> Start:
    """Where to begin for a cursor, an event id or an ISO date. What is unknown begins at the oldest event kept."""
    cursor = parse_cursor(since)
    if cursor is None and (time := moment(since)) is not None:
        return Start(Cursor(await _first(engine, EventQuery(workspace_id, before_time=time + 1)) or 0))
    if cursor is None:
        position = await _position_of_id(engine, workspace_id, since)
        return Start(Cursor(position)) if position is not None else await _oldest(engine, workspace_id)
    if cursor.position in (0, engine.feed(workspace_id).head):          # nothing was stored behind the newest
        return Start(cursor)
    at_or_before = await _first(engine, EventQuery(workspace_id, before=cursor.position + 1))
    if at_or_before is None or cursor.position > engine.feed(workspace_id).head and cursor.position > at_or_before:
        return await _oldest(engine, workspace_id)
    return Start(cursor)


async def _oldest(engine: Any, workspace_id: str) -> Start:
    """Right before the oldest event that is kept."""
    first = await _first(engine, EventQuery(workspace_id, ascending=True))
    return Start(Cursor(first - 1 if first else 0), is_lost=True)


async def position_of(engine: Any, workspace_id: str, text: str) -> int:
    """The position that an event id or a cursor stands for, as a bound of a search. Raises `NotFound`."""
    if cursor := parse_cursor(text):
        return cursor.position
    position = await _position_of_id(engine, workspace_id, text)
    if position is None:
        raise NotFound(f'Event "{text[:64]}" not found')
    return position


async def created_at(engine: Any, workspace_id: str, position: int) -> int | None:
    """When the last event at or before `position` was accepted, in milliseconds."""
    rows = await engine.search(EventQuery(workspace_id, before=position + 1, limit=1))
    return moment(decode(rows[0].body)["createdAt"]) if rows else None


async def _position_of_id(engine: Any, workspace_id: str, event_id: str) -> int | None:
    return await _first(engine, EventQuery(workspace_id, Is(("id",), (event_id,))))


async def _first(engine: Any, query: EventQuery) -> int | None:
    rows = await engine.search(replace(query, limit=1))
    return rows[0].position if rows else None
