"""The catalog: every edit is one revision with the events that tell of it, or nothing."""
from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest
from catalog_kit import ADA, ORIGIN, Shop
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.calls import Origin
from runtime.catalog.definitions import same
from runtime.errors import (
    AlreadyUsed,
    InvalidAutomation,
    InvalidRequest,
    InvalidSchedule,
    InvalidSlug,
    NotFound,
    TooBusy,
)
from runtime.language.loader import load
from runtime.permissions.shares import Grant, Subject
from runtime.settings import RuntimeSettings
from runtime.workspace import Workspace
from store.errors import Full
from store.memory import MemoryStore
from store.records import Fact

GREET = {"name": "greet", "when": {"endpoint": True}, "do": [], "output": "hello"}
SHOP = """
name: My shop
config: {value: {a: 1}}
automations:
  main: {do: [], when: {events: [x]}}
  nightly: {do: [], when: {schedules: [0 5 * * *]}}
pages: {home: {name: Home}}
"""


# --- import --------------------------------------------------------------------------------------------

async def test_an_import_makes_a_workspace_and_tells_everything_that_is_in_it() -> None:
    shop = Shop()
    result = await shop.catalog.import_definition(load(SHOP), owner="ada", origin=ORIGIN)
    workspace = result.workspace
    assert result.is_new and result.imported == ["index", "automations/main", "automations/nightly", "pages/home"]
    assert (workspace.slug, workspace.owner, workspace.revision) == ("my-shop", "ada", 1)
    events = await shop.news(workspace.id)
    assert [event["type"] for event in events] == [
        "workspaces.created", "workspaces.security.updated", "workspaces.automations.created", "workspaces.automations.created",
        "runtime.automations.scheduled", "workspaces.pages.created", "workspaces.imported"]
    assert events[4]["payload"] == {"slug": "nightly", "schedules": ["0 5 * * *"], "details": {"launched": True}}
    assert events[4]["source"]["automationSlug"] == "nightly"
    assert {event["source"]["correlationId"] for event in events} == {ORIGIN.correlation_id}


async def test_an_import_over_a_workspace_replaces_it_as_one_revision() -> None:
    shop = Shop()
    id = await shop.add(SHOP)
    result = await shop.catalog.import_definition(load("automations: {main: {do: [], when: {events: [x]}}, other: {do: []}}"),
                                                  id=id, owner="ada", origin=ORIGIN)
    assert not result.is_new
    assert result.deleted == ["automations/nightly", "pages/home"]
    assert result.workspace.revision == 2
    assert (result.workspace.name, result.workspace.slug) == ("My shop", "my-shop")
    assert list(result.workspace.automations) == ["main", "other"]
    assert await shop.types(id) == ["workspaces.updated", "workspaces.configured", "workspaces.automations.created",
                                    "workspaces.automations.deleted", "workspaces.pages.deleted", "runtime.dsul.updated", "workspaces.imported"]


async def test_a_merging_import_removes_nothing() -> None:
    shop = Shop()
    id = await shop.add(SHOP)
    result = await shop.catalog.import_definition(load("automations: {main: {do: [], output: 1}}"), id=id, merge=True,
                                                  owner="ada", origin=ORIGIN)
    assert result.imported == ["automations/main"] and not result.deleted
    assert list(result.workspace.automations) == ["main", "nightly"]
    assert await shop.types(id) == ["workspaces.automations.updated", "runtime.dsul.updated", "workspaces.imported"]


async def test_an_import_leaves_the_rules_of_a_workspace_in_force_unless_it_brings_its_own() -> None:
    shop = Shop()
    id = await shop.add({"name": "Shop", "security": {"authorizations": {"rules": []}}})
    await shop.add({"name": "Shop"}, id=id)
    assert "security" in shop.catalog.require(id).definition
    await shop.add({"name": "Shop", "security": {}}, id=id)
    assert shop.catalog.require(id).definition["security"] == {}


async def test_all_that_is_wrong_is_told_and_nothing_is_kept() -> None:
    shop = Shop()
    with pytest.raises(InvalidAutomation) as refused:
        await shop.add("name: Shop\nautomations: {a: {do: 5}, b: {do: [], when: {schedules: [often]}}}")
    assert [problem["path"] for problem in refused.value.details] == ["automations.a.do", "automations.b.when.schedules[0]"]
    assert shop.catalog.all() == [] and await shop.store.workspaces() == []


