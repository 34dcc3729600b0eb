"""Whether a document has the shape of a schema: what has the wrong type or is missing refuses it, an unknown key only warns."""
from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from runtime.language.construction import MAX_DEPTH
from runtime.language.problems import Findings, shown
from runtime.language.schema import Schema
from runtime.language.source import Path
from runtime.language.suggest import Names, did_you_mean

_SAID = {"string": "a text", "number": "a number", "integer": "a whole number", "boolean": "true or false",
         "array": "a list", "object": "a map"}
_YES_AND_NO = {"yes": "true", "on": "true", "y": "true", "true": "true", "no": "false", "off": "false", "n": "false",
               "false": "false"}

SYNONYMS = {
    # of when
    "on": "events", "event": "events", "listen": "events", "cron": "schedules", "schedule": "schedules", "every": "schedules",
    "url": "endpoint", "webhook": "endpoint", "path": "endpoint", "http": "endpoint",
    # of an automation
    "steps": "do", "instructions": "do", "actions": "do", "run": "do", "then": "do", "trigger": "when", "triggers": "when",
    "args": "arguments", "inputs": "arguments", "parameters": "arguments", "input": "arguments", "return": "output",
    "outputs": "output", "result": "output", "title": "name", "label": "name",
    # of a workspace
    "apps": "imports", "workflows": "automations", "flows": "automations", "settings": "config",
    # of an import
    "app": "appSlug", "version": "appVersion",
}
"""Words that other tools, or older habits, use for ours; folded to small letters."""

_vocabularies: dict[int, Names] = {}


def has_kind(value: Any, kind: str | list[str]) -> bool:
    """True for a value of this JSON type, or of one of these."""
    match kind:
        case "string":
            return isinstance(value, str)
        case "boolean":
            return isinstance(value, bool)
        case "object":
            return isinstance(value, dict)
        case "array":
            return isinstance(value, list)
        case "number":
            return isinstance(value, (int, float)) and not isinstance(value, bool)
        case "integer":
            return isinstance(value, int) and not isinstance(value, bool)
        case _:
            return any(has_kind(value, each) for each in kind)


def said(kind: str | list[str]) -> str:
    return _SAID[kind] if isinstance(kind, str) else " or ".join(_SAID[each] for each in kind)


def kind_hint(value: Any, kind: str | list[str]) -> str:
    """What to write for a value of the wrong type."""
    kinds = kind if isinstance(kind, list) else [kind]
    if "boolean" in kinds and isinstance(value, str) and value.lower() in _YES_AND_NO:
        return f"Write {_YES_AND_NO[value.lower()]}, without quotes."
    if "array" in kinds:
        is_word = isinstance(value, str) and value.isidentifier()
        return f"Write [{value[:60]}]." if is_word else 'Begin each item with "- " on a line of its own.'
    if "object" in kinds:
        return 'Write "key: value" lines below it, indented.'
    if "string" in kinds and isinstance(value, (int, float)):
        return "Put quotes around it."
    return "Write a number, without quotes." if "number" in kinds and isinstance(value, str) else ""


def vocabulary(properties: Mapping[str, Any], synonyms: Mapping[str, str]) -> Names:
    """The names of a schema's properties, filed once; schemas live as long as the program."""
    names = _vocabularies.get(id(properties))
    if names is None:
        known = {word: name for word, name in synonyms.items() if name in properties}
        names = _vocabularies[id(properties)] = Names(properties, known)
    return names


def unknown_hint(key: str, properties: Mapping[str, Any]) -> str:
    return did_you_mean(key, vocabulary(properties, SYNONYMS)) or f"Known are: {', '.join(properties)}."


def check_shape(findings: Findings, value: Any, schema: Schema, path: Path) -> bool:
    """Report what does not fit `schema`; true when the value itself has the right type, whatever is wrong inside it."""
    kind = schema.get("type")
    if kind is not None and not has_kind(value, kind):
        findings.refuse("bad-shape", path, f"{_name(path)} must be {said(kind)}, not {shown(value)}", hint=kind_hint(value, kind))
        return False
    if isinstance(value, dict):
        _check_members(findings, value, schema, path)
    elif isinstance(value, list):
        _check_items(findings, value, schema, path)
    return True


def _check_members(findings: Findings, value: dict[str, Any], schema: Schema, path: Path) -> None:
    properties, each = schema.get("properties"), schema.get("additionalProperties")
    for key in schema.get("required", ()):
        if value.get(key) is None:
            empty = key in value
            findings.refuse("missing", (*path, key) if empty else path, f'{_name(path)} has no "{key}"',
                            hint=f"Add {key}: " + ("[…], or [] if there is nothing to do." if key == "do" else "…"), key=True)
    for key, member in value.items():
        if properties is not None and key in properties:
            if member is not None:
                check_shape(findings, member, properties[key], (*path, key))
        elif properties is not None and not schema.get("open"):
            findings.warn("unknown-key", (*path, key), f"{shown(key)} means nothing in {_name(path)}",
                          hint=unknown_hint(key, properties), key=True)
        elif each is not None:
            check_shape(findings, member, each, (*path, key))


def _check_items(findings: Findings, value: list[Any], schema: Schema, path: Path) -> None:
    if schema.get("instructions"):
        for index, step in enumerate(value):
            if step is not None and not isinstance(step, dict):
                findings.refuse("bad-shape", (*path, index), f"an instruction must be a map, not {shown(step)}",
                                hint=instruction_hint(step))
    elif "items" in schema:
        for index, item in enumerate(value):
            check_shape(findings, item, schema["items"], (*path, index))


def instruction_hint(step: Any) -> str:
    if isinstance(step, str) and step.isidentifier():
        word = step[:60]
        return "Write break: {}." if word == "break" else f"Write {word}: and its parameters; {word}: {{}} if there are none."
    return "Write the name of the instruction, a colon, and its parameters below, indented."


def is_sound(findings: Findings) -> bool:
    """Refuse data that nests too deep to walk, or whose keys are no texts; what follows may then recurse and take keys as they are."""
    level: list[tuple[Path, Any]] = [((), findings.source.data)]
    for _ in range(MAX_DEPTH):
        below: list[tuple[Path, Any]] = []
        for path, value in level:
            if isinstance(value, dict):
                if not all(isinstance(key, str) for key in value):
                    findings.refuse("bad-key", path, f"the keys of {_name(path)} must be texts", hint="Put quotes around them.")
                    return False
                below += [((*path, key), each) for key, each in value.items() if isinstance(each, (dict, list))]
            elif isinstance(value, list):
                below += [((*path, index), each) for index, each in enumerate(value) if isinstance(each, (dict, list))]
        if not below:
            return True
        level = below
    findings.refuse("too-deep", level[0][0][:1], f"maps and lists are nested at most {MAX_DEPTH} deep")
    return False


def _name(path: Path) -> str:
    """The thing at a path, as a sentence calls it."""
    if not path:
        return "the document"
    if len(path) == 2 and path[0] in ("automations", "imports"):
        return f"the {path[0][:-1]} {shown(path[1])}"
    last = path[-1]
    if isinstance(last, str):
        return shown(last)
    return f"item {last + 1}" + (f" of {shown(path[-2])}" if len(path) > 1 else "")
