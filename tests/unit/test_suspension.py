"""A suspended workspace starts nothing, whatever would start something; what runs goes on, and afterwards all is as before."""
from __future__ import annotations

import pytest
from kit import emit, of_type, sandbox

from runtime.calls import Origin
from runtime.errors import Suspended
from runtime.testing import HandClock

AT_0314 = 1_772_334_840_000
"""2026-03-01T03:14:00Z"""
STEPS = {
    "ask": {"when": {"endpoint": True}, "do": [], "output": "yes"},
    "heard": {"when": {"events": ["begin"]}, "do": [emit("heard", {})]},
    "fired": {"when": {"schedules": ["* * * * *"]}, "do": [emit("fired", {})]},
    "wait": {"when": {"events": ["wait"]}, "do": [{"wait": {"oneOf": [{"event": "go"}], "timeout": 7200}}, emit("went", {})]},
}


async def test_endpoints_tests_events_and_schedules_start_nothing_until_it_is_resumed() -> None:
    async with sandbox(STEPS, clock=HandClock(AT_0314)) as box:
        await box.engine.catalog.suspend(box.id, "unpaid", Origin("suspend"))
        with pytest.raises(Suspended):
            await box.call("ask")
        with pytest.raises(Suspended):
            await box.engine.test(box.id, "ask", {}, Origin("test"))
        await box.emit("begin")
        box.clock.advance(3600)
        await box.settle()
        assert not await of_type(box, "heard") and not await of_type(box, "fired")
        await box.engine.catalog.resume(box.id, "paid", Origin("resume"))
        assert await box.call("ask") == "yes"
        await box.emit("begin")
        box.clock.advance(900)
        await box.settle()
        assert (len(await of_type(box, "heard")), len(await of_type(box, "fired"))) == (1, 1)


async def test_what_runs_goes_on_to_its_end() -> None:
    async with sandbox(STEPS) as box:
        await box.emit("wait")
        await box.engine.catalog.suspend(box.id, "unpaid", Origin("suspend"))
        await box.emit("go")
        await box.settle()
        assert len(await of_type(box, "went")) == 1


async def test_it_is_still_suspended_after_a_restart_and_after_any_edit() -> None:
    async with sandbox(STEPS) as box:
        await box.engine.catalog.suspend(box.id, "unpaid", Origin("suspend"))
        await box.engine.catalog.update(box.id, {"description": "again"}, Origin("edit"))
        await box.engine.catalog.versions.publish(box.id, {"name": "v1"}, Origin("version"))
        await box.engine.catalog.versions.pull(box.id, "v1", Origin("pull"))
        async with sandbox(STEPS, on=box.store) as again:
            assert again.id == box.id and again.engine.catalog.require(box.id).is_suspended
