"""Reading the body of an instruction while it is built."""
from __future__ import annotations

from typing import Any

from runtime.errors import InvalidInstruction


def as_map(word: str, body: Any) -> dict[str, Any]:
    """The body as a map, or the error every instruction raises for anything else."""
    if not isinstance(body, dict):
        raise InvalidInstruction(f"Invalid {word} instruction : expected a map of parameters", {"instructionName": word})
    return body


def required(word: str, body: dict[str, Any], name: str) -> Any:
    """A parameter that must be there."""
    if body.get(name) is None:
        raise InvalidInstruction(f"Invalid {word} instruction : missing {name}", {"instructionName": word, "parameter": name})
    return body[name]
