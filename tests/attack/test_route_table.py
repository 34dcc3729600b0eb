"""Every route, asked by everybody, of their own workspace and of another one: who is let in is decided by rule, not by accident."""
from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

from door import OWNER as ADMIN
from door import House, house

WORKSPACE = "/v2/workspaces/{workspace}"
OPEN, LOGIN, OPERATOR = "open", "login", "operator"
EVERYTHING = frozenset(("read", "update", "delete", "test", "aggregate_search", "get_usage", "manage_permissions", "manage_security", "manage_keys",
                        "manage_secrets"))
EXCEPTIONS = {
    ("GET", "/metrics"): OPERATOR, ("PUT", "/sys/logging"): OPERATOR, ("POST", WORKSPACE + "/suspend"): OPERATOR,
    ("POST", WORKSPACE + "/resume"): OPERATOR,
    ("GET", "/openapi.json"): OPEN, ("GET", "/sys/healthcheck"): OPEN, ("GET", "/v2/readiness"): OPEN, ("POST", "/v2/login"): OPEN,
    ("POST", "/v2/login/anonymous"): OPEN, ("POST", "/v2/signup"): OPEN,
    ("*", WORKSPACE + "/webhooks/{endpoint}"): OPEN, ("GET", WORKSPACE + "/events"): OPEN, ("POST", WORKSPACE + "/events"): OPEN,
    ("GET", WORKSPACE + "/events/export"): OPEN, ("POST", WORKSPACE + "/search"): OPEN,        # each finds what they may read
    ("GET", "/v2/apps"): LOGIN, ("GET", "/v2/apps/{slug}"): LOGIN, ("GET", "/v2/me"): LOGIN, ("POST", "/v2/logout"): LOGIN,
    ("GET", "/v2/user/accessTokens"): LOGIN, ("POST", "/v2/user/accessTokens"): LOGIN, ("DELETE", "/v2/user/accessTokens/{token}"): LOGIN,
    ("GET", "/v2/workspaces"): LOGIN, ("POST", "/v2/workspaces"): LOGIN, ("POST", "/v2/workspaces/import"): LOGIN,
    ("POST", "/v2/contacts"): "account",                                                         # not for anonymous logins
    ("POST", "/v2/apps"): "update", ("DELETE", "/v2/apps/{slug}"): "delete",
    ("DELETE", WORKSPACE): "delete", ("POST", WORKSPACE + "/test/{slug}"): "test", ("GET", WORKSPACE + "/usage"): "get_usage",
    ("GET", WORKSPACE + "/security"): "update", ("GET", WORKSPACE + "/security/roles"): "update", ("PUT", WORKSPACE + "/security"): "manage_security",
    ("POST", WORKSPACE + "/versions/{version}/export"): "read", ("POST", WORKSPACE + "/versions/{version}/duplicate"): "read",
}
FAMILIES = (("/permissions", "manage_permissions"), ("/security/apikeys", "manage_keys"), ("/security/secrets", "manage_secrets"))


class Caller(NamedTuple):
    name: str
    headers: dict[str, str]
    rights: frozenset[str] = frozenset()
    is_login: bool = True


def right(method: str, path: str) -> str | None:
    """What a route asks for; None for a route that nobody decided about."""
    if (method, path) in EXCEPTIONS:
        return EXCEPTIONS[method, path]
    for part, family in FAMILIES:
        if part in path:
            return family
    if path.startswith(WORKSPACE):
        return "read" if method == "GET" else "update"
    return None


def is_let_in(caller: Caller, needed: str, path: str) -> bool:
    if needed in (OPEN, LOGIN):
        return needed == OPEN or caller.is_login
    return needed in caller.rights and (caller.is_login or path.startswith(WORKSPACE) and "duplicate" not in path)


def routes(home: House) -> list[tuple[str, str]]:
    found = {(route.method, re.sub("workspace_id", "workspace", route.resource.canonical)) for route in home.server.app.router.routes()}
    return sorted((method, path) for method, path in found if method != "HEAD")


def test_a_route_without_a_rule_has_none() -> None:
    assert right("GET", "/v2/files/{file}") is None and right("GET", WORKSPACE + "/new") == "read"


async def test_somebody_decided_about_every_route() -> None:
    async with house() as home:
        assert [route for route in routes(home) if right(*route) is None] == []


DEFINITION: dict[str, Any] = {
    "name": "Own", "pages": {"front": {"name": "Front"}}, "security": {"authorizations": {"roles": {"tester": {}}, "rules": [
        {"role": "tester", "action": ["read", "test", "get_usage"], "subject": "workspaces"}]}}}


class Street(NamedTuple):
    """Two workspaces of two owners, and those who come by."""

    home: House
    own: dict[str, str]
    other: dict[str, str]
    callers: list[Caller]


@asynccontextmanager
async def street() -> AsyncIterator[Street]:
    async with house() as home:
        owner, neighbour = await home.as_somebody(), await home.as_somebody()
        own, other = await built(home, owner, "Own"), await built(home, neighbour, "Other")
        path = f"/v2/workspaces/{own['workspace']}"
        callers = [Caller("nobody", {}, is_login=False), Caller("stranger", await home.as_somebody()), Caller("neighbour", neighbour)]
        for name, permissions, rights in (
                ("editor", {"role": "editor"}, ("read", "update", "test", "aggregate_search", "get_usage")),
                ("tester", {"role": "tester"}, ("read", "test", "get_usage")), ("reader", {"policies": {"read": True}}, ("read",))):
            login = await home.login()
            status, _, _ = await home.request("POST", path + "/permissions", headers=owner, json={"target": {"id": login["id"]}, "permissions": permissions})
            assert status == 200
            callers.append(Caller(name, {"authorization": f"Bearer {login['token']}"}, frozenset(rights)))
        rules = [{"action": ["read", "update"], "subject": "workspaces"}]
        _, key, _ = await home.request("POST", path + "/security/apikeys", headers=owner, json={"rules": rules})
        callers += [Caller("key", {"x-prismeai-api-key": key["apiKey"]}, frozenset(("read", "update")), is_login=False),
                    Caller("owner", owner, EVERYTHING)]
        yield Street(home, own, other, callers)


