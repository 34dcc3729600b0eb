"""What the server says over a websocket: JSON frames of the feed, and their bytes on the wire.

Server frames carry no mask, so the bytes of a frame are the same for every socket: they are made once and shared.
"""
from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from gateway.feed.cursors import Cursor, behind
from runtime.errors import AutomationsError
from runtime.values import encode

PING = b"\x89\x00"

_TEXT, _PONG = 0x81, 0x8A


def framed(payload: bytes, opcode: int = _TEXT) -> bytes:
    """One complete, unmasked websocket frame (RFC 6455, section 5.2)."""
    size = len(payload)
    if size < 126:
        return bytes((opcode, size)) + payload
    if size < 65536:
        return bytes((opcode, 126)) + size.to_bytes(2, "big") + payload
    return bytes((opcode, 127)) + size.to_bytes(8, "big") + payload


def pong_control(payload: bytes) -> bytes:
    return framed(payload, _PONG)


def frame(op: str, **members: Any) -> bytes:
    return framed(encode({"op": op, **members}))


def subscribed(id: str, cursor: Cursor, warnings: Iterable[str]) -> bytes:
    return frame("subscribed", id=id, cursor=str(cursor), warnings=list(warnings))


def caught_up(id: str, cursor: Cursor, *, truncated: bool) -> bytes:
    return frame("caught_up", id=id, cursor=str(cursor), truncated=truncated)


def gap(id: str, start: Cursor | str, end: Cursor, *, reason: str) -> bytes:
    return frame("gap", id=id, reason=reason, **{"from": str(start), "to": str(end)})


def error(failure: AutomationsError, id: str | None = None) -> bytes:
    body = failure.body()
    body.setdefault("details", {})
    return frame("error", error=body) if id is None else frame("error", id=id, error=body)


def live_event(event: Any, ids: tuple[str, ...]) -> bytes:
    """The frame of a live event for these subscriptions; made once for all sockets that name them alike."""
    made = event.frames.get(ids)
    if made is None:
        made = event.frames[ids] = _event(event.body, ids, behind(event), b"")
    return made


def replayed_event(body: bytes, id: str, cursor: Cursor) -> bytes:
    return _event(body, (id,), cursor, b'"replay":true,')


def _event(body: bytes, ids: tuple[str, ...], cursor: Cursor, flags: bytes) -> bytes:
    return framed(b'{"op":"event","ids":%b,"cursor":%b,%b"event":%b}' % (encode(ids), encode(str(cursor)), flags, body))