async def test_a_slug_that_is_taken_is_replaced_with_a_warning_or_refused() -> None:
    shop = Shop()
    await shop.add("{name: One, slug: shop}")
    document = load("{name: Two, slug: shop}")
    with pytest.raises(AlreadyUsed):
        await shop.catalog.import_definition(document, owner="ada", origin=ORIGIN, overwrite_slug=False)
    result = await shop.catalog.import_definition(document, owner="ada", origin=ORIGIN)
    assert result.workspace.slug == "shop-1"
    [warning] = result.warnings
    assert (warning["code"], warning["path"], warning["line"], warning["column"]) == ("taken-slug", "slug", 1, 19)


async def test_entries_are_known_by_their_slug_and_named_by_it() -> None:
    shop = Shop()
    id = await shop.add({"name": "Shop", "automations": {"key": {"slug": "real", "do": []}, "other": {"name": "O", "do": []}}})
    assert shop.catalog.require(id).definition["automations"] == {"real": {"do": [], "name": "real"}, "other": {"name": "O", "do": []}}


async def test_what_only_the_server_says_is_not_imported() -> None:
    shop = Shop()
    id = await shop.add({"id": "mine", "name": "Shop", "createdAt": "never", "createdBy": "eve"})
    assert shop.catalog.require(id).definition == {"id": id, "name": "Shop", "slug": "shop"}


async def test_a_value_that_json_cannot_hold_is_refused() -> None:
    shop, deep = Shop(), []
    for _ in range(300):
        deep = [deep]
    with pytest.raises(InvalidRequest):
        await shop.add({"name": "Shop", "config": {"value": {"n": 2 ** 70}}})
    with pytest.raises((InvalidRequest, InvalidAutomation)):
        await shop.add({"name": "Shop", "config": {"value": {"n": deep}}})


# --- edits ---------------------------------------------------------------------------------------------

async def test_an_update_replaces_sections_and_null_removes_one() -> None:
    shop = Shop()
    id = await shop.add({"name": "Shop", "description": "old", "config": {"value": {"a": 1, "b": 2}}})
    await shop.catalog.update(id, {"config": {"value": {"a": 2}}, "description": None, "slug": None}, ORIGIN)
    assert shop.catalog.require(id).definition == {"id": id, "name": "Shop", "slug": "shop", "config": {"value": {"a": 2}}}
    updated, configured = await shop.news(id)
    assert updated["type"] == "workspaces.updated" and "oldSlug" not in updated["payload"]
    assert configured["payload"] == {"config": {"value": {"a": 2}}, "oldConfig": {"value": {"a": 1, "b": 2}}}


async def test_an_update_that_changes_nothing_tells_nothing() -> None:
    shop = Shop()
    id = await shop.add(SHOP)
    before = shop.catalog.require(id)
    await shop.catalog.update(id, {"name": "My shop", "config": {"value": {"a": 1}}}, ORIGIN)
    assert shop.catalog.require(id) is before and await shop.news(id) == []


async def test_true_in_the_place_of_one_is_a_change() -> None:
    shop = Shop()
    id = await shop.add(SHOP)
    await shop.catalog.update(id, {"config": {"value": {"a": True}}}, ORIGIN)
    assert "workspaces.configured" in await shop.types(id)


async def test_a_new_slug_moves_the_workspace_and_frees_the_old_one() -> None:
    shop = Shop()
    id = await shop.add(SHOP)
    await shop.catalog.update(id, {"slug": "elsewhere"}, ORIGIN)
    assert shop.catalog.by_slug("my-shop") is None and shop.catalog.by_slug("elsewhere") is shop.catalog.require(id)
    assert (await shop.news(id))[0]["payload"]["oldSlug"] == "my-shop"
    await shop.add("{name: Other, slug: my-shop}")
    with pytest.raises(AlreadyUsed):
        await shop.catalog.update(id, {"slug": "my-shop"}, ORIGIN)
    with pytest.raises(InvalidSlug):
        await shop.catalog.update(id, {"slug": "No Good"}, ORIGIN)


