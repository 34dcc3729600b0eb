"""Warnings about instructions: what will fail when it is reached, or does not do what it seems to.

Everything about single parameters follows from the table of schemas; the few rules of one instruction stand in `habits`.
"""
from __future__ import annotations

from typing import Any

from runtime.language.callables import Callables
from runtime.language.habits import HABITS, check_variable
from runtime.language.problems import Findings, shown
from runtime.language.schema import INSTRUCTION_SCHEMAS, Schema
from runtime.language.shape import has_kind, instruction_hint, kind_hint, said, vocabulary
from runtime.language.source import Path
from runtime.language.suggest import did_you_mean
from runtime.language.templates import check_condition, check_templates, is_template

_PARAMETER_SYNONYMS = {
    "key": "name", "variable": "name", "path": "name", "var": "name", "val": "value", "to": "value",
    "name": "event", "data": "payload", "uri": "url", "href": "url", "json": "body", "params": "query", "verb": "method",
    "result": "output", "into": "output", "as": "output", "events": "oneOf", "for": "oneOf", "on": "oneOf", "seconds": "timeout",
    "items": "on", "list": "on", "in": "on", "times": "until", "count": "until", "max": "until", "steps": "do", "then": "do",
    "except": "catch", "rescue": "catch", "fn": "function", "args": "parameters", "arguments": "parameters",
    "automation": "workflow", "slug": "workflow", "users": "userIds", "period": "window"}


class Advice:
    """Walks the instructions of one document."""

    __slots__ = ("_findings", "_callables")

    def __init__(self, findings: Findings, callables: Callables) -> None:
        self._findings = findings
        self._callables = callables

    def instructions(self, steps: list[Any], path: Path, *, is_nested: bool = False) -> None:
        """A list of instructions; at the top of an automation the shape check has seen its items already."""
        ended = False
        for index, step in enumerate(steps):
            place = (*path, index)
            if isinstance(step, dict) and step:
                if ended:
                    self._findings.warn("unreachable", place, "this is never reached: the break before it always ends the list",
                                        hint="Put the break into a condition, or at the end.")
                ended = self._instruction(step, place)
            elif is_nested and step is not None and step != {}:
                self._findings.warn("bad-parameter", place, f"an instruction must be a map, not {shown(step)}", hint=instruction_hint(step))

    def _instruction(self, step: dict[str, Any], path: Path) -> bool:
        """True when nothing after it can be reached."""
        word, body = next(iter(step.items()))
        if len(step) > 1:
            self._several_keys(step, word, body, path)
        path = (*path, word)
        schema = INSTRUCTION_SCHEMAS.get(word)
        if schema is None:
            self._call(word, body, path)
        elif body is None:
            if not schema.get("nullable") and word != "comment" and len(step) == 1:
                self._findings.warn("no-parameters", path, f'"{word}" without parameters fails', key=True,
                                    hint=f"Write its parameters below it, indented: {', '.join(schema.get('properties', {'…': None}))}.")
        elif word != "comment":
            self._value(body, schema, path, word)
            if isinstance(body, dict) and word in HABITS:
                HABITS[word](self._findings, body, path)
        return word == "break"

    def _several_keys(self, step: dict[str, Any], word: str, body: Any, path: Path) -> None:
        second = list(step)[1]
        first, other = word[:60], second[:60]
        if body is None:
            hint = f"Indent {other} below {first}, two blanks more than it."
        else:
            hint = f'Begin a new item with "- {other}:", or indent it if it belongs to {first}.'
        self._findings.warn("several-keys", (*path, second), f'"{other}" is ignored: an instruction has one key, and that is "{first}"',
                            hint=hint, key=True)

    def _call(self, word: str, body: Any, path: Path) -> None:
        if objection := self._callables.objection(word):
            message, hint = objection
            self._findings.warn("unknown-instruction", path, message, hint=hint, key=True)
        if body is None:
            self._findings.warn("no-parameters", path, f"{shown(word)} without arguments fails", hint=f"Write {word[:60]}: {{}}.",
                                key=True)
        elif not isinstance(body, dict) and not is_template(body):
            self._findings.warn("bad-parameter", path, f"the arguments of {shown(word)} must be a map, not {shown(body)}",
                                hint=kind_hint(body, "object"))
        check_templates(self._findings, body, path)
        if isinstance(body, dict):
            check_variable(self._findings, body.get("output"), (*path, "output"))

    def _value(self, value: Any, schema: Schema, path: Path, word: str) -> None:
        """Whether `value` can be what `schema` says; `word` is the instruction that it is a parameter of."""
        if "anyOf" in schema:
            schema = next((each for each in schema["anyOf"] if has_kind(value, each["type"])), {"type": ["array", "object"]})
        if is_template(value):
            check_templates(self._findings, value, path)
            return
        kind = schema.get("type")
        if kind is not None and not has_kind(value, kind):
            if value is not None:
                self._findings.warn("bad-parameter", path, f'"{path[-1]}" must be {said(kind)}, not {shown(value)}',
                                    hint=kind_hint(value, kind))
            return
        if schema.get("instructions"):
            self.instructions(value, path, is_nested=True)
        elif schema.get("branches"):
            self._branches(value, path)
        elif isinstance(value, dict) and "properties" in schema:
            self._members(value, schema, path, word)
        elif isinstance(value, list) and "items" in schema:
            for index, item in enumerate(value):
                self._value(item, schema["items"], (*path, index), word)
        else:
            self._leaf(value, schema, path)

    def _leaf(self, value: Any, schema: Schema, path: Path) -> None:
        if "enum" in schema and (value.lower() if schema.get("anyCase") else value) not in schema["enum"]:
            self._findings.warn("bad-parameter", path, f'"{path[-1]}" cannot be {shown(value)}',
                                hint=f"Write one of {', '.join(schema['enum'])}.")
        if schema.get("variable"):
            check_variable(self._findings, value, path)
        elif schema.get("automation") and (objection := self._callables.objection(value)):
            self._findings.warn("unknown-instruction", path, objection[0], hint=objection[1])
        else:
            check_templates(self._findings, value, path)

    def _members(self, value: dict[str, Any], schema: Schema, path: Path, word: str) -> None:
        properties = schema["properties"]
        for name in schema.get("required", ()):
            if value.get(name) is None:
                self._findings.warn("missing-parameter", (*path, name) if name in value else path, f'"{path[-1]}" needs "{name}"',
                                    hint=f"Add {name}: …", key=not isinstance(path[-1], int) or name in value)
        for name, member in value.items():
            place = (*path, name)
            if name in properties:
                self._value(member, properties[name], place, word)
                continue
            if not schema.get("open"):
                self._findings.warn("unknown-parameter", place, f'{shown(name)} means nothing to "{word}"', key=True,
                                    hint=did_you_mean(name, vocabulary(properties, _PARAMETER_SYNONYMS))
                                    or f"Known are: {', '.join(properties)}.")
            check_templates(self._findings, member, place)

    def _branches(self, value: dict[str, Any], path: Path) -> None:
        for condition, steps in value.items():
            place = (*path, condition)
            if condition != "default":
                check_condition(self._findings, condition, place)
            if isinstance(steps, list):
                self.instructions(steps, place, is_nested=True)
            elif steps is not None:
                self._findings.warn("bad-parameter", place, f"a branch must be a list of instructions, not {shown(steps)}",
                                    hint='Begin each instruction with "- ".')


