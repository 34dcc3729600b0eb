"""The shape of what a client wants emitted, checked before it becomes a new event. What it says is for the engine to judge."""
from __future__ import annotations

from typing import Any

from runtime.calls import NewEvent
from runtime.errors import InvalidRequest

MAX_EVENTS = 1000
MAX_DEPTH = 200
"""Deeper values could be read, but not written again."""

_TARGET_TEXTS = ("userId", "sessionId", "userTopic")
_TARGET_FLAGS = ("currentSocket", "exclusive")


def new_events(document: Any) -> list[NewEvent]:
    """`{events: [{type, payload?, target?, options?}]}`. Raises `InvalidRequest` that lists everything wrong."""
    events = document.get("events") if isinstance(document, dict) else None
    if not isinstance(events, list):
        raise _invalid([_problem("body.events", "should be a list of events")])
    if len(events) > MAX_EVENTS:
        raise _invalid([_problem("body.events", f"should have at most {MAX_EVENTS} events")])
    problems = [problem for index, event in enumerate(events) for problem in _problems(event, f"body.events[{index}]")]
    if problems:
        raise _invalid(problems)
    return [_new(event) for event in events]


def new_event(document: Any) -> NewEvent:
    """One event of a websocket frame."""
    if problems := _problems(document, "event"):
        raise _invalid(problems)
    return _new(document)


def _new(event: dict[str, Any]) -> NewEvent:
    return NewEvent(event["type"], event.get("payload", {}), event.get("target"), event.get("options"))


def _problems(event: Any, at: str) -> list[dict[str, str]]:
    if not isinstance(event, dict):
        return [_problem(at, "should be an object")]
    problems = []
    if not isinstance(event.get("type"), str) or not event["type"]:
        problems.append(_problem(f"{at}.type", "should be a text that is not empty"))
    for name in ("payload", "target", "options"):
        if name in event and not isinstance(event[name], dict):
            problems.append(_problem(f"{at}.{name}", "should be an object"))
    if problems:
        return problems
    target, options = event.get("target", {}), event.get("options", {})
    problems += [_problem(f"{at}.target.{name}", "should be a text") for name in _TARGET_TEXTS if not _is(target.get(name), str)]
    problems += [_problem(f"{at}.target.{name}", "should be a boolean") for name in _TARGET_FLAGS if not _is(target.get(name), bool)]
    if not _is(options.get("persist"), bool):
        problems.append(_problem(f"{at}.options.persist", "should be a boolean"))
    if _is_deeper(event, MAX_DEPTH):
        problems.append(_problem(at, "is nested too deeply"))
    return problems


def _is(value: Any, kind: type) -> bool:
    return value is None or isinstance(value, kind)


def _is_deeper(value: Any, limit: int) -> bool:
    if type(value) is dict:
        value = value.values()
    elif type(value) is not list:
        return False
    return limit == 0 or any(_is_deeper(member, limit - 1) for member in value if type(member) in (dict, list))


def _problem(path: str, message: str) -> dict[str, str]:
    return {"path": path, "message": message}


def _invalid(problems: list[dict[str, str]]) -> InvalidRequest:
    return InvalidRequest("Invalid request", problems)
