"""Apps over HTTP: publish a workspace, and install what others published."""
from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aiohttp import web

from gateway import wire
from gateway.errors import invalid
from gateway.management import DELETE, READ, UPDATE, body_of, enter, listed, page
from runtime.catalog.definitions import instance_summary
from runtime.catalog.edits import member
from runtime.catalog.publications import Publication
from runtime.catalog.slugs import label
from runtime.errors import NotFound
from runtime.values import encode

if TYPE_CHECKING:
    from gateway.app import Gateway

_APPS, _APP = "/v2/apps", "/v2/apps/{slug:.+}"
_INSTANCES = "/v2/workspaces/{workspace}/apps"
_INSTANCE = _INSTANCES + "/{slug:.+}"


def add_routes(gateway: Gateway, router: web.UrlDispatcher) -> None:
    apps, instances = _Apps(gateway), _Instances(gateway)
    router.add_get(_APPS, apps.list)
    router.add_post(_APPS, apps.publish)
    router.add_get(_APP, apps.get)
    router.add_delete(_APP, apps.delete)
    router.add_get(_INSTANCES, instances.list)
    router.add_post(_INSTANCES, instances.install)
    router.add_get(_INSTANCE + "/config", instances.get_config)
    router.add_patch(_INSTANCE + "/config", instances.merge_config)
    router.add_get(_INSTANCE, instances.get)
    router.add_patch(_INSTANCE, instances.update)
    router.add_delete(_INSTANCE, instances.uninstall)


class _Apps:
    """Everybody with credentials may see and install an app; who may change its workspace may publish it."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._catalog = gateway.engine.catalog

    async def list(self, request: web.Request) -> web.Response:
        await self._gateway.auth.authenticate(request, required=True)
        found = [app for app in self._catalog.apps() if _meets(app, request)]
        return wire.answer([app.summary() for app in page(request, sorted(found, key=lambda app: app.slug))])

    async def publish(self, request: web.Request) -> web.Response:
        await self._gateway.auth.authenticate(request, required=True)
        body = await body_of(self._gateway, request)
        workspace_id = body.get("workspaceId")
        if type(workspace_id) is not str:
            raise invalid("workspaceId should be the id of a workspace", "workspaceId")
        visit = await enter(self._gateway, request, UPDATE, workspace_id)
        return wire.answer((await self._catalog.publish_app(visit.workspace.id, body, visit.origin)).summary())

    async def get(self, request: web.Request) -> web.Response:
        await self._gateway.auth.authenticate(request, required=True)
        app = self._catalog.require_app(request.match_info["slug"])
        version = app.version(request.query.get("version") or None)
        if version is None:
            raise NotFound("App version not found", {"appSlug": app.slug, "version": request.query["version"]})
        return wire.answer({**app.summary(), "config": {"schema": _schema(version.definition)}})

    async def delete(self, request: web.Request) -> web.Response:
        await self._gateway.auth.authenticate(request, required=True)
        app = self._catalog.require_app(request.match_info["slug"])
        visit = await enter(self._gateway, request, DELETE, app.workspace_id)
        await self._catalog.delete_app(app.slug, visit.origin)
        return wire.answer({"id": app.slug})


class _Instances:
    """The apps installed in a workspace."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._catalog = gateway.engine.catalog

    async def list(self, request: web.Request) -> web.Response:
        visit = await enter(self._gateway, request, READ)
        imports = visit.workspace.definition.get("imports") or {}
        return wire.answer([instance_summary(slug, imported, self._catalog.app) for slug, imported in imports.items()])

    async def install(self, request: web.Request) -> web.Response:
        visit = await enter(self._gateway, request, UPDATE)
        return wire.answer(await self._catalog.install_app(visit.workspace.id, await body_of(self._gateway, request), visit.origin))

    async def get(self, request: web.Request) -> web.Response:
        visit = await enter(self._gateway, request, READ)
        slug = request.match_info["slug"]
        imported = member(visit.workspace.definition, "imports", slug)
        app = self._catalog.app(imported.get("appSlug") or "")
        version = app.version(imported.get("appVersion")) if app else None
        schema = _schema(version.definition) if version else {}
        return wire.answer({**instance_summary(slug, imported, self._catalog.app),
                            "config": {"schema": schema, "value": imported.get("config") or {}}})

    async def update(self, request: web.Request) -> web.Response:
        visit = await enter(self._gateway, request, UPDATE)
        body = await body_of(self._gateway, request)
        return wire.answer(await self._catalog.configure_app(visit.workspace.id, request.match_info["slug"], body, visit.origin))

    async def get_config(self, request: web.Request) -> web.Response:
        visit = await enter(self._gateway, request, READ)
        return wire.answer(member(visit.workspace.definition, "imports", request.match_info["slug"]).get("config") or {})

    async def merge_config(self, request: web.Request) -> web.Response:
        visit = await enter(self._gateway, request, UPDATE)
        body = await body_of(self._gateway, request)
        instance = await self._catalog.merge_app_config(visit.workspace.id, request.match_info["slug"], body, visit.origin)
        return wire.answer(instance["config"])

    async def uninstall(self, request: web.Request) -> web.Response:
        visit = await enter(self._gateway, request, UPDATE)
        slug = request.match_info["slug"]
        await self._catalog.uninstall_app(visit.workspace.id, slug, visit.origin)
        return wire.answer({"slug": slug})


def _schema(definition: dict[str, Any]) -> dict[str, Any]:
    return (definition.get("config") or {}).get("schema") or {}


def _meets(app: Publication, request: web.Request) -> bool:
    query, labels = request.query, listed(request, "labels")
    text = (query.get("text") or "").lower()
    said = f"{app.slug} {label(app.labels.get('name'))} {encode(app.labels.get('description')).decode()}".lower()
    return (text in said and query.get("workspaceId", app.workspace_id) == app.workspace_id
            and (not labels or not labels.isdisjoint(app.labels.get("labels") or ())))
