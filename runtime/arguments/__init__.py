"""Are these the arguments an automation declares? Says nothing when they are; the first problem otherwise."""
from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from jsonschema.protocols import Validator as SchemaValidator
from referencing.exceptions import Unresolvable

from runtime.arguments.draft7 import compile_schema
from runtime.arguments.schema_errors import describe
from runtime.errors import InvalidArguments
from runtime.values import UNDEFINED

_NOT_CHECKED = "$http"
_NO_BRANCH = {"keyword": "schemas", "dataPath": "", "schemaPath": "#/schemas", "params": {},
              "message": "should meet the conditions of one of the schemas"}
_TOO_DEEP = {"keyword": "depth", "dataPath": "", "schemaPath": "#", "params": {}, "message": "should NOT be nested so deep"}


class _Branch(NamedTuple):
    """Arguments that meet all `conditions`, each a path and the text to be found there, are checked by `schema`."""

    conditions: tuple[tuple[tuple[str, ...], str | None], ...]
    schema: SchemaValidator | None

    def is_meant_for(self, values: dict[str, Any]) -> bool:
        return all(text is not None and _found(values, path) == text for path, text in self.conditions)


class Validator:
    """Checks the arguments of one automation. Compile once, check often."""

    __slots__ = ("_branches",)

    def __init__(self, branches: Iterable[_Branch]) -> None:
        self._branches = tuple(branches)

    def check(self, values: dict[str, Any]) -> None:
        """Return if the arguments are fine, else raise InvalidArguments with one entry in `details`."""
        if _NOT_CHECKED in values or UNDEFINED in values.values():
            values = {name: value for name, value in values.items() if name != _NOT_CHECKED and value is not UNDEFINED}
        for branch in self._branches:
            if branch.is_meant_for(values):
                return _check(branch.schema, values)
        raise InvalidArguments("Invalid arguments", [_NO_BRANCH])


def compile_arguments(arguments: dict[str, Any], *, schemas: list[Any] | None = None) -> Validator:
    """The validator of `arguments`, a map from name to field, or of the branches in `schemas`, which take their place.

    InvalidArguments, "Invalid arguments schema", when they are no JSON Schemas.
    """
    if schemas:
        return Validator(map(_branch, schemas))
    return Validator([_Branch((), compile_schema({"type": "object", "properties": arguments}))])


def _branch(written: Any) -> _Branch:
    conditions = written.get("conditions") or {} if isinstance(written, dict) else None
    if not isinstance(conditions, dict):
        raise InvalidArguments("Invalid arguments schema", [{"path": "schemas", "message": "a branch is a map with a map of conditions"}])
    payload = written.get("payload")
    return _Branch(tuple((path, _text(value, path)) for path, value in ((tuple(p.split(".")), v) for p, v in conditions.items())),
                   None if payload is None else compile_schema(payload))


def _found(values: Any, path: tuple[str, ...]) -> str | None:
    found = values
    for step in path:
        if not isinstance(found, dict) or step not in found:
            return None
        found = found[step]
    return _text(found, path)


def _text(value: Any, path: tuple[str, ...]) -> str | None:
    """What is compared; None for objects, lists and null, which never match."""
    if isinstance(value, str):
        return value.lower() if path == ("method",) else value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
    return None


def _check(schema: SchemaValidator | None, values: dict[str, Any]) -> None:
    if schema is None:
        return
    try:
        error = next(schema.iter_errors(values), None)
    except RecursionError:
        raise InvalidArguments("Invalid arguments", [_TOO_DEEP]) from None
    except Unresolvable as reference:
        raise InvalidArguments("Invalid arguments schema", [{"path": "$ref", "message": str(reference)}]) from None
    if error is not None:
        raise InvalidArguments("Invalid arguments", [describe(error, schema.schema)])
