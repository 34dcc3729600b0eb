"""JSON Schema, draft 7, as the fields of automations use it: checked by jsonschema in the order in which Ajv 6 looks at keywords.

What jsonschema would do by `re`, by comparing each item with each other, or by going to the network, is done here in bounded time.
"""
from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import Any

from jsonschema import Draft7Validator, ValidationError
from jsonschema.protocols import Validator
from jsonschema.validators import extend
from referencing import Registry

from runtime.errors import ExpressionError, InvalidArguments
from runtime.expressions.patterns import compile_pattern
from runtime.formats import NUMBER_FORMATS, TEXT_FORMATS

_DEEPEST = 60

# What is not listed (title, description, secret, redact, ui:widget, …) says nothing about values and is left out.
_ORDER = (
    "type", "required", "maximum", "exclusiveMaximum", "minimum", "exclusiveMinimum", "multipleOf",
    "maxLength", "minLength", "pattern", "format", "maxItems", "minItems", "items", "additionalItems", "contains", "uniqueItems",
    "maxProperties", "minProperties", "dependencies", "propertyNames", "additionalProperties", "properties", "patternProperties",
    "const", "enum", "not", "anyOf", "oneOf", "allOf", "if", "then", "else", "definitions", "$defs",
)
_HOLD_A_SCHEMA = frozenset(("items", "additionalItems", "contains", "propertyNames", "additionalProperties", "not", "if", "then", "else"))
_HOLD_SCHEMAS = frozenset(("items", "anyOf", "oneOf", "allOf"))
_CLOSE = frozenset(("additionalProperties", "additionalItems"))
_NAME_SCHEMAS = frozenset(("dependencies", "properties", "patternProperties", "definitions", "$defs"))
_LOCALIZED = "localized:"
_NOTHING = {"false schema": True}
"""The schema `false`, as a keyword, for jsonschema does not tell where it found a bare one."""


def compile_schema(schema: dict[str, Any]) -> Validator:
    """A validator whose first error is the one to report. InvalidArguments says why the schema is none."""
    arranged = _arranged(schema, 0)
    for error in _META.iter_errors(arranged):
        raise _invalid("/".join(map(str, error.absolute_path)), error.message)
    return _Draft7(arranged, registry=Registry())


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


# --- from what is written to what is checked ---------------------------------------------------------------


def _arranged(schema: Any, depth: int) -> Any:
    """`schema` with the keywords that count, in their order; other values than maps are left for the metaschema to judge."""
    if schema is False:
        return _NOTHING
    if not isinstance(schema, dict):
        return schema
    if depth > _DEEPEST:
        raise _invalid("", f"schemas are nested more than {_DEEPEST} deep")
    if "$ref" in schema:
        return {"$ref": _own(schema["$ref"])}
    return {keyword: _value(keyword, schema[keyword], depth + 1) for keyword in _ORDER
            if keyword in schema and (keyword != "additionalItems" or isinstance(schema.get("items"), list))}


def _value(keyword: str, value: Any, depth: int) -> Any:
    if isinstance(value, dict) and keyword in _NAME_SCHEMAS:
        if keyword == "patternProperties":
            _check_patterns(value)
        return {name: _arranged(below, depth) for name, below in value.items()}
    if isinstance(value, list) and keyword in _HOLD_SCHEMAS:
        return [_arranged(below, depth) for below in value]
    if keyword in _HOLD_A_SCHEMA:
        return value if value is False and keyword in _CLOSE else _arranged(value, depth)
    if keyword == "pattern":
        _check_patterns([value])
    return _plain_types(value) if keyword == "type" else value


def _plain_types(written: Any) -> Any:
    """A localized value is a plain one, or a map from language to plain one."""
    types = written if isinstance(written, list) else [written]
    if any(isinstance(each, str) and each.startswith(_LOCALIZED) for each in types):
        return [*dict.fromkeys([str(each).removeprefix(_LOCALIZED) for each in types] + ["object"])]
    return written


def _own(reference: Any) -> str:
    if not isinstance(reference, str) or not reference.startswith("#"):
        raise _invalid("$ref", f"{reference!r} does not lie in this schema")
    return reference


def _check_patterns(patterns: Iterable[Any]) -> None:
    for pattern in patterns:
        if isinstance(pattern, str):
            try:
                compile_pattern(pattern)
            except ExpressionError as error:
                raise _invalid("pattern", error.message) from None


def _invalid(path: str, message: str) -> InvalidArguments:
    return InvalidArguments("Invalid arguments schema", [{"path": path, "message": message[:500]}])


# --- keywords ----------------------------------------------------------------------------------------------
# Each yields errors without words: `schema_errors` finds them.


def _false_schema(validator: Validator, is_false: bool, value: Any, schema: dict[str, Any]) -> Iterator[ValidationError]:
    yield ValidationError("")


def _pattern(validator: Validator, pattern: str, value: Any, schema: dict[str, Any]) -> Iterator[ValidationError]:
    if isinstance(value, str) and not matches(pattern, value):
        yield ValidationError("")


def _pattern_properties(validator: Validator, patterns: dict[str, Any], value: Any, schema: dict[str, Any]) -> Iterator[ValidationError]:
    for pattern, below in patterns.items() if isinstance(value, dict) else ():
        for name, member in value.items():
            if matches(pattern, name):
                yield from validator.descend(member, below, path=name, schema_path=pattern)


def _additional_properties(validator: Validator, below: Any, value: Any, schema: dict[str, Any]) -> Iterator[ValidationError]:
    for name in extra_properties(value, schema) if isinstance(value, dict) and below is not True else ():
        if below is False:
            yield ValidationError("")
        else:
            yield from validator.descend(value[name], below, path=name)


def _unique_items(validator: Validator, wanted: bool, value: Any, schema: dict[str, Any]) -> Iterator[ValidationError]:
    if wanted and isinstance(value, list) and last_duplicate(value):
        yield ValidationError("")


def _multiple_of(validator: Validator, step: float, value: Any, schema: dict[str, Any]) -> Iterator[ValidationError]:
    if isinstance(value, float) and not math.isfinite(value):
        yield ValidationError("")
    else:
        yield from Draft7Validator.VALIDATORS["multipleOf"](validator, step, value, schema)


def _format(validator: Validator, name: str, value: Any, schema: dict[str, Any]) -> Iterator[ValidationError]:
    if isinstance(value, str):
        accepts = TEXT_FORMATS.get(name)
    else:
        accepts = NUMBER_FORMATS.get(name) if validator.is_type(value, "number") else None
    if accepts is not None and not accepts(value):
        yield ValidationError("")


_Draft7 = extend(Draft7Validator, {
    "false schema": _false_schema, "pattern": _pattern, "patternProperties": _pattern_properties,
    "additionalProperties": _additional_properties, "uniqueItems": _unique_items, "multipleOf": _multiple_of, "format": _format})
_META = Draft7Validator(Draft7Validator.META_SCHEMA)
