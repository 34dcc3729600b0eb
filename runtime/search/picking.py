"""Which members of the events an answer shows."""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

from runtime.search.problems import expect, options

Pick = Callable[[dict[str, Any]], Any]
Names = tuple[tuple[str, ...], ...]
_MOST_NAMES = 100


def read_pick(value: Any) -> Pick | None:
    """From `false`, `"payload.*"`, a list of such names, or `{includes, excludes}`; None for whole events. Raises `SearchError`."""
    if value is None or value is True:
        return None
    if value is False:
        return lambda event: {}
    if isinstance(value, dict):
        options(value, "source", ("includes", "excludes"))
        wanted, unwanted = _names(value.get("includes")), _names(value.get("excludes"))
    else:
        wanted, unwanted = _names(value), ()
    return lambda event: _without(_only(event, wanted) if wanted else event, unwanted)


def _names(value: Any) -> Names:
    names = [] if value is None else value if isinstance(value, list) else [value]
    expect(len(names) <= _MOST_NAMES and all(isinstance(name, str) and name and "*" not in name.removesuffix("*") for name in names), "source",
           f"should be at most {_MOST_NAMES} names of fields, with a star at the end at most")
    return tuple(tuple(name.removesuffix(".*").split(".")) for name in names)


def _only(value: Any, names: Names) -> Any:
    """The members named, and everything below them."""
    if type(value) is not dict:
        return value
    shown = {}
    for key, member in value.items():
        below = tuple(name[1:] for name in names if _fits(name[0], key))
        if () in below:
            shown[key] = member
        elif below and type(member) is dict and (inner := _only(member, below)):
            shown[key] = inner
    return shown


def _without(value: Any, names: Names) -> Any:
    if type(value) is not dict or not names:
        return value
    shown = {}
    for key, member in value.items():
        below = tuple(name[1:] for name in names if _fits(name[0], key))
        if () not in below:
            shown[key] = _without(member, below)
    return shown


def _fits(name: str, key: str) -> bool:
    return key.startswith(name[:-1]) if name.endswith("*") else key == name
