"""Versions of a workspace: kept, gone back to, begun from, exported; and whatever is exported imports as the same workspace."""
from __future__ import annotations

import asyncio
from typing import Any

import pytest
from catalog_kit import ORIGIN, Shop
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.catalog import archive
from runtime.errors import AlreadyUsed, InvalidRequest, NotFound
from runtime.language.loader import load
from runtime.settings import RuntimeSettings
from store.memory_cluster import MemoryCluster
from store.records import Member

SHOP: dict[str, Any] = {"name": "My shop", "slug": "shop", "config": {"value": {"v": 1}}, "security": {"authorizations": {"roles": {"a": {}}}},
                        "automations": {"main": {"name": "main", "do": []}}, "pages": {"home": {"name": "Home"}}}


async def opened() -> tuple[Shop, str]:
    shop = Shop()
    return shop, await shop.add(SHOP)


async def test_a_version_is_kept_told_of_and_listed_newest_first() -> None:
    shop, id = await opened()
    first = await shop.catalog.versions.publish(id, {"name": "v1", "description": "first"}, ORIGIN)
    shop.clock.advance(1)
    await shop.catalog.versions.publish(id, {}, ORIGIN)
    assert first.summary() == {"name": "v1", "createdAt": "2026-01-01T00:00:00.000Z", "description": "first"}
    assert [version.name for version in await shop.catalog.versions.list(id)] == ["260101000001000", "v1"]
    told = await shop.news(id)
    assert [(event["type"], event["payload"]["version"]["name"]) for event in told] == [
        ("workspaces.versions.published", "v1"), ("workspaces.versions.published", "260101000001000")]
    assert told[0]["payload"] == {"version": first.summary()}


@pytest.mark.parametrize("name", ["current", "latest", "", "a b", "x" * 16, "a/b", 5])
async def test_a_version_needs_a_name_that_can_stand_in_an_address(name: object) -> None:
    shop, id = await opened()
    with pytest.raises(InvalidRequest) as refused:
        await shop.catalog.versions.publish(id, {"name": name}, ORIGIN)
    assert refused.value.wire == "InvalidVersionError" and await shop.news(id) == []


async def test_a_name_is_used_once_and_names_made_at_one_moment_differ() -> None:
    shop, id = await opened()
    for _ in range(2):
        await shop.catalog.versions.publish(id, {}, ORIGIN)
    await shop.catalog.versions.publish(id, {"name": "v1"}, ORIGIN)
    with pytest.raises(AlreadyUsed):
        await shop.catalog.versions.publish(id, {"name": "v1"}, ORIGIN)
    assert [version.number for version in await shop.catalog.versions.list(id)] == [3, 2, 1]


async def test_the_oldest_versions_go_with_all_that_was_kept_of_them() -> None:
    shop, id = await opened()
    most = RuntimeSettings().maximum_workspace_version
    for number in range(most + 2):
        await shop.catalog.versions.publish(id, {"name": f"v{number}"}, ORIGIN)
    assert [version.name for version in await shop.catalog.versions.list(id)] == [f"v{number}" for number in range(most + 1, 1, -1)]
    assert len(await shop.store.items("versions.definitions", id, 0)) == most
    await shop.catalog.versions.publish(id, {"name": "v0"}, ORIGIN)          # its name is free again


