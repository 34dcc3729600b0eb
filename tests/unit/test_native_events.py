"""Every native event about workspaces, apps, versions, pages and automations: when it is told, what it says, who may listen to it."""
from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from catalog_kit import ORIGIN, Shop

from runtime.native import LISTENABLE
from runtime.values import decode

SHOP: dict[str, Any] = {
    "name": "Shop", "slug": "shop", "config": {"value": {"a": 1}}, "automations": {"main": {"name": "main", "do": []}},
    "imports": {"box": {"appSlug": "tool", "config": {"x": 1}}}, "pages": {"home": {"name": "Home"}}}
NEW = {"name": "new", "do": [], "when": {"schedules": ["0 5 * * *"]}}

Do = Callable[[Shop, str], Awaitable[object]]
Told = list[tuple[str, dict[str, Any]]]
ANY: Any = type("Any", (), {"__eq__": lambda self, other: True, "__repr__": lambda self: "ANY"})()


def row(name: str, do: Do, *told: tuple[str, dict[str, Any]]) -> Any:
    return pytest.param(do, list(told), id=name)


TABLE = [
    row("nothing changes", lambda s, id: s.catalog.update(id, {"config": {"value": {"a": 1}}, "name": "Shop"}, ORIGIN)),
    row("a root section changes", lambda s, id: s.catalog.update(id, {"description": "sells"}, ORIGIN),
        ("workspaces.updated", {"workspace": ANY})),
    row("the slug changes", lambda s, id: s.catalog.update(id, {"slug": "moved"}, ORIGIN),
        ("workspaces.updated", {"workspace": ANY, "oldSlug": "shop"})),
    row("the config changes", lambda s, id: s.catalog.configure(id, {"value": {"b": 2}}, ORIGIN),
        ("workspaces.updated", {"workspace": ANY}),
        ("workspaces.configured", {"config": {"value": {"a": 1, "b": 2}}, "oldConfig": {"value": {"a": 1}}})),
    row("the blocks change", lambda s, id: s.catalog.update(id, {"blocks": [{"slug": "b"}]}, ORIGIN),
        ("workspaces.updated", {"workspace": ANY}), ("workspaces.blocks.updated", {"blocks": [{"slug": "b"}], "workspaceSlug": "shop"})),
    row("the rules change", lambda s, id: s.catalog.update(id, {"security": {"authorizations": {}}}, ORIGIN),
        ("workspaces.updated", {"workspace": ANY}), ("workspaces.security.updated", {"security": {"authorizations": {}}})),
    row("suspended and resumed", lambda s, id: twice(s, id),
        ("workspaces.suspended", {"workspaceId": ANY, "suspended": True, "reason": "unpaid"}),
        ("workspaces.suspended", {"workspaceId": ANY, "suspended": False, "reason": "paid"})),
    row("an automation is created", lambda s, id: s.catalog.create_automation(id, NEW, ORIGIN),
        ("workspaces.automations.created", {"slug": "new", "automation": {"slug": "new", **NEW, "validateArguments": True}}),
        ("runtime.automations.scheduled", {"slug": "new", "schedules": ["0 5 * * *"], "details": {"launched": True}})),
    row("an automation is renamed like an instance",
        lambda s, id: s.catalog.update_automation(id, "main", {"name": "main", "do": [], "slug": "box"}, ORIGIN),
        ("workspaces.automations.updated", {"slug": "box", "oldSlug": "main", "automation": {"slug": "box", "name": "main", "do": []}})),
    row("an automation is deleted", lambda s, id: s.catalog.delete_automation(id, "main", ORIGIN),
        ("workspaces.automations.deleted", {"automationSlug": "main"})),
    row("a page is created", lambda s, id: s.catalog.create_page(id, {"name": "À propos", "blocks": []}, ORIGIN),
        ("workspaces.pages.created", {"page": {"id": ANY, "slug": "a-propos", "name": "À propos", "blocks": []}})),
    row("a page is renamed", lambda s, id: s.catalog.update_page(id, "home", {"slug": "start", "labels": ["x"]}, ORIGIN),
        ("workspaces.pages.updated", {"page": {"id": ANY, "slug": "start", "name": "Home", "labels": ["x"]}, "oldSlug": "home"})),
    row("a page is deleted", lambda s, id: s.catalog.delete_page(id, "home", ORIGIN), ("workspaces.pages.deleted", {"pageSlug": "home"})),
    row("an app is installed", lambda s, id: s.catalog.install_app(id, {"appSlug": "tool", "slug": "more"}, ORIGIN),
        ("workspaces.apps.installed", {"slug": "more", "appInstance": {"appSlug": "tool", "slug": "more"}})),
    row("an instance is configured", lambda s, id: s.catalog.merge_app_config(id, "box", {"y": 2}, ORIGIN),
        ("workspaces.apps.configured", {"slug": "box", "appInstance": {
            "appSlug": "tool", "slug": "box", "config": {"x": 1, "y": 2}, "oldConfig": {"x": 1}}})),
    row("an instance is renamed", lambda s, id: s.catalog.configure_app(id, "box", {"slug": "crate"}, ORIGIN),
        ("workspaces.apps.configured", {"slug": "crate", "oldSlug": "box", "appInstance": {
            "appSlug": "tool", "slug": "crate", "config": {"x": 1}, "oldConfig": {"x": 1}}})),
    row("an instance is uninstalled", lambda s, id: s.catalog.uninstall_app(id, "box", ORIGIN),
        ("workspaces.apps.uninstalled", {"slug": "box", "appInstance": {"appSlug": "tool", "slug": "box", "config": {"x": 1}}})),
    row("it is published as an app", lambda s, id: s.catalog.publish_app(id, {"slug": "shop"}, ORIGIN),
        ("apps.published", {"app": {"slug": "shop", "workspaceId": ANY, "name": "Shop", "createdAt": ANY, "updatedAt": ANY, "versions": ANY}})),
    row("its app is taken back", lambda s, id: published_and_taken_back(s, id), ("apps.published", {"app": ANY}),
        ("apps.deleted", {"appSlug": "shop"})),
    row("a version is kept", lambda s, id: s.catalog.versions.publish(id, {"name": "v1", "description": "d"}, ORIGIN),
        ("workspaces.versions.published", {"version": {"name": "v1", "createdAt": ANY, "description": "d"}})),
    row("a version is restored", lambda s, id: kept_and(s, id, s.catalog.versions.pull), ("workspaces.versions.published", ANY),
        ("workspaces.versions.rollback", {"version": {"name": "v1", "createdAt": ANY}}), ("runtime.dsul.updated", {"workspaceId": ANY}),
        ("workspaces.imported", {"workspace": ANY, "files": ["index", "automations/main", "imports/box", "pages/home"], "deleted": [],
                                 "version": "v1", "errors": []})),
    row("a version is deleted", lambda s, id: kept_and(s, id, s.catalog.versions.delete), ("workspaces.versions.published", ANY),
        ("workspaces.versions.deleted", {"version": {"name": "v1", "createdAt": ANY}})),
    row("an import replaces it", lambda s, id: s.catalog.import_definition({"name": "Shop"}, id=id, owner="ada", origin=ORIGIN),
        ("workspaces.updated", {"workspace": ANY}), ("workspaces.configured", {"config": {}, "oldConfig": {"value": {"a": 1}}}),
        ("workspaces.automations.deleted", {"automationSlug": "main"}),
        ("workspaces.apps.uninstalled", {"slug": "box", "appInstance": ANY}), ("workspaces.pages.deleted", {"pageSlug": "home"}),
        ("runtime.dsul.updated", {"workspaceId": ANY}),
        ("workspaces.imported", {"workspace": ANY, "files": ["index"], "deleted": ["automations/main", "imports/box", "pages/home"],
                                 "errors": []})),
    row("it is deleted, and its app with it", lambda s, id: published_and_deleted(s, id), ("apps.published", ANY),
        ("workspaces.deleted", {"workspaceId": ANY, "workspaceSlug": "shop"}), ("workspaces.apps.uninstalled", {"slug": "box", "appInstance": ANY}),
        ("apps.deleted", {"appSlug": "shop"})),
]


