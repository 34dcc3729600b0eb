"""What an update does to an item: MongoDB's operators as operations on a document, each as small as it can be.

Small operations are what lets two runs change different fields of one item without erasing each other's work.
"""
from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from runtime.expressions import is_operators, matches_query
from runtime.expressions.coercion import same
from runtime.modules.around import refuse
from runtime.modules.items import Item, Path, at, path_of, rank
from runtime.values import UNDEFINED, copy
from store.changes import Unapplicable, apply

Operation = tuple[str, Path, Any]
"""`op, path, value` of `store.changes`."""
Operator = Callable[[Item, Path, Any], Iterator[Operation]]


def updated(item: Item, update: Any, *, is_new: bool = False) -> tuple[Item, list[Operation]]:
    """A changed copy of the item, and the operations that lead to it. Refuses to change the id."""
    if type(update) is not dict or not update:
        refuse("update must be a map of fields or of operators", parameter="update")
    if not any(name.startswith("$") for name in update):
        update = {"$set": update}
    result, operations = copy(item), []
    for name, fields in update.items():
        operator = _OPERATORS.get(name)
        if operator is None or type(fields) is not dict:
            refuse(f"{name} is no operator of an update" if operator is None else f"{name} needs a map of fields", operator=name)
        if name == "$setOnInsert" and not is_new:
            continue
        for field, value in fields.items():
            for operation in operator(result, path_of(field), value):
                _apply(result, operation)
                operations.append(operation)
    return result, operations


def _apply(item: Item, operation: Operation) -> None:
    op, path, value = operation
    if path[0] == "_id" and not (op == "replace" and same(item.get("_id"), value)):
        refuse("the id of an item cannot be changed", field="_id")
    try:
        apply(item, op, path, copy(value))
    except Unapplicable as problem:
        refuse(str(problem), field=".".join(path))


def _set(item: Item, path: Path, value: Any) -> Iterator[Operation]:
    yield "replace", path, value


def _unset(item: Item, path: Path, value: Any) -> Iterator[Operation]:
    yield "delete", path, None


def _inc(item: Item, path: Path, value: Any) -> Iterator[Operation]:
    yield "add", path, value


def _mul(item: Item, path: Path, value: Any) -> Iterator[Operation]:
    present = at(item, path)
    present = 0 if present is UNDEFINED or present is None else present
    if type(value) not in (int, float) or type(present) not in (int, float):
        refuse("$mul needs a number on a number", field=".".join(path))
    product = present * value
    yield "replace", path, float(product) if type(product) is int and abs(product) >= 2 ** 63 else product


def _min(item: Item, path: Path, value: Any) -> Iterator[Operation]:
    present = at(item, path)
    if present is UNDEFINED or rank(value) < rank(present):
        yield "replace", path, value


def _max(item: Item, path: Path, value: Any) -> Iterator[Operation]:
    present = at(item, path)
    if present is UNDEFINED or rank(value) > rank(present):
        yield "replace", path, value


def _push(item: Item, path: Path, value: Any) -> Iterator[Operation]:
    for one in _each(value):
        yield "push", path, one
    if type(value) is dict and type(value.get("$slice")) is int:
        kept = _list(item, path)
        size = value["$slice"]
        yield "replace", path, kept[:size] if size >= 0 else kept[size:]


def _add_to_set(item: Item, path: Path, value: Any) -> Iterator[Operation]:
    for one in _each(value):
        if not any(same(one, present) for present in _list(item, path)):
            yield "push", path, one


def _pull(item: Item, path: Path, value: Any) -> Iterator[Operation]:
    present = _list(item, path)
    kept = [one for one in present if not _is_pulled(one, value)]
    if len(kept) != len(present):
        yield "replace", path, kept


def _pop(item: Item, path: Path, value: Any) -> Iterator[Operation]:
    present = _list(item, path)
    if present:
        yield "replace", path, present[1:] if value == -1 else present[:-1]


def _rename(item: Item, path: Path, value: Any) -> Iterator[Operation]:
    present = at(item, path)
    if present is not UNDEFINED:
        yield "delete", path, None
        yield "replace", path_of(value), present


_OPERATORS: dict[str, Operator] = {
    "$addToSet": _add_to_set, "$inc": _inc, "$max": _max, "$min": _min, "$mul": _mul, "$pop": _pop, "$pull": _pull, "$push": _push,
    "$rename": _rename, "$set": _set, "$setOnInsert": _set, "$unset": _unset,
}


def _each(value: Any) -> list[Any]:
    """`{$each: […]}` stands for several values."""
    if type(value) is dict and "$each" in value:
        if type(value["$each"]) is not list:
            refuse("$each needs a list")
        return value["$each"]
    return [value]


def _list(item: Item, path: Path) -> list[Any]:
    present = at(item, path)
    if present is UNDEFINED or present is None:
        return []
    if type(present) is not list:
        refuse("this field holds no list", field=".".join(path))
    return present


def _is_pulled(one: Any, condition: Any) -> bool:
    if type(condition) is not dict:
        return same(one, condition)
    if is_operators(condition):
        return matches_query({"value": one}, {"value": condition})
    return type(one) is dict and matches_query(one, condition)
