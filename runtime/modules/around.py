"""What a function of a module may ask of its surroundings, and how it reads its parameters."""
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NoReturn, Protocol

from runtime.clock import Clock
from runtime.errors import InvalidInstruction
from runtime.ids import Ids


class Documents(Protocol):
    """A document that outlives the run; operations are those of `store.changes`."""

    def read(self) -> dict[str, Any]: ...
    def change(self, op: str, path: tuple, value: Any = None) -> None: ...


@dataclass(frozen=True, slots=True)
class Around:
    """Where a function runs. `documents` is there for modules that keep something."""

    ids: Ids
    clock: Clock
    user_id: str | None
    documents: Any = None

    @property
    def now(self) -> int:
        return self.clock.now()


def refuse(message: str, **details: Any) -> NoReturn:
    """The error of a function that cannot work with its parameters."""
    raise InvalidInstruction(f"Invalid run instruction : {message}", details)


def text(parameters: Mapping[str, Any], name: str, default: str | None = None) -> str:
    """A parameter that is a text, and neither missing nor empty unless there is a default."""
    value = parameters.get(name)
    if value is None or value == "" and default is None:
        value = default
    if type(value) is not str:
        refuse(f"{name} must be a text", parameter=name)
    return value


def choice(parameters: Mapping[str, Any], name: str, options: tuple[str, ...]) -> str:
    """A parameter that is one of a few words; the first is the default."""
    value = parameters.get(name)
    if value is None:
        return options[0]
    if value not in options:
        refuse(f"{name} must be one of {', '.join(options)}", parameter=name)
    return value


def whole(parameters: Mapping[str, Any], name: str, default: int, *, least: int = 0, most: int = 2 ** 31) -> int:
    """A parameter that is a whole number; texts of digits are numbers too."""
    value = parameters.get(name)
    if value is None:
        return default
    if type(value) is float and value.is_integer() or type(value) is str and value.isascii() and value.isdigit():
        value = int(value)
    if type(value) is not int or not least <= value <= most:
        refuse(f"{name} must be a whole number from {least} to {most}", parameter=name)
    return value
