"""The values automations work on: plain JSON, and `UNDEFINED` for what is not there.

UNDEFINED never stands inside a list or a map: an object drops such a member, a list keeps null in its place.
"""
from __future__ import annotations

import base64
from typing import Any

import orjson

from runtime.errors import TooDeep

MAX_DEPTH = 200
"""Levels of maps and lists that a value may have; JSON is not written beyond 254, and an event puts a few around it."""


class _Undefined:
    """Absent, as opposed to null. Falsy, equal only to itself."""

    __slots__ = ()

    def __bool__(self) -> bool:
        return False

    def __repr__(self) -> str:
        return "undefined"


UNDEFINED: Any = _Undefined()

_ATOMS = frozenset((str, int, float, bool, type(None), bytes))


def copy(value: Any, levels: int = MAX_DEPTH) -> Any:
    """A deep copy of maps and lists; everything else is shared, being immutable. Raises `TooDeep`."""
    kind = type(value)
    if kind is dict:
        if not levels:
            raise _too_deep()
        return {k: v if type(v) in _ATOMS else copy(v, levels - 1) for k, v in value.items()}
    if kind is list:
        if not levels:
            raise _too_deep()
        return [v if type(v) in _ATOMS else copy(v, levels - 1) for v in value]
    return value


def weigh(value: Any, most: int) -> int:
    """About how many bytes a copy of `value` takes; stops counting soon beyond `most`. What is held twice counts twice."""
    size, pending = 0, [value]
    while pending:
        value = pending.pop()
        kind = type(value)
        if kind is str or kind is bytes:
            size += len(value)
        elif kind is dict:
            size += 32 + 8 * len(value) + sum([len(key) for key in value if type(key) is str])
            pending += value.values()
        elif kind is list:
            size += 24 + 8 * len(value)
            pending += value
        if size > most:
            break
    return size


def _foreign(value: Any) -> Any:
    """How values without a JSON form are written: bytes as base64 text, anything undefined as null."""
    if isinstance(value, (bytes, bytearray, memoryview)):
        return base64.b64encode(value).decode()
    return None


def encode(value: Any) -> bytes:
    """Compact JSON, UTF-8. Not-a-number and infinities become null, halves of characters U+FFFD. Raises `TooDeep`."""
    return _written(value, orjson.OPT_NON_STR_KEYS)


def encode_indented(value: Any) -> bytes:
    """JSON indented by two spaces, as text templates show objects. Raises `TooDeep`."""
    return _written(value, orjson.OPT_NON_STR_KEYS | orjson.OPT_INDENT_2)


def encode_exactly(value: Any) -> bytes:
    """Compact JSON of what can be said in it as it is. Raises `TypeError` for anything else."""
    return orjson.dumps(value, _foreign, orjson.OPT_NON_STR_KEYS)


def _written(value: Any, options: int) -> bytes:
    try:
        return orjson.dumps(value, _foreign, options)
    except TypeError:                                       # rare: what JSON cannot say is replaced by the nearest it can
        return orjson.dumps(_sayable(value, MAX_DEPTH + 50), _foreign, options)


def _sayable(value: Any, levels: int) -> Any:
    kind = type(value)
    if kind is str:
        return value.encode("utf-8", "replace").decode()
    if kind is int:
        return value if -2 ** 63 <= value < 2 ** 64 else _rounded(value)
    if kind is not dict and kind is not list:
        return value
    if not levels:
        raise _too_deep()
    if kind is dict:
        return {_sayable(k, 0): _sayable(v, levels - 1) for k, v in value.items()}
    return [_sayable(v, levels - 1) for v in value]


def _too_deep() -> TooDeep:
    return TooDeep(f"The value is nested too deep: at most {MAX_DEPTH} levels are allowed", {"limit": MAX_DEPTH})


def _rounded(value: int) -> float | None:
    try:
        return float(value)
    except OverflowError:
        return None


decode = orjson.loads
