"""For tests of automations, ours and yours: a clock wound by hand, counted identifiers, and a sandbox that runs a workspace in memory."""
from __future__ import annotations

import asyncio
import heapq
from asyncio import Future
from collections.abc import Callable, Sequence
from inspect import iscoroutinefunction
from typing import Any
from weakref import WeakKeyDictionary

from runtime.calls import NOBODY, Call, Identity, NewEvent, Origin, Response
from runtime.engine import Engine
from runtime.language.loader import load
from runtime.outbound import Outbound
from runtime.settings import RuntimeSettings
from runtime.values import decode
from store.protocol import Cluster, Store
from store.query import All, Condition, EventQuery
from store.records import Fact, Member


class HandClock:
    """Time stands still until `advance`, which calls what falls due, in order."""

    def __init__(self, now: int = 1_767_225_600_000) -> None:
        self._now = now
        self._timers: list[tuple[int, int, _Timer]] = []
        self._count = 0

    def now(self) -> int:
        return self._now

    def monotonic(self) -> float:
        return self._now / 1000

    def call_later(self, seconds: float, callback: Callable[[], object]) -> _Timer:
        timer = _Timer(callback)
        self._count += 1
        heapq.heappush(self._timers, (self._now + round(seconds * 1000), self._count, timer))
        return timer

    async def sleep(self, seconds: float) -> None:
        woken = asyncio.get_running_loop().create_future()
        self.call_later(seconds, lambda: woken.done() or woken.set_result(None))
        await woken

    def advance(self, seconds: float) -> None:
        end = self._now + round(seconds * 1000)
        while self._timers and self._timers[0][0] <= end:
            self._now, _, timer = heapq.heappop(self._timers)
            timer.fire()
        self._now = end


class _Timer:
    def __init__(self, callback: Callable[[], object]) -> None:
        self._callback: Callable[[], object] | None = callback

    def cancel(self) -> None:
        self._callback = None

    def fire(self) -> None:
        if self._callback is not None:
            self._callback()


class CountedIds:
    """Identifiers that count 1, 2, 3, and a chance that is always one half. `first` keeps those of several nodes apart."""

    def __init__(self, first: int = 1) -> None:
        self._count = first - 1

    def _next(self) -> int:
        self._count += 1
        return self._count

    def correlation_id(self, now: int) -> str:
        return f"correlation-{self._next()}"

    def event_id(self, now: int) -> str:
        return f"{now}-{self._next()}"

    def workspace_id(self) -> str:
        return f"ws{self._next():05d}"

    def token(self, size: int = 32) -> str:
        return f"{self._next():0{size * 2}x}"

    def uuid(self) -> str:
        return f"00000000-0000-4000-8000-{self._next():012x}"

    def random(self) -> float:
        return 0.5


_IDS_OF_A_NODE = 100_000
_nodes: WeakKeyDictionary[Cluster, int] = WeakKeyDictionary()
"""How many sandboxes have been nodes of a store so far."""


def _counted(cluster: Cluster | None) -> CountedIds:
    """From 1, unless the store knows its nodes by their names: then no sandbox may have that of an earlier one."""
    if cluster is None:
        return CountedIds()
    number = _nodes[cluster] = _nodes.get(cluster, 0) + 1
    return CountedIds(number * _IDS_OF_A_NODE)


class _Watched:
    """A store, and how many of its answers are still to come, those of what it shares with other nodes included."""

    def __init__(self, store: Any, whole: _Watched | None = None) -> None:
        self._store = store
        self._whole = whole or self
        self.awaited = 0
        cluster = None if whole else store.cluster
        self.cluster = cluster if cluster is None else self if cluster is store else _Watched(cluster, self)

    def commit(self, facts: Sequence[Fact]) -> Future[int]:
        future = self._store.commit(facts)
        self._whole.awaited += 1
        future.add_done_callback(self._answered)
        return future

    def _answered(self, future: Future[int]) -> None:
        self._whole.awaited -= 1

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._store, name)
        if not iscoroutinefunction(found):
            return found

        async def counted(*arguments: Any, **named: Any) -> Any:
            self._whole.awaited += 1
            try:
                return await found(*arguments, **named)
            finally:
                self._whole.awaited -= 1
        return counted


