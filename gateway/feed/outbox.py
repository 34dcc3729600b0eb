"""What waits to be written to one websocket: bounded, and written in as few writes as the pace of its reader allows.

Everything that was put in during one turn of the loop leaves in a single write. A reader that does not keep up never
slows a producer down: past the bounds `overflow` is called, once, and nothing more is taken.
"""
from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any

from gateway.feed import frames
from gateway.feed.cursors import Cursor, behind
from gateway.feed.cursors import before as before_event

_HIGH_WATER = 65536


class _Live:
    """A live event on its way, and the subscriptions of this socket that it meets."""

    __slots__ = ("event", "ids")

    def __init__(self, event: Any, id: str) -> None:
        self.event = event
        self.ids = [id]


class Outbox:
    __slots__ = ("written", "is_closed", "_transport", "_drain", "_max_frames", "_max_bytes", "_overflow", "_loop", "_queue",
                 "_urgent", "_frames", "_bytes", "_credit", "_scheduled", "_draining", "_last", "_emptied", "_is_full", "_answers")

    def __init__(self, transport: asyncio.WriteTransport, drain: Callable[[], Awaitable[None]], *, max_frames: int,
                 max_bytes: int, overflow: Callable[[], None]) -> None:
        """`drain` waits until the transport wants more."""
        self.written: Cursor | None = None
        """The place behind the last live event handed to the transport."""
        self.is_closed = False
        self._transport = transport
        self._drain = drain
        self._max_frames = max_frames
        self._max_bytes = max_bytes
        self._overflow = overflow
        self._loop = asyncio.get_running_loop()
        self._queue: deque[_Live | bytes] = deque()
        self._urgent: list[bytes] = []
        self._frames = self._bytes = self._answers = 0
        self._credit: int | None = None
        self._scheduled = self._is_full = False
        self._draining: asyncio.Task[None] | None = None
        self._last: _Live | None = None
        self._emptied: list[asyncio.Future[None]] = []

    @property
    def waiting(self) -> int:
        """Live events that have not left."""
        return self._frames

    def deliver(self, event: Any, id: str) -> None:
        """A live event for one subscription. The same event for a further one joins the frame that waits already."""
        if self.is_closed:
            return
        last = self._last
        if last is not None and last.event is event:
            last.ids.append(id)
            return
        self._frames += 1
        self._bytes += len(event.body)
        self._last = live = _Live(event, id)
        self._queue.append(live)
        if self._frames > self._max_frames or self._bytes > self._max_bytes:
            self._fill_up()
        self._schedule()

    def send(self, frame: bytes) -> None:
        """A frame that keeps its place among the events."""
        if not self.is_closed:
            self._queue.append(frame)
            self._count_answer(frame)

    def send_now(self, frame: bytes) -> None:
        """An answer: it passes events that wait for credit, nothing else."""
        if not self.is_closed:
            waits_for_credit = self._credit is not None and self._frames > self._credit
            (self._urgent if waits_for_credit else self._queue).append(frame)
            self._count_answer(frame)

    def unwritten(self) -> dict[str, Cursor]:
        """For each subscription with live events in here, the place right before the first of them."""
        before: dict[str, Cursor] = {}
        for item in self._queue:
            if type(item) is _Live:
                for id in item.ids:
                    before.setdefault(id, before_event(item.event))
        return before

    async def replay(self, events: list[bytes]) -> None:
        """Event frames outside the bounds; returns when they, and everything before them, were handed on."""
        start = 0
        while start < len(events) and not self.is_closed:
            if self._credit == 0:
                await self._change()
                continue
            end = len(events) if self._credit is None else min(len(events), start + self._credit)
            if self._credit is not None:
                self._credit -= end - start
            self._queue.extend(events[start:end])
            self._schedule()
            start = end
            await self.emptied()

    async def emptied(self) -> None:
        while self._queue and not self.is_closed:
            await self._change()

    def grant(self, credit: int) -> None:
        """From now on an event frame needs credit; this much more may leave."""
        self._credit = (self._credit or 0) + credit
        self._wake()
        self._schedule()

    def end(self, *farewell: bytes) -> None:
        """Drop what waits, say these last frames and take nothing more."""
        if self.is_closed:
            return
        self.is_closed = True
        out = self._urgent + list(farewell)
        self._queue.clear()
        self._urgent = []
        self._wake()
        if self._draining:
            self._draining.cancel()
        if out and not self._transport.is_closing():
            self._transport.write(b"".join(out))

    def _count_answer(self, frame: bytes) -> None:
        """Whoever asks and never reads the answers is slow, too."""
        self._answers += len(frame)
        if self._answers > self._max_bytes:
            self._fill_up()
        self._schedule()

    def _fill_up(self) -> None:
        """Not closed at once: the feed may be in the middle of telling its subscribers."""
        if not self._is_full:
            self._is_full = True
            self._loop.call_soon(self._overflow)

    def _change(self) -> asyncio.Future[None]:
        """Done at the next write or grant."""
        waiter = self._loop.create_future()
        self._emptied.append(waiter)
        return waiter

    def _wake(self) -> None:
        waiters, self._emptied = self._emptied, []
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)

    def _schedule(self) -> None:
        if not self._scheduled and self._draining is None:
            self._scheduled = True
            self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        self._scheduled = False
        if self.is_closed or self._is_full or self._transport.is_closing():
            return
        out, self._urgent = self._urgent, []
        queue = self._queue
        while queue:
            item = queue[0]
            if type(item) is _Live:
                if self._credit == 0:
                    break
                out.append(self._leave(item))
            else:
                out.append(item)
            queue.popleft()
        self._answers = 0
        if out:
            self._transport.write(out[0] if len(out) == 1 else b"".join(out))
            if self._transport.get_write_buffer_size() > _HIGH_WATER:
                self._draining = self._loop.create_task(self._wait_for_reader())
                return
        self._wake()

    def _leave(self, live: _Live) -> bytes:
        event = live.event
        if self._credit is not None:
            self._credit -= 1
        self._frames -= 1
        self._bytes -= len(event.body)
        self.written = behind(event)
        if live is self._last:
            self._last = None
        return frames.live_event(event, tuple(live.ids))

    async def _wait_for_reader(self) -> None:
        try:
            await self._drain()
        except ConnectionError:
            return
        self._draining = None
        self._wake()
        self._flush()
