"""Functions on text, and on the lists that text is split into and joined from."""
from __future__ import annotations

import base64
import math
from typing import Any

from runtime.errors import ExpressionError
from runtime.expressions.coercion import Number, is_number, number, script_text, to_text
from runtime.expressions.limits import MAX_ITEMS, check_text
from runtime.values import UNDEFINED

_ANGLES = str.maketrans({"<": "&#60;", ">": "&#62;"})


def bad_arguments(name: str, expected: str) -> ExpressionError:
    return ExpressionError(f"Bad {name}() arguments: {expected}")


def split(text: Any = UNDEFINED, separator: Any = UNDEFINED) -> list[str]:
    """The pieces between separators; an empty one splits characters."""
    if type(text) is not str or type(separator) is not str:
        raise bad_arguments("split", "expected a text and a separator")
    pieces = text.count(separator) + 1
    if pieces > MAX_ITEMS:
        raise bad_arguments("split", f"{pieces} pieces, at most {MAX_ITEMS} are allowed")
    return text.split(separator) if separator else list(text)


def join(items: Any = UNDEFINED, joiner: Any = UNDEFINED) -> str:
    """The texts of all items with `joiner` between them; null items are empty."""
    if type(items) is not list or type(joiner) is not str:
        raise bad_arguments("join", "expected a list and a text")
    texts = ["" if item is None else script_text(item) for item in items]
    check_text(sum(map(len, texts)) + len(joiner) * max(0, len(texts) - 1))
    return joiner.join(texts)


def replace(text: Any = UNDEFINED, pattern: Any = UNDEFINED, replacement: Any = UNDEFINED) -> str:
    """The first occurrence only; pattern and replacement are taken literally."""
    if type(text) is not str or type(pattern) is not str or type(replacement) is not str:
        raise bad_arguments("replace", "expected three texts")
    check_text(len(text) + len(replacement))
    return text.replace(pattern, replacement, 1)


def cut(value: Any = UNDEFINED, start: Any = UNDEFINED, end: Any = UNDEFINED) -> Any:
    """`slice()`: a part of a list or a text; negative positions count from the end."""
    if type(value) not in (list, str) or not is_number(start):
        raise bad_arguments("slice", "expected a list or a text and a number")
    if end is UNDEFINED or end is None:
        return value[_position(start, len(value)):]
    if not is_number(end):
        raise bad_arguments("slice", "the end is no number")
    return value[_position(start, len(value)):_position(end, len(value))]


def _position(index: Number, size: int) -> int:
    index = number(index)
    if math.isnan(index):
        return 0
    if index >= size:
        return size
    return math.trunc(index) if index > -1 else max(0, size + math.trunc(max(index, -size)))


def lower(text: Any = UNDEFINED) -> str:
    return to_text(text).lower()


def upper(text: Any = UNDEFINED) -> str:
    made = to_text(text).upper()
    check_text(len(made))
    return made


def truncate(text: Any = UNDEFINED, length: Any = UNDEFINED, ellipsis: Any = UNDEFINED) -> str:
    """At most `length` characters (30 unless told), the ellipsis included."""
    text = to_text(text)
    size = _position(max(0, length), len(text)) if is_number(length) else 30
    if len(text) <= size:
        return text
    mark = "..." if ellipsis is UNDEFINED or ellipsis is None else to_text(ellipsis)
    return text[:max(0, size - len(mark))] + mark


def to_base64(text: Any = UNDEFINED) -> str:
    source = text if type(text) is bytes else to_text(text).encode("utf-8", "replace")
    check_text(len(source) * 4 // 3)
    return base64.b64encode(source).decode()


def sanitize(text: Any = UNDEFINED) -> str:
    """Without markup: `<` and `>` become entities, characters outside the basic multilingual plane disappear."""
    source = to_text(text)
    check_text(len(source) + 4 * (source.count("<") + source.count(">")))
    if not source.isascii():
        source = "".join(character for character in source if character <= "\uffff")
    return source.translate(_ANGLES)
