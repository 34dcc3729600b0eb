"""`authorizations.action`: who may run an automation, however it is started."""
from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from kit import ALICE, emit, endpoint, listener, of_type, put, sandbox, steps

from runtime.calls import NOBODY
from runtime.errors import Forbidden

OWNER, EDITOR, CUSTOM = (replace(ALICE, role=role) for role in ("owner", "editor", "guest"))
RESTRICTED = {"authorizations": {"action": "pay"}}


@pytest.mark.parametrize("who", [NOBODY, ALICE, CUSTOM])
async def test_nobody_but_those_who_write_it_runs_a_restricted_automation(who: Any) -> None:
    async with sandbox({"main": endpoint(put("global.ran", True), output="ran", **RESTRICTED), "outer": endpoint({"inner": {}}),
                        "inner": steps(put("global.ran", True), **RESTRICTED), "look": endpoint(output={"ran": "{{global.ran}}"})}) as box:
        for start in ("main", "outer"):
            with pytest.raises(Forbidden) as caught:
                await box.call(start, identity=who)
            assert caught.value.details["action"] == "pay"
        assert await box.call("look") == {}


@pytest.mark.parametrize("who", [OWNER, EDITOR])
async def test_owners_and_editors_always_may(who: Any) -> None:
    async with sandbox({"main": endpoint({"inner": {"output": "x"}}, output="{{x}}", **RESTRICTED), "inner": steps(output="ran", **RESTRICTED)}) as box:
        assert await box.call("main", identity=who) == "ran"


async def test_an_event_of_somebody_who_may_not_is_an_error_event() -> None:
    async with sandbox({"main": endpoint(emit("said")), "heard": listener("said", put("global.ran", True), **RESTRICTED),
                        "look": endpoint(output={"ran": "{{global.ran}}"})}) as box:
        await box.call("main")
        await box.settle()
        [error] = await of_type(box, "error")
        assert error["payload"]["error"] == "ForbiddenError" and error["source"]["automationSlug"] == "heard"
        assert await box.call("look") == {}


@pytest.mark.parametrize("authorizations", [{}, {"action": None}, {"action": ""}])
async def test_without_an_action_everybody_may(authorizations: Any) -> None:
    async with sandbox({"main": endpoint(output="ran", authorizations=authorizations)}) as box:
        assert await box.call("main") == "ran"
