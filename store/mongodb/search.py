"""A search of events: what an index knows is asked of MongoDB, the rest is looked at here, in the order of the positions."""
from __future__ import annotations

import re
from collections.abc import AsyncIterator
from typing import Any as Anything

import orjson

from store.mongodb.client import Collection
from store.query import EVERYTHING, All, Any, Condition, EventQuery, Is, Path, Prefix, Text, predicate
from store.records import StoredEvent

_COLUMNS: dict[Path, str] = {("type",): "type", ("source", "correlationId"): "correlation", ("source", "sessionId"): "session"}
_FIRST_BATCH, _LARGEST_BATCH = 64, 1024


async def find_events(events: Collection, query: EventQuery) -> list[StoredEvent]:
    known, rest = _divided(query.where)
    where = {"$and": [_bounds(query), *known]} if known else _bounds(query)
    cursor = events.find(where, {"n": 1, "body": 1}).sort("n", 1 if query.ascending else -1)
    if rest == EVERYTHING:
        found = await cursor.skip(query.offset).limit(query.limit).to_list(query.limit) if query.limit else []
        return [_event(document) for document in found]
    return await _sifted(cursor, rest, query)


async def _sifted(cursor: AsyncIterator[dict[str, Anything]], rest: Condition, query: EventQuery) -> list[StoredEvent]:
    holds, skipped = predicate(rest), 0
    result: list[StoredEvent] = []
    if not query.limit:
        return result
    async for document in cursor.batch_size(_FIRST_BATCH if query.limit <= _FIRST_BATCH else _LARGEST_BATCH):
        event = _event(document)
        if not holds(orjson.loads(event.body), event.body):
            continue
        if skipped < query.offset:
            skipped += 1
            continue
        result.append(event)
        if len(result) >= query.limit:
            break
    return result


def _event(document: dict[str, Anything]) -> StoredEvent:
    return StoredEvent(document["n"], document["body"].encode())


def _bounds(query: EventQuery) -> dict[str, Anything]:
    bounds: dict[str, Anything] = {"ws": query.workspace_id}
    for field, after, before in (("n", query.after, query.before), ("created", query.after_time, query.before_time)):
        span = {op: limit for op, limit in (("$gt", after), ("$lt", before)) if limit is not None}
        if span:
            bounds[field] = span
    return bounds


def _divided(condition: Condition) -> tuple[list[dict[str, Anything]], Condition]:
    """What MongoDB can be asked, and what is left to look at."""
    parts = condition.parts if isinstance(condition, All) else (condition,)
    known: list[dict[str, Anything]] = []
    rest: list[Condition] = []
    for part in parts:
        exact = _exact(part)
        if exact is not None:
            known.append(exact)
            continue
        rest.append(part)
        if isinstance(part, Text) and part.needle:         # finds too many at most
            known.append({"body": {"$regex": re.escape(part.needle)}})
    return known, EVERYTHING if not rest else rest[0] if len(rest) == 1 else All(tuple(rest))


def _exact(condition: Condition) -> dict[str, Anything] | None:
    """The same as a filter on the columns, if they know all of it."""
    match condition:
        case Is(path, values) if path in _COLUMNS:
            return {_COLUMNS[path]: {"$in": list(values)} if len(values) != 1 else values[0]}
        case Prefix(("type",), text) if text:
            return {"type": {"$regex": "^" + re.escape(text)}}
        case All(parts) | Any(parts) if parts:
            exact = [_exact(part) for part in parts]
            if None not in exact:
                return {"$and" if isinstance(condition, All) else "$or": exact}
    return None