async def twice(shop: Shop, id: str) -> None:
    """Said again it is no news."""
    for _ in range(2):
        await shop.catalog.suspend(id, "unpaid", ORIGIN)
    for _ in range(2):
        await shop.catalog.resume(id, "paid", ORIGIN)


async def published_and_taken_back(shop: Shop, id: str) -> None:
    await shop.catalog.publish_app(id, {"slug": "shop"}, ORIGIN)
    await shop.catalog.delete_app("shop", ORIGIN)


async def published_and_deleted(shop: Shop, id: str) -> None:
    await shop.catalog.publish_app(id, {"slug": "shop"}, ORIGIN)
    await shop.catalog.delete(id, ORIGIN)


async def kept_and(shop: Shop, id: str, then: Callable[..., Awaitable[object]]) -> None:
    await shop.catalog.versions.publish(id, {"name": "v1"}, ORIGIN)
    await then(id, "v1", ORIGIN)


@pytest.mark.parametrize(("do", "told"), TABLE)
async def test_what_is_told_of_a_change(do: Do, told: Told) -> None:
    shop = Shop()
    app = await shop.add({"name": "Tool"})
    await shop.catalog.publish_app(app, {"slug": "tool"}, ORIGIN)
    id = await shop.add(SHOP)
    await do(shop, id)
    events = await shop.news(id)
    assert [(event["type"], event["payload"]) for event in events] == told
    for event in events:
        assert event["source"]["workspaceId"] == id and event["source"]["userId"] == "ada"
        assert event["source"]["serviceTopic"] == event["type"]


