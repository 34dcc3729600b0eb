"""Workspaces and apps over HTTP: rights, shapes of answers, and both forms of import and export."""
from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from io import BytesIO
from types import SimpleNamespace
from typing import Any
from zipfile import ZipFile

import pytest
from aiohttp import FormData
from catalog_kit import Site, site

from gateway.imports import import_answer
from runtime.catalog.imports import ImportResult
from runtime.errors import TooBusy
from runtime.testing import HandClock
from runtime.values import decode

YAML = "application/yaml"
SHOP = """
name: My shop
description: sells
labels: [a, b]
config: {value: {a: 1}, schema: {a: {type: number}}}
automations:
  main: {do: [{emit: {event: sold}}], when: {endpoint: true}, output: 1}
pages: {home: {name: Home, blocks: [{slug: b}]}}
"""


@pytest.fixture
async def shop() -> AsyncIterator[Site]:
    async with site() as opened:
        yield opened


def zipped(files: dict[str, str]) -> bytes:
    buffer = BytesIO()
    with ZipFile(buffer, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return buffer.getvalue()


# --- rights ----------------------------------------------------------------------------------------------

ROUTES = [("GET", ""), ("PATCH", ""), ("DELETE", ""), ("GET", "/config"), ("PATCH", "/config"), ("PUT", "/config"), ("POST", "/import"),
          ("GET", "/export"), ("POST", "/versions/current/export"), ("GET", "/automations"), ("POST", "/automations"),
          ("GET", "/automations/main"), ("PATCH", "/automations/main"), ("DELETE", "/automations/main"),
          ("GET", "/automations/main/schedules"), ("GET", "/apps"), ("POST", "/apps"), ("GET", "/apps/box"), ("PATCH", "/apps/box"),
          ("DELETE", "/apps/box"), ("GET", "/apps/box/config"), ("PATCH", "/apps/box/config")]


async def test_every_route_asks_for_credentials_then_for_the_workspace_then_for_rights(shop: Site) -> None:
    id, alice = await shop.add(SHOP), await shop.login()
    for method, path in ROUTES:
        status, body = await shop.nobody(method, f"/workspaces/{id}{path}")
        assert (status, body["error"]) == (401, "AuthenticationError"), (method, path)
        status, body = await alice(method, f"/workspaces/zzzzzzz{path}")
        assert (status, body["error"]) == (404, "ObjectNotFoundError"), (method, path)
        status, body = await alice(method, f"/workspaces/{id}{path}")
        assert (status, body["error"]) == (403, "ForbiddenError"), (method, path)


async def test_whoever_makes_a_workspace_owns_it(shop: Site) -> None:
    alice, bob = await shop.login(), await shop.login()
    status, made = await alice("POST", "/workspaces", {"name": "Hers"})
    assert status == 200
    path = f"/workspaces/{made['id']}"
    assert (await alice("PATCH", path, {"name": "Still hers"}))[0] == 200
    assert (await bob("GET", path))[0] == 403
    assert (await shop.owner("GET", path))[0] == 200
    assert [w["id"] for w in (await alice("GET", "/workspaces"))[1]] == [made["id"]]
    assert (await bob("GET", "/workspaces"))[1] == []
    assert (await alice("DELETE", path)) == (200, {"id": made["id"]})


@pytest.mark.parametrize(("who", "status"), [("any", 200), ("members", 403), ("admins", 403)])
async def test_an_operator_says_who_may_make_workspaces(who: str, status: int) -> None:
    async with site(WORKSPACE_CREATION=who) as shop:
        alice = await shop.login()
        assert (await alice("POST", "/workspaces", {"name": "Mine"}))[0] == status
        assert (await alice("POST", "/workspaces/import", data=b"name: Mine", kind=YAML))[0] == status
        assert (await shop.owner("POST", "/workspaces", {"name": "Mine"}))[0] == 200


# --- making, reading, changing ------------------------------------------------------------------------------

async def test_a_workspace_is_shown_with_indexes_of_what_is_in_it(shop: Site) -> None:
    status, shown = await shop.owner("GET", f"/workspaces/{await shop.add(SHOP)}")
    assert status == 200
    assert (shown["name"], shown["slug"], shown["config"]["value"]) == ("My shop", "my-shop", {"a": 1})
    assert shown["automations"] == {"main": {"slug": "main", "name": "main", "when": {"endpoint": True}}}
    assert shown["pages"] == {"home": {"id": shown["pages"]["home"]["id"], "slug": "home", "name": "Home"}}
    assert shown["createdAt"] == shown["updatedAt"] == "2026-01-01T00:00:00.000Z"


async def test_there_is_no_version_but_the_current_one(shop: Site) -> None:
    id = await shop.add(SHOP)
    assert (await shop.owner("GET", f"/workspaces/{id}", query={"version": "current"}))[0] == 200
    for method, path in (("GET", "?version=v1"), ("GET", "/export?version=v1"), ("POST", "/versions/v1/export")):
        status, body = await shop.owner(method, f"/workspaces/{id}{path}")
        assert (status, body["error"]) == (400, "InvalidVersionError")


@pytest.mark.parametrize(("body", "error"), [
    ({}, "RequestValidationError"), ({"name": "x" * 61}, "RequestValidationError"), ({"name": "Shop", "slug": "No Slug"}, "InvalidSlugError"),
    ({"name": "Shop", "automations": []}, "RequestValidationError"), ({"name": "Shop", "slug": "taken"}, "AlreadyUsedError"),
    ({"name": "Shop", "automations": {"a": {"do": [], "when": {"schedules": ["x"]}}}}, "InvalidScheduleError"),
])
async def test_a_bad_workspace_is_refused(shop: Site, body: dict[str, Any], error: str) -> None:
    await shop.owner("POST", "/workspaces", {"name": "Taken", "slug": "taken"})
    status, answer = await shop.owner("POST", "/workspaces", body)
    assert (status, answer["error"]) == (400, error)
    assert len((await shop.owner("GET", "/workspaces"))[1]) == 1


async def test_the_list_is_filtered_sorted_and_cut_into_pages(shop: Site) -> None:
    for name, label in (("Alpha", "x"), ("beta", "y"), ("Gamma", "x")):
        await shop.owner("POST", "/workspaces", {"name": name, "labels": [label]})

    async def names(**query: str) -> list[str]:
        return [workspace["name"] for workspace in (await shop.owner("GET", "/workspaces", query=query))[1]]
    assert await names(sort="name") == ["Alpha", "beta", "Gamma"]
    assert await names(sort="-name", limit="1", page="1") == ["beta"]
    assert await names(sort="name", labels="x,z") == ["Alpha", "Gamma"]
    assert await names(name="ET") == ["beta"] and await names(slug="beta") == ["beta"]
    for query in ({"sort": "secret"}, {"limit": "-1"}, {"limit": "9" * 40}, {"page": "١"}):
        assert (await shop.owner("GET", "/workspaces", query=query))[0] == 400


async def test_the_list_is_that_of_who_has_a_role(shop: Site) -> None:
    for email in ("ada@example.org", "bob@example.org"):
        await shop.nobody("POST", "/signup", {"email": email, "password": "correct horse"})
    _, ada = await shop.nobody("POST", "/login", {"email": "ada@example.org", "password": "correct horse"})
    _, hers = await shop.visitor(ada["token"])("POST", "/workspaces", {"name": "Hers"})
    await shop.owner("POST", "/workspaces", {"name": "Another"})
    for email, ids in (("ADA@example.org", [hers["id"]]), ("bob@example.org", []), ("nobody@example.org", [])):
        assert [workspace["id"] for workspace in (await shop.owner("GET", "/workspaces", query={"email": email}))[1]] == ids
    assert len((await shop.owner("GET", "/workspaces"))[1]) == 2


async def test_a_config_is_read_merged_and_replaced(shop: Site) -> None:
    path = f"/workspaces/{await shop.add(SHOP)}/config"
    assert (await shop.owner("GET", path))[1] == {"value": {"a": 1}, "schema": {"a": {"type": "number"}}}
    assert (await shop.owner("PATCH", path, {"value": {"b": 2}}))[1]["value"] == {"a": 1, "b": 2}
    assert (await shop.owner("PUT", path, {"value": {"c": 3}}))[1] == {"value": {"c": 3}}
    assert (await shop.owner("PATCH", path, {"c": 3}))[0] == 400


# --- import and export ---------------------------------------------------------------------------------------

async def test_an_import_answers_what_it_did_and_where_the_warnings_are(shop: Site) -> None:
    text = b"name: Shop\nimports:\n  box: {appSlug: nope}\nautomations:\n  main: {do: [], whne: {}}\n"
    status, body = await shop.owner("POST", "/workspaces/import", data=text, kind=YAML)
    assert status == 200
    assert body["imported"] == ["index", "automations/main", "imports/box"]
    assert body["deleted"] == body["errors"] == [] and body["createdWorkspaceIds"] == [body["workspace"]["id"]]
    assert [(w["code"], w["path"], w["line"], w["column"]) for w in body["warnings"]] == [
        ("unknown-key", "automations.main.whne", 5, 18), ("unknown-app", "imports.box", 3, 3)]


async def test_a_document_that_is_refused_says_where_and_leaves_everything_as_it_was(shop: Site) -> None:
    id = await shop.add(SHOP)
    before = (await shop.owner("GET", f"/workspaces/{id}"))[1], await shop.types(id)
    for text in (b"name: [", b"name: Shop\nautomations: {a: {do: 1}}", b"- a", b"name: a\nname: b", b"\xff"):
        for path in ("/workspaces/import", f"/workspaces/{id}/import"):
            status, body = await shop.owner("POST", path, data=text, kind=YAML)
            assert (status, body["error"]) == (400, "RequestValidationError")
            assert all({"path", "message"} <= problem.keys() for problem in body["details"])
    assert ((await shop.owner("GET", f"/workspaces/{id}"))[1], await shop.types(id)) == before


@pytest.mark.parametrize("format", ["yaml", "zip"])
async def test_an_export_imports_as_the_same_workspace(shop: Site, format: str) -> None:
    id = await shop.add(SHOP)
    status, exported = await shop.owner("GET", f"/workspaces/{id}/export", query={"format": format})
    assert status == 200 and id.encode() not in exported
    kind = {"yaml": YAML, "zip": "application/zip"}[format]
    _, body = await shop.owner("POST", "/workspaces/import", data=exported, kind=kind)
    [copied] = body["createdWorkspaceIds"]
    one, other = (shop.gateway.engine.catalog.require(i).definition for i in (id, copied))
    assert {**other, "id": id, "slug": "my-shop"} == one and other["slug"] == "my-shop-1"
    await shop.owner("PATCH", f"/workspaces/{id}", {"name": "Changed", "pages": None})
    status, body = await shop.owner("POST", f"/workspaces/{id}/import", data=exported, kind=kind)
    assert body["updatedWorkspaceIds"] == [id] and shop.gateway.engine.catalog.require(id).definition == one


async def test_a_named_version_is_exported_as_an_archive(shop: Site) -> None:
    status, exported = await shop.owner("POST", f"/workspaces/{await shop.add(SHOP)}/versions/current/export")
    assert status == 200 and ZipFile(BytesIO(exported)).namelist() == ["index.yml", "automations/main.yml", "pages/home.yml"]


async def test_an_archive_comes_as_a_file_of_a_form(shop: Site) -> None:
    form = FormData()
    form.add_field("archive", zipped({"index.yml": "name: Zipped", "automations/a.yml": "do: []"}), filename="x.zip")
    status, body = await shop.owner("POST", "/workspaces/import", data=form)
    assert status == 200 and body["imported"] == ["index", "automations/a"]
    other = FormData()
    other.add_field("other", b"PK", filename="x.zip")
    assert (await shop.owner("POST", "/workspaces/import", data=other))[0] == 400


async def test_an_archive_without_index_is_put_over_what_is_there(shop: Site) -> None:
    id = await shop.add(SHOP)
    archive = zipped({"automations/more.yml": "do: []"})
    status, body = await shop.owner("POST", f"/workspaces/{id}/import", data=archive, kind="application/zip")
    assert status == 200 and (body["imported"], body["deleted"]) == (["automations/more"], [])
    assert list(body["workspace"]["automations"]) == ["main", "more"]
    assert (await shop.owner("POST", "/workspaces/import", data=archive, kind="application/zip"))[0] == 400


async def test_bodies_that_are_too_large_or_nothing_we_read_are_refused(shop: Site) -> None:
    status, body = await shop.owner("POST", "/workspaces/import", data=b"#" * (5 * 1024 * 1024 + 1), kind=YAML)
    assert (status, body["error"]) == (413, "PayloadTooLarge")
    status, body = await shop.owner("POST", "/workspaces/import", data=zipped({"../index.yml": "name: x"}), kind="application/zip")
    assert (status, body["error"]) == (413, "InvalidUploadError")
    assert (await shop.owner("POST", "/workspaces/import", data=b"name: Shop", kind="text/html"))[0] == 400


async def test_an_import_that_takes_long_goes_on_by_itself(caplog: pytest.LogCaptureFixture) -> None:
    clock, release = HandClock(), asyncio.Event()

    async def long() -> ImportResult:
        await release.wait()
        raise TooBusy("The store is full")
    answering = asyncio.create_task(import_answer(SimpleNamespace(clock=clock), long()))
    for _ in range(3):
        await asyncio.sleep(0)
    clock.advance(14)
    await asyncio.sleep(0)
    assert not answering.done()
    clock.advance(1)
    assert decode((await answering).body)["processing"] is True
    release.set()
    for _ in range(3):
        await asyncio.sleep(0)
    assert "The store is full" in caplog.text


# --- apps ----------------------------------------------------------------------------------------------------

async def test_an_app_is_published_found_installed_and_taken_back(shop: Site) -> None:
    app, user = await shop.add(SHOP), await shop.add("name: User")
    status, published = await shop.owner("POST", "/apps", {"workspaceId": app, "slug": "tool"})
    assert status == 200
    assert (published["slug"], published["name"], published["workspaceId"]) == ("tool", "My shop", app)
    assert (await shop.owner("GET", "/apps", query={"text": "SELL"}))[1] == [published]
    assert (await shop.owner("GET", "/apps", query={"text": "nothing"}))[1] == []
    assert (await shop.owner("GET", "/apps/tool"))[1] == {**published, "config": {"schema": {"a": {"type": "number"}}}}
    assert (await shop.owner("GET", "/apps/tool", query={"version": "v9"}))[0] == 404

    path = f"/workspaces/{user}/apps"
    assert await shop.owner("POST", path, {"appSlug": "tool", "slug": "my box", "config": {"a": 2}}) == (
        200, {"slug": "my box", "appSlug": "tool", "config": {"a": 2}})
    assert (await shop.owner("POST", path, {"appSlug": "tool", "slug": "my box"}))[1]["error"] == "AlreadyUsedError"
    assert (await shop.owner("POST", path, {"appSlug": "none"}))[0] == 404
    assert (await shop.owner("POST", path, {"slug": "x"}))[0] == 400
    [instance] = (await shop.owner("GET", path))[1]
    assert instance["automations"] == [{"slug": "main", "name": "main"}]
    assert instance["events"] == {"emit": [{"event": "sold"}], "listen": []}
    assert (await shop.owner("GET", path + "/my%20box"))[1]["config"] == {"value": {"a": 2}, "schema": {"a": {"type": "number"}}}
    assert (await shop.owner("PATCH", path + "/my%20box/config", {"b": 3}))[1] == {"a": 2, "b": 3}
    assert (await shop.owner("PATCH", path + "/my%20box", {"slug": "box"}))[1]["slug"] == "box"
    assert (await shop.owner("GET", path + "/box/config"))[1] == {"a": 2, "b": 3}
    assert await shop.owner("DELETE", path + "/box") == (200, {"slug": "box"})
    assert (await shop.owner("GET", path + "/box"))[0] == 404

    assert await shop.owner("DELETE", "/apps/tool") == (200, {"id": "tool"})
    assert (await shop.owner("GET", "/apps/tool"))[0] == 404


async def test_only_who_may_change_a_workspace_publishes_it_and_everybody_may_install_it(shop: Site) -> None:
    app, alice = await shop.add(SHOP), await shop.login()
    assert (await alice("POST", "/apps", {"workspaceId": app, "slug": "tool"}))[0] == 403
    assert (await shop.nobody("POST", "/apps", {"workspaceId": app}))[0] == 401
    assert (await alice("POST", "/apps", {"workspaceId": 5}))[0] == 400
    await shop.owner("POST", "/apps", {"workspaceId": app, "slug": "tool"})
    assert (await alice("DELETE", "/apps/tool"))[0] == 403
    hers = (await alice("POST", "/workspaces", {"name": "Hers"}))[1]["id"]
    assert (await alice("POST", f"/workspaces/{hers}/apps", {"appSlug": "tool", "slug": "box"}))[0] == 200
    assert (await alice("POST", "/apps", {"workspaceId": hers, "slug": "tool"}))[1]["error"] == "AlreadyUsedError"
