"""A small engine and a real server around it, for tests of the feed: everything is in memory, time is the machine's."""
from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any

import aiohttp
from aiohttp import hdrs, web
from aiohttp.test_utils import TestClient, TestServer

from gateway.auth import COOKIE, CORRELATION, Credentials
from gateway.config import Settings
from gateway.events import add_routes
from gateway.limits import Door
from gateway.middleware import edge
from runtime.calls import NOBODY, Identity, NewEvent, Origin
from runtime.clock import SystemClock, iso
from runtime.envelope import LiveEvent, custom, native
from runtime.errors import Unauthenticated
from runtime.feed import Feed
from runtime.ids import RandomIds
from runtime.permissions.rules import Rules
from runtime.permissions.shares import Shares
from runtime.settings import RuntimeSettings
from store.memory import MemoryStore
from store.query import EventQuery, predicate
from store.records import Item, StoredEvent

WS = "w1"
PATH = f"/v2/workspaces/{WS}/events"
ALICE, BOB, OWNER = Identity("u-alice", "s-alice"), Identity("u-bob", "s-bob"), Identity("u-owner", "s-owner")


@dataclass
class Workspace:
    id: str
    slug: str
    owner: str
    rules: Rules = field(default_factory=lambda: Rules(None))
    shares: Shares = field(default_factory=Shares)


class Engine:
    """What the gateway asks of an engine. `during_search` is called while a search is under way."""

    def __init__(self, clock: SystemClock, ids: RandomIds, settings: RuntimeSettings) -> None:
        self.clock, self.ids = clock, ids
        self.catalog = {WS: Workspace(WS, "one", OWNER.user_id)}
        self.topics: dict[str, set[str]] = {}
        self.stored: list[tuple[int, dict[str, Any], bytes]] = []
        self.during_search: Callable[[], None] = lambda: None
        self.accepting = asyncio.Event()
        self.accepting.set()
        self.origins: list[Origin] = []
        self._feed = Feed(clock, keep=settings.ws_volatile_events, keep_seconds=settings.ws_volatile_seconds)
        self._deleted: list[Callable[[str], None]] = []

    def feed(self, workspace_id: str) -> Feed:
        return self._feed

    def topics_of(self, workspace_id: str, user_id: str) -> frozenset[str]:
        return frozenset(topic for topic, members in self.topics.items() if user_id in members)

    def on_workspace_deleted(self, callback: Callable[[str], None]) -> None:
        self._deleted.append(callback)

    def on_item(self, listener: Callable[[Item], None]) -> None:
        self.hear_record = listener

    def delete_workspace(self) -> None:
        del self.catalog[WS]
        for callback in self._deleted:
            callback(WS)

    async def accept(self, workspace_id: str, events: list[NewEvent], origin: Origin) -> list[LiveEvent]:
        self.origins.append(origin)
        identity = origin.identity
        source = {"workspaceId": workspace_id, "correlationId": origin.correlation_id}
        for name, value in (("userId", identity.user_id), ("sessionId", identity.session_id), ("socketId", origin.socket_id)):
            if value is not None:
                source[name] = value
        drafts = [custom(e.type, dict(source), e.payload, e.target, e.options, limit=10_000_000, chained=False) for e in events]
        await self.accepting.wait()
        return [self._publish(draft) for draft in drafts]

    def happen(self, type: str, payload: dict[str, Any] | None = None, *, source: dict[str, Any] | None = None,
               target: dict[str, Any] | None = None, persist: bool = True, told: bool = True) -> LiveEvent:
        """An event of an automation in Alice's session. With `told` false it is durable, but the feed comes later."""
        made = source if source is not None else {"sessionId": "s-alice"}
        options = None if persist else {"persist": False}
        return self._publish(custom(type, dict(made), payload or {}, target, options, limit=10_000_000, chained=False), told=told)

    def happen_natively(self, type: str) -> LiveEvent:
        return self._publish(native(type, {}, {}, limit=100_000))

    def tell(self, live: LiveEvent) -> None:
        self._feed.publish(live)

    def _publish(self, draft: Any, *, told: bool = True) -> LiveEvent:
        id, now = self.ids.event_id(self.clock.now()), iso(self.clock.now())
        live = LiveEvent(id, draft, draft.accepted(id, now))
        if live.persistent:
            live.position = self.stored[-1][0] + 1 if self.stored else 1
            self.stored.append((live.position, live.event, live.body))
        if told:
            self._feed.publish(live)
        return live

    def forget_before(self, position: int) -> None:
        self.stored = [row for row in self.stored if row[0] >= position]

    async def search(self, query: EventQuery) -> list[StoredEvent]:
        holds = predicate(query.where)
        rows = [(position, event, body) for position, event, body in self.stored
                if (query.after is None or position > query.after) and (query.before is None or position < query.before)
                and (query.after_time is None or event["createdAt"] > iso(query.after_time))
                and (query.before_time is None or event["createdAt"] < iso(query.before_time)) and holds(event, body)]
        rows = rows if query.ascending else rows[::-1]
        found = [StoredEvent(position, body) for position, _, body in rows[query.offset:query.offset + query.limit]]
        await asyncio.sleep(0)
        self.during_search()
        return found


