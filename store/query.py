"""Conditions on events: said once, evaluated by a store on what it holds or by a feed on what happens.

A condition is a tree whose leaves look at the value of one path, keys from the root of the envelope, or at all of the event. Values
compare as texts: `1` equals `"1"`, `true` equals `"true"`. Only `Compared` tells numbers from texts.
"""
from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from operator import ge, gt, le, lt
from typing import Any as Anything

Path = tuple[str, ...]

_ORDERS: dict[str, Callable[[Anything, Anything], bool]] = {"gt": gt, "gte": ge, "lt": lt, "lte": le}
_NOWHERE: tuple[Anything, ...] = (None, [], {})
_WORD = re.compile(r"\w+")


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
class Exists:
    """There, and neither null nor an empty list or map."""

    path: Path


@dataclass(frozen=True, slots=True)
class Compared:
    """The value at `path` stands to `bound` as `order` says: gt, gte, lt or lte. Numbers compare with numbers, texts with texts by
    code point; nothing else compares."""

    path: Path
    order: str
    bound: int | float | str


@dataclass(frozen=True, slots=True)
class Like:
    """The value at `path` as a whole looks like `pattern`: `*` is any text, `?` one character, and a backslash takes both as they are."""

    path: Path
    pattern: str
    ignores_case: bool = False


@dataclass(frozen=True, slots=True)
class Words:
    """One of `words`, or each of them, is a word of the texts, numbers and booleans at and below `path`. Case is ignored."""

    path: Path
    words: tuple[str, ...]
    needs_each: bool = False


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


@dataclass(frozen=True, slots=True)
class AtLeast:
    """So many of the parts hold."""

    count: int
    parts: tuple["Condition", ...]


Condition = Is | Prefix | Suffix | Present | Absent | AtMost | Exists | Compared | Like | Words | Text | All | Any | Not | AtLeast

EVERYTHING = All(())
NOTHING = Any(())


def all_of(*conditions: Condition) -> Condition:
    """What holds when all of them do, with the parts of any `All` among them beside the others, where a store sees them first."""
    parts = tuple(part for condition in conditions for part in _conjuncts(condition))
    return parts[0] if len(parts) == 1 else All(parts)


def _conjuncts(condition: Condition) -> Iterator[Condition]:
    if isinstance(condition, All):
        for part in condition.parts:
            yield from _conjuncts(part)
    else:
        yield condition


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
        case AtLeast(count, parts):
            counted = [predicate(p) for p in parts]
            return lambda event, body: sum(p(event, body) for p in counted) >= count
        case Text(needle):
            raw = needle.encode(errors="surrogatepass")
            return lambda event, body: raw in body
    return _of_value(condition)


def _of_value(condition: Condition) -> Predicate:
    """The conditions on what stands at one path."""
    match condition:
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
        case Exists(path):
            return lambda event, body: value_at(event, path) not in _NOWHERE
        case Compared(path, order, bound):
            return lambda event, body: is_compared(value_at(event, path), order, bound)
        case Like(path, pattern, ignores_case):
            looks_like = pattern_of(pattern, ignores_case).fullmatch
            return lambda event, body: (text := as_text(value_at(event, path))) is not None and looks_like(text) is not None
        case Words(path, words, needs_each):
            return lambda event, body: has_words(value_at(event, path), words, needs_each)
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


def is_compared(value: Anything, order: str, bound: int | float | str) -> bool:
    """What `Compared` says of a value."""
    is_alike = type(value) is str if isinstance(bound, str) else type(value) in (int, float)
    return is_alike and _ORDERS[order](value, bound)


@lru_cache(256)
def pattern_of(pattern: str, ignores_case: bool) -> re.Pattern[str]:
    """The pattern of a `Like`. What a star took is never given back, so that no pattern makes matching slow."""
    pieces: list[list[str]] = [[]]
    characters = iter(pattern)
    for character in characters:
        match character:
            case "*":
                pieces.append([])
            case "?":
                pieces[-1].append(".")
            case "\\":
                pieces[-1].append(re.escape(next(characters, "\\")))
            case _:
                pieces[-1].append(re.escape(character))
    first, *others = ("".join(piece) for piece in pieces)
    ending = f".*{others.pop()}" if others else ""
    middle = "".join(f"(?>.*?{piece})" for piece in others if piece)
    return re.compile(first + middle + ending, re.DOTALL | (re.IGNORECASE if ignores_case else re.NOFLAG))


def has_words(value: Anything, words: Iterable[str], needs_each: bool) -> bool:
    """What `Words` says of a value."""
    found = {word for text in _texts(value) for word in words_of(text)}
    return (all if needs_each else any)(word in found for word in words)


def words_of(text: str) -> list[str]:
    return [word.casefold() for word in _WORD.findall(text)]


def _texts(value: Anything) -> Iterator[str]:
    """Of every scalar at and below a value."""
    pending = [value]
    while pending:
        value = pending.pop()
        if type(value) is dict:
            pending += value.values()
        elif type(value) is list:
            pending += value
        elif (text := as_text(value)) is not None:
            yield text


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
