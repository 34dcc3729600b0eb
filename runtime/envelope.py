"""The envelope of an event: made once, encoded once.

What an event says is fixed when it is made; its id and time are given at acceptance and spliced in front, so nothing is
encoded twice.
"""
from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from runtime.errors import InvalidEvent
from runtime.native import EMIT_TOPIC, EXECUTED, NAME, is_native_name
from runtime.values import decode, encode

_PRIVATE = re.compile(r"(?:::ffff:)?(?:10\.|192\.168\.|172\.(?:1[6-9]|2\d|3[01])\.)")
_CREATED_AT = len(b'"createdAt":"2026-01-01T00:00:00.000Z",')


class Draft:
    """An event that is not accepted yet. `rest` is its JSON without the opening brace, id, time and size."""

    __slots__ = ("type", "source", "rest", "persistent", "native", "chained")

    def __init__(self, type: str, source: dict[str, Any], rest: bytes, *, persistent: bool, native: bool, chained: bool) -> None:
        self.type = type
        self.source = source
        self.rest = rest
        self.persistent = persistent
        self.native = native
        self.chained = chained

    def accepted(self, id: str, created_at: str) -> bytes:
        """The complete envelope."""
        return b'{"id":"%s","createdAt":"%s","size":%d,%s' % (id.encode(), created_at.encode(), len(self.rest) + 1 + _CREATED_AT, self.rest)


class LiveEvent:
    """An accepted event on its way to those who wait for it. `position` is its place in the order of the workspace."""

    __slots__ = ("position", "type", "body", "persistent", "draft", "id", "waits", "listeners", "_frames", "_event")

    def __init__(self, id: str, draft: Draft, body: bytes) -> None:
        self.position = 0
        self.id = id
        self.type = draft.type
        self.body = body
        self.persistent = draft.persistent
        self.draft = draft
        self.waits: Sequence[Any] = ()
        """The waits that it ends once it is committed."""
        self.listeners: Sequence[Any] = ()
        """The automations that it starts, each with the id of its delivery."""
        self._frames: dict[Any, Any] | None = None
        self._event: dict[str, Any] | None = None

    @property
    def frames(self) -> dict[Any, Any]:
        """Room for readers to keep what they made of the event, so that each form is made once."""
        if self._frames is None:
            self._frames = {}
        return self._frames

    @property
    def event(self) -> dict[str, Any]:
        """The envelope as a map, read only. Decoded when somebody looks at it for the first time."""
        if self._event is None:
            self._event = decode(self.body)
        return self._event


def told(body: bytes, position: int) -> LiveEvent:
    """An event that another node accepted; at position 0 one that is not stored."""
    event = decode(body)
    rest = b""                                             # never accepted again
    live = LiveEvent(event["id"], Draft(event["type"], event["source"], rest, persistent=position > 0, native=is_native_name(event["type"]),
                                        chained=True), body)
    live.position = position
    live._event = event
    return live


def custom(type: str, source: dict[str, Any], payload: dict[str, Any], target: Any, options: Any, *, limit: int, chained: bool) -> Draft:
    """An event of somebody's own. Raises `InvalidEvent` for a bad or reserved name and for one that is too large."""
    check_name(type)
    source["serviceTopic"] = EMIT_TOPIC
    envelope = {"type": type, "source": source, "payload": payload}
    if isinstance(target, dict) and target:
        envelope["target"] = target
    if isinstance(options, dict) and options:
        envelope["options"] = options
    rest = encode(envelope)[1:]
    size = len(rest) + 1 + _CREATED_AT
    if size > limit:
        raise InvalidEvent(f"Event {type} has {size} bytes, {limit} are allowed",
                           {"reason": "EventTooLarge", "eventType": type, "eventSize": size, "maxSize": limit})
    persistent = not (isinstance(options, dict) and options.get("persist") is False)
    return Draft(type, source, rest, persistent=persistent, native=False, chained=chained)


def check_name(type: str) -> None:
    if not NAME.fullmatch(type):
        raise InvalidEvent(f"Invalid event name {type!r}: only letters, digits, blanks, dots, underscores and dashes are allowed", {"event": type})
    if is_native_name(type):
        raise InvalidEvent(f"Event name {type!r} is reserved for events of the server", {"event": type})


@lru_cache(4096)
def shown_address(ip: str | None) -> str | None:
    """The address of a caller as events show it: the first of a list, and none of a private network."""
    if ip is not None and "," in ip:
        ip = ip.partition(",")[0].strip()
    return None if not ip or _PRIVATE.match(ip) else ip


def native(type: str, source: dict[str, Any], payload: dict[str, Any], *, limit: int, persistent: bool = True) -> Draft:
    """An event of the server. One that is too large loses members of its payload; it never fails what caused it."""
    source["serviceTopic"] = type
    envelope: dict[str, Any] = {"type": type, "source": source, "payload": payload}
    if not persistent:
        envelope["options"] = {"persist": False}
    rest = encode(envelope)[1:]
    size = len(rest) + 1 + _CREATED_AT
    if size > limit:
        envelope["payload"] = _shrunk(type, payload, size - limit)
        rest = encode(envelope)[1:]
    return Draft(type, source, rest, persistent=persistent, native=True, chained=False)


def _shrunk(type: str, payload: dict[str, Any], excess: int) -> dict[str, Any]:
    """`payload` with its largest members set to null until `excess` bytes are gone."""
    sizes = {key: len(encode(value)) for key, value in payload.items()}
    order = sorted(sizes, key=lambda key: -sizes[key])
    if type == EXECUTED:
        order = ["payload", "output", *(key for key in order if key not in ("payload", "output"))]
    shrunk = dict(payload)
    for key in order:
        if excess <= 0:
            break
        if key in shrunk:
            shrunk[key] = None
            excess -= sizes[key] - 4
    return shrunk
