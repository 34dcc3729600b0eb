"""Is the process alive, and may it be sent requests?"""
from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from aiohttp import web

from gateway import bodies, errors, logs, wire
from gateway.logs import LEVELS
from runtime.errors import TooBusy
from store.errors import StoreError

if TYPE_CHECKING:
    from gateway.app import Gateway

_LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warn": logging.WARNING, "warning": logging.WARNING, "error": logging.ERROR}
_LONGEST_BODY = 1000
_PATIENCE_SECONDS = 2.0


def add_routes(gateway: Gateway, router: web.UrlDispatcher) -> None:
    health = _Health(gateway)
    router.add_get("/sys/healthcheck", health.alive)
    router.add_get("/v2/readiness", health.ready)
    router.add_put("/sys/logging", health.logging)


class _Health:
    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    async def alive(self, request: web.Request) -> web.Response:
        return wire.answer({"status": "ok"})

    async def ready(self, request: web.Request) -> web.Response:
        """503 while draining, while the store does not answer, and while this node is not one of the others."""
        gateway = self._gateway
        checks = {"store": "ok", "scheduler": "ok", "broker": "ok"}
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS):
                await gateway.store.ping()
        except (StoreError, TimeoutError):
            checks["store"] = "failed"
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS):
                await gateway.engine.catch_up()
        except (TooBusy, TimeoutError):
            checks["broker"] = "failed"
        if not gateway.engine.signals.gauges["scheduler_running"]():
            checks["scheduler"] = "failed"
        if gateway.is_draining:
            checks["scheduler"] = checks["broker"] = "draining"
        is_ready = set(checks.values()) == {"ok"}
        return wire.answer({"status": "ready" if is_ready else "unavailable", "checks": checks}, 200 if is_ready else 503)

    async def logging(self, request: web.Request) -> web.Response:
        """How much is logged, without a restart."""
        await self._gateway.operators.admit(request)
        level = (await bodies.json_object(request, _LONGEST_BODY)).get("level")
        if type(level) is not str or level not in LEVELS:
            raise errors.invalid("level must be one of " + ", ".join(LEVELS), "level")
        logs.set_level(level)
        return wire.answer({"level": level})