async def test_a_rollback_restores_everything_as_one_revision_and_tells_of_it() -> None:
    shop, id = await opened()
    before = shop.catalog.revision(id)
    await shop.catalog.versions.publish(id, {"name": "v1"}, ORIGIN)
    await shop.add({"name": "Other", "automations": {"more": {"do": []}}, "security": {}, "pages": {"home": {"name": "Home"}}}, id=id)
    await shop.catalog.configure(id, {"value": {"v": 2}}, ORIGIN, replace=True)
    await shop.news(id)
    number = shop.catalog.revision(id).number
    result = await shop.catalog.versions.pull(id, "v1", ORIGIN)
    after = shop.catalog.revision(id)
    assert (after.definition, after.page_ids, after.number) == (before.definition, before.page_ids, number + 1)
    assert result.imported == ["index", "security", "automations/main", "pages/home"] and list(result.deleted) == ["automations/more"]
    events = await shop.news(id)
    assert [event["type"] for event in events] == [
        "workspaces.updated", "workspaces.configured", "workspaces.security.updated", "workspaces.automations.created",
        "workspaces.automations.deleted", "workspaces.versions.rollback", "runtime.dsul.updated", "workspaces.imported"]
    assert events[1]["payload"] == {"config": {"value": {"v": 1}}, "oldConfig": {"value": {"v": 2}}}
    assert events[5]["payload"]["version"]["name"] == events[7]["payload"]["version"] == "v1"
    assert events[7]["payload"]["deleted"] == ["automations/more"]


async def test_a_rollback_to_what_is_there_is_told_and_says_nothing_changed() -> None:
    shop, id = await opened()
    await shop.catalog.versions.publish(id, {"name": "v1"}, ORIGIN)
    await shop.catalog.versions.publish(id, {"name": "v2"}, ORIGIN)
    await shop.news(id)
    await shop.catalog.versions.pull(id, "latest", ORIGIN)
    assert [e["type"] for e in await shop.news(id)] == ["workspaces.versions.rollback", "runtime.dsul.updated", "workspaces.imported"]


async def test_a_rollback_keeps_the_slug_when_somebody_else_has_the_old_one_by_now() -> None:
    shop, id = await opened()
    await shop.catalog.versions.publish(id, {"name": "v1"}, ORIGIN)
    await shop.catalog.update(id, {"slug": "moved"}, ORIGIN)
    other = await shop.add({"name": "Other", "slug": "shop"})
    result = await shop.catalog.versions.pull(id, "v1", ORIGIN)
    assert [warning["code"] for warning in result.warnings] == ["taken-slug"]
    assert shop.catalog.by_slug("moved").id == id and shop.catalog.by_slug("shop").id == other


async def test_what_is_no_version_cannot_be_pulled_shown_duplicated_or_deleted() -> None:
    shop, id = await opened()
    versions = shop.catalog.versions
    for call in (versions.pull(id, "current", ORIGIN), versions.pull(id, "v9", ORIGIN), versions.pull(id, "latest", ORIGIN),
                 versions.revision(id, "v9"), versions.duplicate(id, "v9", "ada", ORIGIN), versions.delete(id, "v9", ORIGIN)):
        with pytest.raises(InvalidRequest) as refused:
            await call
        assert refused.value.wire == "InvalidVersionError"
    with pytest.raises(NotFound):
        await versions.publish("zzzzzzz", {}, ORIGIN)
    assert await shop.news(id) == []


async def test_a_copy_begins_as_a_version_with_a_slug_and_pages_of_its_own() -> None:
    shop, id = await opened()
    await shop.catalog.versions.publish(id, {"name": "v1"}, ORIGIN)
    await shop.catalog.update(id, {"config": {"value": {"v": 2}}}, ORIGIN)
    copied = await shop.catalog.versions.duplicate(id, "v1", "bob", ORIGIN)
    assert (copied.slug, copied.owner, copied.definition["config"]) == ("shop-1", "bob", SHOP["config"])
    assert {**copied.definition, "id": id, "slug": "shop"} == (await shop.catalog.versions.revision(id, "v1")).definition
    assert shop.catalog.revision(copied.id).page_ids["home"] != shop.catalog.revision(id).page_ids["home"]
    *_, last = await shop.news(copied.id)
    assert last["type"] == "workspaces.duplicated"
    assert last["payload"]["fromWorkspace"] == {"id": id, "name": "My shop", "slug": "shop"}
    assert last["payload"]["workspace"]["id"] == copied.id
    assert (await shop.catalog.versions.duplicate(id, "current", "bob", ORIGIN)).definition["config"] == {"value": {"v": 2}}


