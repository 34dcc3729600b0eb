"""API keys of a workspace over HTTP. A key is shown once, when it is made; after that only what it begins with."""
from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aiohttp import web

from gateway import wire
from gateway.errors import invalid
from gateway.management import KEYS, Visit, body_of, enter
from runtime.errors import AlreadyUsed, InvalidRequest, NotFound
from runtime.permissions.rules import read_rules
from runtime.permissions.shares import ApiKey

if TYPE_CHECKING:
    from gateway.app import Gateway

_KEYS = "/v2/workspaces/{workspace}/security/apikeys"
_KEY = _KEYS + "/{key}"
_LONGEST_NAME = 100


def add_routes(gateway: Gateway, router: web.UrlDispatcher) -> None:
    keys = _ApiKeys(gateway)
    router.add_get(_KEYS, keys.list)
    router.add_post(_KEYS, keys.make)
    router.add_put(_KEY, keys.change)
    router.add_delete(_KEY, keys.delete)


class _ApiKeys:
    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._granting = gateway.engine.catalog.granting

    async def list(self, request: web.Request) -> web.Response:
        visit = await enter(self._gateway, request, KEYS)
        return wire.answer([key.shown() for key in visit.workspace.shares.keys()])

    async def make(self, request: web.Request) -> web.Response:
        visit = await enter(self._gateway, request, KEYS)
        name, rules = _read(await body_of(self._gateway, request), visit)
        key, secret = await self._granting.make_key(visit.workspace, name, rules, visit.origin)
        return wire.answer(key.shown(secret))

    async def change(self, request: web.Request) -> web.Response:
        visit = await enter(self._gateway, request, KEYS)
        body, key = await body_of(self._gateway, request), _key(request, visit)
        name, rules = _read({"name": key.name, "rules": key.raw_rules, **body}, visit, key)
        return wire.answer((await self._granting.change_key(visit.workspace, key, name, rules, visit.origin)).shown())

    async def delete(self, request: web.Request) -> web.Response:
        visit = await enter(self._gateway, request, KEYS)
        key = _key(request, visit)
        await self._granting.delete_key(visit.workspace, key, visit.origin)
        return wire.answer({"id": key.handle})


def _key(request: web.Request, visit: Visit) -> ApiKey:
    key = visit.workspace.shares.key(request.match_info["key"])
    if key is None:
        raise NotFound("API key not found", {"workspaceId": visit.workspace.id})
    return key


def _read(body: dict[str, Any], visit: Visit, own: ApiKey | None = None) -> tuple[str | None, list[dict[str, Any]]]:
    """The name and the rules of a key. Raises `InvalidRequest` with all that is wrong."""
    name, rules = body.get("name"), body.get("rules", [])
    if name is not None and (type(name) is not str or not 0 < len(name) <= _LONGEST_NAME):
        raise invalid(f"name should be a text of at most {_LONGEST_NAME} characters", "name")
    if type(rules) is not list:
        raise invalid("rules should be array", "rules")
    problems: list[dict[str, str]] = []
    list(read_rules(rules, problems))
    if problems:
        raise InvalidRequest("The rules cannot be used", problems)
    if name is not None and any(key.name == name and key is not own for key in visit.workspace.shares.keys()):
        raise AlreadyUsed("Another key of this workspace has this name", {"name": name})
    return name, rules
