"""Items of a collection: reading inside them, ordering them, showing parts of them."""
from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from runtime.modules.around import refuse
from runtime.values import UNDEFINED, copy, encode

Item = dict[str, Any]
Path = tuple[str, ...]

_MAX_PATH = 50


def path_of(name: Any) -> Path:
    """`a.b.0` as keys."""
    path = tuple(name.split(".")) if type(name) is str else ()
    if not path or len(path) > _MAX_PATH or not all(path):
        refuse("the name of a field is not valid", field=name)
    return path


def at(item: Any, path: Path) -> Any:
    """The value at a path, UNDEFINED when there is none."""
    for key in path:
        if type(item) is dict:
            item = item.get(key, UNDEFINED)
        elif type(item) is list and key.isdecimal() and int(key) < len(item):
            item = item[int(key)]
        else:
            return UNDEFINED
    return item


def ordered(items: Iterable[Item], sort: Any) -> list[Item]:
    """By `{field: 1 or -1, …}`, the first field before the others. Items that are equal stay as they were."""
    result = list(items)
    if sort is None or sort is UNDEFINED:
        return result
    if type(sort) is not dict:
        refuse("sort must be a map of fields to 1 or -1", parameter="sort")
    for name, direction in reversed(sort.items()):
        path = path_of(name)
        is_down = direction in (-1, "-1", "desc", "descending")
        result.sort(key=lambda item, path=path: rank(at(item, path)), reverse=is_down)
    return result


def rank(value: Any) -> tuple[int, Any]:
    """Where a value stands among values of any kind: nothing, numbers, texts, maps and lists, booleans."""
    kind = type(value)
    if kind is bool:
        return 4, value
    if kind is int or kind is float:
        return 1, value
    if kind is str:
        return 2, value
    if kind is dict or kind is list:
        return 3, encode(value)
    return 0, 0


def projected(item: Item, projection: Any) -> Item:
    """A copy of the item with the fields named, or without those that are switched off. The id stays unless it is switched off."""
    if projection is None or projection is UNDEFINED or projection == {}:
        return copy(item)
    wanted = dict.fromkeys(projection, 1) if type(projection) is list else projection
    if type(wanted) is not dict:
        refuse("projection must be a map or a list of fields", parameter="projection")
    if any(flag for name, flag in wanted.items() if name != "_id"):
        kept = {"_id": wanted.get("_id", 1), **wanted}
        return included(item, [path_of(name) for name, flag in kept.items() if flag])
    result = copy(item)
    for name, flag in wanted.items():
        if not flag:
            path = path_of(name)
            parent = at(result, path[:-1]) if path[:-1] else result
            if type(parent) is dict:
                parent.pop(path[-1], None)
    return result


def included(item: Mapping[str, Any], paths: Iterable[Path]) -> Item:
    result: Item = {}
    for path in paths:
        value = at(item, path)
        if value is UNDEFINED:
            continue
        parent = result
        for key in path[:-1]:
            below = parent.get(key)
            if type(below) is not dict:
                below = parent[key] = {}
            parent = below
        parent[path[-1]] = copy(value)
    return result
