"""try: what fails in `do` is handed to `catch`, and the automation goes on."""
from __future__ import annotations

from collections.abc import Awaitable
from typing import Any

from runtime.errors import AutomationsError, OverBudget
from runtime.instructions.body import as_map
from runtime.instructions.step import At, Break, Frame, Outcome, Step
from runtime.values import copy


def build(body: Any, at: At, c: Any) -> Step:
    body = as_map("try", body)
    guarded, catch = c.block(body.get("do"), (*at, "do")), c.block(body.get("catch"), (*at, "catch"))

    def run(frame: Frame) -> Outcome | Awaitable[Outcome]:
        try:
            outcome = guarded(frame)
        except OverBudget:                                # a run that took too much is not saved by its own `try`
            raise
        except AutomationsError as error:
            return _caught(frame, error, catch)
        if outcome is None or type(outcome) is Break:
            return outcome
        return later(frame, outcome)

    async def later(frame: Frame, pending: Awaitable[Outcome]) -> Outcome:
        try:
            return await pending
        except OverBudget:
            raise
        except AutomationsError as error:
            outcome = _caught(frame, error, catch)
        return outcome if outcome is None or type(outcome) is Break else await outcome
    return run


def _caught(frame: Frame, error: AutomationsError, catch: Step) -> Outcome | Awaitable[Outcome]:
    frame.locals["$error"] = {"name": error.wire, "error": error.wire, "message": error.message, "details": copy(error.details)}
    return catch(frame)
