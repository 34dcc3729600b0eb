"""Rules of an operator: which fields of which events are covered before they are stored."""
from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any, NamedTuple

from runtime.redaction import SecretPaths, redact_fields
from runtime.values import decode, encode

_EACH = "*"


class Rule(NamedTuple):
    """`events` are names, or beginnings of names that end in a star."""

    events: tuple[str, ...]
    fields: SecretPaths

    def concerns(self, type: str) -> bool:
        return any(type.startswith(name[:-1]) if name.endswith(_EACH) else type == name for name in self.events)


class Rules:
    """What is stored, and so found, replayed and exported, lacks the fields; automations that an event starts get it whole."""

    def __init__(self, rules: tuple[Rule, ...], origin: str = "") -> None:
        self._rules = rules
        self._origin = origin
        self._fields_of = lru_cache(4096)(self._find)

    def __str__(self) -> str:
        return self._origin

    def stored(self, type: str, body: bytes) -> bytes:
        """The envelope as it is stored."""
        fields = self._fields_of(type)
        if not fields:
            return body
        event = decode(body)
        covered = redact_fields(fields, event)
        return body if covered is event else encode(covered)

    def _find(self, type: str) -> SecretPaths:
        return tuple(field for rule in self._rules if rule.concerns(type) for field in rule.fields)


def parse(document: Any, origin: str = "") -> Rules:
    """Rules as they are written: `[{id, events, fields, action: redact}]`. Raises `ValueError`, which names the one that is wrong."""
    if type(document) is not list:
        raise ValueError("a list of rules")
    return Rules(tuple(_rules(document)), origin)


def _rules(document: list[Any]) -> Iterator[Rule]:
    for number, rule in enumerate(document, 1):
        if type(rule) is not dict or rule.get("action", "redact") != "redact":
            raise ValueError(f"rule {number} to be a map with the action redact")
        names, fields = _texts(rule.get("events", rule.get("topics"))), _texts(rule.get("fields"))
        if not names or not fields:
            raise ValueError(f"rule {number} to list events and fields")
        yield Rule(names, tuple(tuple(None if key == _EACH else key for key in field.split(".")) for field in fields))


def _texts(value: Any) -> tuple[str, ...]:
    return tuple(value) if type(value) is list and all(type(text) is str and text for text in value) else ()
