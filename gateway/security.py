"""The rules of a workspace over HTTP: roles, and who may do what."""
from __future__ import annotations

from typing import TYPE_CHECKING

from aiohttp import web

from gateway import wire
from gateway.management import SECURE, UPDATE, body_of, enter
from runtime.errors import InvalidRequest
from runtime.permissions.rules import EDITOR, OWNER, problems
from runtime.permissions.shares import WORKSPACES

if TYPE_CHECKING:
    from gateway.app import Gateway

_SECURITY = "/v2/workspaces/{workspace}/security"


def add_routes(gateway: Gateway, router: web.UrlDispatcher) -> None:
    security = _Security(gateway)
    router.add_get(_SECURITY, security.get)
    router.add_put(_SECURITY, security.replace)
    router.add_get(_SECURITY + "/roles", security.roles)


class _Security:
    """Who changes the rules may give anything to anybody: the owner, and whom the owner lets `manage_security`."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    async def get(self, request: web.Request) -> web.Response:
        visit = await enter(self._gateway, request, UPDATE)
        return wire.answer(visit.workspace.definition.get("security") or {"authorizations": {"roles": {}, "rules": []}})

    async def replace(self, request: web.Request) -> web.Response:
        visit = await enter(self._gateway, request, SECURE)
        security = await body_of(self._gateway, request)
        found = problems(security)
        if found:
            raise InvalidRequest("The rules cannot be used", found)
        await self._gateway.engine.catalog.update(visit.workspace.id, {"security": security}, visit.origin)
        return wire.answer(security)

    async def roles(self, request: web.Request) -> web.Response:
        """The two that are always there, and those of the workspace."""
        visit = await enter(self._gateway, request, UPDATE)
        own = visit.workspace.rules.roles
        subject = {"subjectType": WORKSPACES, "subjectId": visit.workspace.id}
        return wire.answer([{"id": name, "name": name, **subject, **({"auth": own[name]["auth"]} if "auth" in own.get(name, {}) else {})}
                            for name in dict.fromkeys((OWNER, EDITOR, *own))])
