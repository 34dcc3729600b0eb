"""Keywords of JSON Schema that jsonschema would check by `re`, by comparing each item with each other, or not at all; here in bounded time.

Each yields errors without words: `schema_errors` finds them.
"""
from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

from jsonschema import Draft7Validator, ValidationError
from jsonschema.protocols import Validator

from runtime.arguments.formats import NUMBER_FORMATS, TEXT_FORMATS
from runtime.errors import ExpressionError
from runtime.expressions.patterns import compile_pattern

Errors = Iterator[ValidationError]


def extra_properties(value: dict[str, Any], schema: dict[str, Any]) -> Iterator[str]:
    """The members of `value` that neither `properties` nor `patternProperties` speak of."""
    named, patterns = schema.get("properties", {}), schema.get("patternProperties", {})
    return (name for name in value if name not in named and not any(matches(pattern, name) for pattern in patterns))


def last_duplicate(items: list[Any]) -> tuple[int, int] | None:
    """The places of two equal items, the later one first."""
    seen: dict[Any, int] = {}
    found = None
    for place, item in enumerate(items):
        identity = _identity(item)
        if identity in seen:
            found = place, seen[identity]
        seen[identity] = place
    return found


def matches(pattern: str, text: str) -> bool:
    """A pattern that takes too long on this text does not match it."""
    try:
        return compile_pattern(pattern).search(text) is not None
    except ExpressionError:
        return False


def _identity(value: Any) -> Any:
    """Hashable, and equal for values that JSON holds for equal: 1 and 1.0 are, 1 and true are not."""
    if isinstance(value, dict):
        return frozenset((name, _identity(member)) for name, member in value.items())
    if isinstance(value, list):
        return tuple(map(_identity, value))
    return (bool, value) if isinstance(value, bool) else value


def _false_schema(validator: Validator, is_false: bool, value: Any, schema: dict[str, Any]) -> Errors:
    yield ValidationError("")


def _pattern(validator: Validator, pattern: str, value: Any, schema: dict[str, Any]) -> Errors:
    if isinstance(value, str) and not matches(pattern, value):
        yield ValidationError("")


def _pattern_properties(validator: Validator, patterns: dict[str, Any], value: Any, schema: dict[str, Any]) -> Errors:
    for pattern, below in patterns.items() if isinstance(value, dict) else ():
        for name, member in value.items():
            if matches(pattern, name):
                yield from validator.descend(member, below, path=name, schema_path=pattern)


def _additional_properties(validator: Validator, below: Any, value: Any, schema: dict[str, Any]) -> Errors:
    for name in extra_properties(value, schema) if isinstance(value, dict) and below is not True else ():
        if below is False:
            yield ValidationError("")
        else:
            yield from validator.descend(value[name], below, path=name)


def _unique_items(validator: Validator, wanted: bool, value: Any, schema: dict[str, Any]) -> Errors:
    if wanted and isinstance(value, list) and last_duplicate(value):
        yield ValidationError("")


def _multiple_of(validator: Validator, step: float, value: Any, schema: dict[str, Any]) -> Errors:
    if isinstance(value, float) and not math.isfinite(value):
        yield ValidationError("")
    else:
        yield from Draft7Validator.VALIDATORS["multipleOf"](validator, step, value, schema)


def _format(validator: Validator, name: str, value: Any, schema: dict[str, Any]) -> Errors:
    if isinstance(value, str):
        accepts = TEXT_FORMATS.get(name)
    else:
        accepts = NUMBER_FORMATS.get(name) if validator.is_type(value, "number") else None
    if accepts is not None and not accepts(value):
        yield ValidationError("")


KEYWORDS: dict[str, Callable[[Validator, Any, Any, dict[str, Any]], Errors]] = {
    "false schema": _false_schema, "pattern": _pattern, "patternProperties": _pattern_properties,
    "additionalProperties": _additional_properties, "uniqueItems": _unique_items, "multipleOf": _multiple_of, "format": _format,
}
