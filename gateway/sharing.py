"""Whom a workspace, a page or an app is shared with, over HTTP."""
from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from aiohttp import web

from gateway import wire
from gateway.accounts import Accounts
from gateway.errors import invalid
from gateway.management import SHARE, Visit, body_of, enter, may
from gateway.passwords import Passwords
from runtime.errors import Forbidden, NotFound
from runtime.permissions.decisions import role_of
from runtime.permissions.rules import OWNER
from runtime.permissions.shares import APPS, PAGES, PUBLIC, WORKSPACES, Grant, Subject, role_target

if TYPE_CHECKING:
    from gateway.app import Gateway

_POLICIES = frozenset(("read", "write", "update", "create", SHARE))
_PATHS = {WORKSPACES: "/v2/workspaces/{workspace}/permissions", PAGES: "/v2/pages/{page}/permissions", APPS: "/v2/apps/{slug:.+}/permissions"}


def add_routes(gateway: Gateway, router: web.UrlDispatcher) -> None:
    """Before the routes of apps, whose slugs may hold slashes."""
    for kind, path in _PATHS.items():
        shares = _Shares(gateway, kind)
        router.add_get(path, shares.list)
        router.add_post(path, shares.share)
        router.add_delete(path + "/{target}", shares.unshare)


class _Target(NamedTuple):
    """A key among the grants, and how it was named."""

    key: str
    labels: dict[str, Any]


class _Shares:
    def __init__(self, gateway: Gateway, kind: str) -> None:
        self._gateway = gateway
        self._kind = kind
        self._catalog = gateway.engine.catalog
        self._accounts = Accounts(gateway.store, Passwords(gateway.settings.password_validation_regexp), gateway.clock, gateway.ids)

    async def list(self, request: web.Request) -> web.Response:
        visit, subject = await self._enter(request)
        return wire.answer({"result": [grant.shown() for grant in visit.workspace.shares.grants(subject)]})

    async def share(self, request: web.Request) -> web.Response:
        visit, subject = await self._enter(request)
        body = await body_of(self._gateway, request)
        target = await self._target(body)
        role, policies = _permissions(body)
        self._check(visit, subject, target.key, role, policies)
        grant = Grant(visit.workspace.id, subject, target.key, role, policies, target.labels)
        await self._catalog.granting.share(visit.workspace, grant, visit.origin)
        return wire.answer(grant.shown())

    async def unshare(self, request: web.Request) -> web.Response:
        visit, subject = await self._enter(request)
        target, shares = request.match_info["target"], visit.workspace.shares
        grant = shares.grant(subject, target) or shares.grant(subject, role_target(target))
        if grant is None:
            raise NotFound("It is not shared with this target", {"id": target})
        if grant.role == OWNER:
            self._check(visit, subject, target, OWNER, frozenset())
        await self._catalog.granting.unshare(visit.workspace, grant, visit.origin)
        return wire.answer({"id": target})

    async def _enter(self, request: web.Request) -> tuple[Visit, Subject]:
        if self._kind == WORKSPACES:
            return await enter(self._gateway, request, SHARE), Subject(WORKSPACES, request.match_info["workspace"])
        await self._gateway.auth.authenticate(request, required=True)
        if self._kind == APPS:
            app = self._catalog.require_app(request.match_info["slug"])
            return await enter(self._gateway, request, SHARE, app.workspace_id), Subject(APPS, app.slug)
        page_id = request.match_info["page"]
        found = self._catalog.page(page_id)
        if found is None:
            raise NotFound("Page not found", {"id": page_id})
        return await enter(self._gateway, request, SHARE, found[0].id), Subject(PAGES, page_id)

    async def _target(self, body: dict[str, Any]) -> _Target:
        target = body.get("target", {})
        if type(target) is not dict:
            raise invalid("target should be object", "target")
        if target.get("public") is True:
            return _Target(PUBLIC, {})
        email = body.get("email", target.get("email"))
        for name, key in (("id", str), ("role", role_target)):
            value = target.get(name)
            if type(value) is str and value and not (name == "id" and (value == PUBLIC or value.startswith(role_target("")))):
                return _Target(key(value), {"displayName": target["displayName"]} if type(target.get("displayName")) is str else {})
        if type(email) is not str or not email:
            raise invalid("target should have an id, a role or public: true", "target")
        account = await self._accounts.with_email(email)
        if account is None:
            raise NotFound("Nobody has an account with this address", {"email": email})
        return _Target(account.id, {"email": account.email, "displayName": account.email})

    def _check(self, visit: Visit, subject: Subject, target: str, role: str | None, policies: frozenset[str]) -> None:
        """Nobody gives what they do not have. Raises `Forbidden`."""
        workspace, identity = visit.workspace, self._gateway.auth.member(visit.workspace, visit.origin.identity)
        if role is not None:
            if subject.kind != WORKSPACES or not workspace.rules.knows(role):
                raise invalid(f'"{role}" is no role here', "permissions.role")
            if role == OWNER and (target == PUBLIC or target.startswith(role_target(""))):
                raise invalid("Only a user can be an owner", "permissions.role")
        if identity.role == OWNER:
            return
        if role is not None and role != role_of(workspace, identity):
            raise Forbidden(f'Only owners may give the role "{role}"', {"role": role})
        for policy in policies:
            if not all(may(self._gateway, workspace, identity, action) for action in ({"create", "update"} if policy == "write" else {policy})):
                raise Forbidden(f'You may not give the policy "{policy}"', {"policy": policy})


def _permissions(body: dict[str, Any]) -> tuple[str | None, frozenset[str]]:
    """The role and the policies of a share, in today's form or the older one."""
    given = body.get("permissions", body)
    if type(given) is not dict:
        raise invalid("permissions should be object", "permissions")
    role, policies = given.get("role"), given.get("policies") or {}
    if role is not None and (type(role) is not str or not role):
        raise invalid("role should be a text", "permissions.role")
    if type(policies) is not dict or not policies.keys() <= _POLICIES or not all(type(value) is bool for value in policies.values()):
        raise invalid(f"policies should be true or false, for {', '.join(sorted(_POLICIES))}", "permissions.policies")
    granted = frozenset(name for name, value in policies.items() if value)
    if role is None and not granted:
        raise invalid("permissions should have a role or policies", "permissions")
    return role, granted