async def test_a_deleted_version_is_gone() -> None:
    shop, id = await opened()
    version = await shop.catalog.versions.publish(id, {"name": "v1"}, ORIGIN)
    await shop.news(id)
    await shop.catalog.versions.delete(id, "v1", ORIGIN)
    assert [(e["type"], e["payload"]) for e in await shop.news(id)] == [("workspaces.versions.deleted", {"version": version.summary()})]
    assert await shop.catalog.versions.list(id) == [] == await shop.store.items("versions.definitions", id, 0)


async def test_an_app_is_published_from_a_version() -> None:
    shop, id = await opened()
    await shop.catalog.versions.publish(id, {"name": "v1"}, ORIGIN)
    await shop.catalog.update(id, {"config": {"value": {"v": 2}}}, ORIGIN)
    app = await shop.catalog.publish_app(id, {"slug": "tool", "workspaceVersion": "v1"}, ORIGIN)
    assert app.latest.definition["config"] == SHOP["config"]


async def test_two_nodes_that_use_one_name_at_once_agree_on_one_version() -> None:
    cluster = MemoryCluster()
    shops = [Shop(cluster.node()) for _ in range(2)]
    for number, shop in enumerate(shops):
        await shop.store.join(Member(f"n{number}", "", "", 0), lambda position, facts: None)
    id = await shops[0].add(SHOP)
    await shops[1].catalog.load()
    done = await asyncio.gather(*(shop.catalog.versions.publish(id, {"name": "v1"}, ORIGIN) for shop in shops), return_exceptions=True)
    assert sorted(type(each).__name__ for each in done) == ["AlreadyUsed", "Version"]


# --- exports ---------------------------------------------------------------------------------------------

texts = st.text(alphabet=st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=12)
values = st.recursive(st.none() | st.booleans() | st.integers(-2**53, 2**53) | st.floats(allow_nan=False, allow_infinity=False) | texts,
                      lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3), max_leaves=6)
slugs = st.from_regex(r"\A[/a-zA-Z0-9 _-]{1,12}\Z")
automations = st.fixed_dictionaries({"name": st.just("a"), "do": st.lists(st.fixed_dictionaries({"set": st.fixed_dictionaries(
    {"name": st.just("x"), "value": values})}), max_size=2)}, optional={"output": values, "labels": st.lists(texts, max_size=2)})
definitions = st.fixed_dictionaries(
    {"name": st.sampled_from(["Shop", "Été 1"])},
    optional={"description": texts, "config": st.fixed_dictionaries({"value": st.dictionaries(texts, values, max_size=3)}),
              "security": st.dictionaries(texts, values, max_size=2), "automations": st.dictionaries(slugs, automations, max_size=3),
              "pages": st.dictionaries(slugs, st.fixed_dictionaries({"name": texts}, optional={"blocks": st.lists(values, max_size=2)}), max_size=2),
              "imports": st.dictionaries(slugs, st.fixed_dictionaries({"appSlug": st.just("none")}, optional={"config": values}), max_size=2)})


@settings(max_examples=60, deadline=None)
@given(definitions, definitions)
def test_whatever_is_exported_imports_as_the_same_workspace(definition: dict[str, Any], other: dict[str, Any]) -> None:
    asyncio.run(exported_and_imported(definition, other))


async def exported_and_imported(definition: dict[str, Any], other: dict[str, Any]) -> None:
    """As a new workspace, and in the place of another; and a version of it comes back after anything."""
    shop = Shop()
    id = await shop.add(definition)
    kept = shop.catalog.revision(id).definition
    await shop.catalog.versions.publish(id, {"name": "v1"}, ORIGIN)
    shown = {key: value for key, value in kept.items() if key != "id"}
    for source in (load(archive.to_yaml(shown), name="shop.yml"), archive.unpack(archive.pack(shown))):
        copied = await shop.add(source)
        assert {**shop.catalog.revision(copied).definition, "id": id, "slug": kept["slug"]} == kept
    await shop.add({**other, "security": other.get("security", {})}, id=id)
    await shop.catalog.versions.pull(id, "v1", ORIGIN)
    assert shop.catalog.revision(id).definition == kept
