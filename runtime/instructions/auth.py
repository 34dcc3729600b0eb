"""auth: a short-lived token for fetches to the own API."""
from __future__ import annotations

from collections.abc import Awaitable
from typing import Any

from runtime.errors import InvalidInstruction
from runtime.instructions.body import as_map
from runtime.instructions.step import At, Frame, Outcome, Step


def build(body: Any, at: At, c: Any) -> Step:
    body = as_map("auth", body)
    workspace, store = c.value(body.get("workspace")), c.output(body)

    def run(frame: Frame) -> Outcome | Awaitable[Outcome]:
        if workspace(frame) is not True:
            raise InvalidInstruction("Invalid auth instruction : workspace must be true", {"instructionName": "auth"})
        return store(frame, {"jwt": frame.workspace_token()})
    return run
