"""The composition root: builds the parts, hands them to each other, and takes them down in the right order."""
from __future__ import annotations

import asyncio
import logging
import os
import socket
from dataclasses import dataclass, field

from aiohttp import web

import store as stores
from gateway import (
    access_tokens,
    api_keys,
    apps,
    automations,
    bodies,
    events,
    health,
    logins,
    metrics,
    middleware,
    openapi,
    pages,
    search,
    secrets,
    security,
    sharing,
    tracing,
    versions,
    webhooks,
    workspaces,
)
from gateway.auth import Auth
from gateway.config import Settings
from gateway.cors import Cors
from gateway.feed.open_feeds import OpenFeeds
from gateway.keys import Keys
from gateway.limits import Door
from gateway.metrics import Requests
from gateway.operators import Operators
from gateway.passing import Passing
from gateway.tallies import Tallies
from runtime.clock import Clock, SystemClock
from runtime.engine import Engine
from runtime.ids import Ids, RandomIds
from runtime.outbound import Outbound
from runtime.retention import Retention
from runtime.secrets import Vault
from runtime.sessions import Sessions
from store.errors import StoreError
from store.protocol import Store
from store.records import Member

_log = logging.getLogger("motorik.gateway")
_CLOSE_SECONDS = 5.0
_LAST_LOOKS, _LOOK_SECONDS = 25, 0.01
"""For requests that are on their way when everything else has ended."""
_HOUSEKEEPING_SECONDS = 60.0


@dataclass(slots=True)
class Gateway:
    """What every route may use."""

    settings: Settings
    engine: Engine
    auth: Auth
    sessions: Sessions
    door: Door
    store: Store
    clock: Clock
    ids: Ids
    passing: Passing
    operators: Operators
    requests: Requests = field(default_factory=Requests)
    is_draining: bool = False


class Server:
    """One node: `open` it, let it `listen`, and `stop` it gracefully."""

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway
        self.app, self._feeds = _application(gateway)
        # Bodies are bounded where they are read; signals are the command line's business.
        self._runner = web.AppRunner(self.app, handle_signals=False, access_log=None, shutdown_timeout=_CLOSE_SECONDS)
        self._site: web.TCPSite | None = None
        self._housekeeping: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Load what is stored and go on with what was not finished."""
        await self.gateway.engine.start()

    async def listen(self, own_door: socket.socket | None = None) -> None:
        """Answer requests. With an own door, for what other nodes pass on, the port is shared with other workers. Raises
        `OSError` when the port is taken."""
        settings = self.gateway.settings
        await self._runner.setup()
        self._site = web.TCPSite(self._runner, settings.host, settings.port, reuse_address=True, reuse_port=own_door is not None)
        await self._site.start()
        if own_door is not None:
            await web.SockSite(self._runner, own_door).start()
        self._housekeeping = asyncio.create_task(self._expire())

    @property
    def port(self) -> int:
        """The port that is listened on, whichever was asked for."""
        return int(self._runner.addresses[0][1])

    async def stop(self) -> None:
        """Take no more, let runs and feeds end within the grace period, then close everything."""
        gateway = self.gateway
        gateway.is_draining = True
        _log.info("stopping: no new connections")
        if self._site is not None:
            await self._site.stop()
        if self._housekeeping is not None:
            self._housekeeping.cancel()
        await gateway.engine.stop(gateway.settings.shutdown_grace_seconds, last=self._end_feeds)
        await self._see_off()
        await self._runner.cleanup()
        await gateway.door.close()
        await gateway.passing.close()
        await gateway.store.close()
        _log.info("stopped")

    async def _see_off(self) -> None:
        """Callers whose next request is on its way on a kept connection still get an answer, and with it are told to go."""
        for _ in range(_LAST_LOOKS):
            if self._runner.server is None or not self._runner.server.connections:
                break
            await asyncio.sleep(_LOOK_SECONDS)

    async def _end_feeds(self) -> None:
        _log.info("stopping: runs have ended")
        try:
            async with asyncio.timeout(_CLOSE_SECONDS):
                await self._feeds.drain()
        except TimeoutError:
            _log.warning("stopping: some feeds did not close in time")

    async def _expire(self) -> None:
        """Reads never show what has expired; this gives its room back."""
        gateway = self.gateway
        retention = Retention(gateway.store, gateway.clock, gateway.settings.runtime)
        while True:
            await gateway.clock.sleep(_HOUSEKEEPING_SECONDS)
            try:
                await gateway.store.expire(gateway.clock.now())
                await retention.tidy()
            except StoreError as error:
                _log.warning("what has expired stays for now: %s", error)


async def build(settings: Settings, keys: Keys, *, clock: Clock | None = None, ids: Ids | None = None, store: Store | None = None,
                url: str = "") -> Server:
    """Open the store, unless one is given, and put a node together; it listens only after `listen`. `url` is where other nodes
    reach it, if not where the settings say."""
    clock, ids = clock or SystemClock(), ids or RandomIds()
    opened = store or await stores.open(settings.storage_url, durability=settings.storage_durability, expire_by_index=True)
    sessions = Sessions(opened, clock, ids, max_age_seconds=settings.access_tokens_max_age)
    auth = Auth(settings, keys, sessions, clock)
    host = socket.gethostname()
    member = Member(ids.uuid(), url or settings.node_address(host), host, os.getpid()) if opened.cluster is not None else None
    engine = Engine(store=opened, clock=clock, ids=ids, settings=settings.runtime, outbound=Outbound(settings.runtime),
                    mint_token=auth.mint_internal, member=member)
    engine.catalog.secrets.unlock(Vault(keys.secrets, ids))
    engine.signals.spans = tracing.spans() if settings.tracing else None
    engine.on_session_end(sessions.ended)
    passing = Passing(keys.passing, clock, patience=settings.http_timeout_ms / 1000 or None,
                      owner=opened.cluster.owner if opened.cluster is not None else None)
    tallies = Tallies(opened, clock, ids.uuid()) if member is not None else None
    if tallies is not None:
        engine.on_item(tallies.hear)
    return Server(Gateway(settings, engine, auth, sessions, Door(settings, clock, tallies), opened, clock, ids, passing,
                          Operators(auth, keys.internal)))


def _application(gateway: Gateway) -> tuple[web.Application, OpenFeeds]:
    settings = gateway.settings
    catch_up = gateway.engine.catch_up if gateway.store.cluster is not None else None
    edge = middleware.edge(gateway.clock, gateway.ids, gateway.passing, catch_up, requests=gateway.requests,
                           spans=gateway.engine.signals.spans, logs_requests=settings.log_requests)
    app = web.Application(middlewares=[edge], client_max_size=settings.request_max_size)
    app[bodies.PATIENCE] = settings.http_timeout_ms / 1000 or None
    app.on_response_prepare.append(middleware.finish(Cors(settings), settings, lambda: gateway.is_draining))
    webhooks.add_routes(gateway, app.router)          # first: the router asks them in this order
    health.add_routes(gateway, app.router)
    logins.add_routes(gateway, app.router)
    access_tokens.add_routes(gateway, app.router)
    feeds = events.add_routes(gateway, app.router)
    metrics.add_routes(gateway, feeds, app.router)
    openapi.add_routes(app.router)
    for part in (search, sharing, security, api_keys, workspaces, versions, automations, pages, apps, secrets):
        part.add_routes(gateway, app.router)
    return app, feeds
