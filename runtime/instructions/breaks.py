"""break: leave the loop, the automation, or every automation up to the root."""
from __future__ import annotations

from typing import Any

from runtime.errors import InvalidInstruction
from runtime.expressions import constant_of
from runtime.instructions.step import At, Break, Frame, Outcome, Step
from runtime.values import UNDEFINED, copy

_SCOPES = frozenset(("automation", "all", "repeat"))


def build(body: Any, at: At, c: Any) -> Step:
    body = body if isinstance(body, dict) else {}
    scope = c.value(body.get("scope", "automation"))
    payload = c.value(body["payload"]) if "payload" in body else None
    if payload is None and constant_of(scope, None) in _SCOPES:
        outcome = Break(constant_of(scope, None))
        return lambda frame: outcome

    def run(frame: Frame) -> Outcome:
        name = scope(frame) or "automation"
        if name not in _SCOPES:
            raise InvalidInstruction("Invalid break instruction : scope is automation, all or repeat", {"scope": name})
        return Break(name, copy(payload(frame)) if payload else UNDEFINED)
    return run