async def test_a_config_merges_root_keys_or_is_replaced() -> None:
    shop = Shop()
    id = await shop.add({"name": "Shop", "config": {"value": {"a": 1, "b": {"c": 1}}, "schema": {"a": {"type": "number"}}}})
    merged = await shop.catalog.configure(id, {"value": {"b": 2}}, ORIGIN)
    assert merged == {"value": {"a": 1, "b": 2}, "schema": {"a": {"type": "number"}}}
    assert await shop.catalog.configure(id, {"value": {"c": 3}}, ORIGIN, replace=True) == {"value": {"c": 3}}
    with pytest.raises(InvalidRequest):
        await shop.catalog.configure(id, {"c": 4}, ORIGIN)


async def test_an_automation_is_created_renamed_in_its_place_and_deleted() -> None:
    shop = Shop()
    id = await shop.add(SHOP)
    made = await shop.catalog.create_automation(id, {"name": "Été 1", "do": []}, ORIGIN)
    assert made == {"slug": "Ete 1", "name": "Été 1", "do": [], "validateArguments": True}
    await shop.catalog.update_automation(id, "main", {"slug": "first", "name": "first", "do": []}, ORIGIN)
    assert list(shop.catalog.require(id).automations) == ["first", "nightly", "Ete 1"]
    await shop.catalog.delete_automation(id, "nightly", ORIGIN)
    created, updated, deleted = await shop.news(id)
    assert created["payload"] == {"automation": made, "slug": "Ete 1"}
    assert (updated["payload"]["slug"], updated["payload"]["oldSlug"]) == ("first", "main")
    assert (deleted["type"], deleted["payload"]) == ("workspaces.automations.deleted", {"automationSlug": "nightly"})
    with pytest.raises(NotFound):
        await shop.catalog.delete_automation(id, "nightly", ORIGIN)


@pytest.mark.parametrize(("body", "error"), [
    ({"do": []}, InvalidRequest),
    ({"name": "x"}, InvalidAutomation),
    ({"name": "x", "slug": "main", "do": []}, AlreadyUsed),
    ({"name": "x", "slug": "a.b", "do": []}, InvalidSlug),
    ({"name": "x", "slug": 5, "do": []}, InvalidSlug),
    ({"name": "x", "do": [], "when": {"schedules": ["every day"]}}, InvalidSchedule),
    ([], InvalidRequest),
])
async def test_a_bad_automation_is_refused_and_nothing_is_kept(body: object, error: type[Exception]) -> None:
    shop = Shop()
    id = await shop.add(SHOP)
    before = shop.catalog.require(id)
    with pytest.raises(error):
        await shop.catalog.create_automation(id, body, ORIGIN)
    assert shop.catalog.require(id) is before and await shop.news(id) == []


async def test_a_disabled_automation_is_not_announced_as_scheduled() -> None:
    shop = Shop()
    id = await shop.add(SHOP)
    nightly = {"name": "nightly", "do": [], "when": {"schedules": ["0 5 * * *"]}}
    await shop.catalog.update_automation(id, "nightly", {**nightly, "disabled": True}, ORIGIN)
    assert await shop.types(id) == ["workspaces.automations.updated"]
    await shop.catalog.update_automation(id, "nightly", nightly, ORIGIN)
    assert await shop.types(id) == ["workspaces.automations.updated", "runtime.automations.scheduled"]


async def test_a_deleted_workspace_is_gone_and_its_instances_are_told() -> None:
    shop = Shop()
    id = await shop.add({"name": "Shop", "imports": {"one": {"appSlug": "x"}, "two": {"appSlug": "y"}}})
    await shop.catalog.delete(id, ORIGIN)
    deleted, *instances = await shop.news(id)
    assert (deleted["type"], deleted["payload"]) == ("workspaces.deleted", {"workspaceId": id, "workspaceSlug": "shop"})
    assert [event["payload"] for event in instances] == [{"appInstance": {"appSlug": "x", "slug": "one"}, "slug": "one"},
                                                         {"appInstance": {"appSlug": "y", "slug": "two"}, "slug": "two"}]
    assert await shop.store.workspaces() == [] and shop.catalog.by_slug("shop") is None
    with pytest.raises(NotFound):
        await shop.catalog.update(id, {"name": "Again"}, ORIGIN)


def grant(id: str, kind: str, subject: str) -> Grant:
    return Grant(id, Subject(kind, subject), "bob", "editor", frozenset(), {})


