"""Operations on a document: how one change at a path makes the next version. Pure, and the same everywhere.

`apply` changes the document in place. It either happens whole or raises `Unapplicable` before touching anything.
"""
from __future__ import annotations

from typing import Any

Key = str | int


class Unapplicable(ValueError):
    """The path leads through a text, a number or a boolean, or an `add` meets something that is no number."""


def apply(document: dict[str, Any], op: str, path: tuple[Key, ...], value: Any = None) -> None:
    """Change `document`, a map, at `path`, which has at least one key. `op` is replace, merge, push, add or delete.

    Missing parents become maps, whatever the next key looks like. `value` is kept as it is: the caller hands over a
    copy that nobody else holds.
    """
    if op == "delete":
        return _delete(document, path)
    if len(path) > 1:
        _check_parents(document, path)
    elif op == "replace":                          # by far the most frequent case
        document[_member(path[0])] = value
        return
    if op == "add":
        value = _sum(_read(document, path), value)
    parent = _parent(document, path)
    key = _slot(parent, path[-1])
    if op == "push":
        previous = _get(parent, key)
        if type(previous) is list:
            previous.append(value)
            return
        value = [value]
    elif op == "merge" and _has(parent, key):
        value = _merged(_get(parent, key), value)
    _put(parent, key, value)


def _member(key: Key) -> str:
    return key if type(key) is str else str(key)


def _slot(parent: Any, key: Key) -> Key:
    """A list is indexed by whole numbers, a map by text."""
    if type(parent) is list:
        if type(key) is int and key >= 0:
            return key
        if type(key) is str and key.isdecimal():
            return int(key)
        raise Unapplicable(f"{key!r} is no index of a list")
    return _member(key)


def _get(parent: Any, key: Key) -> Any:
    if type(parent) is list:
        return parent[key] if key < len(parent) else None
    return parent.get(key)


def _has(parent: Any, key: Key) -> bool:
    return key < len(parent) if type(parent) is list else key in parent


def _put(parent: Any, key: Key, value: Any) -> None:
    if type(parent) is list:
        if key > len(parent) + 10_000:
            raise Unapplicable(f"index {key} is far beyond the end of a list of {len(parent)}")
        parent.extend([None] * (key + 1 - len(parent)))
    parent[key] = value


def _read(document: Any, path: tuple[Key, ...]) -> Any:
    for key in path:
        if isinstance(document, dict):
            document = document.get(_member(key))
        elif type(document) is list:
            document = _get(document, _slot(document, key))
        else:
            return None
    return document


def _check_parents(document: Any, path: tuple[Key, ...]) -> None:
    """Raise before anything is created when a parent cannot have members."""
    for key in path[:-1]:
        key = _slot(document, key)
        document = _get(document, key)
        if document is None:
            return
        if type(document) is not dict and type(document) is not list:
            raise Unapplicable(f"{key!r} holds no object to write into")
    _slot(document, path[-1])


def _parent(document: Any, path: tuple[Key, ...]) -> Any:
    for key in path[:-1]:
        key = _slot(document, key)
        below = _get(document, key)
        if below is None:
            below = {}
            _put(document, key, below)
        document = below
    return document


def _merged(previous: Any, value: Any) -> Any:
    """A list grows; a map, or null, takes up the members of a map and nothing else; a scalar is replaced."""
    if type(previous) is list:
        return previous + value if type(value) is list else [*previous, value]
    if type(previous) is dict or previous is None:
        return {**(previous or {}), **value} if type(value) is dict else previous
    return value


def _sum(previous: Any, value: Any) -> Any:
    if previous is None:
        previous = 0
    if type(value) not in (int, float) or type(previous) not in (int, float):
        raise Unapplicable("add needs a number on a number")
    total = previous + value
    return float(total) if type(total) is int and abs(total) >= 2 ** 63 else total


def _delete(document: Any, path: tuple[Key, ...]) -> None:
    for key in path[:-1]:
        if type(document) is list and (type(key) is int or key.isdecimal()):
            document = _get(document, int(key))
        elif isinstance(document, dict):
            document = document.get(_member(key))
        else:
            return
    key = path[-1]
    if isinstance(document, dict):
        document.pop(_member(key), None)
    elif type(document) is list and str(key).isdecimal() and int(key) < len(document):
        del document[int(key)]