async def built(home: House, headers: dict[str, str], name: str) -> dict[str, str]:
    """A workspace with an app and a page: what stands for the ids in the paths."""
    status, made, _ = await home.request("POST", "/v2/workspaces/import", headers=headers, json={**DEFINITION, "name": name})
    assert status == 200, made
    id = made["workspace"]["id"]
    await home.request("POST", "/v2/apps", headers=headers, json={"workspaceId": id, "slug": name})
    _, page, _ = await home.request("GET", f"/v2/workspaces/{id}/pages/front", headers=headers)
    return {"workspace": id, "page": page["id"], "slug": name}


async def status_of(home: House, method: str, path: str, caller: Caller, place: dict[str, str]) -> int:
    url = re.sub(r"\{(\w+)\}", lambda found: place[found[1]] if found[1] in place and (found[1] != "slug" or path.startswith("/v2/apps/")) else "x", path)
    body: Any = {"workspaceId": place["workspace"]} if path == "/v2/apps" else [] if path.endswith("/import") else {}
    more: dict[str, Any] = {"json": body} if method not in ("GET", "DELETE") else {}
    if path.endswith("/events/export"):
        more["params"] = {"format": "json"}
    status, _, _ = await home.request("POST" if method == "*" else method, url, headers=caller.headers, **more)
    return status


def is_destructive(method: str, path: str) -> bool:
    return method == "DELETE" and path in (WORKSPACE, "/v2/apps/{slug}") or path in ("/v2/logout",) or (method, path) == ("PUT", WORKSPACE + "/security")


async def test_everybody_comes_in_where_they_may_and_nowhere_else() -> None:
    async with street() as s:
        wrong = []
        for caller in s.callers:
            for method, path in sorted(routes(s.home), key=lambda route: is_destructive(*route)):
                needed = right(method, path)
                if needed in ("account", LOGIN) or path == "/v2/logout" or needed is None:
                    continue
                status = await status_of(s.home, method, path, caller, s.own)
                if (status not in (401, 403)) is not is_let_in(caller, needed, path):
                    wrong.append((caller.name, method, path, status))
        assert wrong == []


async def test_nobody_comes_into_the_workspace_of_another() -> None:
    async with street() as s:
        wrong = []
        for caller in s.callers:
            for method, path in routes(s.home):
                needed = right(method, path)
                if caller.name != "neighbour" and needed not in (None, OPEN, LOGIN, "account"):
                    status = await status_of(s.home, method, path, caller, s.other)
                    if status not in (401, 403):
                        wrong.append((caller.name, method, path, status))
        assert wrong == []


async def test_routes_for_a_login_turn_nobody_and_keys_away() -> None:
    async with street() as s:
        for caller in (caller for caller in s.callers if not caller.is_login):
            for method, path in routes(s.home):
                if right(method, path) in (LOGIN, "account"):
                    assert await status_of(s.home, method, path, caller, s.own) == 401, (caller.name, method, path)


async def test_what_is_open_shows_nothing_of_another_workspace() -> None:
    async with street() as s:
        for caller in (caller for caller in s.callers if caller.name != "neighbour"):
            path = f"/v2/workspaces/{s.other['workspace']}"
            for events in ("/events", "/events/export"):
                _, found, _ = await s.home.request("GET", path + events, headers=caller.headers)
                assert found in ({"result": {"events": []}}, b"", []), caller.name
            _, found, _ = await s.home.request("POST", path + "/search", headers=caller.headers, json={"query": {"match_all": {}}})
            assert found["documents"] == [], caller.name
            status, _, _ = await s.home.request("POST", path + "/search", headers=caller.headers, json={"aggs": {"t": {"terms": {"field": "type"}}}})
            assert status in (401, 403), caller.name
            _, listed, _ = await s.home.request("GET", "/v2/workspaces", headers=caller.headers)
            assert s.other["workspace"] not in str(listed), caller.name


async def test_what_belongs_to_another_workspace_is_not_found_through_ones_own() -> None:
    async with street() as s:
        owner, own = s.callers[-1], f"/v2/workspaces/{s.own['workspace']}"
        _, key, _ = await s.home.request("POST", f"/v2/workspaces/{s.other['workspace']}/security/apikeys", headers=ADMIN, json={"rules": []})
        handle = key["apiKey"].partition(".")[0]
        for method, path in (("PUT", f"/security/apikeys/{handle}"), ("DELETE", f"/security/apikeys/{handle}"), ("GET", f"/pages/{s.other['page']}")):
            more = {"json": {}} if method == "PUT" else {}
            status, _, _ = await s.home.request(method, own + path, headers=owner.headers, **more)
            assert status == 404, path
        status, _, _ = await s.home.request("POST", own + "/apps", headers=owner.headers, json={"appSlug": "Other", "slug": "../" + s.other["workspace"]})
        assert status in (200, 400)
