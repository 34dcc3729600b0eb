"""The secrets of a workspace over HTTP: given, replaced and taken away. Values go in and never come out."""
from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from aiohttp import web

from gateway import wire
from gateway.errors import invalid
from gateway.management import SECRETS, body_of, enter
from runtime.catalog.secrets import SecretEdits
from runtime.clock import iso
from runtime.errors import Forbidden, NotFound
from runtime.secrets import Secret, Secrets

if TYPE_CHECKING:
    from gateway.app import Gateway

_SECRETS = "/v2/workspaces/{workspace}/security/secrets"
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,99}")
_RESERVED = "prismeai_"
"""What begins like this is the operator's to give."""
_MOST = 500
_LONGEST = 20_000
_LONGEST_DESCRIPTION = 1000

Given = Mapping[str, dict[str, Any] | None]
"""What a body says of each name; None takes it away."""


def add_routes(gateway: Gateway, router: web.UrlDispatcher) -> None:
    secrets = _Secrets(gateway)
    router.add_get(_SECRETS, secrets.list)
    router.add_patch(_SECRETS, secrets.merge)
    router.add_put(_SECRETS, secrets.replace)
    router.add_delete(_SECRETS + "/{name}", secrets.delete)


class _Secrets:
    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._edits = SecretEdits(gateway.engine.catalog)

    async def list(self, request: web.Request) -> web.Response:
        visit = await enter(self._gateway, request, SECRETS)
        return _answer(self._gateway.engine.catalog.secrets.of(visit.workspace.id))

    async def merge(self, request: web.Request) -> web.Response:
        return await self._change(request, is_whole=False)

    async def replace(self, request: web.Request) -> web.Response:
        return await self._change(request, is_whole=True)

    async def delete(self, request: web.Request) -> web.Response:
        visit, name = await enter(self._gateway, request, SECRETS), request.match_info["name"]
        _admit([name], self._gateway.auth.is_super_admin(visit.origin.identity))

        def edit(present: Secrets) -> Secrets:
            if name not in present:
                raise NotFound("Secret not found", {"workspaceId": visit.workspace.id, "name": name})
            return {kept: secret for kept, secret in present.items() if kept != name}
        await self._edits.change(visit.workspace.id, edit, visit.origin)
        return wire.answer({"name": name})

    async def _change(self, request: web.Request, *, is_whole: bool) -> web.Response:
        visit = await enter(self._gateway, request, SECRETS)
        given, by_admin = _checked(await body_of(self._gateway, request)), self._gateway.auth.is_super_admin(visit.origin.identity)
        _admit(given, by_admin)
        now = self._gateway.clock.now()

        def edit(present: Secrets) -> Secrets:
            kept = {name: secret for name, secret in present.items() if name in given or not is_whole or _is_reserved(name) and not by_admin}
            return _merged(kept, given, now)
        return _answer(await self._edits.change(visit.workspace.id, edit, visit.origin))


def _merged(present: Secrets, given: Given, now: int) -> Secrets:
    """Secrets stay as they are where nothing else is said of them."""
    merged = dict(present)
    for name, said in given.items():
        if said is None:
            merged.pop(name, None)
            continue
        old = present.get(name)
        if old is None and "value" not in said:
            raise invalid(f"{name} needs a value", f"{name}.value")
        new = _said(said, old or Secret("", None, now))
        if old is None or new != old:
            merged[name] = new._replace(updated_at=now)
    if len(merged) > _MOST:
        raise invalid(f"A workspace may have {_MOST} secrets")
    return merged


def _said(said: dict[str, Any], old: Secret) -> Secret:
    value, description = said.get("value", old.value), said.get("description", old.description)
    if (value, description) == (old.value, old.description):
        return old
    return Secret(value, description, old.updated_at, "" if "value" in said else old.sealed)


def _checked(body: dict[str, Any]) -> Given:
    """The shape of what is given. Errors name places, never values."""
    for name, said in body.items():
        if _NAME.fullmatch(name) is None:
            raise invalid("The name of a secret has up to 100 letters, digits, underscores and dashes, and begins with no digit", name[:100])
        if said is None:
            continue
        if type(said) is not dict or not said.keys() <= {"value", "description"}:
            raise invalid(f"{name} should be an object of a value and a description", name)
        if "value" in said:
            _check_text(said["value"], f"{name}.value", _LONGEST)
        if said.get("description") is not None:
            _check_text(said["description"], f"{name}.description", _LONGEST_DESCRIPTION)
    return body


def _check_text(text: Any, path: str, longest: int) -> None:
    if type(text) is not str or len(text) > longest:
        raise invalid(f"{path} should be a text of {longest} characters at most", path)


def _admit(names: Mapping[str, Any] | list[str], by_admin: bool) -> None:
    for name in names:
        if _is_reserved(name) and not by_admin:
            raise Forbidden(f"Only a super admin may change secrets whose names begin with {_RESERVED}", {"name": name})


def _is_reserved(name: str) -> bool:
    return name.startswith(_RESERVED)


def _answer(secrets: Secrets) -> web.Response:
    """Everything but the values."""
    return wire.answer({name: {**({"description": secret.description} if secret.description is not None else {}),
                               "updatedAt": iso(secret.updated_at), **({} if secret.value is not None else {"isReadable": False})}
                        for name, secret in secrets.items()})
