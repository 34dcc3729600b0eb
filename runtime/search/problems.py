"""What is wrong with a search, said so that its author can put it right; and the few ways in which its parts are read."""
from __future__ import annotations

from collections.abc import Collection
from typing import Any

from runtime.errors import AutomationsError


class SearchError(AutomationsError):
    """A search that cannot be answered. `details.path` says which part of it."""

    wire = "SearchError"


def expect(holds: bool, at: str, message: str) -> None:
    """Raises `SearchError` unless it `holds`: "<at> <message>"."""
    if not holds:
        raise SearchError(f"{at or 'The search'} {message}", {"path": at})


def an_object(value: Any, at: str) -> dict[str, Any]:
    expect(isinstance(value, dict), at, "should be an object")
    return value


def options(value: Any, at: str, known: Collection[str]) -> dict[str, Any]:
    """An object with no other members than these."""
    for key in an_object(value, at):
        expect(key in known, at, f'has the unsupported parameter "{key}"')
    return value


def single(value: Any, at: str, what: str) -> tuple[str, Any]:
    """The name and the body of an object that has one member."""
    expect(len(an_object(value, at)) == 1, at, f"should have one {what}")
    return next(iter(value.items()))


def whole(value: Any, at: str, *, low: int, high: int) -> int:
    expect(type(value) is int and low <= value <= high, at, f"should be a whole number from {low} to {high}")
    return value


def yes_or_no(value: Any, at: str) -> bool:
    expect(isinstance(value, bool), at, "should be true or false")
    return value


def path_of(field: Any, at: str) -> tuple[str, ...]:
    """The path that a dotted field names; `@timestamp` is another name of `createdAt`."""
    expect(isinstance(field, str) and field != "" and "*" not in field, at, "should name a field, without a star")
    path = tuple(field.split("."))
    expect(len(path) <= 32, at, "is too deep")
    return ("createdAt",) if path == ("@timestamp",) else path
