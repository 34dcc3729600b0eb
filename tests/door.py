"""A whole gateway on a store in memory and a clock wound by hand, and one workspace behind it."""
from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import ClientResponse, DummyCookieJar
from aiohttp.test_utils import TestClient, TestServer

from gateway.app import Server, build
from gateway.config import Settings
from gateway.keys import Keys
from runtime.calls import ADMIN, Origin
from runtime.language.loader import load
from runtime.testing import CountedIds, HandClock
from runtime.values import decode
from store.protocol import Store

TOKEN = "token-of-the-tests"
KEYS = Keys(TOKEN, b"s" * 32, b"c" * 32, False, (b"k" * 32,), internal="internal-key-of-the-tests")
OWNER = {"authorization": f"Bearer {TOKEN}"}


class House:
    """`call` goes to the webhooks of the workspace, `request` to any path."""

    def __init__(self, server: Server, client: TestClient[Any, Any], clock: HandClock) -> None:
        self.server = server
        self.gateway = server.gateway
        self.clock = clock
        self._client = client
        self.id = ""

    @property
    def address(self) -> tuple[str, int]:
        """For those who speak HTTP by hand."""
        return str(self._client.host), int(self._client.port or 0)

    async def load(self, text: str) -> None:
        origin = Origin("correlation-of-the-tests", ADMIN)
        result = await self.gateway.engine.catalog.import_definition(load(text), owner="admin", origin=origin)
        self.id = result.workspace.id

    async def request(self, method: str, path: str, **more: Any) -> tuple[int, Any, ClientResponse]:
        async with self._client.request(method, path, **more) as response:
            raw = await response.read()
            return response.status, decode(raw) if "json" in response.content_type and raw else raw, response

    async def call(self, endpoint: str = "main", method: str = "POST", **more: Any) -> tuple[int, Any, ClientResponse]:
        return await self.request(method, f"/v2/workspaces/{self.id}/webhooks/{endpoint}", **more)

    def open(self, endpoint: str, **more: Any) -> Any:
        """A call whose answer is read by the caller."""
        return self._client.post(f"/v2/workspaces/{self.id}/webhooks/{endpoint}", **more)

    def socket(self) -> Any:
        """The live feed, as the owner."""
        return self._client.ws_connect(f"/v2/workspaces/{self.id}/events", headers=OWNER)

    async def login(self, **body: Any) -> dict[str, Any]:
        status, answer, _ = await self.request("POST", "/v2/login/anonymous", json=body)
        assert status == 200, answer
        return answer

    async def as_somebody(self) -> dict[str, str]:
        """Headers of a fresh anonymous user."""
        return {"authorization": f"Bearer {(await self.login())['token']}"}


@asynccontextmanager
async def house(text: str = "{name: House, automations: {}}", *, on: Store | None = None, **environment: str) -> AsyncIterator[House]:
    """Serve a workspace, in memory unless a store is given; `environment` are settings by their names."""
    settings = Settings.from_environment({"STORAGE_URL": "memory:", "DISABLE_RATE_LIMIT": "true", "FETCH_ALLOWED_HOSTS": "127.0.0.1",
                                          **environment})
    clock = HandClock()
    server = await build(settings, KEYS, clock=clock, ids=CountedIds(), store=on)
    await server.open()
    client = TestClient(TestServer(server.app), cookie_jar=DummyCookieJar())
    await client.start_server()
    opened = House(server, client, clock)
    await opened.load(text)
    try:
        yield opened
    finally:
        await client.close()
        await server.stop()
