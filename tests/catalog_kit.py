"""A catalog on a store in memory, and a gateway around one, for the tests of workspaces, automations and apps."""
from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import DummyCookieJar, web
from aiohttp.test_utils import TestClient, TestServer

from gateway import apps, automations, logins, middleware, pages, versions, webhooks, workspaces
from gateway.app import Gateway, build
from gateway.config import Settings
from gateway.keys import Keys
from runtime.calls import Identity, Origin
from runtime.catalog import Catalog
from runtime.events import Bus
from runtime.language.loader import load
from runtime.language.source import Source
from runtime.settings import RuntimeSettings
from runtime.testing import CountedIds, HandClock
from runtime.values import decode
from store.memory import MemoryStore
from store.protocol import Store
from store.query import EventQuery

ADA = Identity("ada", "session-of-ada")
ORIGIN = Origin("correlation-of-ada", ADA)
TOKEN = "token-of-the-tests"


class Shop:
    """A catalog, its store, and what was told."""

    def __init__(self, store: Store | None = None, *, settings: RuntimeSettings | None = None) -> None:
        self.store = store or MemoryStore()
        self.clock = HandClock()
        ids, settings = CountedIds(), settings or RuntimeSettings()
        self.bus = Bus(self.store, self.clock, ids, settings)
        self.catalog = Catalog(self.store, self.clock, ids, settings, self.bus)
        self._seen: dict[str, int] = {}

    async def add(self, document: str | dict[str, Any] | Source, **more: Any) -> str:
        """Import a definition; the id of its workspace. Its events are not news."""
        source = load(document) if isinstance(document, str) else document
        result = await self.catalog.import_definition(source, owner="ada", origin=ORIGIN, **more)
        await self.news(result.workspace.id)
        return result.workspace.id

    async def news(self, id: str) -> list[dict[str, Any]]:
        """The events of a workspace since the last time they were asked for, oldest first."""
        rows = await self.store.events(EventQuery(id, after=self._seen.get(id, 0), ascending=True, limit=10_000))
        if rows:
            self._seen[id] = rows[-1].position
        return [decode(row.body) for row in rows]

    async def types(self, id: str) -> list[str]:
        return [event["type"] for event in await self.news(id)]


class Visitor:
    """Calls the API as somebody; an answer is its status and its body."""

    def __init__(self, client: TestClient[Any, Any], token: str | None) -> None:
        self._client = client
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}

    async def __call__(self, method: str, path: str, body: Any = None, *, data: Any = None, kind: str | None = None,
                       query: dict[str, Any] | None = None) -> tuple[int, Any]:
        headers = {**self._headers, **({"Content-Type": kind} if kind else {})}
        async with self._client.request(method, "/v2" + path, json=body, data=data, headers=headers, params=query) as response:
            raw = await response.read()
            return response.status, decode(raw) if "json" in response.content_type else raw


class Site:
    """A gateway with the routes under test."""

    def __init__(self, client: TestClient[Any, Any], gateway: Gateway) -> None:
        self._client = client
        self.gateway = gateway
        self.owner = Visitor(client, TOKEN)
        self.nobody = Visitor(client, None)

    def visitor(self, token: str) -> Visitor:
        return Visitor(self._client, token)

    async def login(self) -> Visitor:
        _, body = await self.nobody("POST", "/login/anonymous", {})
        return self.visitor(body["token"])

    async def add(self, text: str) -> str:
        """Import a document as the owner; the id of the workspace."""
        status, body = await self.owner("POST", "/workspaces/import", data=text.encode(), kind="application/yaml")
        assert status == 200, body
        return body["workspace"]["id"]

    async def types(self, id: str) -> list[str]:
        rows = await self.gateway.store.events(EventQuery(id, ascending=True, limit=10_000))
        return [decode(row.body)["type"] for row in rows]


@asynccontextmanager
async def site(**environment: str) -> AsyncIterator[Site]:
    settings = Settings.from_environment({"STORAGE_URL": "memory:", "DISABLE_RATE_LIMIT": "true", **environment})
    server = await build(settings, Keys(TOKEN, b"s" * 32, b"c" * 32, False), clock=HandClock(), ids=CountedIds())
    gateway = server.gateway
    app = web.Application(middlewares=[middleware.edge(gateway.clock, gateway.ids)])
    for table in (webhooks, logins, workspaces, versions, automations, pages, apps):
        table.add_routes(gateway, app.router)
    await gateway.engine.start()
    async with TestClient(TestServer(app), cookie_jar=DummyCookieJar()) as client:
        yield Site(client, gateway)
    await gateway.engine.stop(0)
    await gateway.store.close()
