"""What an instruction may call by name: native instructions, automations of the workspace, automations of its imports."""
from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from runtime.language.problems import shown
from runtime.language.schema import INSTRUCTION_SCHEMAS
from runtime.language.suggest import Names

_NATIVE = Names(INSTRUCTION_SCHEMAS, {
    "if": "conditions", "condition": "conditions", "switch": "conditions", "when": "conditions", "case": "conditions",
    "for": "repeat", "foreach": "repeat", "loop": "repeat", "each": "repeat", "while": "repeat",
    "parallel": "all", "fork": "all", "http": "fetch", "request": "fetch", "get": "fetch", "post": "fetch", "curl": "fetch",
    "sleep": "wait", "delay": "wait", "pause": "wait", "listen": "wait", "publish": "emit", "send": "emit", "event": "emit",
    "assign": "set", "var": "set", "let": "set", "unset": "delete", "remove": "delete", "catch": "try", "return": "break",
    "exit": "break", "stop": "break", "end": "break", "call": "runWorkflow", "exec": "run", "note": "comment"})


class Callables:
    """The names that can be called, and why some that look as if they could cannot."""

    __slots__ = ("_automations", "_disabled", "_imports", "_is_complete", "_near")

    def __init__(self, automations: Iterable[str] = (), *, disabled: Iterable[str] = (), imports: Iterable[str] = (),
                 is_complete: bool = True) -> None:
        """Without `is_complete` there may be more automations than these: only slips of known names are told."""
        self._automations = frozenset(automations)
        self._disabled = frozenset(disabled)
        self._imports = frozenset(imports)
        self._is_complete = is_complete
        self._near: Names | None = None

    @classmethod
    def of(cls, workspace: dict[str, Any]) -> Callables:
        """The names of a workspace document, whatever its shape."""
        automations = {slug_of(key, document): document for key, document in members(workspace, "automations")}
        imports = [key for key, document in members(workspace, "imports") if document.get("disabled") is not True]
        disabled = {slug for slug, document in automations.items() if document.get("disabled") is True}
        return cls(automations, disabled=disabled, imports=imports)

    def objection(self, name: str) -> tuple[str, str] | None:
        """(what is wrong with calling `name`, what to write instead), or None."""
        if name in self._disabled:
            return f'the automation {shown(name)} is disabled: calling it fails as if it did not exist', "Remove its disabled: true."
        if name in self._automations:
            return None
        instance, dot, rest = name.partition(".")
        if dot and instance in self._imports:
            if "." not in rest:
                return None
            return f"{shown(name)} reaches into the imports of an import", "Call an automation of a direct import: instance.automation."
        near = self.near(name)
        if near is None and not self._is_complete:
            return None
        if near in INSTRUCTION_SCHEMAS:
            what = "is not an instruction"
        elif dot:
            what = f"cannot be called: there is no import {shown(instance)}, or it is disabled"
        else:
            what = "is neither an instruction nor an automation of this workspace"
        return f"{shown(name)} {what}", f'Did you mean "{near}"?' if near else ""

    def near(self, name: str) -> str | None:
        if native := _NATIVE.near(name):
            return native
        if self._near is None:
            self._near = Names([*self._automations, *self._imports])
        instance, dot, rest = name.partition(".")
        if dot and (meant := self._near.near(instance)) in self._imports:
            return f"{meant}.{rest}"
        return self._near.near(name)


def slug_of(key: str, document: dict[str, Any]) -> str:
    """The slug that an automation gives itself, or its key."""
    slug = document.get("slug")
    return slug if isinstance(slug, str) and slug else key


def members(document: dict[str, Any], section: str) -> list[tuple[str, dict[str, Any]]]:
    """The entries of a section that are maps, as all of them should be."""
    entries = document.get(section)
    return [(key, entry) for key, entry in entries.items() if isinstance(entry, dict)] if isinstance(entries, dict) else []