async def test_a_page_and_an_app_that_go_are_shared_with_nobody_any_more() -> None:
    shop = Shop()
    id = await shop.add(SHOP)
    catalog, workspace = shop.catalog, shop.catalog.require(id)
    await catalog.publish_app(id, {"slug": "tool"}, ORIGIN)
    page = (await catalog.update_page(id, "home", {"slug": "start"}, ORIGIN))["id"]
    for kind, subject in (("pages", page), ("apps", "tool"), ("workspaces", id)):
        await catalog.granting.share(workspace, grant(id, kind, subject), ORIGIN)
    await catalog.update_page(id, "start", {"slug": "home"}, ORIGIN)
    assert len(await shop.store.items("permissions", id, 0)) == 3
    await catalog.delete_page(id, "home", ORIGIN)
    await catalog.delete_app("tool", ORIGIN)
    assert [item.id for item in await shop.store.items("permissions", id, 0)] == [grant(id, "workspaces", id).id]
    shares = catalog.sharing.of(id)
    assert not shares.grants(Subject("pages", page)) and not shares.grants(Subject("apps", "tool"))
    assert shares.grants(Subject("workspaces", id))


# --- apps ----------------------------------------------------------------------------------------------

async def app_and_user(shop: Shop, **instance: object) -> tuple[str, str]:
    app = await shop.add({"name": "Tool", "automations": {"run": {"do": [], "output": 1}}})
    await shop.catalog.publish_app(app, {"slug": "tool", "version": {"name": "v1"}}, ORIGIN)
    user = await shop.add({"name": "User", "imports": {"box": {"appSlug": "tool", **instance}}})
    await shop.news(app)
    return app, user


def output(workspace: Workspace) -> object:
    return workspace.root.imports["box"].automations["run"].document["output"]


async def test_an_instance_without_version_follows_the_latest_publication() -> None:
    shop = Shop()
    app, user = await app_and_user(shop)
    await shop.catalog.update_automation(app, "run", {"do": [], "output": 2}, ORIGIN)
    assert output(shop.catalog.require(user)) == 1
    await shop.catalog.publish_app(app, {}, ORIGIN)
    assert output(shop.catalog.require(user)) == 2
    assert await shop.types(app) == ["workspaces.automations.updated", "apps.published"]
    [told] = await shop.news(user)
    assert (told["type"], told["payload"]["app"]["slug"]) == ("apps.published", "tool")
    assert "userId" not in told["source"]


async def test_an_instance_with_a_version_stays_with_it() -> None:
    shop = Shop()
    app, user = await app_and_user(shop, appVersion="v1")
    await shop.catalog.update_automation(app, "run", {"do": [], "output": 2}, ORIGIN)
    await shop.catalog.publish_app(app, {}, ORIGIN)
    assert output(shop.catalog.require(user)) == 1


async def test_a_workspace_loads_without_an_app_and_gets_it_once_it_is_published() -> None:
    shop = Shop()
    result = await shop.catalog.import_definition(load("name: User\nimports:\n  box: {appSlug: tool}\n"), owner="ada", origin=ORIGIN)
    [warning] = result.warnings
    assert (warning["code"], warning["path"], warning["line"]) == ("unknown-app", "imports.box", 3)
    app = await shop.add({"name": "Tool", "automations": {"run": {"do": [], "output": 1}}})
    await shop.catalog.publish_app(app, {"slug": "tool"}, ORIGIN)
    assert output(shop.catalog.require(result.workspace.id)) == 1


async def test_an_app_does_not_install_itself_and_one_that_imports_itself_still_loads() -> None:
    shop = Shop()
    app, _ = await app_and_user(shop)
    with pytest.raises(InvalidRequest):
        await shop.catalog.install_app(app, {"appSlug": "tool", "slug": "me"}, ORIGIN)
    result = await shop.catalog.import_definition({"name": "Tool", "imports": {"me": {"appSlug": "tool"}}}, id=app, owner="ada", origin=ORIGIN)
    assert [warning["code"] for warning in result.warnings] == ["recursive-app"]
    assert result.workspace.root.imports == {}


async def test_apps_inside_apps_are_loaded_as_deep_as_they_do_not_repeat(caplog: pytest.LogCaptureFixture) -> None:
    shop = Shop()
    for name, below in (("inner", "outer"), ("outer", "inner")):
        id = await shop.add({"name": name, "imports": {"below": {"appSlug": below}}, "automations": {"main": {"do": [], "output": name}}})
        await shop.catalog.publish_app(id, {"slug": name}, ORIGIN)
    user = await shop.add({"name": "User", "imports": {"box": {"appSlug": "outer"}}})
    assert set(shop.catalog.require(user).instances) == {"", "box", "box.below"}
    assert shop.catalog.require(user).automation("box.below.main").document["output"] == "inner"
    caplog.clear()
    inner = shop.catalog.require_app("inner").workspace_id
    await shop.catalog.install_app(inner, {"appSlug": "outer", "slug": "again"}, ORIGIN)
    await shop.add({"name": "Self", "imports": {"me": {"appSlug": "none"}}})
    assert ["none" not in shop.catalog.require(inner).root.imports, [record.levelname for record in caplog.records]] == [True, ["ERROR"]]


