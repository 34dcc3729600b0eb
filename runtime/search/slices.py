"""All matches of a query, a slice at a time: however many there are, few are in memory."""
from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace

from store.query import EventQuery
from store.records import StoredEvent

Find = Callable[[EventQuery], Awaitable[list[StoredEvent]]]

_FEWEST, _MOST = 16, 512
_BYTES = 2 << 20
"""About as much as a slice may hold; bodies tell how many events that is."""


async def slices(find: Find, query: EventQuery) -> AsyncIterator[list[StoredEvent]]:
    """The matches in the order of the query, from its offset on. Its limit tells how many the first slice has."""
    while True:
        rows = await find(query)
        if rows:
            yield rows
        if len(rows) < query.limit:
            return
        query = behind(query, rows[-1].position, _fitting(rows))


def behind(query: EventQuery, position: int, limit: int) -> EventQuery:
    """The same query for what comes after a position."""
    if query.ascending:
        return replace(query, after=position, offset=0, limit=limit)
    return replace(query, before=position, offset=0, limit=limit)


def _fitting(rows: list[StoredEvent]) -> int:
    """At most four times as many as now, in case the next ones are larger."""
    size = sum(len(row.body) for row in rows) // len(rows)
    return max(_FEWEST, min(_MOST, 4 * len(rows), _BYTES // size))
