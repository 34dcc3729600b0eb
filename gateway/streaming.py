"""The answer to a webhook while its automation runs: status and headers so far, and the stream it may turn into."""
from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable
from typing import Any

from aiohttp import web

from gateway import wire
from runtime.calls import Response
from runtime.clock import Clock
from runtime.errors import InvalidInstruction, InvalidOutput

_KEEP_ALIVE = b'{"keepAlive":true}'
_STREAM_HEADERS = {"content-type": "text/event-stream", "cache-control": "no-cache", "connection": "keep-alive"}
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_FRAMING = frozenset(("content-length", "transfer-encoding", "connection", "date", "server"))
"""How the body is cut into bytes is not the automation's business."""


class Answer(Response):
    """What `$http` writes to. Once the caller is gone, or was told to wait no longer, everything is discarded."""

    def __init__(self, request: web.Request, clock: Clock, patience: float | None) -> None:
        """`patience` is for how many seconds the caller waits for an answer; None is for ever."""
        self.status: int | None = None
        self.headers: dict[str, str] = {}
        self.streaming = False
        self._patience = patience
        self._deadline: asyncio.Timeout | None = None
        self._request = request
        self._clock = clock
        self._stream: web.StreamResponse | None = None
        self._beating: asyncio.Task[None] | None = None
        self._is_gone = False

    def plain(self, output: Any) -> web.Response:
        """The output as the whole answer. Raises `InvalidOutput` when it cannot be written."""
        try:
            body, kind = wire.output_body(output)
        except TypeError as problem:
            raise InvalidOutput(f"The output cannot be written as JSON: {problem}") from None
        headers = {"content-type": kind}
        if self.headers:
            headers |= _checked(self.headers)
        return web.Response(body=body, status=self.status or 200, headers=headers)

    async def patiently(self, coming: Awaitable[None]) -> None:
        """No deadline is set for runs that end at once, nor once the stream has started."""
        async with asyncio.timeout(None if self.streaming else self._patience) as self._deadline:
            await coming

    async def write(self, data: bytes) -> None:
        if not self._is_gone and self._stream is None:
            await self._start()
        if self._is_gone or self._stream is None:
            return
        try:
            await self._stream.write(b"data: " + data + b"\n\n")
        except ConnectionError:
            self._is_gone = True

    async def keep_alive(self, seconds: float) -> None:
        if self._is_gone:
            return
        if self._stream is None:
            await self._start()
        self.stop_beating()
        self._beating = asyncio.create_task(self._beat(seconds))

    async def finish(self, output: Any) -> web.StreamResponse:
        """End the stream; the output is its last event unless it is empty."""
        self.stop_beating()
        assert self._stream is not None
        last = wire.event_data(output)
        if last != wire.EMPTY:
            await self.write(last)
        if not self._is_gone:
            try:
                await self._stream.write_eof()
            except ConnectionError:
                self._is_gone = True
        return self._stream

    def discard(self) -> None:
        """The caller has its answer; what the run still writes goes nowhere."""
        self._is_gone = True
        self.stop_beating()

    def stop_beating(self) -> None:
        if self._beating is not None:
            self._beating.cancel()
            self._beating = None

    async def _start(self) -> None:
        headers = {**_STREAM_HEADERS, **_checked(self.headers)}
        self._stream = stream = web.StreamResponse(status=self.status or 200, headers=headers)
        self.streaming = True
        if self._deadline is not None:
            self._deadline.reschedule(None)
        try:
            await stream.prepare(self._request)
        except ConnectionError:
            self._is_gone = True
        if self._request.method == "HEAD":
            self._is_gone = True

    async def _beat(self, seconds: float) -> None:
        while not self._is_gone:
            await self._clock.sleep(seconds)
            await self.write(_KEEP_ALIVE)


def _checked(headers: dict[str, str]) -> dict[str, str]:
    for name in headers:
        if not _HEADER_NAME.fullmatch(name):
            raise InvalidInstruction(f"{name!r} is not the name of a header", {"instruction": "set", "name": "$http"})
    return {name: value for name, value in headers.items() if name not in _FRAMING}
