"""Workspaces over HTTP: make, read, change, delete; import and export as one document or as an archive."""
from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from aiohttp import hdrs, web

from gateway import bodies, multipart, wire
from gateway.auth import is_admin
from gateway.errors import invalid
from gateway.management import DELETE, READ, UPDATE, body_of, enter, listed, may, page
from runtime.calls import Identity
from runtime.catalog import archive
from runtime.catalog.archive import Archive
from runtime.catalog.definitions import Revision
from runtime.catalog.imports import ImportResult
from runtime.catalog.slugs import label
from runtime.errors import Forbidden, InvalidRequest
from runtime.language.loader import MAX_BYTES, load
from runtime.language.source import Source

if TYPE_CHECKING:
    from gateway.app import Gateway

_WORKSPACE = "/v2/workspaces/{workspace}"
_DOCUMENTS = frozenset(("application/yaml", "application/x-yaml", "text/yaml", "text/x-yaml", "application/json"))
_ARCHIVES = frozenset(("application/zip", "application/x-zip-compressed", "application/octet-stream"))
_ZIP_MAGIC = b"PK"
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
    router.add_post(_WORKSPACE + "/versions/{version}/export", workspaces.export_version)


class _Workspaces:
    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._catalog = gateway.engine.catalog

    async def list(self, request: web.Request) -> web.Response:
        """Those the caller may read, the latest changes first."""
        identity = await self._gateway.auth.authenticate(request, required=True)
        found = [self._catalog.revision(workspace.id).metadata() for workspace in self._catalog.all()
                 if may(self._gateway, workspace, identity, READ)]
        wanted = [metadata for metadata in found if _meets(metadata, request)]
        return wire.answer(page(request, _sorted(wanted, request.query.get("sort") or "-updatedAt")))

    async def create(self, request: web.Request) -> web.Response:
        origin = await self._gateway.auth.origin(request, required=True)
        self._admit(origin.identity, "create_workspace")
        workspace = await self._catalog.create(await body_of(self._gateway, request), _user(origin.identity), origin)
        return self._shown(workspace.id)

    async def get(self, request: web.Request) -> web.Response:
        visit = await enter(self._gateway, request, READ)
        return wire.answer(_at_version(self._catalog.revision(visit.workspace.id), request.query.get("version")).index(self._catalog.app))

    async def update(self, request: web.Request) -> web.Response:
        visit = await enter(self._gateway, request, UPDATE)
        await self._catalog.update(visit.workspace.id, await body_of(self._gateway, request), visit.origin)
        return self._shown(visit.workspace.id)

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
        self._admit(origin.identity, "import")
        source = await self._document(request)
        result = await self._catalog.import_definition(source, owner=_user(origin.identity), origin=origin)
        return self._imported(result)

    async def import_over(self, request: web.Request) -> web.Response:
        visit = await enter(self._gateway, request, UPDATE)
        self._gateway.door.admit("import", visit.origin.identity.user_id)
        source = await self._document(request)
        merge = isinstance(source, Archive) and not source.is_whole
        result = await self._catalog.import_definition(source, id=visit.workspace.id, owner=visit.workspace.owner,
                                                       origin=visit.origin, merge=merge)
        return self._imported(result)

    async def export(self, request: web.Request) -> web.Response:
        visit = await enter(self._gateway, request, READ)
        revision = _at_version(self._catalog.revision(visit.workspace.id), request.query.get("version"))
        format = request.query.get("format") or "yaml"
        if format not in ("yaml", "zip"):
            raise invalid('format should be "yaml" or "zip"', "format")
        return await _exported(revision, format)

    async def export_version(self, request: web.Request) -> web.Response:
        visit = await enter(self._gateway, request, READ)
        return await _exported(_at_version(self._catalog.revision(visit.workspace.id), request.match_info["version"]), "zip")

    async def _configure(self, request: web.Request, *, replace: bool) -> web.Response:
        visit = await enter(self._gateway, request, UPDATE)
        body = await body_of(self._gateway, request)
        return wire.answer(await self._catalog.configure(visit.workspace.id, body, visit.origin, replace=replace))

    def _admit(self, identity: Identity, limit: str) -> None:
        """Whether this caller may make a workspace here, and now."""
        who = self._gateway.settings.workspace_creation
        is_guest = "anonymous" in (identity.auth_data or {})
        if not is_admin(identity) and (who == "admins" or who == "members" and is_guest):
            raise Forbidden(f"On this server only {who} may create workspaces")
        self._gateway.door.admit(limit, identity.user_id)

    async def _document(self, request: web.Request) -> Source:
        """The definition in a body: YAML or JSON, or an archive."""
        kind, most = request.content_type, self._gateway.settings.uploads_max_size
        if kind in _DOCUMENTS:
            content = await bodies.read(request, MAX_BYTES)
        elif kind in _ARCHIVES:
            content = await bodies.read(request, most)
        elif kind == "multipart/form-data":
            content = _uploaded(await bodies.read(request, most + MAX_BYTES), request, most)
        else:
            raise invalid("The body should be application/yaml, application/json, application/zip, or multipart with an archive", "Content-Type")
        # Both take their time for large ones, while others go on.
        if content.startswith(_ZIP_MAGIC):
            return await asyncio.to_thread(archive.unpack, content)
        return await asyncio.to_thread(load, content, name="workspace.yml")

    def _shown(self, id: str) -> web.Response:
        return wire.answer(self._catalog.revision(id).index(self._catalog.app))

    def _imported(self, result: ImportResult) -> web.Response:
        id = result.workspace.id
        return wire.answer({"imported": result.imported, "deleted": result.deleted, "errors": result.errors, "warnings": result.warnings,
                            "workspace": self._catalog.revision(id).index(self._catalog.app),
                            "createdWorkspaceIds" if result.is_new else "updatedWorkspaceIds": [id]})


def _user(identity: Identity) -> str:
    """Of a caller who has credentials."""
    return identity.user_id or ""


def _at_version(revision: Revision, version: str | None) -> Revision:
    """The workspace at a version. So far there is only what it is now."""
    if version in (None, "", "current"):
        return revision
    raise InvalidRequest("The workspace has no such version", {"version": version}, wire="InvalidVersionError")


def _uploaded(body: bytes, request: web.Request, most: int) -> bytes:
    for part in multipart.split(body, request.headers[hdrs.CONTENT_TYPE], largest_file=most):
        if part.name == "archive" and part.filename is not None:
            return part.content
    raise invalid("The form should have a file named archive", "archive")


async def _exported(revision: Revision, format: str) -> web.Response:
    definition = {key: value for key, value in revision.definition.items() if key != "id"}
    name = revision.slug.strip("/").replace("/", "-")
    if format == "zip":
        body, kind, suffix = await asyncio.to_thread(archive.pack, definition), "application/zip", "zip"
    else:
        body, kind, suffix = await asyncio.to_thread(archive.to_yaml, definition), "application/yaml; charset=utf-8", "yml"
    return web.Response(body=body, headers={hdrs.CONTENT_TYPE: kind, hdrs.CONTENT_DISPOSITION: f'attachment; filename="{name}.{suffix}"'})


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
