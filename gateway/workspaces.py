"""Workspaces over HTTP: make, read, change, delete; import and export as one document or as an archive."""
from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from aiohttp import web

from gateway import wire
from gateway.accounts import user_of
from gateway.errors import invalid
from gateway.imports import admit_creation, document, exported, import_answer, shown
from gateway.management import DELETE, READ, UPDATE, body_of, enter, keep_security, listed, may, page
from runtime.calls import Identity
from runtime.catalog.archive import Archive
from runtime.catalog.slugs import label
from runtime.errors import Forbidden

if TYPE_CHECKING:
    from gateway.app import Gateway
    from runtime.workspace import Workspace

_WORKSPACE = "/v2/workspaces/{workspace}"
_SORTED_BY = ("updatedAt", "createdAt", "name", "slug")


def add_routes(gateway: Gateway, router: web.UrlDispatcher) -> None:
    workspaces = _Workspaces(gateway)
    router.add_get("/v2/workspaces", workspaces.list)
    router.add_post("/v2/workspaces", workspaces.create)
    router.add_post("/v2/workspaces/import", workspaces.import_new)
    router.add_get(_WORKSPACE, workspaces.get)
    router.add_patch(_WORKSPACE, workspaces.update)
    router.add_delete(_WORKSPACE, workspaces.delete)
    router.add_get(_WORKSPACE + "/config", workspaces.get_config)
    router.add_patch(_WORKSPACE + "/config", workspaces.merge_config)
    router.add_put(_WORKSPACE + "/config", workspaces.replace_config)
    router.add_post(_WORKSPACE + "/import", workspaces.import_over)
    router.add_get(_WORKSPACE + "/export", workspaces.export)
    router.add_post(_WORKSPACE + "/suspend", workspaces.suspend)
    router.add_post(_WORKSPACE + "/resume", workspaces.resume)


