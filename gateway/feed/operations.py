"""What a client may ask over a websocket: JSON frames, read into values. Unknown members of a frame are ignored."""
from __future__ import annotations

from typing import Any, NamedTuple

from gateway.feed.intake import new_event
from runtime.calls import NewEvent
from runtime.errors import AutomationsError, InvalidRequest
from runtime.values import decode

_LONGEST_ID = 64
_LONGEST_KEY = 256
_MOST_CREDIT = 1_000_000


class Hello(NamedTuple):
    token: str | None
    resume: str | None
    api_key: str | None = None
    """Of the workspace; it adds to what the token allows."""


class Subscribe(NamedTuple):
    id: str
    filters: Any
    since: str | None
    limit: int | None


class Update(NamedTuple):
    id: str
    filters: Any


class Unsubscribe(NamedTuple):
    id: str


class Emit(NamedTuple):
    id: str | None
    event: NewEvent
    key: str | None
    correlation_id: str | None


class Ping(NamedTuple):
    t: Any


class Flow(NamedTuple):
    credit: int


Operation = Hello | Subscribe | Update | Unsubscribe | Emit | Ping | Flow


class Unreadable(ValueError):
    """Not a JSON object: the connection cannot go on."""


class UnknownOperation(AutomationsError):
    wire = "UnknownOperation"


def read(text: bytes) -> dict[str, Any]:
    """The frame as a map. Raises `Unreadable`."""
    try:
        document = decode(text)
    except ValueError as error:
        raise Unreadable(str(error)) from None
    if not isinstance(document, dict):
        raise Unreadable("a frame is a JSON object")
    return document


def frame_id(frame: dict[str, Any]) -> str | None:
    """The id an answer to this frame carries."""
    id = frame.get("id")
    return id if isinstance(id, str) and 0 < len(id) <= _LONGEST_ID else None


def operation(frame: dict[str, Any]) -> Operation:
    """Raises `UnknownOperation`, or `InvalidRequest` for a member of the wrong kind."""
    match frame.get("op"):
        case "hello":
            return Hello(_text(frame, "token") or _text(frame, "apiKey"), _text(frame, "resume"), _text(frame, "apiKey"))
        case "subscribe":
            return Subscribe(_id(frame), frame.get("filters"), _since(frame), _whole(frame, "limit", high=10**9))
        case "update":
            return Update(_id(frame), frame.get("filters"))
        case "unsubscribe":
            return Unsubscribe(_id(frame))
        case "emit":
            id = _id(frame) if "id" in frame else None
            return Emit(id, new_event(frame.get("event")), _text(frame, "key", _LONGEST_KEY), _text(frame, "correlationId", 128))
        case "ping":
            return Ping(frame.get("t"))
        case "flow":
            return Flow(_required(frame, "credit", _whole(frame, "credit", high=_MOST_CREDIT)))
        case other:
            raise UnknownOperation(f"Unknown operation {str(other)[:64]!r}")


def _id(frame: dict[str, Any]) -> str:
    id = frame_id(frame)
    if id is None:
        raise _invalid("id", f"should be a text of 1 to {_LONGEST_ID} characters")
    return id


def _since(frame: dict[str, Any]) -> str | None:
    since = frame.get("since")
    return str(since) if type(since) is int else _text(frame, "since", 128)


def _text(frame: dict[str, Any], name: str, longest: int = 16384) -> str | None:
    value = frame.get(name)
    if value is not None and not (isinstance(value, str) and len(value) <= longest):
        raise _invalid(name, f"should be a text of at most {longest} characters")
    return value or None


def _whole(frame: dict[str, Any], name: str, *, high: int) -> int | None:
    value = frame.get(name)
    if value is not None and not (type(value) is int and 1 <= value <= high):
        raise _invalid(name, f"should be a whole number from 1 to {high}")
    return value


def _required(frame: dict[str, Any], name: str, value: int | None) -> int:
    if value is None:
        raise _invalid(name, "is required")
    return value


def _invalid(path: str, message: str) -> InvalidRequest:
    return InvalidRequest(f"Invalid frame: {path} {message}", [{"path": path, "message": message}])
