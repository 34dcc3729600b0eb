"""Conditions on events: said once, evaluated by a store on what it holds or by a feed on what happens.

A condition is a tree of `Is`, `Prefix`, `Suffix`, `Present`, `Absent`, `Within`, `Text`, `All`, `Any` and `Not`. Paths are keys from the
root of the envelope. Values compare as texts: `1` equals `"1"`, `true` equals `"true"`.
"""
from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any as Anything

Path = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Is:
    """The value at `path` is one of `values`."""

    path: Path
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Prefix:
    path: Path
    text: str


@dataclass(frozen=True, slots=True)
class Suffix:
    path: Path
    text: str


@dataclass(frozen=True, slots=True)
class Present:
    """There, and neither null, false, 0 nor empty text."""

    path: Path


@dataclass(frozen=True, slots=True)
class Absent:
    path: Path


@dataclass(frozen=True, slots=True)
class AtMost:
    """The number at `path` is absent or at most `limit`; a text or an object is not."""

    path: Path
    limit: int


@dataclass(frozen=True, slots=True)
class Text:
    """A substring of the serialised event."""

    needle: str


@dataclass(frozen=True, slots=True)
class All:
    parts: tuple["Condition", ...]


@dataclass(frozen=True, slots=True)
class Any:
    parts: tuple["Condition", ...]


@dataclass(frozen=True, slots=True)
class Not:
    part: "Condition"


Condition = Is | Prefix | Suffix | Present | Absent | AtMost | Text | All | Any | Not

EVERYTHING = All(())
NOTHING = Any(())


@dataclass(frozen=True, slots=True)
class EventQuery:
    """Events of one workspace that meet `where`, by position. All bounds are exclusive.

    `after` and `before` are positions, `after_time` and `before_time` milliseconds.
    """

    workspace_id: str
    where: Condition = EVERYTHING
    after: int | None = None
    before: int | None = None
    after_time: int | None = None
    before_time: int | None = None
    ascending: bool = False
    limit: int = 50
    offset: int = 0


Predicate = Callable[[dict[str, Anything], bytes], bool]


def predicate(condition: Condition) -> Predicate:
    """A function of an event, as a map and as its JSON text, that tells whether the condition holds."""
    match condition:
        case All(parts):
            every = [predicate(p) for p in parts]
            return every[0] if len(every) == 1 else lambda event, body: all(p(event, body) for p in every)
        case Any(parts):
            some = [predicate(p) for p in parts]
            return some[0] if len(some) == 1 else lambda event, body: any(p(event, body) for p in some)
        case Not(part):
            inner = predicate(part)
            return lambda event, body: not inner(event, body)
        case Is(path, values):
            wanted = frozenset(values)
            return lambda event, body: as_text(value_at(event, path)) in wanted
        case Prefix(path, text):
            return lambda event, body: (as_text(value_at(event, path)) or "").startswith(text)
        case Suffix(path, text):
            return lambda event, body: (as_text(value_at(event, path)) or "").endswith(text)
        case Present(path):
            return lambda event, body: bool(value_at(event, path))
        case Absent(path):
            return lambda event, body: not value_at(event, path)
        case AtMost(path, limit):
            return lambda event, body: _is_at_most(value_at(event, path), limit)
        case Text(needle):
            raw = needle.encode()
            return lambda event, body: raw in body
    raise TypeError(f"not a condition: {condition!r}")


def value_at(value: Anything, path: Path) -> Anything:
    for key in path:
        if type(value) is dict:
            value = value.get(key)
        elif type(value) is list and key.isdecimal() and int(key) < len(value):
            value = value[int(key)]
        else:
            return None
    return value


def _is_at_most(value: Anything, limit: int) -> bool:
    return type(value or 0) in (int, float, bool) and (value or 0) <= limit


def as_text(value: Anything) -> str | None:
    """How a value is compared: None when it is absent, null or no scalar."""
    if type(value) is str:
        return value
    if value is True:
        return "true"
    if value is False:
        return "false"
    if type(value) is int:
        return str(value)
    if type(value) is float:
        return str(int(value)) if value.is_integer() else repr(value)
    return None
