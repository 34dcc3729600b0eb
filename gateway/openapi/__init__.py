"""The API described for machines: OpenAPI 3.1 at `/openapi.json`, made of one table that has a line for each route."""
from __future__ import annotations

from aiohttp import web

from gateway import wire
from gateway.openapi.document import document
from runtime.values import encode

__all__ = ["add_routes", "document"]


def add_routes(router: web.UrlDispatcher) -> None:
    made: list[bytes] = []

    async def described(request: web.Request) -> web.Response:
        """GET /openapi.json: made when somebody asks for the first time."""
        if not made:
            made.append(encode(document()))
        return web.Response(body=made[0], headers={"content-type": wire.JSON})

    router.add_get("/openapi.json", described)
