"""The websocket side of the feed: upgrades requests and keeps what all connections share."""
from __future__ import annotations

from typing import Any

from aiohttp import web

from gateway.cors import Cors
from gateway.feed.acknowledgements import Acknowledgements
from gateway.feed.admission import SUBPROTOCOL, identity_of_handshake, identity_of_token
from gateway.feed.connection import Connection
from gateway.feed.open_feeds import OpenFeeds
from gateway.feed.outbox import Outbox
from gateway.feed.resumption import Resumption
from runtime.calls import Identity
from runtime.errors import TooMany

_CLOSE_SECONDS = 5.0
_ACCESS_TOKEN = "at:"
"""Servers connect with access tokens, which are no sessions: they may open as many feeds as they need."""


class Sockets:
    """The house of all websocket connections of this node."""

    def __init__(self, gateway: Any, feeds: OpenFeeds) -> None:
        settings = gateway.settings
        self.gateway = gateway
        self.acknowledgements = Acknowledgements(gateway.clock)
        self.resumption = Resumption(gateway.store, gateway.clock, gateway.ids, ttl_seconds=settings.ws_resume_ttl,
                                     most_per_session=settings.ws_max_connections_per_session)
        gateway.engine.on_item(self.resumption.hear)
        feeds.on_drained(self.resumption.settle)
        self._feeds = feeds
        self._cors = Cors(settings)

    async def serve(self, request: web.Request, workspace_id: str) -> web.WebSocketResponse:
        """Upgrade the request and stay until the connection ends. Errors raised here are answers to the handshake."""
        self._feeds.admit()
        identity = await identity_of_handshake(self.gateway, request, self._cors)
        settings = self.gateway.settings
        # Without compression the bytes of a frame are the same for every socket; pings are answered, and counted, by us.
        socket = web.WebSocketResponse(protocols=(SUBPROTOCOL,), max_msg_size=settings.ws_max_frame_bytes + 1, compress=False,
                                       autoping=False, timeout=_CLOSE_SECONDS, decode_text=False)
        writer = await socket.prepare(request)
        transport = request.transport
        if transport is None:
            return socket
        outbox = Outbox(transport, writer.drain, max_frames=settings.ws_queue_max_frames, max_bytes=settings.ws_queue_max_bytes,
                        overflow=lambda: connection.overflow())
        connection = Connection(self, workspace_id, socket, outbox=outbox, transport=transport, identity=identity,
                                ip=self.gateway.auth.address(request))
        await connection.run()
        return socket

    async def identify(self, token: str) -> Identity:
        return await identity_of_token(self.gateway, token)

    def enter(self, connection: Connection) -> None:
        """Raises `TooMany`."""
        session_id = connection.session_id or _ACCESS_TOKEN
        if not session_id.startswith(_ACCESS_TOKEN) and self._feeds.of_session(session_id) >= self.gateway.settings.ws_max_connections_per_session:
            raise TooMany("This session has too many open connections", {"retryAfter": 10})
        self._feeds.add(connection)

    def leave(self, connection: Connection) -> None:
        self._feeds.remove(connection)

    def dropped(self, code: int) -> None:
        self._feeds.count_drop(code)
