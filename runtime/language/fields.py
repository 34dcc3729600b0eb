"""The typed fields of arguments and configs: JSON Schema, with additions of our own."""
from __future__ import annotations

from typing import Any

from runtime.language.problems import Findings, shown
from runtime.language.shape import kind_hint
from runtime.language.source import Path
from runtime.language.suggest import Names, did_you_mean

_TYPES = ("string", "number", "integer", "boolean", "object", "array", "null",
          "localized:string", "localized:number", "localized:boolean")
_NAMES = Names(_TYPES, {
    "text": "string", "str": "string", "int": "integer", "float": "number", "double": "number", "bool": "boolean", "map": "object",
    "dict": "object", "json": "object", "list": "array", "date": "string", "datetime": "string", "file": "object", "any": "object"})


def check_fields(findings: Findings, fields: dict[str, Any], path: Path) -> None:
    """`fields` is a map from name to field; a field that is no map refuses the document, one that cannot be used warns."""
    for name, field in fields.items():
        if isinstance(field, dict):
            _check_field(findings, field, (*path, name))
        elif field is not None and not isinstance(field, bool):
            findings.refuse("bad-shape", (*path, name), f"the field {shown(name)} must be a map, not {shown(field)}",
                            hint=f"Write {name[:60]}: {{type: {_meant(field)}}}.")


def _check_field(findings: Findings, field: dict[str, Any], path: Path) -> None:
    kind = field.get("type")
    for each in kind if isinstance(kind, list) else [kind]:
        if each is not None and each not in _TYPES:
            hint = did_you_mean(each, _NAMES) if isinstance(each, str) else ""
            findings.warn("unknown-type", (*path, "type"), f"{shown(each)} is not a type",
                          hint=hint or f"Types are {', '.join(_TYPES[:7])}.")
    required = field.get("required")
    if required is not None and not isinstance(required, list):
        findings.warn("bad-field", (*path, "required"), f'"required" must be a list of names, not {shown(required)}',
                      hint="List the required members in the object that has them: required: [a, b].")
    if isinstance(secret := field.get("secret"), str):
        findings.warn("bad-field", (*path, "secret"), f'"secret" must be true or false, not {shown(secret)}',
                      hint=kind_hint(secret, "boolean"))
    _check_below(findings, field, path)


def _check_below(findings: Findings, field: dict[str, Any], path: Path) -> None:
    properties, items = field.get("properties"), field.get("items")
    if isinstance(properties, dict):
        for name, member in properties.items():
            if isinstance(member, dict):
                _check_field(findings, member, (*path, "properties", name))
            elif not isinstance(member, bool):
                findings.warn("bad-field", (*path, "properties", name), f"the field {shown(name)} must be a map, not {shown(member)}",
                              hint=f"Write {name[:60]}: {{type: {_meant(member)}}}.")
    elif properties is not None:
        findings.warn("bad-field", (*path, "properties"), f'"properties" must be a map, not {shown(properties)}')
    if isinstance(items, dict):
        _check_field(findings, items, (*path, "items"))


def _meant(field: Any) -> str:
    """The type that somebody who wrote `name: string` had in mind."""
    return (_NAMES.near(field) if isinstance(field, str) else None) or "string"
