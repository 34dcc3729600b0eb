"""Variable names: `a.b[0]['x y']` becomes a path once, and a path becomes the fastest closure that reads it."""
from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from runtime.errors import VariableNameError
from runtime.expressions.scope import Scope
from runtime.values import UNDEFINED

Key = str | int
Path = tuple[Key, ...]
Evaluate = Callable[[Scope], Any]

CONTEXTS = frozenset(("global", "user", "session", "run", "socket", "config", "$workspace"))
"""First words that name a shared context; any other names a local variable."""

SECRET = "secret"
"""`secret.name`, written out, is a secret of the workspace, unless there is a variable `secret`. Names made while running reach none."""

MAX_NAME = 10_000
MAX_KEYS = 200

_INDEX = re.compile(r"0|[1-9][0-9]{0,14}")
_STEP = re.compile(r"""
    \[ \s* (?: '(?P<single>[^']*)' | "(?P<double>[^"]*)" ) \s* \]
  | \[ (?P<inside>[^\[\]'"]+) \]
  | (?P<dot>\.?) (?P<word>[^.\[\]]+)
""", re.VERBOSE)


@lru_cache(4096)
def parse_path(name: str) -> Path:
    """The keys of a variable name, the first a text; later ones that look like an index are integers.

    Raises VariableNameError when it is no name.
    """
    first, *others = steps(name)
    return (str(first[0]), *(key for key, _ in others))


def steps(name: str) -> list[tuple[Key, bool]]:
    """Each key, and whether it stands in brackets. A name starts with a word, and every later word follows a dot."""
    text = name.strip()
    if not text or len(text) > MAX_NAME:
        raise bad_name(name)
    found: list[tuple[Key, bool]] = []
    position = 0
    while position < len(text):
        match = _STEP.match(text, position)
        if match is None or len(found) == MAX_KEYS:
            raise bad_name(name)
        word, is_first = match["word"], not found
        if is_first == (word is None or match["dot"] == "."):
            raise bad_name(name)
        key = word or match["single"] or match["double"] or (match["inside"] or "").strip()
        if not key:
            raise bad_name(name)
        found.append((as_key(key), word is None))
        position = match.end()
    return found


def as_key(text: str) -> Key:
    return int(text) if _INDEX.fullmatch(text) else text


def bad_name(name: str) -> VariableNameError:
    shown = name if len(name) <= 200 else name[:200] + "…"
    return VariableNameError(f"Invalid variable name '{shown}'", {"name": shown})


def member(parent: Any, key: Key) -> Any:
    """`parent[key]`: of a map by text, of a list or text by index or `length`; anything else has no members."""
    kind = type(parent)
    if kind is dict:
        return parent.get(key if type(key) is str else str(key), UNDEFINED)
    if kind is list or kind is str:
        if type(key) is int:
            return parent[key] if 0 <= key < len(parent) else UNDEFINED
        return len(parent) if key == "length" else UNDEFINED
    return UNDEFINED


def follow(value: Any, path: Path) -> Any:
    """The value at `path` below `value`."""
    for key in path:
        value = member(value, key)
    return value


def read_path(scope: Scope, path: Path) -> Any:
    """The value of a variable whose name was made while running."""
    name = str(path[0])
    if name in CONTEXTS:
        return scope.read(name, path[1:])
    return follow(scope.locals.get(name, UNDEFINED), path[1:])


def compile_path(path: Path) -> Evaluate:
    """A closure that reads `path`, specialised by its length: most variables have one to three keys."""
    name, keys = str(path[0]), path[1:]
    if name in CONTEXTS:
        return _shared(name, keys)
    if not keys:
        return lambda scope: scope.locals.get(name, UNDEFINED)
    if name == SECRET:
        return _secret(keys)
    if len(keys) == 1:
        return _one(name, keys[0])
    if len(keys) == 2:
        return _two(name, *keys)
    if len(keys) == 3:
        return _three(name, *keys)
    return _many(name, keys)


def _shared(name: str, keys: Path) -> Evaluate:
    return lambda scope: scope.read(name, keys)


def _secret(keys: Path) -> Evaluate:
    def read(scope: Scope) -> Any:
        variable = scope.locals.get(SECRET, UNDEFINED)
        return follow(variable, keys) if variable is not UNDEFINED else scope.read(SECRET, keys)
    return read


def _one(name: str, key: Key) -> Evaluate:
    text = str(key)

    def read(scope: Scope) -> Any:
        parent = scope.locals.get(name)
        if type(parent) is dict:
            return parent.get(text, UNDEFINED)
        return member(parent, key)
    return read


def _two(name: str, first: Key, second: Key) -> Evaluate:
    first_text, second_text = str(first), str(second)

    def read(scope: Scope) -> Any:
        parent = scope.locals.get(name)
        parent = parent.get(first_text) if type(parent) is dict else member(parent, first)
        if type(parent) is dict:
            return parent.get(second_text, UNDEFINED)
        return member(parent, second)
    return read


def _three(name: str, first: Key, second: Key, third: Key) -> Evaluate:
    first_text, second_text, third_text = str(first), str(second), str(third)

    def read(scope: Scope) -> Any:
        parent = scope.locals.get(name)
        parent = parent.get(first_text) if type(parent) is dict else member(parent, first)
        parent = parent.get(second_text) if type(parent) is dict else member(parent, second)
        if type(parent) is dict:
            return parent.get(third_text, UNDEFINED)
        return member(parent, third)
    return read


def _many(name: str, keys: Path) -> Evaluate:
    def read(scope: Scope) -> Any:
        value = scope.locals.get(name)
        for key in keys:
            value = value.get(key) if type(value) is dict and key in value else member(value, key)
        return value
    return read
