"""The automations of a workspace over HTTP, and when their schedules fall."""
from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from aiohttp import web

from gateway import wire
from gateway.errors import invalid
from gateway.management import READ, UPDATE, body_of, enter, natural
from runtime.catalog.definitions import automation_summary
from runtime.catalog.edits import member
from runtime.clock import iso
from runtime.triggers.schedule import parse_cron, parse_minimum, preview

if TYPE_CHECKING:
    from gateway.app import Gateway

_AUTOMATIONS = "/v2/workspaces/{workspace}/automations"
_AUTOMATION = _AUTOMATIONS + "/{slug:.+}"
_FIRINGS, _MOST_FIRINGS = 10, 50


def add_routes(gateway: Gateway, router: web.UrlDispatcher) -> None:
    automations = _Automations(gateway)
    router.add_get(_AUTOMATIONS, automations.list)
    router.add_post(_AUTOMATIONS, automations.create)
    router.add_get(_AUTOMATION + "/schedules", automations.schedules)
    router.add_get(_AUTOMATION, automations.get)
    router.add_patch(_AUTOMATION, automations.update)
    router.add_delete(_AUTOMATION, automations.delete)


class _Automations:
    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._catalog = gateway.engine.catalog
        self._minimum = parse_minimum(gateway.settings.runtime.schedules_maximum_occurrence_pattern)

    async def list(self, request: web.Request) -> web.Response:
        visit = await enter(self._gateway, request, READ)
        automations = visit.workspace.definition.get("automations") or {}
        return wire.answer([automation_summary(slug, automation) for slug, automation in automations.items()])

    async def create(self, request: web.Request) -> web.Response:
        visit = await enter(self._gateway, request, UPDATE)
        body = await body_of(self._gateway, request)
        return wire.answer(await self._catalog.create_automation(visit.workspace.id, body, visit.origin))

    async def get(self, request: web.Request) -> web.Response:
        visit = await enter(self._gateway, request, READ)
        slug = request.match_info["slug"]
        return wire.answer({"slug": slug, **member(visit.workspace.definition, "automations", slug)})

    async def update(self, request: web.Request) -> web.Response:
        visit = await enter(self._gateway, request, UPDATE)
        body = await body_of(self._gateway, request)
        return wire.answer(await self._catalog.update_automation(visit.workspace.id, request.match_info["slug"], body, visit.origin))

    async def delete(self, request: web.Request) -> web.Response:
        visit = await enter(self._gateway, request, UPDATE)
        slug = request.match_info["slug"]
        await self._catalog.delete_automation(visit.workspace.id, slug, visit.origin)
        return wire.answer({"slug": slug})

    async def schedules(self, request: web.Request) -> web.Response:
        """When the automation would run after an instant."""
        visit = await enter(self._gateway, request, READ)
        automation = member(visit.workspace.definition, "automations", request.match_info["slug"])
        crons = [parse_cron(text) for text in (automation.get("when") or {}).get("schedules") or ()]
        count = natural(request, "count", _FIRINGS, most=_MOST_FIRINGS)
        start = _instant(request.query.get("from")) if "from" in request.query else self._gateway.clock.now()
        return wire.answer({"schedules": [{"schedule": text, "next": [iso(at) for at in firings]}
                                          for text, firings in preview(crons, start, count, self._minimum)]})


def _instant(text: str | None) -> int:
    """An ISO date as milliseconds; without a zone it is UTC."""
    try:
        moment = datetime.fromisoformat(text or "")
        aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return int(aware.timestamp() * 1000)
    except (ValueError, OverflowError):
        raise invalid("from should be an ISO date, like 2026-03-01T03:14:00.000Z", "from") from None
