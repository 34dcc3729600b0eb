"""Aggregation: items flow through stages, each of which filters, shapes or sums them up."""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

from runtime.expressions import matches_query
from runtime.modules.around import refuse
from runtime.modules.items import Item, at, included, ordered, path_of, projected, rank
from runtime.values import UNDEFINED, copy, encode

_MAX_STAGES = 50
_MAX_ITEMS = 1_000_000

Stage = Callable[[list[Item], Any], list[Item]]


def aggregate(items: list[Item], pipeline: Any) -> list[Item]:
    """What comes out of the last stage."""
    if type(pipeline) is not list or len(pipeline) > _MAX_STAGES:
        refuse(f"pipeline must be a list of at most {_MAX_STAGES} stages", parameter="pipeline")
    for stage in pipeline:
        name = next(iter(stage), None) if type(stage) is dict and len(stage) == 1 else None
        if name not in _STAGES:
            refuse(f"a stage is one of {', '.join(_STAGES)}", stage=name)
        items = _STAGES[name](items, stage[name])
    return copy(items)


def _match(items: list[Item], query: Any) -> list[Item]:
    return [item for item in items if matches_query(item, query)]


def _skip(items: list[Item], count: Any) -> list[Item]:
    return items[_count(count):]


def _limit(items: list[Item], count: Any) -> list[Item]:
    return items[:_count(count)]


def _tally(items: list[Item], name: Any) -> list[Item]:
    return [{name: len(items)}] if type(name) is str and name else refuse("$count needs the name of a field")


def _project(items: list[Item], projection: Any) -> list[Item]:
    """Fields switched on or off, and new ones: `{total: "$price.amount"}`."""
    if type(projection) is not dict:
        refuse("$project needs a map of fields")
    computed = {name: value for name, value in projection.items() if type(value) not in (int, bool, float)}
    plain = {name: value for name, value in projection.items() if name not in computed}
    if not computed:
        return [projected(item, plain) for item in items]
    paths = [path_of(name) for name, flag in {"_id": 1, **plain}.items() if flag]
    return [{**included(item, paths), **_computed(item, computed)} for item in items]


def _add_fields(items: list[Item], fields: Any) -> list[Item]:
    return [{**item, **_computed(item, fields)} for item in items] if type(fields) is dict else refuse("$addFields needs a map of fields")


def _computed(item: Item, fields: dict[str, Any]) -> Item:
    return {name: value for name, written in fields.items() if (value := _value(item, written)) is not UNDEFINED}


def _unwind(items: list[Item], options: Any) -> list[Item]:
    """One item for each entry of a list."""
    path, keeps_empty = options, False
    if type(options) is dict:
        path, keeps_empty = options.get("path"), options.get("preserveNullAndEmptyArrays") is True
    if type(path) is not str or not path.startswith("$") or "." in path:
        refuse("$unwind needs the name of a field, as in $tags")
    field, result = path[1:], []
    for item in items:
        value = item.get(field)
        entries = value if type(value) is list else [] if value is None else [value]
        if not entries and keeps_empty:
            result.append({name: member for name, member in item.items() if name != field})
        result += ({**item, field: entry} for entry in entries)
        if len(result) > _MAX_ITEMS:
            refuse(f"a stage makes more than {_MAX_ITEMS} items")
    return result


def _group(items: list[Item], fields: Any) -> list[Item]:
    """One item for each value of `_id`, with what the others fields gather."""
    if type(fields) is not dict or "_id" not in fields:
        refuse("$group needs an _id")
    gathered = {name: _accumulator(name, written) for name, written in fields.items() if name != "_id"}
    groups: dict[bytes, tuple[Any, list[Item]]] = {}
    for item in items:
        key = _value(item, fields["_id"])
        key = None if key is UNDEFINED else key
        groups.setdefault(encode(key), (key, []))[1].append(item)
    return [{"_id": key, **{name: gather([_value(item, written) for item in members]) for name, (gather, written) in gathered.items()}}
            for key, members in groups.values()]


def _accumulator(name: str, written: Any) -> tuple[Callable[[list[Any]], Any], Any]:
    operator = next(iter(written), None) if type(written) is dict and len(written) == 1 else None
    if operator not in _ACCUMULATORS:
        refuse(f"{name} must be one of {', '.join(_ACCUMULATORS)}", field=name)
    return _ACCUMULATORS[operator], written[operator]


def _value(item: Item, written: Any) -> Any:
    """`$a.b` is a field, a map is a map of such, anything else is itself."""
    if type(written) is str and written.startswith("$"):
        return at(item, path_of(written[1:]))
    if type(written) is dict:
        if any(name.startswith("$") for name in written):
            refuse(f"{next(iter(written))} cannot be computed here")
        return _computed(item, written)
    return written


def _numbers(values: list[Any]) -> list[int | float]:
    return [value for value in values if type(value) in (int, float)]


def _present(values: list[Any]) -> list[Any]:
    return [value for value in values if value is not UNDEFINED and value is not None]


def _average(values: list[Any]) -> Any:
    numbers = _numbers(values)
    return sum(numbers) / len(numbers) if numbers else None


def _distinct(values: list[Any]) -> list[Any]:
    return list({encode(value): value for value in values if value is not UNDEFINED}.values())


def _count(count: Any) -> int:
    return int(count) if type(count) in (int, float) and count >= 0 else refuse("a count must be a number from 0")


_ACCUMULATORS: dict[str, Callable[[list[Any]], Any]] = {
    "$sum": lambda values: sum(_numbers(values)),
    "$avg": _average,
    "$min": lambda values: min(_present(values), key=rank, default=None),
    "$max": lambda values: max(_present(values), key=rank, default=None),
    "$first": lambda values: values[0] if values and values[0] is not UNDEFINED else None,
    "$last": lambda values: values[-1] if values and values[-1] is not UNDEFINED else None,
    "$push": lambda values: [value for value in values if value is not UNDEFINED],
    "$addToSet": _distinct,
    "$count": len,
}

_STAGES: dict[str, Stage] = {
    "$match": _match, "$sort": ordered, "$skip": _skip, "$limit": _limit, "$count": _tally, "$project": _project,
    "$addFields": _add_fields, "$set": _add_fields, "$unwind": _unwind, "$group": _group,
}