class _Workspaces:
    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._catalog = gateway.engine.catalog

    async def list(self, request: web.Request) -> web.Response:
        """Those the caller may read, the latest changes first."""
        identity = await self._gateway.auth.authenticate(request, required=True)
        is_theirs = await self._membership(request.query.get("email"))
        found = [self._catalog.revision(workspace.id).metadata() for workspace in self._catalog.all()
                 if may(self._gateway, workspace, identity, READ) and is_theirs(workspace)]
        wanted = [metadata for metadata in found if _meets(metadata, request)]
        return wire.answer(page(request, _sorted(wanted, request.query.get("sort") or "-updatedAt")))

    async def _membership(self, email: str | None) -> Callable[[Workspace], bool]:
        """Whether the account with this address has a role in a workspace; true of all without an address."""
        if email is None:
            return lambda workspace: True
        user_id = await user_of(self._gateway.store, email, self._gateway.clock.now())
        somebody = Identity(user_id, email=email)
        return lambda workspace: user_id is not None and self._gateway.auth.role_in(workspace, somebody) is not None

    async def create(self, request: web.Request) -> web.Response:
        origin = await self._gateway.auth.origin(request, required=True)
        await admit_creation(self._gateway, request, origin.identity, "create_workspace")
        workspace = await self._catalog.create(await body_of(self._gateway, request), _user(origin.identity), origin)
        return shown(self._gateway, workspace.id)

    async def get(self, request: web.Request) -> web.Response:
        visit = await enter(self._gateway, request, READ)
        revision = await self._catalog.versions.revision(visit.workspace.id, request.query.get("version"))
        return wire.answer(revision.index(self._catalog.app))

    async def update(self, request: web.Request) -> web.Response:
        visit = await enter(self._gateway, request, UPDATE)
        body = await body_of(self._gateway, request)
        keep_security(self._gateway, visit, body)
        await self._catalog.update(visit.workspace.id, body, visit.origin)
        return shown(self._gateway, visit.workspace.id)

    async def delete(self, request: web.Request) -> web.Response:
        visit = await enter(self._gateway, request, DELETE)
        await self._catalog.delete(visit.workspace.id, visit.origin)
        return wire.answer({"id": visit.workspace.id})

    async def get_config(self, request: web.Request) -> web.Response:
        visit = await enter(self._gateway, request, READ)
        return wire.answer(visit.workspace.definition.get("config") or {"value": {}})

    async def merge_config(self, request: web.Request) -> web.Response:
        return await self._configure(request, replace=False)

    async def replace_config(self, request: web.Request) -> web.Response:
        return await self._configure(request, replace=True)

    async def import_new(self, request: web.Request) -> web.Response:
        origin = await self._gateway.auth.origin(request, required=True)
        await admit_creation(self._gateway, request, origin.identity, "import")
        source = await document(self._gateway, request)
        return await import_answer(self._gateway, self._catalog.import_definition(source, owner=_user(origin.identity), origin=origin))

    async def import_over(self, request: web.Request) -> web.Response:
        visit = await enter(self._gateway, request, UPDATE)
        await self._gateway.door.enter(request, "import", visit.origin.identity.user_id)
        source = await document(self._gateway, request)
        keep_security(self._gateway, visit, source.data)
        merge = isinstance(source, Archive) and not source.is_whole
        return await import_answer(self._gateway, self._catalog.import_definition(
            source, id=visit.workspace.id, owner=visit.workspace.owner, origin=visit.origin, merge=merge))

    async def export(self, request: web.Request) -> web.Response:
        visit = await enter(self._gateway, request, READ)
        format = request.query.get("format") or "yaml"
        if format not in ("yaml", "zip"):
            raise invalid('format should be "yaml" or "zip"', "format")
        return await exported(await self._catalog.versions.revision(visit.workspace.id, request.query.get("version")), format)

    async def suspend(self, request: web.Request) -> web.Response:
        """Let nothing start in a workspace, until `resume`. For those who run the server."""
        return await self._suspend(request, is_suspended=True)

    async def resume(self, request: web.Request) -> web.Response:
        return await self._suspend(request, is_suspended=False)

    async def _suspend(self, request: web.Request, *, is_suspended: bool) -> web.Response:
        visit = await enter(self._gateway, request, READ)
        if not self._gateway.auth.is_super_admin(visit.origin.identity):
            raise Forbidden("Only administrators of this server may suspend and resume workspaces")
        reason = (await body_of(self._gateway, request)).get("reason", "")
        if type(reason) is not str:
            raise invalid("reason should be a text", "reason")
        change = self._catalog.suspend if is_suspended else self._catalog.resume
        await change(visit.workspace.id, reason, visit.origin)
        return wire.answer({"workspaceId": visit.workspace.id, "suspended": is_suspended, "reason": reason})

    async def _configure(self, request: web.Request, *, replace: bool) -> web.Response:
        visit = await enter(self._gateway, request, UPDATE)
        body = await body_of(self._gateway, request)
        return wire.answer(await self._catalog.configure(visit.workspace.id, body, visit.origin, replace=replace))


def _user(identity: Identity) -> str:
    """Of a caller who has credentials."""
    return identity.user_id or ""


def _meets(metadata: dict[str, Any], request: web.Request) -> bool:
    query = request.query
    labels, slugs, ids = listed(request, "labels"), listed(request, "slug"), listed(request, "ids")
    return ((query.get("name") or "").lower() in label(metadata["name"]).lower()
            and (not labels or not labels.isdisjoint(metadata.get("labels") or ()))
            and (not slugs or metadata["slug"] in slugs) and (not ids or metadata["id"] in ids))


def _sorted(found: list[dict[str, Any]], order: str) -> list[dict[str, Any]]:
    """By a field, downwards with a minus in front."""
    key = order.lstrip("-+ ")
    if key not in _SORTED_BY:
        raise invalid(f"sort should be one of {', '.join(_SORTED_BY)}, with - in front for downwards", "sort")
    return sorted(found, key=lambda metadata: label(metadata[key]).lower(), reverse=order.startswith("-"))
