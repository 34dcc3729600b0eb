"""set and delete: write a variable, or remove it."""
from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from runtime.calls import Response
from runtime.errors import InvalidInstruction, VariableNameError
from runtime.expressions import constant_of, to_number
from runtime.instructions.body import as_map
from runtime.instructions.step import At, Frame, Outcome, Step
from runtime.language.variables import bad_set, compile_write, split_name
from runtime.values import UNDEFINED, encode
from store.changes import Unapplicable

_KINDS = frozenset(("replace", "merge", "push", "add"))
_VARYING = object()


def build_set(body: Any, at: At, c: Any) -> Step:
    body = as_map("set", body)
    name = body.get("name")
    value = c.value(body["value"]) if "value" in body else _undefined
    if name == "$http":
        return _set_response(value, c)
    evaluate_name = c.value(name)
    step = _set_variable(body, evaluate_name, value, c)
    if body.get("lifespan") is not None:
        step = _for_a_while(step, evaluate_name, c.value(body["lifespan"]))
    if constant_of(evaluate_name, _VARYING) is not _VARYING:
        return step
    steer = _set_response(value, c)                       # what a name made of variables may turn out to be
    return lambda frame: (steer if evaluate_name(frame) == "$http" else step)(frame)


def _set_variable(body: dict[str, Any], evaluate_name: Callable, value: Callable, c: Any) -> Step:
    kind = body.get("type", "replace")
    evaluate_kind = c.value(kind)
    try:
        write = compile_write(evaluate_name)
    except VariableNameError:
        return lambda frame: _refuse(frame, evaluate_name, value)
    constant_kind = constant_of(evaluate_kind, None)
    if constant_kind not in _KINDS and constant_kind is not None:
        raise InvalidInstruction("Invalid set instruction", {"variable": body.get("name"), "type": kind})

    def run(frame: Frame) -> Outcome | Awaitable[Outcome]:
        new = value(frame)
        op = constant_kind or evaluate_kind(frame)
        try:
            if op not in _KINDS:
                raise VariableNameError("unknown type")
            return write(frame, op, new)
        except (VariableNameError, Unapplicable):
            raise bad_set(evaluate_name(frame), new) from None

    if constant_kind == "replace":
        def replace(frame: Frame) -> Outcome | Awaitable[Outcome]:
            new = value(frame)
            try:
                return write(frame, "replace", new)
            except (VariableNameError, Unapplicable):
                raise bad_set(evaluate_name(frame), new) from None
        return replace
    return run


def _for_a_while(step: Step, evaluate_name: Callable, lifespan: Callable) -> Step:
    """The variable disappears after `lifespan` seconds; undefined or null means never."""
    def run(frame: Frame) -> Outcome | Awaitable[Outcome]:
        name, written = evaluate_name(frame), lifespan(frame)
        seconds = to_number(written)
        if written is not None and written is not UNDEFINED and not 0 <= seconds < 1e10:
            raise InvalidInstruction("Invalid set instruction : lifespan must be a number of seconds", {"variable": name, "lifespan": written})
        outcome = step(frame)
        if outcome is None and written is not None and written is not UNDEFINED:
            frame.limit(split_name(name)[0], seconds)
        return outcome
    return run


def build_delete(body: Any, at: At, c: Any) -> Step:
    evaluate_name = c.value(as_map("delete", body).get("name"))

    def run(frame: Frame) -> Outcome | Awaitable[Outcome]:
        name = evaluate_name(frame)
        try:
            path, _ = split_name(name)
            return frame.assign(path, "delete", None)
        except (VariableNameError, Unapplicable):
            raise InvalidInstruction("Invalid delete instruction", {"variable": None if name is UNDEFINED else name}) from None
    return run


def _undefined(frame: Frame) -> Any:
    return UNDEFINED


def _refuse(frame: Frame, evaluate_name: Callable, value: Callable) -> Outcome:
    raise bad_set(evaluate_name(frame), value(frame))


def _set_response(value: Callable, c: Any) -> Step:
    """`$http` steers the answer where it is one; everywhere else it is an ordinary local variable."""
    write_local = compile_write(c.value("$http"))

    def run(frame: Frame) -> Outcome | Awaitable[Outcome]:
        new = value(frame)
        response = frame.locals.get("$http")
        if not isinstance(response, Response):
            return write_local(frame, "replace", new)
        return _steer(frame, response, new) if isinstance(new, dict) else None
    return run


def _steer(frame: Frame, response: Response, new: dict[str, Any]) -> None | Awaitable[None]:
    """Status and headers first: they count for a stream that this very set starts."""
    headers, status = new.get("headers"), new.get("status")
    if response.streaming and (headers or status):
        frame.report("InvalidInstructionError", "Headers and status cannot change once the stream has started", {"variable": "$http"})
    else:
        if isinstance(headers, dict):
            response.headers.update({str(k).lower(): _header(v) for k, v in headers.items()})
        if status is not None:
            response.status = _status(status)
    return _stream(frame, response, new) if "chunk" in new or new.get("sseKeepAlive") else None


async def _stream(frame: Frame, response: Response, new: dict[str, Any]) -> None:
    interval = new.get("sseKeepAlive")
    if interval:
        if isinstance(interval, str) and interval.replace(".", "", 1).isdecimal():
            interval = float(interval)
        if isinstance(interval, bool) or not isinstance(interval, (int, float)):
            raise bad_set("$http", {"sseKeepAlive": interval})
        await frame.leave()
        await response.keep_alive(max(interval / 1000, frame.settings.webhooks_sse_keepalive))
    if "chunk" in new:
        chunk = encode(new["chunk"])
        await frame.leave()
        await response.write(chunk)


def _header(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(_header(v) for v in value)
    text = value if isinstance(value, str) else encode(value).decode()
    return text.replace("\r", " ").replace("\n", " ").replace("\0", " ")


def _status(value: Any) -> int:
    number = int(value) if isinstance(value, (int, float)) or isinstance(value, str) and value.isdecimal() else 0
    if isinstance(value, bool) or not 100 <= number <= 599:
        raise bad_set("$http", {"status": value})
    return number
