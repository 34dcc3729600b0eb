"""One subscription to a workspace's events: what was stored since a place, if asked for, and then what happens.

The feed is joined first, so nothing slips through between the two. Reading goes on until it has come to the end; the few
events that were published during the last page are held and delivered, unless that page had them already.
"""
from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

from gateway.feed.cursors import Cursor, behind, created_at, head
from gateway.rights import Rights
from runtime.access import readable
from store.query import All, Condition, EventQuery, predicate

_PAGE = 200
_CHUNK = 32
_HELD = 256
"""Live events kept while one page is read: enough that a busy feed is caught up with, few enough to cost nothing."""


class Replayed(NamedTuple):
    """An event of the past, and the place behind it."""

    cursor: Cursor
    body: bytes


class Outcome(NamedTuple):
    """How a replay ended: the place it came to, and the places between which events were left out."""

    cursor: Cursor
    gap: tuple[Cursor, Cursor] | None = None


class Follower:
    """`deliver` is called for every event that meets `condition` and that `rights` allow, live and in order."""

    __slots__ = ("cursor", "is_live", "_condition", "_engine", "_workspace_id", "_feed", "_rights", "_deliver", "_subscription",
                 "_held", "_is_behind")

    def __init__(self, engine: Any, feed: Any, condition: Condition, *, workspace_id: str, rights: Rights,
                 deliver: Callable[[Any], None], start: Cursor | None = None) -> None:
        """With a `start` nothing is delivered before `catch_up` and `go_live`."""
        self.is_live = start is None
        self._condition = condition
        self._engine = engine
        self._workspace_id = workspace_id
        self._feed = feed
        self._rights = rights
        self._deliver = deliver
        self._held: list[Any] = []
        self._is_behind = False
        self.cursor = head(self._feed) if start is None else start
        """Everything up to here was handed on, or happened before; what comes live is behind it."""
        self._subscription = self._feed.subscribe(condition, self._arrived)

    def close(self) -> None:
        self._subscription.close()

    async def catch_up(self, send: Callable[[list[Replayed]], Awaitable[None]], *, condition: Condition, limit: int) -> Outcome:
        """Hand on what was stored behind `cursor` and meets `condition`, oldest first and at most `limit` events.

        Call `go_live` right after it, without waiting for anything in between.
        """
        left = limit
        while True:
            self._held, self._is_behind = [], False
            batch, is_complete = await self._page(condition, min(left, _PAGE))
            for start in range(0, len(batch), _CHUNK):
                chunk = batch[start:start + _CHUNK]
                await send(chunk)
                self.cursor = chunk[-1].cursor
            left -= len(batch)
            if not is_complete and left <= 0:
                if await self._page_is_left(condition):
                    return self._cut_off()
                is_complete = True
            if is_complete and not self._is_behind:
                return Outcome(self.cursor)

    def go_live(self) -> None:
        held, self._held, self.is_live = self._held, [], True
        for event in held:
            self._arrived(event)

    def _cut_off(self) -> Outcome:
        reached, self.cursor, self._held = self.cursor, head(self._feed), []
        return Outcome(self.cursor, gap=(reached, self.cursor))

    async def _page(self, condition: Condition, size: int) -> tuple[list[Replayed], bool]:
        """The next events of the past, stored and unstored in their order; whether those were all."""
        if size <= 0:
            return [], False
        where = self._allowed(condition)
        rows = await self._stored(where, size)
        is_complete = len(rows) < size
        batch = [Replayed(Cursor(row.position), row.body) for row in rows]
        batch += [Replayed(behind(event), event.body) for event in self._volatile(where, None if is_complete else rows[-1].position)]
        batch.sort(key=lambda one: one.cursor.position)
        if is_complete:
            self._held = [event for event in self._held if event.persistent]
        return batch, is_complete

    async def _page_is_left(self, condition: Condition) -> bool:
        return bool(await self._stored(self._allowed(condition), 1))

    async def _stored(self, where: Condition, size: int) -> list[Any]:
        return await self._engine.search(EventQuery(
            self._workspace_id, where, after=self.cursor.position, ascending=True, limit=size))

    def _allowed(self, condition: Condition) -> Condition:
        return All((condition, readable(self._rights.reader_with_topics())))

    def _volatile(self, where: Condition, last: int | None) -> list[Any]:
        """The unstored events behind `cursor`, up to the stored position `last`."""
        position, seen = self.cursor
        events = self._feed.volatile()
        known = next((i for i, event in enumerate(events) if event.event["id"] == seen), -1) if seen else -1
        holds = predicate(where)
        return [event for event in events[known + 1:]
                if event.position >= position and (last is None or event.position < last)
                and holds(event.event, event.body)]

    def _arrived(self, event: Any) -> None:
        if self.is_live:
            if (event.position > self.cursor.position or not event.persistent) and self._rights.allow(event.event):
                self._deliver(event)
        elif len(self._held) < _HELD:
            self._held.append(event)
        else:
            self._is_behind = True


async def missed_volatile(engine: Any, workspace_id: str, start: Cursor, *, away_since: int | None, oldest: int,
                          kept_events: int) -> bool:
    """Whether unstored events behind `start` may have left the memory before they could be asked for.

    `oldest` is the time before which none is kept; `away_since` when the caller stopped listening, if known.
    """
    events = engine.feed(workspace_id).volatile()
    if start.volatile_id and any(event.event["id"] == start.volatile_id for event in events):
        return False
    if len(events) >= kept_events:
        return events[0].position >= start.position
    time = away_since if away_since is not None else await created_at(engine, workspace_id, start.position)
    return time is not None and time < oldest
