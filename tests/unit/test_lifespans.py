"""`set` with a `lifespan`: the variable is there for so many seconds, unless it is set again."""
from __future__ import annotations

import asyncio
from typing import Any

import pytest
from kit import ALICE, endpoint, put, sandbox

import store
from runtime.errors import InvalidInstruction
from runtime.testing import HandClock

PLACES = ["global.x", "user.x", "session.x", "socket.x", "config.x", "global.deep.x", "global.list[0]"]
PAUSE = {"wait": {"oneOf": [{"event": "never"}], "timeout": "{{body.wait}}"}}


def automations(name: str, **more: Any) -> dict[str, Any]:
    return {"main": endpoint(put(name, "{{body.value}}", lifespan="{{body.lifespan}}")), "again": endpoint(put(name, "again")),
            "more": endpoint(put(name, {"more": 1}, type="merge")), "read": endpoint(output={"x": "{{%s}}" % name}), **more}


@pytest.mark.parametrize("name", PLACES)
async def test_a_variable_is_there_for_its_lifespan_and_gone_afterwards(name: str) -> None:
    async with sandbox(automations(name)) as box:
        await box.call("main", {"value": 1, "lifespan": 10}, identity=ALICE)
        box.clock.advance(9.9)
        assert await box.call("read", identity=ALICE) == {"x": 1}
        box.clock.advance(0.2)
        assert await box.call("read", identity=ALICE) == {}


@pytest.mark.parametrize("name", [name for name in PLACES if name != "config.x"])
async def test_the_lifespan_outlives_the_process(name: str) -> None:
    shared, clock = await store.open("memory:"), HandClock()
    async with sandbox(automations(name), on=shared, clock=clock) as box:
        await box.call("main", {"value": 1, "lifespan": 10}, identity=ALICE)
    clock.advance(5)
    async with sandbox(automations(name, whole=endpoint(output=["{{global}}", "{{user}}", "{{session}}"])), on=shared, clock=clock) as box:
        assert await box.call("read", identity=ALICE) == {"x": 1}
    clock.advance(6)
    async with sandbox(automations(name), on=shared, clock=clock) as box:
        assert await box.call("read", identity=ALICE) == {}


@pytest.mark.parametrize("name", ["global.x", "user.x"])
async def test_what_is_set_again_stays(name: str) -> None:
    shared, clock = await store.open("memory:"), HandClock()
    async with sandbox(automations(name), on=shared, clock=clock) as box:
        await box.call("main", {"value": 1, "lifespan": 10}, identity=ALICE)
        await box.call("again", identity=ALICE)
    clock.advance(60)
    async with sandbox(automations(name), on=shared, clock=clock) as box:
        assert await box.call("read", identity=ALICE) == {"x": "again"}


async def test_a_merge_keeps_the_end_and_does_not_bring_back_what_ended() -> None:
    async with sandbox(automations("global.x")) as box:
        await box.call("main", {"value": {"a": 1}, "lifespan": 10})
        await box.call("more")
        assert await box.call("read") == {"x": {"a": 1, "more": 1}}
        box.clock.advance(11)
        await box.call("more")
        assert await box.call("read") == {"x": {"more": 1}}
        box.clock.advance(60)
        assert await box.call("read") == {"x": {"more": 1}}


async def test_nobody_sees_where_the_end_is_kept() -> None:
    shared = await store.open("memory:")
    definition = automations("global.x", whole=endpoint(output="{{global}}"))
    async with sandbox({**definition, "forge": endpoint(put("global.$lifespans", {"junk": 1, "[": 2, "5": 3}))}, on=shared) as box:
        await box.call("main", {"value": 1, "lifespan": 10})
        await box.call("forge")
    async with sandbox(definition, on=shared) as box:
        assert not [name for name in await box.call("whole") if name.startswith("$")]


async def test_local_variables_and_those_of_the_run_end_too() -> None:
    async with sandbox({"main": endpoint(put("x", {"a": 1}, lifespan=10), put("y.z", 2, lifespan=10), put("w", 1, lifespan=10), put("w", 2),
                                         put("run.x", 3, lifespan=10), PAUSE,
                                         output={"x": "{{x}}", "y": "{{y}}", "w": "{{w}}", "run": "{{run.x}}"})}) as box:
        for wait, seen in ((5, {"x": {"a": 1}, "y": {"z": 2}, "w": 2, "run": 3}), (15, {"y": {}, "w": 2})):
            running = asyncio.create_task(box.call("main", {"wait": wait}))
            await box.settle()
            box.clock.advance(wait)
            assert await running == seen


@pytest.mark.parametrize("lifespan", [None, "{{missing}}"])
async def test_no_lifespan_is_for_ever(lifespan: Any) -> None:
    async with sandbox({"main": endpoint(put("global.x", 1, lifespan=lifespan)), "read": endpoint(output="{{global.x}}")}) as box:
        await box.call("main")
        box.clock.advance(10 ** 6)
        assert await box.call("read") == 1


@pytest.mark.parametrize("lifespan", ["soon", -1, {"a": 1}])
async def test_a_lifespan_is_a_number_of_seconds(lifespan: Any) -> None:
    async with sandbox({"main": endpoint(put("global.x", 1, lifespan=lifespan)), "read": endpoint(output={"x": "{{global.x}}"})}) as box:
        with pytest.raises(InvalidInstruction, match="lifespan"):
            await box.call("main")
        assert await box.call("read") == {}
