"""`wait`: what its filters mean, and that a bad one harms nobody but its own run."""
from __future__ import annotations

import asyncio
from typing import Any

import pytest
from kit import emit, endpoint, listener, put, sandbox

from runtime.errors import ExpressionError, VariableNameError


def wait(filters: Any, **more: Any) -> dict[str, Any]:
    return {"wait": {"oneOf": [{"event": "said", "filters": filters}], "timeout": 5, "output": "e", **more}}


async def first_of(filters: Any, *payloads: dict[str, Any]) -> Any:
    """The payload of the first event that a wait with these filters takes, None when it takes none."""
    async with sandbox({"main": endpoint({"all": [wait(filters), *(emit("said", payload) for payload in payloads)]}, output="{{e.payload}}")}) as box:
        running = asyncio.create_task(box.call("main"))
        await box.settle()
        box.clock.advance(5)
        answer = await running
        return answer if isinstance(answer, dict) else None


@pytest.mark.parametrize(("filters", "taken"), [
    ({"payload.n": 2}, 1), ({"payload.n": "2"}, 1), ({"payload.n": {"$gt": 1}}, 1), ({"payload.n": {"$in": ["2"]}}, 1), ({"payload.o": {"a": [1]}}, 1),
    ({"payload.n": 1, "payload.o": {"$exists": True}}, None), ({"payload.none": None}, 0), ({}, 0), (None, 0), ({"payload.n": "{{missing}}"}, None),
    ({"payload.none": "{{missing}}"}, 0), ({"payload['n']": {"$gte": "{{body.two}}"}}, None), ({"payload.l[0]": "x"}, 1)])
async def test_all_filters_hold_and_one_whose_value_is_missing_wants_nothing_to_be_there(filters: Any, taken: int | None) -> None:
    events = [{"n": 1}, {"n": 2, "o": {"a": [1]}, "l": ["x"]}]
    assert await first_of(filters, *events) == (None if taken is None else events[taken])


@pytest.mark.parametrize("operators", [{"$near": 1}, {"$regex": "("}, {"$in": 5}])
async def test_a_bad_operator_fails_the_wait_and_not_whoever_emits(operators: dict[str, Any]) -> None:
    async with sandbox({"main": endpoint(wait({"payload.text": operators}))}) as box:
        with pytest.raises(ExpressionError):
            await box.call("main")
        await box.emit("said", {"text": "hello"})


async def test_a_filter_that_takes_too_long_on_an_event_does_not_take_it() -> None:
    async with sandbox({"main": endpoint(wait({"payload.text": {"$regex": "^(a|aa)+$"}}), output="{{e.payload}}"), "heard": listener("said", put("global.heard", True)),
                        "look": endpoint(output="{{global.heard}}")}) as box:
        running = asyncio.create_task(box.call("main"))
        await box.settle()
        await box.emit("said", {"text": "a" * 60 + "!"})
        await box.settle()
        assert await box.call("look") is True
        box.clock.advance(5)
        assert not isinstance(await running, dict) or await running == {}


async def test_a_malformed_path_is_told_with_the_wait() -> None:
    async with sandbox({"main": endpoint(wait({"payload..a": 1}))}) as box:
        with pytest.raises(VariableNameError) as caught:
            await box.call("main")
        assert caught.value.details == {"oneOf": [{"event": "said", "filters": {"payload..a": 1}}]}


async def test_an_emitter_that_asked_for_its_event_waits_for_the_listener_in_time() -> None:
    async with sandbox({
        "main": endpoint(emit("go", {"n": 1}, output="e"), {"wait": {"oneOf": [
            {"event": "runtime.automations.executed", "filters": {"payload.trigger.id": "{{e.id}}"}}], "output": "done"}}, output="{{done.payload.output}}"),
        "heard": listener("go", output={"n": "{{payload.n}}"})}) as box:
        assert await asyncio.wait_for(box.call("main"), 5) == {"n": 1}
