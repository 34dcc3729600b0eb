"""How values become truth, numbers and text, and how two of them compare: the rules that operators share.

The language is of the JavaScript family, so its conversions are too. Booleans are no numbers here although Python
counts them as such, hence the tests on exact types.
"""
from __future__ import annotations

import base64
import math
import re
from typing import Any

from runtime.errors import ExpressionError
from runtime.expressions.limits import MAX_VALUE_DEPTH, check_text, too_deep
from runtime.values import UNDEFINED, encode, encode_indented

Number = int | float

NAN = math.nan
EXACT = 2 ** 53
"""Whole numbers up to here survive a round trip through a double; arithmetic keeps them as integers."""

_NUMBERS = frozenset((int, float))
_CONTAINERS = frozenset((dict, list))
_SCALARS = frozenset((str, int, float, bool, type(None), type(UNDEFINED), bytes))
_NUMERIC = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?", re.ASCII)


def truthy(value: Any) -> bool:
    """False for false, 0, "", null, undefined and not-a-number; empty lists and maps are true."""
    kind = type(value)
    if kind in _SCALARS:
        return bool(value) and not (kind is float and math.isnan(value))
    return True


def is_number(value: Any) -> bool:
    return type(value) in _NUMBERS


def number(value: Number) -> Number:
    """The canonical form of a result: whole numbers without decimals, integers only while they are exact."""
    if type(value) is int:
        return value if -EXACT <= value <= EXACT else as_double(value)
    if -EXACT <= value <= EXACT and value.is_integer():
        return int(value)
    return value


def as_double(value: int) -> float:
    """Integers of any size come from documents; beyond the range of a double they are infinite."""
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def to_number(value: Any) -> Number:
    """Null is 0, true is 1, numeric text its number, blank text 0; the rest is not a number."""
    kind = type(value)
    if kind in _NUMBERS:
        return value
    if kind is str:
        return _parse_number(value)
    if kind is bool:
        return int(value)
    if value is None:
        return 0
    if kind is list:
        return _parse_number(script_text(value))
    return NAN


def _parse_number(text: str) -> Number:
    text = text.strip()
    if not text:
        return 0
    if len(text) < 16 and text.isdecimal() and text.isascii():
        return int(text)
    return number(float(text)) if _NUMERIC.fullmatch(text) else NAN


def number_text(value: Number) -> str:
    """As JSON shows it: `3`, `0.5`, `1e+21`; what is no finite number is `null`."""
    if type(value) is int:
        return str(value)
    if not math.isfinite(value):
        return "null"
    size = abs(value)
    if size < 1e21 and value.is_integer():
        return str(int(value))
    text = repr(value)
    if "e" not in text:
        return text
    if 1e-6 <= size < 1:
        return _plain(text)
    digits, _, exponent = text.partition("e")
    return f"{digits}e{int(exponent):+d}"


def _plain(text: str) -> str:
    """`-1.25e-05` → `-0.0000125`."""
    digits, _, exponent = text.lstrip("-").partition("e")
    sign = "-" if text.startswith("-") else ""
    return f"{sign}0.{'0' * (-int(exponent) - 1)}{digits.replace('.', '')}"


def to_text(value: Any) -> str:
    """What a value looks like inside a longer text: nothing when it is missing, indented JSON for maps and lists."""
    kind = type(value)
    if kind is str:
        return value
    if kind is int or kind is float:
        return number_text(value)
    if kind is bool:
        return "true" if value else "false"
    if kind in _CONTAINERS:
        return json_text(value, encode_indented)
    if kind is bytes:
        return base64.b64encode(value).decode()
    return ""


def json_text(value: Any, write: Any = encode) -> str:
    """JSON, or an error that says why there is none; never a crash."""
    try:
        text = write(value).decode()
    except TypeError as error:                    # nested too deep, beyond 64 bits, or no valid Unicode
        raise ExpressionError(f"The value cannot be written as JSON: {error}") from error
    check_text(len(text))
    return text


def script_text(value: Any, depth: int = 0) -> str:
    """The text that operators work on: `undefined` and `null` by name, lists joined by commas."""
    kind = type(value)
    if kind is str:
        return value
    if kind is list:
        return _joined(value, depth)
    if kind is dict:
        return "[object Object]"
    if value is None:
        return "null"
    if value is UNDEFINED:
        return "undefined"
    if kind is float and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return to_text(value)


def _joined(items: list[Any], depth: int) -> str:
    if depth > MAX_VALUE_DEPTH:
        raise too_deep()
    texts = ["" if item is None else script_text(item, depth + 1) for item in items]
    check_text(sum(map(len, texts)) + len(texts))
    return ",".join(texts)


def strict_equal(left: Any, right: Any) -> bool:
    """Same type and same value; maps and lists are equal only to themselves."""
    kind = type(left)
    if kind is type(right):
        return left == right if kind in _SCALARS else left is right
    return kind in _NUMBERS and type(right) in _NUMBERS and left == right


def loose_equal(left: Any, right: Any) -> bool:
    """The equality of `==`: numbers meet numeric text, booleans count as 0 and 1, null equals undefined alone."""
    kind, other = type(left), type(right)
    if kind is other:
        return left == right if kind in _SCALARS else left is right
    if left is None or left is UNDEFINED:
        return right is None or right is UNDEFINED
    if right is None or right is UNDEFINED:
        return False
    if kind in _CONTAINERS and other in _CONTAINERS:
        return False
    if kind in _CONTAINERS:
        return loose_equal(script_text(left), right)
    if other in _CONTAINERS:
        return loose_equal(left, script_text(right))
    if kind not in _SCALARS or other not in _SCALARS:
        return False
    return to_number(left) == to_number(right)


def same(left: Any, right: Any, depth: int = 0) -> bool:
    """Equal by content, at any depth."""
    kind = type(left)
    if kind is not type(right) or kind not in _CONTAINERS:
        return strict_equal(left, right)
    if len(left) != len(right):
        return False
    if depth > MAX_VALUE_DEPTH:
        raise too_deep()
    if kind is list:
        return all(same(a, b, depth + 1) for a, b in zip(left, right))
    return all(key in right and same(value, right[key], depth + 1) for key, value in left.items())


def comparable(value: Any) -> Any:
    """One side of `<`: text stays text, everything else becomes text or a number."""
    kind = type(value)
    if kind is str or kind in _NUMBERS:
        return value
    return script_text(value) if kind in _CONTAINERS else to_number(value)


def contains(collection: Any, item: Any) -> bool:
    """`item in collection`: an item of a list, a key of a map, an entry of comma-separated text."""
    kind = type(collection)
    if kind is list:
        if type(item) is str:
            return item in collection             # nothing but a text equals a text
        return any(strict_equal(item, other) for other in collection)
    if kind is dict:
        return script_text(item) in collection
    if kind is str:
        return _is_listed(collection.split(","), item)
    return False


def _is_listed(entries: list[str], item: Any) -> bool:
    if type(item) in _NUMBERS:
        return any(entry.strip() and _whole(to_number(entry)) == item for entry in entries)
    if item is None or item is UNDEFINED:
        return False
    return script_text(item) in entries


def _whole(value: Number) -> Number:
    return math.trunc(value) if type(value) is int or math.isfinite(value) else NAN