async def test_a_workspace_that_begins_is_told_of() -> None:
    shop = Shop()
    made = await shop.catalog.create({"name": "New"}, "ada", ORIGIN)
    created, security = await shop.news(made.id)
    assert (created["type"], created["payload"]["workspace"]["slug"]) == ("workspaces.created", "new")
    assert (security["type"], security["payload"]) == ("workspaces.security.updated", {"security": {}})


HEARD = {"workspaces.configured", "workspaces.apps.installed", "workspaces.apps.configured", "workspaces.apps.uninstalled",
         "workspaces.deleted", "apps.published", "apps.deleted", "runtime.automations.scheduled", "workspaces.versions.published",
         "workspaces.versions.rollback", "workspaces.versions.deleted", "workspaces.imported", "workspaces.duplicated",
         "workspaces.automations.created", "workspaces.automations.updated", "workspaces.automations.deleted"}
UNHEARD = {"workspaces.created", "workspaces.updated", "workspaces.pages.created", "workspaces.pages.updated", "workspaces.pages.deleted",
           "workspaces.blocks.updated", "workspaces.security.updated", "workspaces.suspended", "runtime.dsul.updated"}


def test_who_may_be_listened_to_is_as_it_was_promised() -> None:
    in_table = {type for parameters in TABLE for type, _ in parameters.values[1]}
    assert in_table | {"workspaces.created", "workspaces.duplicated"} == HEARD | UNHEARD
    assert HEARD <= LISTENABLE and not UNHEARD & LISTENABLE


@pytest.mark.parametrize(("do", "told"), TABLE)
async def test_each_listener_of_a_change_is_started_by_the_batch_that_makes_it(do: Do, told: Told) -> None:
    shop = Shop()
    app = await shop.add({"name": "Tool"})
    await shop.catalog.publish_app(app, {"slug": "tool"}, ORIGIN)
    wanted = [type for type, _ in told if type in HEARD]
    id = await shop.add({**SHOP, "automations": {**SHOP["automations"], "ear": {"name": "ear", "do": [], "when": {"events": sorted(HEARD)}}}})
    earlier = await shop.store.deliveries()
    await do(shop, id)
    started = [decode(delivery.body)["type"] for delivery in await shop.store.deliveries() if delivery not in earlier]
    is_ear_gone = told[-1:] == [("workspaces.imported", ANY)] and "version" not in told[-1][1]
    if ("workspaces.deleted", ANY) in told:
        wanted.remove("apps.published")                      # what was not begun before the end is not begun after it
    assert started == ([] if is_ear_gone else wanted)