async def test_the_oldest_publications_of_an_app_go() -> None:
    shop = Shop(settings=RuntimeSettings(maximum_app_version=2))
    id = await shop.add({"name": "Tool"})
    for number in range(3):
        await shop.catalog.publish_app(id, {"slug": "tool", "version": {"name": f"v{number}"}}, ORIGIN)
    assert [version.name for version in shop.catalog.require_app("tool").versions] == ["v2", "v1"]


async def test_an_instance_is_installed_configured_renamed_and_uninstalled() -> None:
    shop = Shop()
    await app_and_user(shop)
    id = await shop.add("name: Another")
    await shop.catalog.install_app(id, {"appSlug": "tool", "slug": "box", "config": {"x": 1, "y": 1}, "junk": 1}, ORIGIN)
    assert await shop.catalog.merge_app_config(id, "box", {"x": 2}, ORIGIN) == {"slug": "box", "appSlug": "tool", "config": {"x": 2, "y": 1}}
    await shop.catalog.configure_app(id, "box", {"slug": "crate", "config": None}, ORIGIN)
    await shop.catalog.uninstall_app(id, "crate", ORIGIN)
    installed, configured, renamed, uninstalled = await shop.news(id)
    assert installed["payload"] == {"appInstance": {"appSlug": "tool", "slug": "box", "config": {"x": 1, "y": 1}}, "slug": "box"}
    assert installed["source"]["appInstanceFullSlug"] == "box" and installed["source"]["appSlug"] == "tool"
    assert configured["payload"]["appInstance"]["oldConfig"] == {"x": 1, "y": 1}
    assert (renamed["payload"]["slug"], renamed["payload"]["oldSlug"]) == ("crate", "box")
    assert (uninstalled["type"], uninstalled["payload"]["slug"]) == ("workspaces.apps.uninstalled", "crate")
    for call in (shop.catalog.install_app(id, {"appSlug": "nope"}, ORIGIN),
                 shop.catalog.install_app(id, {"appSlug": "tool", "appVersion": "v9"}, ORIGIN),
                 shop.catalog.configure_app(id, "nope", {}, ORIGIN)):
        with pytest.raises(NotFound):
            await call


async def test_an_instance_that_is_removed_hears_of_it_with_the_automations_it_had() -> None:
    shop = Shop()
    app = await shop.add({"name": "Tool", "automations": {"bye": {"do": [], "when": {"events": ["workspaces.apps.uninstalled"]}}}})
    await shop.catalog.publish_app(app, {"slug": "tool"}, ORIGIN)
    id = await shop.add({"name": "User", "imports": {"box": {"appSlug": "tool"}, "other": {"appSlug": "tool"}}})
    await shop.catalog.uninstall_app(id, "box", ORIGIN)
    await shop.add({"name": "User", "imports": {"new": {"appSlug": "tool"}}}, id=id)
    assert [delivery.automation for delivery in await shop.store.deliveries()] == ["box.bye", "other.bye"]


async def test_a_slug_of_an_app_is_taken_for_ever_and_versions_have_names_of_their_own() -> None:
    shop = Shop()
    app, user = await app_and_user(shop)
    with pytest.raises(AlreadyUsed):
        await shop.catalog.publish_app(user, {"slug": "tool"}, ORIGIN)
    with pytest.raises(InvalidSlug):
        await shop.catalog.publish_app(app, {"slug": "another"}, ORIGIN)
    with pytest.raises(AlreadyUsed):
        await shop.catalog.publish_app(app, {"version": {"name": "v1"}}, ORIGIN)
    with pytest.raises(InvalidRequest):
        await shop.catalog.publish_app(app, {"version": {"name": "latest"}}, ORIGIN)
    with pytest.raises(InvalidRequest):
        await shop.catalog.publish_app(app, {"workspaceVersion": "v7"}, ORIGIN)
    for _ in range(2):
        await shop.catalog.publish_app(app, {}, ORIGIN)
    names = [version.name for version in shop.catalog.require_app("tool").versions]
    assert len(set(names)) == 3 and names[-1] == "v1"


