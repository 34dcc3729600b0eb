"""Versions, pages and suspension over HTTP, and what exports leave at home."""
from __future__ import annotations

from collections.abc import AsyncIterator
from io import BytesIO
from zipfile import ZipFile

import pytest
from catalog_kit import Site, site

YAML = "application/yaml"
SHOP = """
name: My shop
config: {value: {v: old}}
automations:
  main: {do: [], when: {endpoint: true}, output: '{{config.v}}'}
pages: {home: {name: Home, blocks: [{slug: b}]}}
"""


@pytest.fixture
async def shop() -> AsyncIterator[Site]:
    async with site() as opened:
        yield opened


async def test_every_route_asks_for_credentials_then_for_the_workspace_then_for_rights(shop: Site) -> None:
    id, alice = await shop.add(SHOP), await shop.login()
    for method, path in (("GET", "/versions"), ("POST", "/versions"), ("DELETE", "/versions/v1"), ("POST", "/versions/v1/pull"),
                         ("POST", "/versions/v1/rollback"), ("POST", "/versions/v1/duplicate"), ("POST", "/versions/v1/export"),
                         ("GET", "/pages"), ("POST", "/pages"), ("GET", "/pages/home"), ("PATCH", "/pages/home"), ("DELETE", "/pages/home"),
                         ("POST", "/suspend"), ("POST", "/resume")):
        status, body = await shop.nobody(method, f"/workspaces/{id}{path}", {})
        assert (status, body["error"]) == (401, "AuthenticationError"), (method, path)
        status, body = await alice(method, f"/workspaces/zzzzzzz{path}", {})
        assert (status, body["error"]) == (404, "ObjectNotFoundError"), (method, path)
        status, body = await alice(method, f"/workspaces/{id}{path}", {})
        assert (status, body["error"]) == (403, "ForbiddenError"), (method, path)


async def test_a_version_is_kept_shown_exported_restored_copied_and_removed(shop: Site) -> None:
    id = await shop.add(SHOP)
    path = f"/workspaces/{id}"
    status, made = await shop.owner("POST", path + "/versions", {"name": "v1", "description": "first"})
    assert (status, made) == (200, {"name": "v1", "createdAt": "2026-01-01T00:00:00.000Z", "description": "first"})
    assert (await shop.owner("POST", path + "/versions", {"name": "v1"}))[1]["error"] == "AlreadyUsedError"
    assert (await shop.owner("POST", path + "/versions", {"name": "current"}))[1]["error"] == "InvalidVersionError"
    assert (await shop.owner("POST", path + "/versions", {"description": 5}))[1]["error"] == "RequestValidationError"
    await shop.owner("PATCH", path + "/config", {"value": {"v": "new"}})
    assert (await shop.nobody("GET", path + "/webhooks/main"))[1] == b"new"

    assert (await shop.owner("GET", path, query={"version": "v1"}))[1]["config"] == {"value": {"v": "old"}}
    assert (await shop.owner("GET", path, query={"version": "current"}))[1]["config"] == {"value": {"v": "new"}}
    assert b"v: old" in (await shop.owner("GET", path + "/export", query={"version": "v1"}))[1]
    _, archive = await shop.owner("POST", path + "/versions/latest/export")
    assert b"v: old" in ZipFile(BytesIO(archive)).read("index.yml")

    status, result = await shop.owner("POST", path + "/versions/v1/rollback", {})
    assert status == 200 and (result["updatedWorkspaceIds"], result["errors"], result["deleted"]) == ([id], [], [])
    assert (await shop.nobody("GET", path + "/webhooks/main"))[1] == b"old"
    status, copied = await shop.owner("POST", path + "/versions/v1/duplicate", {})
    assert status == 200 and copied["slug"] == "my-shop-1" and copied["id"] != id
    assert "workspaces.duplicated" in await shop.types(copied["id"])

    assert await shop.owner("GET", path + "/versions") == (200, [made])
    assert await shop.owner("DELETE", path + "/versions/v1") == (200, {"id": "v1"})
    for method, rest in (("DELETE", ""), ("POST", "/pull"), ("POST", "/duplicate"), ("POST", "/export")):
        status, body = await shop.owner(method, path + "/versions/v1" + rest, {})
        assert (status, body["error"]) == (400, "InvalidVersionError")
    assert (await shop.owner("POST", path + "/versions/current/pull", {}))[1]["error"] == "InvalidVersionError"


