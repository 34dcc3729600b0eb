"""A search from the document a caller sends to what is found: a page of events, how many there are, and what was counted."""
from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import aclosing
from dataclasses import replace
from typing import Any, NamedTuple

from runtime.search.aggregations import Limits, read_aggregations
from runtime.search.collectors import Bucket
from runtime.search.picking import Pick, read_pick
from runtime.search.problems import SearchError, expect, options, whole
from runtime.search.queries import Asked, ask
from runtime.search.slices import Find, behind, slices
from runtime.search.sorting import Order, Sorter, read_order
from runtime.values import decode, encode
from store.query import Condition, EventQuery, all_of
from store.records import StoredEvent

_KNOWN = ("query", "limit", "page", "sort", "source", "aggs", "aggregations", "runtime_mappings", "track_total_hits")
_MOST, _PAGES = 1000, 1_000_000
_SORTED = 10_000
"""How far into an order by fields a page may lie."""
_COUNTED = 10_000
_SLICE = 256


class Search(NamedTuple):
    asked: Asked
    limit: int
    page: int
    order: Order
    pick: Pick | None
    collect: Callable[[], Bucket] | None
    counted: int | None
    """Matches are counted up to this number (None: all of them)."""


class Found(NamedTuple):
    """`size` is how many matches there are, or were counted; `documents` are JSON texts."""

    size: int
    documents: list[bytes]
    aggs: dict[str, Any]


def read_search(document: Any, limits: Limits, now: int) -> Search:
    """Raises `SearchError`."""
    options(document, "", _KNOWN)
    if document.get("runtime_mappings"):
        raise SearchError('Unsupported parameter "runtime_mappings"', {"path": "runtime_mappings"})
    aggs = document.get("aggs", document.get("aggregations"))
    limit = whole(document.get("limit", 100), "limit", low=0, high=_MOST)
    page = whole(document.get("page", 0), "page", low=0, high=_PAGES)
    order = read_order(document.get("sort"))
    expect(not order.fields or (page + 1) * limit <= _SORTED, "page", f"should lie within the first {_SORTED} of an order by fields")
    return Search(ask(document.get("query"), now), limit, page, order, read_pick(document.get("source")),
                  read_aggregations(aggs, limits, now) if aggs else None, _counted(document.get("track_total_hits", _COUNTED)))


def _counted(value: Any) -> int | None:
    if value is True:
        return None
    return 0 if value is False else whole(value, "track_total_hits", low=0, high=2 ** 53)


async def find(events: Find, workspace_id: str, search: Search, readable: Condition) -> Found:
    """What a reader finds. What has to look at every match does so in slices, beside the event loop."""
    asked = search.asked
    query = EventQuery(workspace_id, all_of(asked.where, readable), after_time=asked.after_time, before_time=asked.before_time,
                       ascending=search.order.ascending, limit=search.limit, offset=search.page * search.limit)
    if search.collect is None and not search.order.fields:
        rows = await events(query) if search.limit else []
        return Found(await _counted_on(events, query, rows, search.counted), _shown(rows, search.pick), {})
    scan = _Scan(search)
    everything = EventQuery(workspace_id, query.where, after_time=asked.after_time, before_time=asked.before_time,
                            ascending=search.order.ascending, limit=_SLICE)
    async with aclosing(slices(events, everything)) as found:
        async for rows in found:
            await asyncio.to_thread(scan.take, rows)
    rows = await _at(events, everything, scan.places()) if search.order.fields else await events(query) if search.limit else []
    return Found(scan.size, _shown(rows, search.pick), await asyncio.to_thread(scan.aggs))


class _Scan:
    """Looks at every match once."""

    def __init__(self, search: Search) -> None:
        self.size = 0
        self._from, self._to = search.page * search.limit, (search.page + 1) * search.limit
        self._sorter = Sorter(search.order.fields, self._to) if search.order.fields and search.limit else None
        self._bucket = search.collect() if search.collect is not None else None

    def take(self, rows: list[StoredEvent]) -> None:
        self.size += len(rows)
        for position, body in rows:
            event = decode(body)
            if self._bucket is not None:
                self._bucket.take(event, body)
            if self._sorter is not None:
                self._sorter.take(event, position)

    def places(self) -> list[int]:
        return self._sorter.positions()[self._from:self._to] if self._sorter is not None else []

    def aggs(self) -> dict[str, Any]:
        return {name: value for name, value in self._bucket.result().items() if name != "doc_count"} if self._bucket is not None else {}


async def _counted_on(events: Find, query: EventQuery, rows: list[StoredEvent], most: int | None) -> int:
    """How many matches there are, of which a page was read; beyond `most` nobody looks."""
    if rows:
        size, rest = query.offset + len(rows), behind(query, rows[-1].position, _SLICE)
        is_all = len(rows) < query.limit
    else:
        size, rest = 0, replace(query, offset=0, limit=_SLICE)
        is_all = query.limit > 0 and not query.offset
    if is_all or most is not None and size >= most:
        return size
    async with aclosing(slices(events, rest)) as found:
        async for more in found:
            size += len(more)
            if most is not None and size >= most:
                return most
    return size


async def _at(events: Find, query: EventQuery, positions: list[int]) -> list[StoredEvent]:
    """The events that stand there, but for those that are gone by now."""
    found = [await events(replace(query, after=position - 1, before=position + 1, limit=1)) for position in positions]
    return [row for rows in found for row in rows]


def _shown(rows: list[StoredEvent], pick: Pick | None) -> list[bytes]:
    return [row.body for row in rows] if pick is None else [encode(pick(decode(row.body))) for row in rows]