async def test_a_deleted_app_leaves_the_workspaces_that_used_it() -> None:
    shop = Shop()
    app, user = await app_and_user(shop)
    await shop.catalog.delete_app("tool", ORIGIN)
    assert shop.catalog.app("tool") is None and shop.catalog.require(user).root.imports == {}
    assert await shop.types(app) == ["apps.deleted"] and await shop.types(user) == ["apps.deleted"]


async def test_an_app_goes_with_its_workspace() -> None:
    shop = Shop()
    app, user = await app_and_user(shop)
    await shop.catalog.delete(app, ORIGIN)
    assert await shop.store.apps() == [] and shop.catalog.require(user).root.imports == {}
    assert await shop.types(user) == ["apps.deleted"]


# --- what holds whatever happens -----------------------------------------------------------------------

async def test_edits_at_the_same_time_follow_each_other() -> None:
    shop = Shop()
    id = await shop.add("name: Shop")
    await asyncio.gather(*(shop.catalog.create_automation(id, {"name": "same", "do": []}, ORIGIN) for _ in range(20)),
                         *(shop.catalog.configure(id, {"value": {str(n): n}}, ORIGIN) for n in range(20)))
    workspace = shop.catalog.require(id)
    assert len(workspace.automations) == 20 and len(workspace.definition["config"]["value"]) == 20
    assert workspace.revision == 41


async def test_two_workspaces_never_get_one_slug() -> None:
    shop = Shop()
    made = await asyncio.gather(*(shop.catalog.create({"name": "Shop"}, "ada", ORIGIN) for _ in range(5)))
    assert {workspace.slug for workspace in made} == {"shop", "shop-1", "shop-2", "shop-3", "shop-4"}
    answers = await asyncio.gather(*(shop.catalog.create({"name": "Shop", "slug": "x"}, "ada", ORIGIN) for _ in range(3)), return_exceptions=True)
    assert [type(answer) for answer in answers] == [Workspace, AlreadyUsed, AlreadyUsed]


async def test_an_edit_and_a_publication_at_the_same_time_both_hold() -> None:
    shop = Shop()
    app, user = await app_and_user(shop)
    await shop.catalog.update_automation(app, "run", {"do": [], "output": 2}, ORIGIN)
    await asyncio.gather(shop.catalog.publish_app(app, {}, ORIGIN), shop.catalog.create_automation(user, GREET, ORIGIN))
    assert output(shop.catalog.require(user)) == 2 and "greet" in shop.catalog.require(user).automations


async def test_an_edit_goes_on_when_its_caller_goes_away() -> None:
    shop = Shop()
    id = await shop.add("name: Shop")
    caller = asyncio.create_task(shop.catalog.create_automation(id, GREET, ORIGIN))
    await asyncio.sleep(0)
    caller.cancel()
    await shop.catalog.configure(id, {"value": {}}, ORIGIN)
    assert "greet" in shop.catalog.require(id).automations


async def test_listeners_see_each_change_before_it_is_told() -> None:
    shop = Shop()
    seen: list[tuple[int, int]] = []
    shop.catalog.on_change(lambda old, new: seen.append((old.revision if old else 0, new.revision if new else 0)))
    id = await shop.add("name: Shop")
    await shop.catalog.update(id, {"name": "Shop 2"}, ORIGIN)
    await shop.catalog.delete(id, ORIGIN)
    assert seen == [(0, 1), (1, 2), (2, 0)]


class FullStore(MemoryStore):
    """Takes no more once it is told that the disk is full."""

    is_full = False

    def commit(self, facts: Sequence[Fact]) -> asyncio.Future[int]:
        if not self.is_full:
            return super().commit(facts)
        failed: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        failed.set_exception(Full("no room"))
        return failed


