"""How much a workspace was used: its transactions, which are the correlation ids under which something was started from outside."""
from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import Any, NamedTuple

from runtime.clock import iso
from runtime.filters import moment
from runtime.native import INTERACTION
from runtime.search.collectors import Budget
from runtime.search.moments import Spans, calendar
from runtime.search.sketches import Distinct
from runtime.search.slices import Find, slices
from runtime.values import decode
from store.query import Condition, EventQuery, Is, all_of, as_text, value_at
from store.records import StoredEvent

INTERVALS = ("day", "month")
_KINDS = {"endpoint": "httpTransactions", "event": "eventTransactions", "schedule": "scheduleTransactions"}
_COUNTS = ("transactions", *_KINDS.values(), "sessions", "users")
_OF_COUNTS = 100_000
"""What they take once they are sketches."""
_SLICE = 256


class Period(NamedTuple):
    """From the first of these milliseconds on, up to the second one without it."""

    start: int
    end: int


class _Counts:
    """Everything is counted once, however often it was seen."""

    __slots__ = ("_distinct",)

    def __init__(self, budget: Budget) -> None:
        budget.spend(_OF_COUNTS)
        self._distinct = {name: Distinct() for name in _COUNTS}

    def take(self, event: dict[str, Any]) -> None:
        source, distinct = event.get("source") or {}, self._distinct
        id, session, user = (as_text(source.get(key)) for key in ("correlationId", "sessionId", "userId"))
        kind = _KINDS.get(as_text(value_at(event, ("payload", "trigger", "type"))) or "")
        for name, value in (("transactions", id), ("sessions", session), ("users", user)):
            if value:
                distinct[name].add(value)
        if kind and id:
            distinct[kind].add(id)

    def result(self) -> dict[str, int]:
        return {name: distinct.count() for name, distinct in self._distinct.items()}


class _Usage:
    def __init__(self, interval: str | None, has_details: bool) -> None:
        self._budget = Budget()
        self._spans: Spans | None = calendar(interval) if interval else None
        self._has_details = has_details
        self._total = _Counts(self._budget)
        self._apps: dict[str, _Counts] = {}
        self._automations: dict[str, _Counts] = {}
        self._times: dict[int, _Counts] = {}

    def take(self, rows: list[StoredEvent]) -> None:
        for row in rows:
            event = decode(row.body)
            self._total.take(event)
            if app := as_text(value_at(event, ("source", "appSlug"))):
                self._in(self._apps, app).take(event)
            if self._has_details and (automation := as_text(value_at(event, ("payload", "automation")))):
                self._in(self._automations, automation).take(event)
            if self._spans is not None and (time := moment(event["createdAt"])) is not None:
                self._in(self._times, self._spans.start(time)).take(event)

    def _in(self, counts: dict[Any, _Counts], key: Any) -> _Counts:
        found = counts.get(key)
        if found is None:
            found = counts[key] = _Counts(self._budget)
        return found

    def result(self) -> dict[str, Any]:
        shown: dict[str, Any] = {"total": self._total.result(), "apps": _by_slug(self._apps)}
        if self._has_details:
            shown["automations"] = _by_slug(self._automations)
        if self._spans is not None:
            shown["timeseries"] = [{"timestamp": iso(start), "total": counts.result()} for start, counts in sorted(self._times.items())]
        return shown


def _by_slug(counts: dict[str, _Counts]) -> list[dict[str, Any]]:
    return [{"slug": slug, "total": each.result()} for slug, each in sorted(counts.items())]


async def usage(events: Find, workspace_id: str, period: Period, *, readable: Condition, interval: str | None = None,
                has_details: bool = False) -> dict[str, Any]:
    """The counts of a period: in all, by app, and if asked by automation and for each day or month in which there was something.
    Raises `SearchError` when there are more automations and days than can be counted at once."""
    counted = _Usage(interval, has_details)
    query = EventQuery(workspace_id, all_of(Is(("type",), (INTERACTION,)), readable), after_time=period.start - 1,
                       before_time=period.end, ascending=True, limit=_SLICE)
    async with aclosing(slices(events, query)) as found:
        async for rows in found:
            await asyncio.to_thread(counted.take, rows)
    shown = await asyncio.to_thread(counted.result)
    return {"workspaceId": workspace_id, "afterDate": iso(period.start), "beforeDate": iso(period.end), **shown}
