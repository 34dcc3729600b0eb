"""Events over HTTP: produce, search, export; and the door to the live feed, which has the same address."""
from __future__ import annotations

import asyncio
from contextlib import aclosing
from dataclasses import replace
from typing import Any

from aiohttp import hdrs, web

from gateway import wire
from gateway.errors import invalid
from gateway.feed import event_stream
from gateway.feed.cursors import position_of
from gateway.feed.intake import new_events
from gateway.feed.open_feeds import OpenFeeds
from gateway.feed.sockets import Sockets
from gateway.rights import Rights, require_emit
from gateway.search import admit, in_time
from runtime.access import readable
from runtime.calls import Identity
from runtime.errors import HeldElsewhere, NotFound
from runtime.filters import parse_search
from runtime.search.slices import Find, slices
from runtime.values import decode
from store.query import EventQuery, all_of
from store.records import StoredEvent

_PATH = "/v2/workspaces/{workspace_id}/events"
_EVENT_STREAM = "text/event-stream"
_OWN_KEYS = frozenset(("access_token",))
_EXPORT_KEYS = frozenset(("access_token", "format", "page", "limit", "sort"))
_FIRST_SLICE = 128
_LOOK_SECONDS = 0.5
_EXPORTS = {"ndjson": ("application/x-ndjson; charset=utf-8", b"", b"\n", b"\n"),
            "json": ("application/json; charset=utf-8", b"[", b",\n", b"]")}
"""Format → content type, what comes first, between two events, and last."""


def add_routes(gateway: Any, router: web.UrlDispatcher) -> OpenFeeds:
    """The routes of this module. What is returned knows every open feed, for the shutdown to drain."""
    events = _Events(gateway)
    router.add_get(_PATH, events.get, allow_head=False)
    router.add_post(_PATH, events.post)
    router.add_get(_PATH + "/export", events.export, allow_head=False)
    return events.feeds


class _Events:
    def __init__(self, gateway: Any) -> None:
        self.feeds = OpenFeeds(gateway)
        self._gateway = gateway
        self._sockets = Sockets(gateway, self.feeds)

    async def get(self, request: web.Request) -> web.StreamResponse:
        workspace_id = self._workspace(request).id
        if request.headers.get(hdrs.UPGRADE, "").lower() == "websocket":
            return await self._sockets.serve(request, workspace_id)
        if _EVENT_STREAM in request.headers.get(hdrs.ACCEPT, ""):
            return await event_stream.serve(self._gateway, self.feeds, request, workspace_id)
        identity = await self._gateway.auth.authenticate(request)
        headers = admit(self._gateway, request, identity)
        async with in_time(self._gateway.settings.search_timeout):
            query = await self._query(request, workspace_id, identity, ignored=_OWN_KEYS)
            rows = await self._gateway.engine.search(query)
        return _page(rows, headers)

    async def post(self, request: web.Request) -> web.StreamResponse:
        workspace, origin = self._workspace(request), await self._gateway.auth.origin(request)
        headers = admit(self._gateway, request, origin.identity)
        try:
            body = await request.read()
            document = decode(body)
        except ValueError:
            raise invalid("The body is not JSON", "body") from None
        events = new_events(document)
        origin = origin._replace(identity=self._gateway.auth.member(workspace, origin.identity))
        require_emit(self._gateway.engine, workspace, events, origin)
        try:
            accepted = await self._gateway.engine.accept(workspace.id, events, origin) if events else []
        except HeldElsewhere as held:
            return await self._gateway.passing.on(request, body, held.url, (workspace.id, origin.correlation_id), caller=origin.ip)
        return _json(b"[%b]" % b",".join(event.body for event in accepted), headers)

    async def export(self, request: web.Request) -> web.StreamResponse:
        """All matches, oldest first, as fast as the reader takes them and for as long as it is there."""
        workspace_id, format = self._workspace(request).id, request.query.get("format") or "ndjson"
        if format not in _EXPORTS:
            raise invalid('format should be "ndjson" or "json"', "format")
        content_type, opening, between, closing = _EXPORTS[format]
        identity = await self._gateway.auth.authenticate(request)
        headers = admit(self._gateway, request, identity)
        query = await self._query(request, workspace_id, identity, ignored=_EXPORT_KEYS)
        head = self._gateway.engine.feed(workspace_id).head
        query = replace(query, ascending=True, limit=_FIRST_SLICE, before=_nearer(query.before, head + 1))
        response = web.StreamResponse(headers={**headers, hdrs.CONTENT_TYPE: content_type})
        await response.prepare(request)
        try:
            await response.write(opening)
            separator = b""
            async with aclosing(slices(_While(request, self._gateway.engine.search), query)) as found:
                async for rows in found:
                    await response.write(separator + between.join(row.body for row in rows))
                    separator = between
            await response.write(closing if separator or format == "json" else b"")
        except ConnectionError:
            pass                                         # the reader is gone: nothing is left to be said
        return response

    def _workspace(self, request: web.Request) -> Any:
        workspace_id = request.match_info["workspace_id"]
        workspace = self._gateway.engine.catalog.get(workspace_id)
        if workspace is None:
            raise NotFound("Workspace not found", {"workspaceId": workspace_id})
        return workspace

    async def _query(self, request: web.Request, workspace_id: str, identity: Identity, *, ignored: frozenset[str]) -> EventQuery:
        """What the caller asks for and may read, as one query: a page is full when there is enough to read."""
        query, after_id, before_id = parse_search(workspace_id, request.query.items(), ignored=ignored)
        reader = Rights(self._gateway, workspace_id, identity).reader_with_topics()
        engine = self._gateway.engine
        return replace(query, where=all_of(query.where, readable(reader)),
                       after=await position_of(engine, workspace_id, after_id) if after_id else None,
                       before=await position_of(engine, workspace_id, before_id) if before_id else None)


class _While:
    """Searches for as long as the one who asked is there: a search for rare events may take long, and write nothing meanwhile."""

    def __init__(self, request: web.Request, find: Find) -> None:
        self._request, self._find = request, find

    async def __call__(self, query: EventQuery) -> list[StoredEvent]:
        searching = asyncio.ensure_future(self._find(query))
        try:
            while not (await asyncio.wait([searching], timeout=_LOOK_SECONDS))[0]:
                transport = self._request.transport
                if transport is None or transport.is_closing():
                    raise ConnectionResetError("the reader is gone")
        finally:
            searching.cancel()
        return searching.result()


def _nearer(bound: int | None, other: int) -> int:
    return other if bound is None else min(bound, other)


def _page(rows: list[StoredEvent], headers: dict[str, str]) -> web.Response:
    """`{result: {events, cursor}}`: the stored bytes as they are."""
    cursor = b',"cursor":"%d"' % rows[-1].position if rows else b""
    return _json(b'{"result":{"events":[%b]%b}}' % (b",".join(row.body for row in rows), cursor), headers)


def _json(body: bytes, headers: dict[str, str]) -> web.Response:
    return web.Response(body=body, headers={**headers, hdrs.CONTENT_TYPE: wire.JSON})
