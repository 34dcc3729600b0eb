"""all: start several instructions without waiting for each other, and go on when all are done."""
from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any

from runtime.errors import AutomationsError
from runtime.instructions.step import At, Break, Frame, Outcome, Step
from runtime.values import copy


def build(body: Any, at: At, c: Any) -> Step:
    written = body.get("do") if isinstance(body, dict) else body
    if not isinstance(written, list):
        return c.block(written, at)                       # raises: not a list
    entries = [c.entry(entry, (*at, index)) for index, entry in enumerate(written) if entry]

    def run(frame: Frame) -> Outcome | Awaitable[Outcome]:
        """All entries see the variables as they are now, whatever the first of them change."""
        computed = [[copy(evaluate(frame)) for evaluate in values] for values, _ in entries]
        return start(frame, [_entry(step, values) for (_, step), values in zip(entries, computed)])
    return run


def _entry(step: Step, values: list[Any]) -> Step:
    def begin(branch: Frame) -> Outcome | Awaitable[Outcome]:
        branch.ahead = values
        return step(branch)
    return begin


def start(frame: Frame, steps: list[Step]) -> Outcome | Awaitable[Outcome]:
    """Run each step up to its first pause; wait for those that have one.

    Every step is started even when an earlier one fails; the first failure fails the whole, and what still runs goes on.
    """
    tasks: list[Any] = []
    left: Outcome = None
    failure: AutomationsError | None = None
    for step in steps:
        try:
            outcome = step(branch := frame.branch())
        except AutomationsError as error:
            failure = failure or error
            continue
        if isinstance(outcome, Break):
            left = left or outcome
        elif outcome is not None:
            tasks.append(branch.hold(outcome))
    if failure:
        raise failure
    return _gather(tasks, left) if tasks else left


async def _gather(tasks: list[Any], left: Outcome) -> Outcome:
    done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
    for task in tasks:
        if task in done:
            left = task.result() or left
    return left
