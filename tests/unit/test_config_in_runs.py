"""`config`: what runs set in it lies over the definition, for whom and for how long."""
from __future__ import annotations

import asyncio

from kit import ALICE, endpoint, put, sandbox, steps

import store

CONFIG = {"value": {"a": {"b": 1, "c": 3}, "z": 9}}
READ = endpoint(output="{{config}}")


async def test_a_config_write_is_seen_by_later_requests_until_the_definition_changes() -> None:
    shared = await store.open("memory:")
    automations = {"main": endpoint(put("config.a.b", 2)), "read": endpoint(output="{{config}}")}
    config = {"value": {"a": {"b": 1, "c": 3}, "z": 9}}
    async with sandbox(automations, on=shared, config=config) as box:
        await box.call("main")
        assert await box.call("read") == {"a": {"b": 2, "c": 3}, "z": 9}
    async with sandbox(automations, on=shared, config=config) as box:
        assert await box.call("read") == {"a": {"b": 2, "c": 3}, "z": 9}
        await box.engine.catalog.update(box.id, {"config": {"value": {"z": 10}}}, box._origin(ALICE))
        assert await box.call("read") == {"z": 10}


async def test_a_definition_that_changes_before_the_first_run_of_a_process_wins_too() -> None:
    shared = await store.open("memory:")
    automations = {"main": endpoint(put("config.z", 2)), "read": READ}
    async with sandbox(automations, on=shared, config=CONFIG) as box:
        await box.call("main")
    for _ in range(2):
        async with sandbox(automations, on=shared, config=CONFIG) as box:
            await box.engine.catalog.update(box.id, {"config": {"value": {"z": 10}}}, box._origin(ALICE))
            assert await box.call("read") == {"z": 10}


async def test_null_is_a_value_and_deleting_it_brings_the_definition_back() -> None:
    shared = await store.open("memory:")
    automations = {"main": endpoint(put("config.z", None)), "forget": endpoint({"delete": {"name": "config.z"}}), "read": READ}
    async with sandbox(automations, on=shared, config=CONFIG) as box:
        await box.call("main")
        assert (await box.call("read"))["z"] is None
    async with sandbox(automations, on=shared, config=CONFIG) as box:
        assert (await box.call("read"))["z"] is None
        await box.call("forget")
        assert await box.call("read") == CONFIG["value"]
    async with sandbox(automations, on=shared, config=CONFIG) as box:
        assert await box.call("read") == CONFIG["value"]


async def test_a_run_that_outlives_a_revision_writes_the_config_of_the_present_one() -> None:
    async with sandbox({"main": endpoint({"wait": {"oneOf": [{"event": "go"}], "timeout": 9}}, put("config.z", 2)), "read": READ}, config=CONFIG) as box:
        running = asyncio.create_task(box.call("main"))
        await box.settle()
        await box.engine.catalog.update(box.id, {"description": "New"}, box._origin(ALICE))
        await box.emit("go")
        await running
        assert (await box.call("read"))["z"] == 2


async def test_each_instance_has_a_config_of_its_own() -> None:
    app = {"config": {"value": {"k": "app", "d": "default"}},
           "automations": {"write": steps(put("config.k", "{{v}}")), "read": steps(output="{{config}}")}}
    imports = {"one": {"appSlug": "tool", "config": {"k": "one"}}, "two": {"appSlug": "tool"}}
    async with sandbox({"main": endpoint({"one.write": {"v": "changed"}}, {"one.read": {"output": "a"}}, {"two.read": {"output": "b"}},
                                         output={"one": "{{a}}", "two": "{{b}}", "own": "{{config}}"})},
                       apps={"tool": app}, imports=imports, config={"value": {"k": "own"}}) as box:
        assert await box.call("main") == {"one": {"k": "changed", "d": "default"}, "two": {"k": "app", "d": "default"}, "own": {"k": "own"}}