async def test_a_page_lives_under_its_slug_and_keeps_its_id(shop: Site) -> None:
    id = await shop.add(SHOP)
    path = f"/workspaces/{id}/pages"
    status, made = await shop.owner("POST", path, {"name": "À propos", "blocks": [{"slug": "x"}], "id": "mine"})
    assert status == 200 and made == {"id": made["id"], "slug": "a-propos", "name": "À propos", "blocks": [{"slug": "x"}]}
    assert made["id"] != "mine" and (await shop.owner("POST", path, {"name": "x", "slug": "home"}))[1]["error"] == "AlreadyUsedError"
    assert (await shop.owner("POST", path, {"slug": "x"}))[0] == 400
    status, renamed = await shop.owner("PATCH", path + "/a-propos", {"slug": "about/us", "blocks": None})
    assert (status, renamed) == (200, {"id": made["id"], "slug": "about/us", "name": "À propos"})
    assert await shop.owner("GET", path + "/about/us") == (200, renamed) and (await shop.owner("GET", path + "/a-propos"))[0] == 404
    assert [page["slug"] for page in (await shop.owner("GET", path))[1]] == ["home", "about/us"]
    assert "blocks" not in (await shop.owner("GET", path))[1][0]
    assert await shop.owner("DELETE", path + "/about/us") == (200, {"slug": "about/us"})
    assert (await shop.owner("DELETE", path + "/about/us"))[0] == 404


async def test_an_import_over_a_workspace_leaves_its_pages_their_ids(shop: Site) -> None:
    id = await shop.add(SHOP)
    before = (await shop.owner("GET", f"/workspaces/{id}/pages/home"))[1]["id"]
    _, exported = await shop.owner("GET", f"/workspaces/{id}/export")
    assert before.encode() not in exported
    await shop.owner("POST", f"/workspaces/{id}/import", data=exported, kind=YAML)
    assert (await shop.owner("GET", f"/workspaces/{id}/pages/home"))[1]["id"] == before


async def test_a_suspended_workspace_starts_nothing_until_it_is_resumed(shop: Site) -> None:
    id = await shop.add(SHOP)
    path = f"/workspaces/{id}"
    assert await shop.owner("POST", path + "/suspend", {"reason": "unpaid"}) == (
        200, {"workspaceId": id, "suspended": True, "reason": "unpaid"})
    status, body = await shop.nobody("GET", path + "/webhooks/main")
    assert (status, body["error"], body["details"]) == (400, "SuspendedWorkspaceError", {"workspaceId": id})
    assert (await shop.owner("POST", path + "/test/main", {}))[1]["error"] == "SuspendedWorkspaceError"
    assert (await shop.owner("GET", path))[1]["suspended"] is True
    assert (await shop.owner("PATCH", path, {"name": "Still mine"}))[1]["suspended"] is True
    assert (await shop.owner("POST", path + "/resume", {"reason": 5}))[0] == 400
    await shop.owner("POST", path + "/resume", {})
    assert (await shop.nobody("GET", path + "/webhooks/main"))[1] == b"old"
    assert "suspended" not in (await shop.owner("GET", path))[1]
    assert (await shop.types(id)).count("workspaces.suspended") == 2


async def test_only_who_runs_the_server_suspends(shop: Site) -> None:
    alice = await shop.login()
    hers = (await alice("POST", "/workspaces", {"name": "Hers"}))[1]["id"]
    for verb in ("suspend", "resume"):
        assert (await alice("POST", f"/workspaces/{hers}/{verb}", {}))[0] == 403
