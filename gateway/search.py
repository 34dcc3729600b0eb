"""Searches with a query language, and what a workspace was used for: the routes that look at many events for one answer."""
from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import hdrs, web

from gateway import bodies, management, wire
from gateway.errors import invalid
from gateway.limits import public
from gateway.passing import CALLER
from gateway.rights import Rights
from runtime.access import readable
from runtime.calls import Identity
from runtime.errors import Forbidden
from runtime.filters import moment
from runtime.search import usage
from runtime.search.aggregations import Limits
from runtime.search.finding import Found, Search, find, read_search
from runtime.search.moments import date
from runtime.search.problems import SearchError
from runtime.values import encode


def add_routes(gateway: Any, router: web.UrlDispatcher) -> None:
    searches = _Searches(gateway)
    router.add_post("/v2/workspaces/{workspace}/search", searches.search)
    router.add_get("/v2/workspaces/{workspace}/usage", searches.usage, allow_head=False)


def admit(gateway: Any, request: web.Request, identity: Identity) -> dict[str, str]:
    """Headers that tell what is left of the caller's limit. Raises `TooMany`."""
    if CALLER in request:
        return {}                                        # counted by the node that passed it on
    return gateway.door.admit("search_user", identity.user_id or public(gateway.auth.address(request)))


@asynccontextmanager
async def in_time(seconds: float) -> AsyncIterator[None]:
    """What takes longer is given up, in the store as well (0 waits for ever). Raises `SearchError`."""
    try:
        async with asyncio.timeout(seconds or None):
            yield
    except TimeoutError:
        raise SearchError(f"The search was not over after {seconds:g} seconds: narrow it down", {"timeout": seconds}) from None


class _Searches:
    def __init__(self, gateway: Any) -> None:
        self._gateway = gateway
        settings = gateway.settings
        self._limits = Limits(settings.search_forbidden_aggs, settings.search_max_depth)

    async def search(self, request: web.Request) -> web.StreamResponse:
        gateway = self._gateway
        workspace = gateway.engine.catalog.require(request.match_info["workspace"])
        identity = await gateway.auth.authenticate(request)
        headers = admit(gateway, request, identity)
        document = await bodies.json_object(request, gateway.settings.request_max_size)
        asked: Search = read_search(document, self._limits, gateway.clock.now())
        if asked.collect is not None and not management.may(gateway, workspace, identity, management.SEARCH):
            raise Forbidden(f"You may not {management.SEARCH} this workspace", {"workspaceId": workspace.id})
        reader = Rights(gateway, workspace.id, identity).reader_with_topics()
        async with in_time(gateway.settings.search_timeout):
            found = await find(gateway.engine.search, workspace.id, asked, readable(reader))
        return web.Response(body=_answer(found), headers={**headers, hdrs.CONTENT_TYPE: wire.JSON})

    async def usage(self, request: web.Request) -> web.StreamResponse:
        """This month so far, unless it says otherwise."""
        gateway = self._gateway
        visit = await management.enter(gateway, request, management.USAGE)
        headers = admit(gateway, request, visit.origin.identity)
        interval = request.query.get("interval") or None
        if interval not in (None, *usage.INTERVALS):
            raise invalid('interval should be "day" or "month"', "interval")
        reader = Rights(gateway, visit.workspace.id, visit.origin.identity).reader_with_topics()
        async with in_time(gateway.settings.http_timeout_ms / 1000):
            counted = await usage.usage(
                gateway.engine.search, visit.workspace.id, _period(request, gateway.clock.now()), readable=readable(reader),
                interval=interval, has_details=request.query.get("details", "false").lower() not in ("false", "0", "no"))
        return wire.answer(counted, headers=headers)


def _answer(found: Found) -> bytes:
    """`{size, documents, aggs}`: the stored bytes as they are."""
    return b'{"size":%d,"documents":[%b],"aggs":%b}' % (found.size, b",".join(found.documents), encode(found.aggs))


def _period(request: web.Request, now: int) -> usage.Period:
    bounds = []
    for name, default in (("afterDate", date("now/M", now)), ("beforeDate", now + 1)):
        text = request.query.get(name)
        found = moment(text) if text else default
        if found is None or not 0 <= found < 253_402_300_800_000:
            raise invalid(f"{name} should be an ISO-8601 date", name)
        bounds.append(found)
    return usage.Period(*bounds)
