"""try: what fails in `do` is handed to `catch`, and the automation goes on. A callee that breaks with scope `all` fails in this sense."""
from __future__ import annotations

from collections.abc import Awaitable
from typing import Any

from runtime.errors import AutomationsError, OverBudget
from runtime.instructions.body import as_map
from runtime.instructions.step import At, Break, Frame, Outcome, Step
from runtime.values import copy

_LEFT = AutomationsError("An automation called here broke with scope all", wire="BreakError")


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
        if type(outcome) is Break:
            return _caught(frame, _LEFT, catch) if outcome.is_from_callee else outcome
        return None if outcome is None else later(frame, outcome)

    async def later(frame: Frame, pending: Awaitable[Outcome]) -> Outcome:
        error = _LEFT
        try:
            outcome = await pending
            if outcome is None or not outcome.is_from_callee:
                return outcome
        except OverBudget:
            raise
        except AutomationsError as failure:
            error = failure
        outcome = _caught(frame, error, catch)
        return outcome if outcome is None or type(outcome) is Break else await outcome
    return run


def _caught(frame: Frame, error: AutomationsError, catch: Step) -> Outcome | Awaitable[Outcome]:
    frame.locals["$error"] = {"name": error.wire, "error": error.wire, "message": error.message, "details": copy(error.details)}
    return catch(frame)