class Auth:
    """Tokens are names: `Bearer alice`."""

    people = {"alice": ALICE, "bob": BOB, "owner": OWNER}

    async def authenticate(self, request: web.Request, *, required: bool = False) -> Identity:
        token = request.headers.get(hdrs.AUTHORIZATION, "").removeprefix("Bearer ") or request.cookies.get(COOKIE, "")
        identity = self.people.get(token, NOBODY)
        if required and identity is NOBODY:
            raise Unauthenticated("Credentials are required")
        return identity

    async def identify(self, token: str) -> Credentials:
        return Credentials(self.people.get(token, NOBODY))

    async def origin(self, request: web.Request) -> Origin:
        return Origin(request[CORRELATION], await self.authenticate(request), request.remote)

    def role_in(self, workspace: Workspace, identity: Identity) -> str | None:
        return "owner" if identity.user_id == workspace.owner else None

    def member(self, workspace: Workspace, identity: Identity) -> Identity:
        return replace(identity, role=self.role_in(workspace, identity))

    def address(self, request: web.Request) -> str | None:
        return request.remote


class Sessions:
    def __init__(self) -> None:
        self._listeners: list[Callable[[str], None]] = []

    def on_end(self, listener: Callable[[str], None]) -> None:
        self._listeners.append(listener)

    def end(self, session_id: str) -> None:
        for listener in self._listeners:
            listener(session_id)


class Peer:
    """The client's end of a websocket."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket

    async def say(self, op: str, **members: Any) -> None:
        await self.socket.send_str(json.dumps({"op": op, **members}))

    async def hear(self, op: str | None = None) -> dict[str, Any]:
        """The next frame, which must be of that kind."""
        message = await self.socket.receive(timeout=3)
        assert message.type is aiohttp.WSMsgType.TEXT, f"{message.type.name} {message.data} instead of {op}"
        frame = json.loads(message.data)
        assert op is None or frame["op"] == op, frame
        return frame

    async def hear_types(self, count: int) -> list[str]:
        return [(await self.hear("event"))["event"]["type"] for _ in range(count)]

    async def quiet(self) -> None:
        """Nothing was sent up to now."""
        await self.say("ping", t="quiet")
        assert (await self.hear("pong"))["t"] == "quiet"

    async def closed(self) -> int:
        """What is left is read; the code it was closed with."""
        while (message := await self.socket.receive(timeout=3)).type is aiohttp.WSMsgType.TEXT:
            pass
        return self.socket.close_code or int(message.data or 0)

    async def vanish(self) -> None:
        """Without a word."""
        self.socket._response.connection.transport.abort()
        await self.socket.close()


class House:
    def __init__(self, gateway: Any, feeds: Any, client: TestClient) -> None:
        self.gateway, self.feeds, self.client = gateway, feeds, client
        self.engine: Engine = gateway.engine

    async def connect(self, who: str | None = "alice", **options: Any) -> Peer:
        headers = {**({"Authorization": f"Bearer {who}"} if who else {}), **options.pop("headers", {})}
        return Peer(await self.client.ws_connect(options.pop("path", PATH), headers=headers, **options))

    async def join(self, who: str = "alice", *, filters: Any = None, **subscription: Any) -> Peer:
        """Connected, welcomed and subscribed as `f`."""
        peer = await self.connect(who)
        await peer.say("subscribe", id="f", filters=filters, **subscription)
        await peer.hear("welcome")
        await peer.hear("subscribed")
        return peer

    async def gone(self) -> None:
        """Until the server has noticed that every connection ended."""
        while len(self.feeds):
            await asyncio.sleep(0)


@asynccontextmanager
async def house(*, beside: House | None = None, **settings: Any) -> AsyncIterator[House]:
    """A node, with the same store `beside` another one or after it."""
    clock, ids = SystemClock(), RandomIds()
    runtime = RuntimeSettings(**{name: settings.pop(name) for name in list(settings) if name.startswith("ws_volatile")})
    gateway = SimpleNamespace(engine=Engine(clock, ids, runtime), auth=Auth(), settings=Settings(runtime=runtime, **settings),
                              sessions=Sessions(), store=beside.gateway.store if beside else MemoryStore(), clock=clock, ids=ids, is_draining=False)
    if beside is not None:
        gateway.engine.stored = beside.engine.stored
        gateway.engine.feed(WS).head = beside.engine.feed(WS).head
    gateway.door = Door(gateway.settings, clock)
    app = web.Application(middlewares=[edge(clock, ids)])
    feeds = add_routes(gateway, app.router)
    async with TestClient(TestServer(app)) as client:
        yield House(gateway, feeds, client)
        await feeds.drain()
