"""A failed validation in the words of Ajv 6: keyword, dataPath, schemaPath, params and message."""
from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import quote, unquote

from jsonschema import ValidationError

from runtime.arguments.keywords import extra_properties, last_duplicate

_IDENTIFIER = re.compile(r"[a-z$_][a-z$_0-9]*", re.ASCII | re.IGNORECASE)
_IN_QUOTES = str.maketrans({"'": "\\'", "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\f": "\\f", "\t": "\\t"})

Told = tuple[dict[str, Any], str]
Teller = Callable[[Any, Any, dict[str, Any]], Told]
"""(what the keyword says, the value that failed, the schema around the keyword) → params and message."""


def describe(error: ValidationError, root: dict[str, Any]) -> dict[str, Any]:
    """`error` as a member of `details`; `root` is the schema that was checked."""
    params, message = _TELLERS[error.validator](error.validator_value, error.instance, error.schema)
    return {"keyword": error.validator, "dataPath": data_path(error.absolute_path),
            "schemaPath": _schema_path(root, error.absolute_schema_path), "params": params, "message": message}


def data_path(steps: Iterable[str | int]) -> str:
    """`.body.tags[1]['my-key']`"""
    return "".join(map(_step, steps))


def _step(step: str | int) -> str:
    if isinstance(step, int):
        return f"[{step}]"
    return f".{step}" if _IDENTIFIER.fullmatch(step) else f"['{step.translate(_IN_QUOTES)}']"


def _schema_path(root: dict[str, Any], steps: Iterable[str | int]) -> str:
    """Where the keyword is written: a reference starts the path anew at the schema it leads to."""
    path, schema = "#", root
    *above, keyword = steps
    for step in above:
        path, schema = _followed(root, path, schema)
        path, schema = f"{path}/{_escaped(step)}", schema[step]
    return f"{_followed(root, path, schema)[0]}/{keyword}"


def _followed(root: dict[str, Any], path: str, schema: Any) -> tuple[str, Any]:
    while isinstance(schema, dict) and "$ref" in schema:
        path = schema["$ref"].rstrip("/")
        schema = _referred(root, path)
    return path, schema


def _referred(root: Any, reference: str) -> Any:
    for step in reference.split("/")[1:]:
        name = unquote(step).replace("~1", "/").replace("~0", "~")
        root = root[int(name) if isinstance(root, list) else name]
    return root


def _escaped(step: str | int) -> str:
    return quote(str(step).replace("~", "~0").replace("/", "~1"), safe="!*'()")


def _number(value: float) -> str:
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _type(types: Any, value: Any, schema: dict[str, Any]) -> Told:
    names = ",".join(types) if isinstance(types, list) else types
    return {"type": names}, f"should be {names}"


def _required(names: list[str], value: dict[str, Any], schema: dict[str, Any]) -> Told:
    missing = next(name for name in names if name not in value)
    return {"missingProperty": missing}, f"should have required property '{missing}'"


def _additional_properties(below: Any, value: dict[str, Any], schema: dict[str, Any]) -> Told:
    return {"additionalProperty": next(extra_properties(value, schema))}, "should NOT have additional properties"


def _unique_items(wanted: Any, items: list[Any], schema: dict[str, Any]) -> Told:
    later, earlier = last_duplicate(items) or (0, 0)
    return {"i": later, "j": earlier}, f"should NOT have duplicate items (items ## {earlier} and {later} are identical)"


def _dependencies(dependencies: dict[str, Any], value: dict[str, Any], schema: dict[str, Any]) -> Told:
    name, wanted, missing = next((name, wanted, one) for name, wanted in dependencies.items()
                                 if name in value and isinstance(wanted, list) for one in wanted if one not in value)
    listed = ", ".join(wanted)
    return ({"property": name, "missingProperty": missing, "depsCount": len(wanted), "deps": listed},
            f"should have propert{'y' if len(wanted) == 1 else 'ies'} {listed} when property {name} is present")


def _additional_items(below: Any, value: list[Any], schema: dict[str, Any]) -> Told:
    limit = len(schema["items"])
    return {"limit": limit}, f"should NOT have more than {limit} items"


def _compared(sign: str, *, exclusive: bool) -> Teller:
    return lambda limit, value, schema: ({"comparison": sign, "limit": limit, "exclusive": exclusive}, f"should be {sign} {_number(limit)}")


def _limited(words: str) -> Teller:
    return lambda limit, value, schema: ({"limit": limit}, f"should NOT {words.format(_number(limit))}")


def _quoted(name: str) -> Teller:
    return lambda text, value, schema: ({name: text}, f'should match {name} "{text}"')


def _said(message: str, param: str = "") -> Teller:
    return lambda what, value, schema: ({param: what} if param else {}, message)


_TELLERS: dict[str, Teller] = {
    "type": _type,
    "required": _required,
    "maximum": _compared("<=", exclusive=False),
    "minimum": _compared(">=", exclusive=False),
    "exclusiveMaximum": _compared("<", exclusive=True),
    "exclusiveMinimum": _compared(">", exclusive=True),
    "multipleOf": lambda step, value, schema: ({"multipleOf": step}, f"should be multiple of {_number(step)}"),
    "maxLength": _limited("be longer than {} characters"),
    "minLength": _limited("be shorter than {} characters"),
    "pattern": _quoted("pattern"),
    "format": _quoted("format"),
    "maxItems": _limited("have more than {} items"),
    "minItems": _limited("have fewer than {} items"),
    "additionalItems": _additional_items,
    "contains": _said("should contain a valid item"),
    "uniqueItems": _unique_items,
    "maxProperties": _limited("have more than {} properties"),
    "minProperties": _limited("have fewer than {} properties"),
    "dependencies": _dependencies,
    "additionalProperties": _additional_properties,
    "const": _said("should be equal to constant", "allowedValue"),
    "enum": _said("should be equal to one of the allowed values", "allowedValues"),
    "not": _said("should NOT be valid"),
    "anyOf": _said("should match some schema in anyOf"),
    "oneOf": _said("should match exactly one schema in oneOf"),
    "false schema": _said("boolean schema is false"),
}
