"""The pages of a workspace over HTTP: kept, shown, and told of in events; what they look like is for those who draw them."""
from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aiohttp import web

from gateway import wire
from gateway.management import READ, UPDATE, body_of, enter, enter_page
from runtime.catalog.definitions import page_summary
from runtime.catalog.edits import member

if TYPE_CHECKING:
    from gateway.app import Gateway

_PAGES = "/v2/workspaces/{workspace}/pages"
_PAGE = _PAGES + "/{slug:.+}"


def add_routes(gateway: Gateway, router: web.UrlDispatcher) -> None:
    pages = _Pages(gateway)
    router.add_get(_PAGES, pages.list)
    router.add_post(_PAGES, pages.create)
    router.add_get(_PAGE, pages.get)
    router.add_patch(_PAGE, pages.update)
    router.add_delete(_PAGE, pages.delete)


class _Pages:
    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._catalog = gateway.engine.catalog

    async def list(self, request: web.Request) -> web.Response:
        visit = await enter(self._gateway, request, READ)
        revision = self._catalog.revision(visit.workspace.id)
        return wire.answer([page_summary(revision.page(slug)) for slug in revision.definition.get("pages") or ()])

    async def create(self, request: web.Request) -> web.Response:
        visit = await enter(self._gateway, request, UPDATE)
        return wire.answer(await self._catalog.create_page(visit.workspace.id, await body_of(self._gateway, request), visit.origin))

    async def get(self, request: web.Request) -> web.Response:
        slug = request.match_info["slug"]
        visit = await enter_page(self._gateway, request, self._fields(request.match_info["workspace"], slug))
        revision = self._catalog.revision(visit.workspace.id)
        member(revision.definition, "pages", slug)
        return wire.answer(revision.page(slug))

    def _fields(self, workspace_id: str, slug: str) -> dict[str, Any]:
        """What the rules see of a page, wherever it is; nothing of one that is not there."""
        workspace = self._catalog.get(workspace_id)
        pages = (workspace.definition.get("pages") or {}) if workspace is not None else {}
        return page_summary(self._catalog.revision(workspace_id).page(slug)) if slug in pages else {"slug": slug}

    async def update(self, request: web.Request) -> web.Response:
        visit = await enter(self._gateway, request, UPDATE)
        body = await body_of(self._gateway, request)
        return wire.answer(await self._catalog.update_page(visit.workspace.id, request.match_info["slug"], body, visit.origin))

    async def delete(self, request: web.Request) -> web.Response:
        visit = await enter(self._gateway, request, UPDATE)
        slug = request.match_info["slug"]
        await self._catalog.delete_page(visit.workspace.id, slug, visit.origin)
        return wire.answer({"slug": slug})
