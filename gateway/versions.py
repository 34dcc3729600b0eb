"""The versions of a workspace over HTTP: keep one, go back to one, begin another workspace from one, take one away."""
from __future__ import annotations

from typing import TYPE_CHECKING

from aiohttp import web

from gateway import wire
from gateway.imports import admit_creation, exported, import_answer, shown
from gateway.management import READ, UPDATE, body_of, enter, keep_security
from runtime.catalog.versions import CURRENT

if TYPE_CHECKING:
    from gateway.app import Gateway

_VERSIONS = "/v2/workspaces/{workspace}/versions"
_VERSION = _VERSIONS + "/{version}"


def add_routes(gateway: Gateway, router: web.UrlDispatcher) -> None:
    versions = _Versions(gateway)
    router.add_get(_VERSIONS, versions.list)
    router.add_post(_VERSIONS, versions.publish)
    router.add_delete(_VERSION, versions.delete)
    router.add_post(_VERSION + "/pull", versions.pull)
    router.add_post(_VERSION + "/rollback", versions.pull)
    router.add_post(_VERSION + "/duplicate", versions.duplicate)
    router.add_post(_VERSION + "/export", versions.export)


class _Versions:
    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._versions = gateway.engine.catalog.versions

    async def list(self, request: web.Request) -> web.Response:
        """The newest first."""
        visit = await enter(self._gateway, request, READ)
        return wire.answer([version.summary() for version in await self._versions.list(visit.workspace.id)])

    async def publish(self, request: web.Request) -> web.Response:
        visit = await enter(self._gateway, request, UPDATE)
        version = await self._versions.publish(visit.workspace.id, await body_of(self._gateway, request), visit.origin)
        return wire.answer(version.summary())

    async def pull(self, request: web.Request) -> web.Response:
        visit = await enter(self._gateway, request, UPDATE)
        await self._gateway.door.enter(request, "import", visit.origin.identity.user_id)
        version = request.match_info["version"]
        kept = await self._versions.revision(visit.workspace.id, version)
        keep_security(self._gateway, visit, {"security": kept.definition.get("security")})
        return await import_answer(self._gateway, self._versions.pull(visit.workspace.id, version, visit.origin))

    async def duplicate(self, request: web.Request) -> web.Response:
        """Who may read a workspace may begin one like it."""
        await self._gateway.auth.authenticate(request, required=True)        # a key alone would own nothing
        visit = await enter(self._gateway, request, READ)
        await admit_creation(self._gateway, request, visit.origin.identity, "import")
        made = await self._versions.duplicate(visit.workspace.id, request.match_info["version"], visit.origin.identity.user_id or "",
                                              visit.origin)
        return shown(self._gateway, made.id)

    async def delete(self, request: web.Request) -> web.Response:
        visit = await enter(self._gateway, request, UPDATE)
        version = await self._versions.delete(visit.workspace.id, request.match_info["version"], visit.origin)
        return wire.answer({"id": version.name})

    async def export(self, request: web.Request) -> web.Response:
        visit = await enter(self._gateway, request, READ)
        return await exported(await self._versions.revision(visit.workspace.id, request.match_info.get("version", CURRENT)), "zip")
