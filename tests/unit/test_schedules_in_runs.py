"""Schedules of workspaces and their apps: what is planned, what fires after a change or a restart, and what is told of it."""
from __future__ import annotations

from typing import Any

import pytest
from kit import ALICE, emit, of_type, payloads, sandbox

import store
from runtime.testing import HandClock, Sandbox

AT_0314 = 1_772_334_840_000
"""2026-03-01T03:14:00Z"""
MINUTE = 60


def job(*crons: str, **more: Any) -> dict[str, Any]:
    fired = emit("fired", {"trigger": "{{run.trigger}}", "user": "{{user.id}}", "session": "{{session.id}}", "date": "{{run.date}}"})
    return {"when": {"schedules": list(crons)}, "do": [fired], **more}


async def wind(box: Sandbox, minutes: float) -> None:
    for _ in range(int(minutes)):
        await box.settle()
        box.clock.advance(MINUTE)
    await box.settle()


async def fired(box: Sandbox, type: str = "fired") -> list[str]:
    """The minutes at which it fired."""
    return [p["date"][11:16] for p in await payloads(box, type)]


async def test_a_firing_is_told_in_both_words_and_has_neither_user_nor_session() -> None:
    async with sandbox({"job": job("* * * * *")}, clock=HandClock(AT_0314)) as box:
        await wind(box, 1)
        about = {"workspaceId": box.id, "automation": "job", "trigger": {"type": "schedule", "value": "* * * * *"},
                 "startedAt": "2026-03-01T03:15:00.000Z"}
        assert await payloads(box, "runtime.schedules.triggered") == [{**about, "automationSlug": "job", "schedule": "* * * * *"}]
        assert await payloads(box, "runtime.interactions.triggered") == [about]
        [payload] = await payloads(box, "fired")
        assert payload == {"trigger": about["trigger"], "date": about["startedAt"]}
        types = [e["type"] for e in await box.events() if e["type"].startswith("runtime.") and e["source"].get("automationDepth")]
        assert types == ["runtime.schedules.triggered", "runtime.interactions.triggered", "runtime.automations.executed"]
        await wind(box, 15)
        assert len({e["source"]["correlationId"] for e in await of_type(box, "fired")}) == 2


async def test_a_failing_firing_is_told_as_an_error() -> None:
    async with sandbox({"job": job("* * * * *", do=[{"ghost": {}}])}, clock=HandClock(AT_0314)) as box:
        await wind(box, 1)
        [error] = await of_type(box, "error")
        assert (error["payload"]["error"], error["source"]["automationSlug"]) == ("ObjectNotFoundError", "job")


async def test_changes_of_a_definition_plan_anew() -> None:
    async with sandbox({"job": job("*/30 * * * *")}, clock=HandClock(AT_0314)) as box:
        catalog, origin = box.engine.catalog, box._origin(ALICE)
        await catalog.update_automation(box.id, "job", job("* * * * *"), origin)
        await wind(box, 2)
        await catalog.update_automation(box.id, "job", {**job("* * * * *"), "slug": "renamed"}, origin)
        await wind(box, 15)
        await catalog.update_automation(box.id, "renamed", {**job("* * * * *"), "disabled": True}, origin)
        await wind(box, 15)
        await catalog.update_automation(box.id, "renamed", job("* * * * *"), origin)
        await wind(box, 15)
        await catalog.delete_automation(box.id, "renamed", origin)
        await wind(box, 15)
        assert await fired(box) == ["03:15", "03:30", "04:00"]


async def test_automations_of_apps_are_scheduled_unless_they_are_private_or_disabled() -> None:
    tool = {"name": "tool", "automations": {"open": job("* * * * *"), "hidden": job("* * * * *", private=True), "off": job("* * * * *", disabled=True)}}
    async with sandbox({}, clock=HandClock(AT_0314), apps={"tool": tool}, imports={"box": {"appSlug": "tool"}}) as box:
        catalog, origin = box.engine.catalog, box._origin(ALICE)
        await wind(box, 1)
        assert [p["automationSlug"] for p in await payloads(box, "runtime.schedules.triggered")] == ["box.open"]
        home = catalog.require_app("tool").workspace_id
        await catalog.delete_automation(home, "open", origin)
        await catalog.update_automation(home, "hidden", job("* * * * *"), origin)
        await catalog.publish_app(home, {}, origin)
        await wind(box, 15)
        assert [p["automationSlug"] for p in await payloads(box, "runtime.schedules.triggered")] == ["box.open", "box.hidden"]
        await catalog.uninstall_app(box.id, "box", origin)
        await wind(box, 15)
        assert len(await payloads(box, "runtime.schedules.triggered")) == 2


@pytest.mark.parametrize(("minutes", "made_up_for"), [(14, ["03:15"]), (31, ["03:45"]), (0.5, [])])
async def test_after_a_downtime_the_latest_missed_tick_is_made_up_for_even_if_it_would_have_been_the_first(minutes: float, made_up_for: list[str]) -> None:
    shared, clock = await store.open("memory:"), HandClock(AT_0314)
    async with sandbox({"job": job("* * * * *")}, on=shared, clock=clock):
        pass
    clock.advance(minutes * MINUTE)
    async with sandbox({"job": job("* * * * *")}, on=shared, clock=clock) as box:
        await box.settle()
        assert len(await fired(box)) == len(made_up_for)


async def test_a_tick_before_the_automation_was_as_it_is_was_not_missed() -> None:
    shared, clock = await store.open("memory:"), HandClock(AT_0314)
    async with sandbox({"job": job("0 5 * * *")}, on=shared, clock=clock) as box:
        await box.engine.stop(0)
        clock.advance(2 * MINUTE)
        await box.engine.catalog.update_automation(box.id, "job", job("* * * * *"), box._origin(ALICE))
    clock.advance(MINUTE)
    async with sandbox({"job": job("* * * * *")}, on=shared, clock=clock) as box:
        await wind(box, 12)
        assert await fired(box) == []
        await wind(box, 1)
        assert await fired(box) == ["03:30"]


async def test_two_nodes_fire_a_tick_once() -> None:
    shared, clock = await store.open("memory:"), HandClock(AT_0314)
    async with sandbox({"job": job("* * * * *")}, on=shared, clock=clock) as one, sandbox({"job": job("* * * * *")}, on=shared, clock=clock) as other:
        for _ in range(16):
            await one.settle()
            clock.advance(MINUTE)
        await one.settle()
        await other.settle()
        assert await fired(one) == ["03:15", "03:30"]
