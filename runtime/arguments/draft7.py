"""JSON Schema, draft 7, as the fields of automations use it: checked by jsonschema in the order in which Ajv 6 looks at keywords.

A reference leads nowhere but into its own schema: nothing is ever fetched.
"""
from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from jsonschema import Draft7Validator
from jsonschema.protocols import Validator
from jsonschema.validators import extend
from referencing import Registry

from runtime.arguments.keywords import KEYWORDS
from runtime.errors import ExpressionError, InvalidArguments
from runtime.expressions.patterns import compile_pattern

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
_META = Draft7Validator(Draft7Validator.META_SCHEMA)
_Draft7 = extend(Draft7Validator, KEYWORDS)


def compile_schema(schema: dict[str, Any]) -> Validator:
    """A validator whose first error is the one to report. InvalidArguments says why the schema is none."""
    arranged = _arranged(schema, 0)
    for error in _META.iter_errors(arranged):
        raise _invalid("/".join(map(str, error.absolute_path)), error.message)
    return _Draft7(arranged, registry=Registry())


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
