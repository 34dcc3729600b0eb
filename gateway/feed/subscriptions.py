"""The subscriptions of one websocket: what each was told, how far it is, and how it comes to the present."""
from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from gateway.feed import frames
from gateway.feed.cursors import Cursor, Start, head, locate
from gateway.feed.follower import Follower, Replayed, missed_volatile
from gateway.feed.outbox import Outbox
from gateway.feed.resumption import Saved
from gateway.rights import Rights
from runtime.filters import compile_filters
from store.query import Condition

Failed = Callable[[asyncio.Task[None]], None]


class _Subscription:
    __slots__ = ("filters", "follower", "replay")

    def __init__(self, filters: Any, follower: Follower) -> None:
        self.filters = filters
        self.follower = follower
        self.replay: asyncio.Task[None] | None = None

    def close(self) -> None:
        self.follower.close()
        if self.replay is not None:
            self.replay.cancel()


class Subscriptions:
    """`failed` is called when a replay ends by an exception."""

    def __init__(self, gateway: Any, workspace_id: str, outbox: Outbox, *, rights: Rights, failed: Failed) -> None:
        self._engine = gateway.engine
        self._clock = gateway.clock
        self._settings = gateway.settings
        self._workspace_id = workspace_id
        self._outbox = outbox
        self._rights = rights
        self._failed = failed
        self._feed = gateway.engine.feed(workspace_id)
        self._open: dict[str, _Subscription] = {}
        self._unrestored: list[Saved] = []
        self._mark: Any = None
        self._is_closed = False

    def __contains__(self, id: str) -> bool:
        return id in self._open

    def __len__(self) -> int:
        return len(self._open)

    def follow(self, id: str, filters: Any, *, socket_id: str) -> None:
        """Subscribe from now on, or go on with other filters. Raises `InvalidRequest`."""
        condition, warnings = compile_filters(filters, socket_id=socket_id)
        old = self._open.get(id)
        if old is not None and not old.follower.is_live:
            start = old.follower.cursor
            self._say_subscribed(id, start, warnings)
            self._replace(id, filters, condition, start=start)
            self._replay(id, condition, limit=self._settings.ws_replay_default)
        else:
            follower = self._replace(id, filters, condition, start=None)
            self._say_subscribed(id, follower.cursor, warnings)

    async def follow_since(self, id: str, filters: Any, since: str, *, limit: int | None, socket_id: str) -> None:
        """The same, after what was stored since a cursor, an event id or a date. Raises `InvalidRequest`.

        What another socket of the session set off is spared the live feed alone, so the replay has it.
        """
        past, warnings = compile_filters(filters)
        condition = compile_filters(filters, socket_id=socket_id).condition
        start = await locate(self._engine, self._workspace_id, since)
        await self._begin(id, filters, condition, start=start, warnings=warnings, since=since)
        self._replay(id, past, limit=min(limit or self._settings.ws_replay_default, self._settings.ws_replay_max))

    async def restore(self, saved: tuple[Saved, ...], *, socket_id: str, away_since: int | None) -> None:
        """Go on with the subscriptions of an earlier connection, each from where it was."""
        self._unrestored = list(saved)
        while self._unrestored and not self._is_closed:
            id, filters, cursor = self._unrestored[0]
            condition, warnings = compile_filters(filters, socket_id=socket_id)
            start = await locate(self._engine, self._workspace_id, str(cursor))
            await self._begin(id, filters, condition, start=start, warnings=warnings, since=str(cursor), away_since=away_since)
            if not self._is_closed:
                del self._unrestored[0]
            self._replay(id, condition, limit=self._settings.ws_replay_max)

    def has_moved(self) -> bool:
        """Whether anything was written since this was last asked."""
        before, self._mark = self._mark, (self._outbox.written, [one.follower.cursor for one in self._open.values() if not one.follower.is_live])
        return before != self._mark

    def places(self) -> tuple[Saved, ...]:
        """Where each of them would go on in another process, which knows nothing of unstored events."""
        return self._all_saved(Cursor(self._feed.head))

    def drop(self, id: str) -> None:
        subscription = self._open.pop(id, None)
        if subscription is not None:
            subscription.close()

    def close(self) -> tuple[Saved, ...]:
        """Let go of all of them; where each would go on."""
        self._is_closed = True
        saved = self._all_saved(head(self._feed))
        for subscription in self._open.values():
            subscription.close()
        self._open.clear()
        return saved

    def _all_saved(self, now: Cursor) -> tuple[Saved, ...]:
        return (*self._saved(now), *(one for one in self._unrestored if one.id not in self._open))

    def _saved(self, now: Cursor) -> Iterator[Saved]:
        unwritten = self._outbox.unwritten()
        for id, subscription in self._open.items():
            follower = subscription.follower
            cursor = unwritten.get(id, now) if follower.is_live else follower.cursor
            yield Saved(id, subscription.filters, cursor)

    async def _begin(self, id: str, filters: Any, condition: Condition, *, start: Start, warnings: tuple[str, ...], since: str,
                     away_since: int | None = None) -> None:
        if self._is_closed:
            return
        self._say_subscribed(id, start.cursor, warnings)
        self._replace(id, filters, condition, start=start.cursor)
        if start.is_lost:
            self._outbox.send(frames.gap(id, since, start.cursor, reason="retention"))
        runtime = self._settings.runtime
        if await missed_volatile(self._engine, self._workspace_id, start.cursor, away_since=away_since,
                                 oldest=self._clock.now() - int(runtime.ws_volatile_seconds * 1000),
                                 kept_events=runtime.ws_volatile_events):
            self._outbox.send(frames.gap(id, start.cursor, head(self._feed), reason="volatile"))

    def _say_subscribed(self, id: str, cursor: Cursor, warnings: tuple[str, ...]) -> None:
        self._outbox.send(frames.subscribed(id, cursor, warnings))

    def _replace(self, id: str, filters: Any, condition: Condition, *, start: Cursor | None) -> Follower:
        self.drop(id)
        follower = Follower(self._engine, self._feed, condition, workspace_id=self._workspace_id, rights=self._rights,
                            deliver=partial(self._outbox.deliver, id=id), start=start)
        self._open[id] = _Subscription(filters, follower)
        return follower

    def _replay(self, id: str, condition: Condition, *, limit: int) -> None:
        subscription = self._open.get(id)
        if subscription is None:
            return
        subscription.replay = asyncio.create_task(self._catch_up(id, subscription.follower, condition, limit))
        subscription.replay.add_done_callback(self._failed)

    async def _catch_up(self, id: str, follower: Follower, condition: Condition, limit: int) -> None:
        async def send(batch: list[Replayed]) -> None:
            await self._outbox.replay([frames.replayed_event(one.body, id, one.cursor) for one in batch])

        outcome = await follower.catch_up(send, condition=condition, limit=limit)
        if outcome.gap is not None:
            self._outbox.send(frames.gap(id, *outcome.gap, reason="replay_limit"))
        self._outbox.send(frames.caught_up(id, outcome.cursor, truncated=outcome.gap is not None))
        follower.go_live()
