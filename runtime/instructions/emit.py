"""emit: publish an event of the workspace. Its listeners start on their own."""
from __future__ import annotations

from collections.abc import Awaitable
from typing import Any

from runtime.errors import InvalidEvent
from runtime.instructions.body import as_map, required
from runtime.instructions.step import At, Frame, Outcome, Step
from runtime.instructions.turns import after
from runtime.throttles import EMITS
from runtime.values import UNDEFINED


def build(body: Any, at: At, c: Any) -> Step:
    body = as_map("emit", body)
    event = c.value(required("emit", body, "event"))
    payload, target, options = c.value(body.get("payload")), c.value(body.get("target")), c.value(body.get("options"))
    store = c.output(body) if body.get("output") is not None else None

    def run(frame: Frame, is_its_turn: bool = False) -> Outcome | Awaitable[Outcome]:
        if frame.throttle is not None and not is_its_turn and (turn := frame.throttle.turn(EMITS)) is not None:
            return after(turn, run, frame, True)
        name, data = event(frame), payload(frame)
        if not isinstance(name, str):
            raise InvalidEvent("The name of an event must be a text", {"event": None if name is UNDEFINED else name})
        if data is None or data is UNDEFINED:
            data = {}
        elif type(data) is not dict:
            frame.report("InvalidEventError", f"Event payload must be an object, received {_kind(data)}", {"event": name, "payload": data},
                         prefixed=True)
            return None
        if store is None:
            frame.publish(name, data, target(frame), options(frame))
            return None
        return acknowledged(frame, frame.emit(name, data, target(frame), options(frame)))

    async def acknowledged(frame: Frame, accepting: Awaitable[dict[str, Any]]) -> None:
        storing = store(frame, await accepting)
        if storing is not None:
            await storing
    return run


def _kind(value: Any) -> str:
    return {list: "Array", str: "String", bool: "Boolean"}.get(type(value), "Number")
