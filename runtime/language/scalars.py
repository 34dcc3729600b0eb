"""Plain scalars by the core schema of YAML 1.2: what is written without quotes, as a value.

`yes`, `no`, `on`, `off`, dates and `1_000` are text; so are the octal numbers of YAML 1.1.
"""
from __future__ import annotations

import re

Scalar = str | int | float | bool | None

_CONSTANTS: dict[str, Scalar] = {
    "": None, "~": None, "null": None, "Null": None, "NULL": None,
    "true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False,
    **{sign + word: float(sign + "inf") for sign in ("", "+", "-") for word in (".inf", ".Inf", ".INF")},
    **{word: float("nan") for word in (".nan", ".NaN", ".NAN")},
}
_FIRST = frozenset("+-.0123456789")
_INTEGER = re.compile(r"[-+]?[0-9]+")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_BASED = re.compile(r"0o[0-7]+|0x[0-9a-fA-F]+")
_SURE_DIGITS = 18
"""A text this short is an integer of 64 bits."""
_MOST_DIGITS = 400
"""A float ends at 309 digits, and Python refuses to convert integers of thousands."""


def resolve(text: str) -> Scalar:
    """The value of a plain scalar. Integers beyond 64 bits become floats."""
    value = _CONSTANTS.get(text, text)
    if value is text and text[0] in _FIRST:
        return _number(text)
    return value


def _number(text: str) -> Scalar:
    if _INTEGER.fullmatch(text):
        if len(text) <= _SURE_DIGITS:
            return int(text)
        return float(text) if len(text) > _MOST_DIGITS else _bounded(int(text))
    if _FLOAT.fullmatch(text):
        return float(text)
    if _BASED.fullmatch(text):
        if len(text) > _MOST_DIGITS:
            return float("inf")
        return _bounded(int(text[2:], 8 if text[1] == "o" else 16))
    return text


def _bounded(number: int) -> int | float:
    if -(1 << 63) <= number < 1 << 63:
        return number
    try:
        return float(number)
    except OverflowError:
        return float("inf") if number > 0 else float("-inf")
