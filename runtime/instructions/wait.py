"""wait: hold here until one of these events arrives, or time runs out."""
from __future__ import annotations

from collections.abc import Awaitable
from typing import Any

from runtime.errors import InvalidInstruction
from runtime.expressions import to_number
from runtime.instructions.body import as_map
from runtime.instructions.step import At, Frame, Outcome, Step
from runtime.values import UNDEFINED

_DAY = 86_400


def build(body: Any, at: At, c: Any) -> Step:
    body = as_map("wait", body)
    events, timeout, store = c.value(_in_pairs(body.get("oneOf"))), c.value(body.get("timeout")), c.output(body)

    def run(frame: Frame) -> Outcome | Awaitable[Outcome]:
        patterns = events(frame)
        if not isinstance(patterns, list) or not all(isinstance(p, dict) and isinstance(p.get("event"), str) for p in patterns):
            raise InvalidInstruction("Invalid wait instruction : oneOf must list events, each {event, filters?}", {"oneOf": patterns or None})
        patterns = [{**p, "filters": dict(p["filters"])} if _are_pairs(p.get("filters")) else p for p in patterns]
        return arrived(frame, frame.wait_for(patterns, _seconds(frame, timeout(frame)), at))

    async def arrived(frame: Frame, event: Awaitable[dict[str, Any] | None]) -> None:
        result = await event
        storing = store(frame, UNDEFINED if result is None else result)
        if storing is not None:
            await storing
    return run


def _in_pairs(events: Any) -> Any:
    """Filters as pairs of path and value while they are computed: a value that is undefined becomes null there, which asks for
    nothing to be at that path; a member would disappear, and the wait take anything."""
    if not isinstance(events, list):
        return events
    return [{**event, "filters": [[path, wanted] for path, wanted in event["filters"].items()]}
            if isinstance(event, dict) and isinstance(event.get("filters"), dict) else event for event in events]


def _are_pairs(filters: Any) -> bool:
    return isinstance(filters, list) and all(isinstance(pair, list) and len(pair) == 2 and isinstance(pair[0], str) for pair in filters)


def _seconds(frame: Frame, timeout: Any) -> float:
    if timeout is None or timeout is UNDEFINED:
        return frame.settings.wait_default_timeout
    number = to_number(timeout)
    if not 0 <= number <= 30 * _DAY:                        # also false for not-a-number
        raise InvalidInstruction("Invalid wait instruction : timeout must be a number of seconds, 30 days at most", {"timeout": timeout})
    return number
