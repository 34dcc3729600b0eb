"""The feed as server-sent events: read only, for clients that speak nothing but HTTP."""
from __future__ import annotations

import asyncio
from typing import Any

from aiohttp import web

from gateway.feed.cursors import Cursor, behind, locate
from gateway.feed.follower import Follower, Replayed
from gateway.feed.open_feeds import OpenFeeds
from gateway.rights import Rights
from runtime.calls import Identity
from runtime.filters import parse_search
from runtime.values import decode

OWN_KEYS = frozenset(("since", "access_token"))
_COMMENT = b":\n\n"
_COMMENT_SECONDS = 15.0
_HEADERS = {"Content-Type": "text/event-stream; charset=utf-8", "Cache-Control": "no-cache", "X-Accel-Buffering": "no"}


class EventStream:
    """One open stream. A reader that falls behind by more than the bounds is cut off; it comes back with `Last-Event-ID`."""

    def __init__(self, gateway: Any, workspace_id: str, identity: Identity) -> None:
        self.workspace_id = workspace_id
        self.session_id = identity.session_id
        self._settings = gateway.settings
        self._waiting: list[bytes] = []
        self._bytes = 0
        self._news = asyncio.Event()
        self._is_over = False

    def close(self, code: int, reason: str) -> None:
        self._is_over = True
        self._news.set()

    def deliver(self, event: Any) -> None:
        made = event.frames.get("sse")
        if made is None:
            made = event.frames["sse"] = _message(behind(event), event.event["type"], event.body)
        self._waiting.append(made)
        self._bytes += len(made)
        if len(self._waiting) > self._settings.ws_queue_max_frames or self._bytes > self._settings.ws_queue_max_bytes:
            self._is_over = True
        self._news.set()

    async def write_to(self, response: web.StreamResponse) -> None:
        """Until the stream is closed or its reader is gone."""
        while not self._is_over:
            try:
                async with asyncio.timeout(_COMMENT_SECONDS):
                    await self._news.wait()
            except TimeoutError:
                await response.write(_COMMENT)
                continue
            self._news.clear()
            waiting, self._waiting, self._bytes = self._waiting, [], 0
            if waiting and not self._is_over:
                await response.write(b"".join(waiting))


async def serve(gateway: Any, feeds: OpenFeeds, request: web.Request, workspace_id: str) -> web.StreamResponse:
    feeds.admit()
    identity = await gateway.auth.authenticate(request, required=True)
    condition = parse_search(workspace_id, request.query.items(), ignored=OWN_KEYS).query.where
    since = request.headers.get("Last-Event-ID") or request.query.get("since")
    feed = gateway.engine.feed(workspace_id)
    start = (await locate(gateway.engine, workspace_id, since)).cursor if since else None
    response = web.StreamResponse(headers=_HEADERS)
    await response.prepare(request)
    stream = EventStream(gateway, workspace_id, identity)
    follower = Follower(gateway.engine, feed, condition, workspace_id=workspace_id,
                        rights=Rights(gateway, workspace_id, identity), deliver=stream.deliver, start=start)
    feeds.add(stream)
    expiry = _expire(gateway, stream, identity)
    try:
        await response.write(_COMMENT)
        if start is not None:
            await follower.catch_up(lambda batch: _write(response, batch), condition=condition, limit=gateway.settings.ws_replay_max)
            follower.go_live()
        await stream.write_to(response)
    except ConnectionError:
        pass                                             # the reader is gone: nothing is left to be said
    finally:
        follower.close()
        feeds.remove(stream)
        if expiry is not None:
            expiry.cancel()
    return response


def _expire(gateway: Any, stream: EventStream, identity: Identity) -> asyncio.TimerHandle | None:
    if identity.session_expires_at is None:
        return None
    left = (identity.session_expires_at - gateway.clock.now()) / 1000
    return asyncio.get_running_loop().call_later(max(0.0, left), stream.close, 0, "session_expired")


async def _write(response: web.StreamResponse, batch: list[Replayed]) -> None:
    await response.write(b"".join(_message(one.cursor, decode(one.body)["type"], one.body) for one in batch))


def _message(cursor: Cursor, type: str, body: bytes) -> bytes:
    return b"id: %b\nevent: %b\ndata: %b\n\n" % (str(cursor).encode(), type.encode(), body)