class Sandbox:
    """An engine on a store of your choice with one workspace in it.

        async with Sandbox(text, store=await store.open("memory:")) as box:
            assert await box.call("greet", {"name": "Ada"}) == {"text": "Hello Ada"}
    """

    def __init__(self, workspace: str | dict[str, Any], *, store: Store, clock: HandClock | None = None,
                 settings: RuntimeSettings | None = None, apps: dict[str, dict[str, Any]] | None = None,
                 member: Member | None = None, ids: CountedIds | None = None) -> None:
        self._definition = load(workspace).data if isinstance(workspace, str) else workspace
        self._apps = apps or {}
        settings = settings or RuntimeSettings(fetch_allowed_hosts=("127.0.0.1",))
        self.clock = clock or HandClock()
        self.ids = ids or _counted(store.cluster)
        self.store = store
        self._watched = _Watched(store)
        self.engine = Engine(store=self._watched, clock=self.clock, ids=self.ids, settings=settings, outbound=Outbound(settings),
                             mint_token=lambda origin, workspace_id, depth: "token", member=member)
        self.id = ""
        self.correlation_id = ""

    async def __aenter__(self) -> Sandbox:
        await self.engine.start()
        catalog = self.engine.catalog
        for slug, definition in self._apps.items():
            result = await catalog.import_definition({"name": slug, **definition}, owner="admin", origin=self._origin(NOBODY))
            await catalog.publish_app(result.workspace.id, {"slug": slug, "name": slug}, self._origin(NOBODY))
        known = next((w for w in catalog.all() if w.name == self._definition.get("name", "Sandbox")), None)
        if known is None:
            result = await catalog.import_definition({"name": "Sandbox", **self._definition}, owner="admin", origin=self._origin(NOBODY))
            known = result.workspace
        self.id = known.id
        return self

    async def __aexit__(self, *failure: object) -> None:
        await self.engine.stop(0)

    async def call(self, endpoint: str, body: Any = None, *, identity: Identity = NOBODY, response: Response | None = None,
                   origin: Origin | None = None, **variables: Any) -> Any:
        """Call an endpoint as a POST; its output."""
        origin = origin or self._origin(identity)
        self.correlation_id = origin.correlation_id
        return await self.engine.call(Call(self.id, endpoint, {"body": {} if body is None else body, "headers": {}, "method": "POST", "query": {},
                                                               **variables}, origin, response or Response()))

    async def emit(self, event: str, payload: dict[str, Any] | None = None, *, identity: Identity = NOBODY) -> dict[str, Any]:
        origin = self._origin(identity)
        self.correlation_id = origin.correlation_id
        [live] = await self.engine.accept(self.id, [NewEvent(event, payload or {})], origin)
        return live.event

    async def events(self, where: Condition = All(()), *, limit: int = 1000) -> list[dict[str, Any]]:
        """Stored events, oldest first."""
        found = await self.engine.search(EventQuery(self.id, where, ascending=True, limit=limit))
        return [decode(event.body) for event in found]

    async def settle(self) -> None:
        """Let everything that was set off come to an end, or to a wait."""
        quiet = 0
        while quiet < 3:
            await asyncio.sleep(0)
            before = await self.store.head()
            await asyncio.sleep(0)
            is_idle = not self._watched.awaited and before == await self.store.head() and not await self.store.deliveries()
            quiet = quiet + 1 if is_idle else 0
            if quiet == 0:
                await asyncio.sleep(0.001)

    def _origin(self, identity: Identity) -> Origin:
        return Origin(self.ids.correlation_id(self.clock.now()), identity)
