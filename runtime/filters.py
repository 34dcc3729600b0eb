"""What a caller wants to see of a workspace's events, turned into conditions: filter documents and search queries."""
from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import datetime, timezone
from typing import Any as Anything
from typing import NamedTuple

from runtime.errors import InvalidRequest
from store.query import EVERYTHING, Absent, All, Any, AtMost, Condition, EventQuery, Is, Path, Prefix, Present, Suffix, Text, as_text

MAX_LIMIT = 1000
MAX_PAGE = 1_000_000
MAX_VALUES = 1000
"""Of one filter: a condition is evaluated on every event of the workspace, and a store binds each value."""

_DEPTH = ("source", "appInstanceDepth")
_SESSION, _SOCKET = ("source", "sessionId"), ("source", "socketId")
_CURRENT_SOCKET = ("target", "currentSocket")
_WITHOUT_LIVE_MEANING = frozenset(("beforeDate", "afterDate", "page", "limit", "sort"))
_LIST_KEY = re.compile(r"\[\d*\]$")
_MILLISECONDS = re.compile(r"\d{12,14}")


class Filters(NamedTuple):
    """A filter document, compiled. `warnings` are sentences about what was ignored."""

    condition: Condition
    warnings: tuple[str, ...] = ()


class Search(NamedTuple):
    """A search, but for the two bounds that only a look-up can turn into positions: event ids or cursors."""

    query: EventQuery
    after_id: str | None = None
    before_id: str | None = None


def compile_filters(document: Anything, *, socket_id: str | None = None) -> Filters:
    """A filter document as a condition. Raises `InvalidRequest`.

    With a `socket_id` the condition also spares this socket what another socket of the same session set off: an
    object of `payloadQuery` that names `source.sessionId`, but not `source.socketId`, meets only events of this
    socket, of none, or with `target.currentSocket: false`.
    """
    if document is None:
        return Filters(EVERYTHING)
    _expect(isinstance(document, dict), "filters", "should be an object")
    parts: list[Condition] = []
    warnings: list[str] = []
    for key, value in document.items():
        match key:
            case "types":
                names = _comma_list(value, "types")
                parts += [_any_of(names, ("type",), at="types")] if names else []
            case "text":
                parts += _text(value)
            case "appInstanceDepth":
                parts += [AtMost(_DEPTH, _whole(value, key, low=0, high=MAX_PAGE))] if value is not None else []
            case "payloadQuery":
                parts.append(_payload_query(value, socket_id))
            case _ if key not in _WITHOUT_LIVE_MEANING:
                warnings.append(f'unknown filter "{key}" is ignored')
    return Filters(_all(parts), tuple(warnings))


def _payload_query(value: Anything, socket_id: str | None) -> Condition:
    objects = value if isinstance(value, list) else [] if value is None else [value]
    _expect(sum(map(_weight, objects)) <= MAX_VALUES, "payloadQuery", f"should have at most {MAX_VALUES} values")
    options: list[Condition] = []
    for index, one in enumerate(objects):
        at = f"payloadQuery[{index}]" if isinstance(value, list) else "payloadQuery"
        _expect(isinstance(one, dict), at, "should be an object")
        terms = {path_of(key): _any_of(_values(wanted, f"{at}.{key}"), path_of(key), at=f"{at}.{key}")
                 for key, wanted in one.items()}
        parts = list(terms.values())
        if socket_id and _SESSION in terms and _SOCKET not in terms:
            parts.append(Any((Absent(_SOCKET), Is(_SOCKET, (socket_id,)), Is(_CURRENT_SOCKET, ("false",)))))
        options.append(_all(parts))
    return _either(options) if options else EVERYTHING


def _weight(one: Anything) -> int:
    return sum(len(v) if isinstance(v, list) else 1 for v in one.values()) + 1 if isinstance(one, dict) else 1


def parse_search(workspace_id: str, query: Iterable[tuple[str, str]], *, ignored: frozenset[str] = frozenset()) -> Search:
    """The query string of a search. Raises `InvalidRequest`; keys in `ignored` are the caller's own."""
    bounds: dict[str, str] = {}
    terms: dict[str, list[str]] = {}
    parts: list[Condition] = []
    for key, value in query:
        match key:
            case _ if key in ignored:
                pass
            case "types":
                parts += [_any_of(names, ("type",), at="types")] if (names := _comma_list(value, "types")) else []
            case "text":
                parts += _text(value)
            case "afterDate" | "beforeDate" | "afterId" | "beforeId" | "page" | "limit" | "sort" | "appInstanceDepth":
                bounds[key] = value
            case _:
                terms.setdefault(_LIST_KEY.sub("", key), []).append(value)
    _expect(sum(map(len, terms.values())) <= MAX_VALUES, "query", f"should have at most {MAX_VALUES} values")
    parts += [_any_of(values, path_of(key), at=key) for key, values in terms.items()]
    depth = bounds.get("appInstanceDepth")
    if depth is not None or "source.appInstanceDepth" not in terms:
        parts.append(AtMost(_DEPTH, _whole(depth or 1, "appInstanceDepth", low=0, high=MAX_PAGE)))
    return Search(_bounded(workspace_id, _all(parts), bounds), bounds.get("afterId") or None, bounds.get("beforeId") or None)


