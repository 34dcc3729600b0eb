"""Which automations hear the events of the server: those of the workspace, and an app instance what is about itself."""
from __future__ import annotations

from typing import Any

import pytest
from kit import ALICE, emit, endpoint, listener, payloads, put, sandbox

from runtime.testing import Sandbox

LIFE = ["workspaces.apps.installed", "workspaces.apps.configured", "workspaces.apps.uninstalled", "apps.published", "apps.deleted"]


def app(*, imports: Any = None) -> dict[str, Any]:
    """An app that tells what it hears."""
    hears = {"when": {"events": [*LIFE, "runtime.webhooks.triggered", "workspaces.configured"]},
             "do": [emit("heard", {"what": "{{run.trigger.value}}", "slug": "{{payload.slug}}"})]}
    return {"automations": {"hears": hears}, **({"imports": imports} if imports else {})}


async def heard(box: Sandbox, *instances: str) -> dict[str, list[str]]:
    await box.settle()
    return {instance: [p["what"] for p in await payloads(box, f"{instance}.heard")] for instance in instances}


async def test_an_instance_hears_of_its_own_life_and_of_nothing_else() -> None:
    async with sandbox({"main": endpoint()}, apps={"tool": app()}, imports={"other": {"appSlug": "tool"}}) as box:
        catalog, origin = box.engine.catalog, box._origin(ALICE)
        await catalog.install_app(box.id, {"appSlug": "tool", "slug": "box"}, origin)
        await catalog.configure_app(box.id, "box", {"config": {"k": 1}}, origin)
        await box.call("main")
        await catalog.update(box.id, {"config": {"value": {"k": 1}}}, origin)
        await catalog.uninstall_app(box.id, "box", origin)
        assert await heard(box, "box", "other") == {"box": LIFE[:3], "other": LIFE[:1]}


async def test_an_instance_hears_of_its_app_and_of_the_one_around_it_and_of_no_other() -> None:
    apps = {"inner": app(), "tool": app(imports={"in": {"appSlug": "inner"}}), "foreign": app()}
    imports = {"box": {"appSlug": "tool"}, "other": {"appSlug": "foreign"}}
    async with sandbox({}, apps=apps, imports=imports) as box:
        catalog, origin = box.engine.catalog, box._origin(ALICE)
        await catalog.publish_app(catalog.require_app("tool").workspace_id, {}, origin)
        assert await heard(box, "box", "box.in", "other") == {"box": ["workspaces.apps.installed", "apps.published"], "box.in": ["apps.published"],
                                                              "other": ["workspaces.apps.installed"]}
        await catalog.delete_app("tool", origin)
        assert await heard(box, "box", "box.in", "other") == {
            "box": ["workspaces.apps.installed", "apps.published", "apps.deleted"], "box.in": ["apps.published", "apps.deleted"],
            "other": ["workspaces.apps.installed"]}


async def test_a_workspace_that_is_published_hears_of_it_and_so_do_its_instances() -> None:
    hears = {"when": {"events": ["apps.published", "apps.deleted"]}, "do": [emit("own", {"app": "{{payload}}"})]}
    async with sandbox({"hears": hears}, apps={"tool": app()}, imports={"box": {"appSlug": "tool"}}) as box:
        catalog, origin = box.engine.catalog, box._origin(ALICE)
        await catalog.publish_app(box.id, {"slug": "mine"}, origin)
        await catalog.delete_app("mine", origin)
        assert await heard(box, "box") == {"box": ["workspaces.apps.installed", "apps.published", "apps.deleted"]}
        published, deleted = [p["app"] for p in await payloads(box, "own")]
        assert deleted == {"appSlug": "mine"}
        assert {"workspaceId", "slug", "name", "versions"} <= published["app"].keys() and published["app"]["workspaceId"] == box.id


@pytest.mark.parametrize("event", ["runtime.automations.executed", "runtime.waits.pending", "workspaces.updated", "runtime.contexts.updated", "workspaces.created"])
async def test_what_cannot_be_listened_to_starts_nothing(event: str) -> None:
    async with sandbox({"main": endpoint(put("global.k", 1)), "hears": listener(event, emit("heard"))}) as box:
        await box.call("main")
        await box.engine.catalog.update(box.id, {"description": "New"}, box._origin(ALICE))
        await box.settle()
        assert await payloads(box, "heard") == []
