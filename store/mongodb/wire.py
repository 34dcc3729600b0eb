"""How a group of facts travels in one document of the log: JSON, with the JSON inside the facts as texts."""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, get_type_hints

import orjson

from store.records import (
    App,
    AppDeleted,
    Change,
    ContextKey,
    Delivered,
    Delivery,
    Event,
    Fact,
    Item,
    ItemEnded,
    Member,
    RunHeld,
    RunLeft,
    Session,
    SessionEnded,
    Tick,
    Topic,
    Volatile,
    Wait,
    WaitEnded,
    Workspace,
    WorkspaceDeleted,
)


class CellEnded(NamedTuple):
    """Somebody saw that this document's life ended at or before `now`: what comes later starts from an empty one."""

    cell: ContextKey
    now: int


class Joined(NamedTuple):
    member: Member


class Gone(NamedTuple):
    """This node has left, or was declared dead: it writes nothing more, and holds nothing."""

    id: str


Entry = Fact | CellEnded | Joined | Gone

_KINDS: tuple[type[Any], ...] = (
    Event, Change, Delivery, Delivered, Wait, WaitEnded, Tick, Session, SessionEnded, Workspace, WorkspaceDeleted, App, AppDeleted,
    Topic, Item, ItemEnded, RunHeld, RunLeft, Volatile, CellEnded, Joined, Gone)
"""The order is part of what is stored: new kinds go to the end."""
_CODES = {kind: code for code, kind in enumerate(_KINDS)}
_NESTED = {Change: ContextKey, CellEnded: ContextKey, Joined: Member}
"""Kinds whose first field is a tuple of its own."""
_BYTES = {kind: tuple(i for i, type in enumerate(get_type_hints(kind).values()) if type is bytes) for kind in _KINDS}


def encoded(facts: Sequence[Entry]) -> bytes:
    """Raises `TypeError` for what JSON cannot hold."""
    return orjson.dumps([[_CODES[type(fact)], *fact] for fact in facts], default=_text)


def _text(value: Any) -> Any:
    if type(value) is bytes:
        return value.decode()
    if isinstance(value, tuple):
        return list(value)
    raise TypeError(f"{type(value).__name__} cannot be stored")


def decoded(body: bytes) -> list[Entry]:
    return [_fact(_KINDS[fields[0]], fields[1:]) for fields in orjson.loads(body)]


def _fact(kind: type[Any], fields: list[Any]) -> Entry:
    for i in _BYTES[kind]:
        fields[i] = fields[i].encode()
    nested = _NESTED.get(kind)
    if nested is not None:
        fields[0] = nested(*fields[0])
    return kind(*fields)