async def test_what_the_store_refuses_did_not_happen() -> None:
    store = FullStore()
    shop = Shop(store)
    id = await shop.add("name: Shop")
    before, store.is_full = shop.catalog.require(id), True
    refused = await asyncio.gather(
        shop.catalog.update(id, {"slug": "moved"}, ORIGIN), shop.catalog.delete(id, ORIGIN),
        shop.catalog.publish_app(id, {"slug": "tool"}, ORIGIN), shop.catalog.create({"name": "New"}, "ada", ORIGIN), return_exceptions=True)
    assert [type(error) for error in refused] == [TooBusy] * 4
    assert shop.catalog.all() == [before] and shop.catalog.apps() == []
    store.is_full = False
    await shop.catalog.update(id, {"slug": "moved"}, ORIGIN)
    await shop.catalog.publish_app(id, {"slug": "tool"}, ORIGIN)


async def test_a_definition_is_never_shared_with_who_brings_or_gets_it() -> None:
    shop = Shop()
    id = await shop.add("name: Shop")
    value = {"list": [1]}
    got = await shop.catalog.configure(id, {"value": value}, ORIGIN)
    value["list"].append(2)
    got["value"]["list"].append(3)
    body = {**GREET, "do": [{"set": {"name": "x", "value": []}}]}
    made = await shop.catalog.create_automation(id, body, ORIGIN)
    body["do"].clear()
    made["do"].clear()
    definition = shop.catalog.require(id).definition
    assert definition["config"]["value"] == {"list": [1]} and len(definition["automations"]["greet"]["do"]) == 1


async def test_a_restart_finds_everything_as_it_was() -> None:
    shop = Shop()
    app, user = await app_and_user(shop)
    await shop.catalog.update(user, {"slug": "moved", "labels": ["a"]}, Origin("c", ADA))
    again = Shop(shop.store)
    await again.catalog.load()
    for id in (app, user):
        assert again.catalog.revision(id) == shop.catalog.revision(id)
        assert again.catalog.require(id).revision == shop.catalog.require(id).revision
    assert again.catalog.apps() == shop.catalog.apps()
    assert again.catalog.by_slug("moved") is again.catalog.require(user) and output(again.catalog.require(user)) == 1


slugs = st.sampled_from("abc")
operations = st.one_of(
    st.tuples(st.just("create"), slugs), st.tuples(st.just("delete"), slugs), st.tuples(st.just("rename"), slugs, slugs),
    st.tuples(st.just("configure"), slugs, st.integers(0, 2)))


@settings(max_examples=60, deadline=None)
@given(st.lists(operations, max_size=12))
def test_any_series_of_edits_ends_like_its_model(series: list[tuple[object, ...]]) -> None:
    asyncio.run(play(series))


async def play(series: list[tuple[object, ...]]) -> None:
    """The model is a list of slugs and a map; the events are replayed into another list of slugs."""
    shop = Shop()
    id = await shop.add("name: Shop")
    model: list[str] = []
    config: dict[str, int] = {}
    for name, slug, *more in series:
        try:
            match name:
                case "create":
                    await shop.catalog.create_automation(id, {"name": slug, "slug": slug, "do": []}, ORIGIN)
                    model.append(slug)
                case "delete":
                    await shop.catalog.delete_automation(id, slug, ORIGIN)
                    model.remove(slug)
                case "rename":
                    await shop.catalog.update_automation(id, slug, {"name": slug, "slug": more[0], "do": []}, ORIGIN)
                    model[model.index(slug)] = more[0]
                case "configure":
                    await shop.catalog.configure(id, {"value": {slug: more[0]}}, ORIGIN)
                    config[slug] = more[0]
        except AlreadyUsed:
            assert (more[0] if more else slug) in model
        except NotFound:
            assert slug not in model
    told: list[str] = []
    for event in await shop.news(id):
        payload = event["payload"]
        match event["type"].rpartition(".")[2]:
            case "created":
                told.append(payload["slug"])
            case "updated" if "oldSlug" in payload:
                told[told.index(payload["oldSlug"])] = payload["slug"]
            case "deleted":
                told.remove(payload["automationSlug"])
    definition = shop.catalog.require(id).definition
    assert list(definition.get("automations", {})) == model == told
    assert definition.get("config", {}).get("value", {}) == config


json = st.recursive(st.none() | st.booleans() | st.integers(-2, 2) | st.sampled_from(["a", 1.0]),
                    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("ab"), inner, max_size=2), max_leaves=4)


@given(json, json)
def test_values_are_the_same_when_they_are_written_the_same(one: object, other: object) -> None:
    from runtime.values import encode
    in_order = same(one, other) and encode(one) == encode(other)
    assert same(one, one) and same(one, other) == same(other, one)
    assert encode(one) != encode(other) or in_order
