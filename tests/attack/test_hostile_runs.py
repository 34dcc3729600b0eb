"""Automations and inputs made to harm: each ends soon, in little memory, with a result or with an error of ours."""
from __future__ import annotations

import asyncio
import resource
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from kit import emit, endpoint, put, sandbox, steps

from runtime.errors import AutomationsError, Internal
from runtime.testing import Sandbox
from runtime.values import encode

SECONDS = 5.0
"""Of one call: generous, since machines that test are busy. Nothing below takes a third of it on an idle one."""
MEGABYTES = 500
"""What one call may take at its worst: a few times what the local variables of one run may hold."""
LARGE = [put("x", "a" * 1000), {"repeat": {"until": 14, "do": [put("x", "{{x}}{{x}}")]}}]
"""Make `x` a text of 16 MB."""


@pytest.fixture(autouse=True)
def _a_bomb_that_goes_off_ends_the_test_and_not_the_machine() -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (_kilobytes("VmSize") * 1024 + (2 << 30), before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_AS, before)


def _kilobytes(field: str) -> int:
    [line] = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(field + ":")]
    return int(line.split()[1])


async def outcome(box: Sandbox, name: str = "main", body: Any = None, *, seconds: float = SECONDS, **more: Any) -> Any:
    """What a call gives, or the error it raises: one of ours, about the call and not about the server, that can be told as JSON."""
    Path("/proc/self/clear_refs").write_text("5")          # from here on VmHWM is the peak of this call
    before, began = _kilobytes("VmRSS"), time.perf_counter()
    try:
        async with asyncio.timeout(seconds):
            value = await box.call(name, body, **more)
    except AutomationsError as error:
        assert not isinstance(error, Internal)
        encode(error.body())
        value = error
    assert time.perf_counter() - began < seconds
    assert _kilobytes("VmHWM") - before < MEGABYTES * 1024
    return value


@asynccontextmanager
async def small(automations: dict[str, Any], **settings: Any) -> AsyncIterator[Sandbox]:
    """A sandbox whose runs may take few instructions."""
    async with sandbox(automations, run_max_instructions=settings.pop("run_max_instructions", 20_000), **settings) as box:
        yield box
        await asyncio.wait_for(box.settle(), SECONDS)
        assert await box.store.deliveries() == []


def failed(value: Any, message: str = "") -> bool:
    return isinstance(value, AutomationsError) and message in value.message


# --- depth ---------------------------------------------------------------------------------------------

DEEPER = {"repeat": {"until": "{{body.levels}}", "do": [put("x", {"a": "{{x}}"})]}}
PATH = ".".join(["a"] * 150)


@pytest.mark.parametrize("levels", [198, 199, 200, 250, 256, 5000])
@pytest.mark.parametrize("use", [
    endpoint(put("x", {}), DEEPER, output="{{x}}"), endpoint(put("x", {}), DEEPER, output={"a": {"b": ["{{x}}"]}}),
    endpoint(put("x", {}), DEEPER, put("user.x", "{{x}}"), output="{{user.x}}"), endpoint(put("x", {}), DEEPER, put(f"user.{PATH}", "{{x}}")),
    endpoint(put("x", {}), DEEPER, emit("e", {"x": "{{x}}"})), endpoint(put("x", {}), DEEPER, {"child": {"x": "{{x}}"}}, output="{{x}}"),
    endpoint(put("x", {}), DEEPER, {"break": {"payload": {"x": "{{x}}"}}}), endpoint(put("x", {}), DEEPER, put("$http", {"headers": {"a": "{{x}}"}})),
    endpoint(put("x", {}), DEEPER, {"wait": {"oneOf": [{"event": "e", "filters": {"a": "{{x}}"}}], "timeout": -1}}),
    endpoint(put("x", {}), DEEPER, {"missing": {"x": "{{x}}"}}), endpoint(put("x", {}), DEEPER, put("$http", {"status": "{{x}}"})),
    endpoint(put("x", {}), {"repeat": {"until": 3000, "do": [put("y", 1)]}}, DEEPER, output="{{x}}")],
    ids=["output", "wrapped", "context", "far below", "event", "call", "break", "header", "wait", "missing", "status", "after a rest"])
async def test_nesting_ends_where_json_does(use: dict[str, Any], levels: int) -> None:
    async with small({"main": use, "child": steps(output="{{x}}")}) as box:
        value = await outcome(box, body={"levels": levels})
        if levels >= 250:
            assert failed(value)
        elif not failed(value):
            encode(value)


# --- size ----------------------------------------------------------------------------------------------

@pytest.mark.parametrize("instructions", [
    [put("y", ["{{x}}"] * 3000)], [put("y", {f"k{i}": ["{{x}}"] * 3 for i in range(1000)})], [emit("e", {"x": ["{{x}}"] * 3000})],
    [put("user.x", ["{{x}}"] * 3000)], [{"child": {f"k{i}": "{{x}}" for i in range(3000)}}], [{"break": {"payload": ["{{x}}"] * 3000}}],
    [put("a b..", ["{{x}}"] * 3000)], [{"wait": {"oneOf": [{"event": "e", "filters": {"a": "{{x}}"}}] * 3000}}],
    [put("$http", {"chunk": ["{{x}}"] * 3000})], [put("y", ["{{x}}"] * 3), put("z", ["{{y}}"] * 3), put("z", ["{{z}}"] * 3)],
], ids=["set", "map", "event", "context", "call", "break", "bad set", "wait", "chunk", "by and by"])
async def test_a_large_variable_named_many_times_is_refused(instructions: list[Any]) -> None:
    async with small({"main": endpoint(*LARGE, *instructions), "child": steps(output=1)}) as box:
        assert failed(await outcome(box))


async def test_an_output_that_names_a_large_variable_many_times_is_refused() -> None:
    async with small({"main": endpoint(*LARGE, output=["{{x}}"] * 3000)}) as box:
        assert failed(await outcome(box), "too large")
