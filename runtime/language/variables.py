"""Names of variables that instructions write: parsed at load time whenever they are constant."""
from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from runtime.errors import InvalidInstruction, VariableNameError
from runtime.expressions import CONTEXTS, constant_of, parse_path
from runtime.values import UNDEFINED, copy

if TYPE_CHECKING:
    from runtime.instructions.step import Frame

Path = tuple[str | int, ...]
Write = Callable[["Frame", str, Any], None | Awaitable[None]]
_MISSING = object()


def split_name(name: Any) -> tuple[Path, bool]:
    """`list[]` → (("list",), True): the path, and whether the name asks to append. Raises `VariableNameError`."""
    if not isinstance(name, str):
        raise VariableNameError(f"A variable name must be a text, not {name!r}")
    appends = name.endswith("[]")
    path = parse_path(name[:-2] if appends else name)
    return path, appends


def compile_write(evaluate_name: Callable[[Any], Any]) -> Write:
    """A function (frame, op, value) that writes the variable. `op` replace on a name ending in `[]` becomes a push."""
    constant = constant_of(evaluate_name, _MISSING)
    if constant is _MISSING:
        return lambda frame, op, value: _write(frame, *split_name(evaluate_name(frame)), op, value)
    path, appends = split_name(constant)
    if len(path) == 1 and not appends and path[0] not in CONTEXTS and path[0] != "$http":
        return _write_local(path)
    return lambda frame, op, value: _write(frame, path, appends, op, value)


def _write_local(path: Path) -> Write:
    """The most frequent write: one local variable, replaced."""
    key = str(path[0])

    def write(frame: Frame, op: str, value: Any) -> None | Awaitable[None]:
        kind = type(value)
        if op == "replace" and (kind is int or kind is bool or kind is float or kind is str and len(value) < 1000):
            frame.locals[key] = value
            return None
        return frame.assign(path, op, copy(value))
    return write


def _write(frame: Frame, path: Path, appends: bool, op: str, value: Any) -> None | Awaitable[None]:
    if appends:
        if op == "replace":
            op = "push"
        elif op == "merge" and type(value) is not list:
            value = [value]
    if value is UNDEFINED and op == "push":
        value = None
    return frame.assign(path, op, copy(value))


def bad_set(name: Any, value: Any) -> InvalidInstruction:
    details = {key: None if written is UNDEFINED else written for key, written in (("variable", name), ("value", value))}
    return InvalidInstruction("Invalid set instruction", details)
