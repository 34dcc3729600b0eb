"""rateLimit: count uses in a sliding window. It tells, it never raises."""
from __future__ import annotations

from collections.abc import Awaitable
from typing import Any

from runtime.errors import InvalidInstruction
from runtime.expressions import to_number, to_text
from runtime.instructions.body import as_map, required
from runtime.instructions.step import At, Frame, Outcome, Step


def build(body: Any, at: At, c: Any) -> Step:
    body = as_map("rateLimit", body)
    name, limit, window = (c.value(required("rateLimit", body, key)) for key in ("name", "limit", "window"))
    consumer, store = c.value(body.get("consumer")), c.output(body)

    def run(frame: Frame) -> Outcome | Awaitable[Outcome]:
        most, seconds, who = to_number(limit(frame)), to_number(window(frame)), consumer(frame)
        if not (0 <= most < 1e6 and 0 < seconds < 1e9):
            raise InvalidInstruction("Invalid rateLimit instruction : limit and window must be positive numbers", {"instructionName": "rateLimit"})
        return store(frame, {**frame.take(to_text(name(frame)), int(most), seconds, to_text(who)), "consumer": who or None})
    return run
