"""conditions: the first expression that holds chooses the instructions."""
from __future__ import annotations

from collections.abc import Awaitable
from typing import Any

from runtime.expressions import truthy
from runtime.instructions.body import as_map
from runtime.instructions.step import At, Frame, Outcome, Step


def build(body: Any, at: At, c: Any) -> Step:
    body = as_map("conditions", body)
    branches = [(c.condition(text), c.block(steps, (*at, text))) for text, steps in body.items() if text != "default"]
    default = c.block(body.get("default"), (*at, "default"))

    def run(frame: Frame) -> Outcome | Awaitable[Outcome]:
        for holds, block in branches:
            result = holds(frame)
            if result is True or result is not False and truthy(result):
                return block(frame)
        return default(frame)
    return run
