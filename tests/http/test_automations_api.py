"""Automations over HTTP: create, rename, delete, and when their schedules fall."""
from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from catalog_kit import Site, site

SHOP = "{name: My shop, automations: {main: {do: [], output: 1, when: {schedules: ['* * * * *', '*/20 * * * *', 0 5 * * *]}}}}"
FROM = "2026-03-01T03:14:00.000Z"


@pytest.fixture
async def shop() -> AsyncIterator[Site]:
    async with site() as opened:
        yield opened


async def test_an_automation_lives_from_creation_over_a_rename_to_its_end(shop: Site) -> None:
    id = await shop.add(SHOP)
    path = f"/workspaces/{id}/automations"
    body = {"name": "Été 1", "do": [], "when": {"endpoint": True}, "output": 2}
    assert await shop.owner("POST", path, body) == (200, {**body, "slug": "Ete 1", "validateArguments": True})
    assert (await shop.owner("GET", path + "/Ete%201"))[1]["output"] == 2
    renamed = {"name": "New", "slug": "a/new", "do": [], "output": 3}
    assert await shop.owner("PATCH", path + "/Ete%201", renamed) == (200, renamed)
    assert (await shop.owner("GET", path + "/Ete%201"))[0] == 404
    assert await shop.owner("GET", path + "/a/new") == (200, renamed)
    index = (await shop.owner("GET", path))[1]
    assert [automation["slug"] for automation in index] == ["main", "a/new"] and all("do" not in automation for automation in index)
    assert await shop.owner("DELETE", path + "/a/new") == (200, {"slug": "a/new"})
    assert (await shop.owner("DELETE", path + "/a/new"))[0] == 404
    assert (await shop.types(id))[-3:] == [f"workspaces.automations.{verb}" for verb in ("created", "updated", "deleted")]


@pytest.mark.parametrize(("body", "error"), [
    ({"name": "x", "do": [], "when": {"schedules": ["every day"]}}, "InvalidScheduleError"),
    ({"name": "x", "slug": "main", "do": []}, "AlreadyUsedError"),
    ({"name": "x", "slug": "a.b", "do": []}, "InvalidSlugError"),
    ({"name": "x", "do": {}}, "RequestValidationError"),
    ({"do": []}, "RequestValidationError"),
])
async def test_a_bad_automation_is_refused(shop: Site, body: dict[str, Any], error: str) -> None:
    path = f"/workspaces/{await shop.add(SHOP)}/automations"
    status, answer = await shop.owner("POST", path, body)
    assert (status, answer["error"]) == (400, error)
    assert error != "InvalidScheduleError" or answer["message"] == "Invalid schedule format"
    assert len((await shop.owner("GET", path))[1]) == 1


async def test_a_body_that_is_no_object_is_refused(shop: Site) -> None:
    path = f"/workspaces/{await shop.add(SHOP)}/automations"
    for body in (b"[]", b'{"a": ', b"5"):
        assert (await shop.owner("POST", path, data=body, kind="application/json"))[0] == 400


async def test_what_only_fails_when_it_is_reached_is_accepted(shop: Site) -> None:
    path = f"/workspaces/{await shop.add(SHOP)}/automations"
    assert (await shop.owner("POST", path, {"name": "x", "do": [{"ftech": {}}, {"set": {"name": "{{"}}]}))[0] == 200


async def test_schedules_say_when_they_fall(shop: Site) -> None:
    path = f"/workspaces/{await shop.add(SHOP)}/automations/main/schedules"
    status, body = await shop.owner("GET", path, query={"from": FROM, "count": "2"})
    assert status == 200 and body == {"schedules": [
        {"schedule": "* * * * *", "next": ["2026-03-01T03:15:00.000Z", "2026-03-01T03:30:00.000Z"]},
        {"schedule": "*/20 * * * *", "next": ["2026-03-01T03:20:00.000Z", "2026-03-01T03:40:00.000Z"]},
        {"schedule": "0 5 * * *", "next": ["2026-03-01T05:00:00.000Z", "2026-03-02T05:00:00.000Z"]}]}


async def test_schedules_are_told_from_now_on_unless_another_instant_is_given(shop: Site) -> None:
    path = f"/workspaces/{await shop.add(SHOP)}/automations/main/schedules"
    assert (await shop.owner("GET", path, query={"count": "1"}))[1]["schedules"][0]["next"] == ["2026-01-01T00:15:00.000Z"]
    assert (await shop.owner("GET", path, query={"from": "2026-03-01T05:14:00+02:00", "count": "1"}))[1]["schedules"][0]["next"] == [
        "2026-03-01T03:15:00.000Z"]
    for query in ({"from": "soon"}, {"from": ""}, {"count": "51"}, {"count": "x"}):
        status, body = await shop.owner("GET", path, query=query)
        assert (status, body["error"]) == (400, "RequestValidationError")
    for instant in ("0001-01-01", "9999-12-31T23:59:59Z"):
        assert (await shop.owner("GET", path, query={"from": instant}))[0] == 200
    assert (await shop.owner("GET", path.replace("main", "none")))[0] == 404
