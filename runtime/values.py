"""The values automations work on: plain JSON, and `UNDEFINED` for what is not there.

UNDEFINED never stands inside a list or a map: an object drops such a member, a list keeps null in its place.
"""
from __future__ import annotations

import base64
from typing import Any

import orjson


class _Undefined:
    """Absent, as opposed to null. Falsy, equal only to itself."""

    __slots__ = ()

    def __bool__(self) -> bool:
        return False

    def __repr__(self) -> str:
        return "undefined"


UNDEFINED: Any = _Undefined()

_ATOMS = frozenset((str, int, float, bool, type(None), bytes))


def copy(value: Any) -> Any:
    """A deep copy of maps and lists; everything else is shared, being immutable."""
    kind = type(value)
    if kind is dict:
        return {k: v if type(v) in _ATOMS else copy(v) for k, v in value.items()}
    if kind is list:
        return [v if type(v) in _ATOMS else copy(v) for v in value]
    return value


def _foreign(value: Any) -> Any:
    """How values without a JSON form are written: bytes as base64 text, anything undefined as null."""
    if isinstance(value, (bytes, bytearray, memoryview)):
        return base64.b64encode(value).decode()
    return None


def encode(value: Any) -> bytes:
    """Compact JSON, UTF-8. Not-a-number and infinities become null."""
    return orjson.dumps(value, _foreign, orjson.OPT_NON_STR_KEYS)


def encode_indented(value: Any) -> bytes:
    """JSON indented by two spaces, as text templates show objects."""
    return orjson.dumps(value, _foreign, orjson.OPT_NON_STR_KEYS | orjson.OPT_INDENT_2)


decode = orjson.loads
