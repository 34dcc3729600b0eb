"""Who may read an event: the rules of a new workspace and those of its own, as a condition for searches and as a test for live delivery.

Both forms say the same; `readable` goes into queries, `may_read` is what an open socket asks for every event.
"""
from __future__ import annotations

from typing import Any as Anything
from typing import NamedTuple

from runtime.native import CONTEXTS_UPDATED, EMIT_TOPIC
from store.query import NOTHING, All, Any, Condition, Is, Not, Predicate, Prefix, as_text

OWNER, EDITOR = "owner", "editor"

_API_KEYS = "apikeys."
_TYPE = ("type",)
_IS_CONTEXT_UPDATE = Is(_TYPE, (CONTEXTS_UPDATED,))
_IS_CUSTOM = Is(("source", "serviceTopic"), (EMIT_TOPIC,))
_IS_EXCLUSIVE = Is(("target", "exclusive"), ("true",))


class Bound(NamedTuple):
    """A rule of the workspace about reading events, as it is for one reader. `holds` says what `condition` says."""

    allows: bool
    condition: Condition
    holds: Predicate


class Reader(NamedTuple):
    """A caller as the rules see one. A rule about something the reader does not have is skipped, never matched."""

    user_id: str | None = None
    session_id: str | None = None
    role: str | None = None
    topics: frozenset[str] = frozenset()
    sees_context_updates: bool = False
    """Operators may open `runtime.contexts.updated` to owners, for debugging."""
    rules: tuple[Bound, ...] = ()
    """The last one that holds decides; where none does, it is as in a new workspace."""


def readable(reader: Reader) -> Condition:
    """What holds for exactly the events this reader may read."""
    if reader.role == OWNER:
        return All(()) if reader.sees_context_updates else Not(_IS_CONTEXT_UPDATE)
    found = _readable_at_first(reader)
    for rule in reader.rules:
        found = Any((found, rule.condition)) if rule.allows else All((found, Not(rule.condition)))
    return NOTHING if found is NOTHING else All((Not(_IS_CONTEXT_UPDATE), found))


def _readable_at_first(reader: Reader) -> Condition:
    """In a new workspace, by anybody but its owner."""
    if reader.role == EDITOR:
        return Not(Prefix(_TYPE, _API_KEYS))
    own: list[Condition] = []
    granted: list[Condition] = []
    if reader.session_id:
        own.append(Is(("source", "sessionId"), (reader.session_id,)))
        granted.append(Is(("target", "sessionId"), (reader.session_id,)))
    if reader.user_id:
        own.append(Is(("source", "userId"), (reader.user_id,)))
        granted.append(Is(("target", "userId"), (reader.user_id,)))
    if reader.topics:
        granted.append(Is(("target", "userTopic"), tuple(sorted(reader.topics))))
    if not granted:
        return NOTHING
    if own:
        granted.append(All((_IS_CUSTOM, Any(tuple(own)), Not(_IS_EXCLUSIVE))))
    return Any(tuple(granted))


def may_read(event: dict[str, Anything], reader: Reader) -> bool:
    """Whether `readable(reader)` holds for this event; written out, because every open socket asks it of every event."""
    kind = event.get("type")
    if reader.role == OWNER:
        return kind != CONTEXTS_UPDATED or reader.sees_context_updates
    if kind == CONTEXTS_UPDATED:
        return False
    for rule in reversed(reader.rules):
        if rule.holds(event, b""):
            return rule.allows
    if reader.role == EDITOR:
        return not (as_text(kind) or "").startswith(_API_KEYS)
    target = event.get("target")
    if target:
        if _grants(target, reader):
            return True
        if as_text(target.get("exclusive")) == "true":
            return False
    source = event.get("source")
    return bool(source) and source.get("serviceTopic") == EMIT_TOPIC and (
        _names(source.get("sessionId"), reader.session_id) or _names(source.get("userId"), reader.user_id))


def _grants(target: dict[str, Anything], reader: Reader) -> bool:
    topic = target.get("userTopic")
    return (_names(target.get("userId"), reader.user_id) or _names(target.get("sessionId"), reader.session_id)
            or topic is not None and as_text(topic) in reader.topics)


def _names(value: Anything, mine: str | None) -> bool:
    return value is not None and bool(mine) and as_text(value) == mine