def _bounded(workspace_id: str, where: Condition, bounds: Mapping[str, str]) -> EventQuery:
    limit = _whole(bounds.get("limit") or 50, "limit", low=1, high=MAX_LIMIT)
    page = _whole(bounds.get("page") or 0, "page", low=0, high=MAX_PAGE)
    sort = bounds.get("sort") or "desc"
    _expect(sort in ("asc", "desc"), "sort", 'should be "asc" or "desc"')
    return EventQuery(
        workspace_id, where, limit=limit, offset=page * limit, ascending=sort == "asc",
        after_time=_date(bounds.get("afterDate"), "afterDate"), before_time=_date(bounds.get("beforeDate"), "beforeDate"))


def moment(text: str) -> int | None:
    """Milliseconds of an ISO date (UTC unless it says otherwise); None when it is none. The `+` of an offset may have
    become a space, as it does in a query string that was not encoded."""
    if _MILLISECONDS.fullmatch(text):
        return int(text)
    try:
        date = datetime.fromisoformat(text.strip().replace(" ", "+") if "T" in text else text.strip())
        date = date if date.tzinfo else date.replace(tzinfo=timezone.utc)
        return round(date.timestamp() * 1000)
    except (ValueError, OverflowError):
        return None


def path_of(key: str) -> Path:
    return tuple(key.split("."))


def term(path: Path, value: str | None) -> Condition:
    """One wanted value: exact, `prefix*`, `*suffix`, `*` for present, empty for absent. A star elsewhere is a star."""
    if not value:
        return Absent(path)
    if value == "*":
        return Present(path)
    if value.count("*") == 1:
        if value[-1] == "*":
            return Prefix(path, value[:-1])
        if value[0] == "*":
            return Suffix(path, value[1:])
    return Is(path, (value,))


def _any_of(values: Iterable[str | None], path: Path, *, at: str) -> Condition:
    """Exact values meet in one `Is`: a look-up, however many there are."""
    _expect(len(path) <= 32, at, "is too deep")
    exact: list[str] = []
    others: list[Condition] = []
    for value in values:
        match term(path, value):
            case Is(_, wanted):
                exact += wanted
            case other:
                others.append(other)
    return _either(([Is(path, tuple(dict.fromkeys(exact)))] if exact else []) + others)


def _values(wanted: Anything, at: str) -> list[str | None]:
    values = wanted if isinstance(wanted, list) else [wanted]
    for value in values:
        _expect(value is None or isinstance(value, (str, int, float)), at, "should be a text, a number, a boolean or null")
    return [as_text(value) for value in values]


def _comma_list(value: Anything, at: str) -> list[str]:
    names = value.split(",") if isinstance(value, str) else value or []
    _expect(isinstance(names, list) and all(isinstance(n, str) for n in names), at, "should be a list of event types")
    _expect(len(names) <= MAX_VALUES, at, f"should have at most {MAX_VALUES} values")
    return [name for name in names if name]


def _text(value: Anything) -> list[Condition]:
    _expect(value is None or isinstance(value, str), "text", "should be a text")
    return [Text(value)] if value else []


def _date(text: str | None, at: str) -> int | None:
    if not text:
        return None
    found = moment(text)
    _expect(found is not None, at, "should be an ISO-8601 date")
    return found


def _whole(value: Anything, at: str, *, low: int, high: int) -> int:
    text = as_text(value) or ""
    _expect(text.isascii() and text.isdigit() and len(text) <= 9 and low <= int(text) <= high, at,
            f"should be a whole number from {low} to {high}")
    return int(text)


def _all(parts: list[Condition]) -> Condition:
    return parts[0] if len(parts) == 1 else All(tuple(parts))


def _either(parts: list[Condition]) -> Condition:
    return parts[0] if len(parts) == 1 else Any(tuple(parts))


def _expect(holds: bool, at: str, message: str) -> None:
    if not holds:
        raise InvalidRequest("Invalid request", [{"path": at, "message": message}])
