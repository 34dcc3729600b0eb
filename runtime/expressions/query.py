"""Does a value match a query? MongoDB-style queries of `jsonmatch()`, and the operator objects of `wait` filters."""
from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from runtime.errors import ExpressionError
from runtime.expressions.arithmetic import COMPARISONS
from runtime.expressions.coercion import is_number, loose_equal, same
from runtime.expressions.limits import check_depth
from runtime.expressions.paths import as_key, member
from runtime.expressions.patterns import compile_pattern
from runtime.values import UNDEFINED


class _Rules(NamedTuple):
    """How two values compare: exactly in queries, forgivingly in filters, where text from a form meets a number."""

    equal: Callable[[Any, Any], bool]
    ordered: Callable[[str, Any, Any], bool]


_SIGNS = {"$gt": ">", "$gte": ">=", "$lt": "<", "$lte": "<="}


def _equal_in_query(found: Any, wanted: Any) -> bool:
    if found is UNDEFINED:
        return wanted is None or wanted is UNDEFINED
    return same(found, wanted)


def _equal_in_filter(found: Any, wanted: Any) -> bool:
    return loose_equal(found, wanted) or same(found, wanted)


def _ordered_in_query(sign: str, found: Any, wanted: Any) -> bool:
    """Only numbers with numbers and texts with texts."""
    alike = is_number(found) and is_number(wanted) or type(found) is str and type(wanted) is str
    return alike and COMPARISONS[sign][0](found, wanted)


def _ordered_in_filter(sign: str, found: Any, wanted: Any) -> bool:
    return found is not None and COMPARISONS[sign][1](found, wanted)


_QUERY = _Rules(_equal_in_query, _ordered_in_query)
_FILTER = _Rules(_equal_in_filter, _ordered_in_filter)


def matches_query(value: Any, query: dict[str, Any]) -> bool:
    """Whether an object matches; several fields are joined by *and*. ExpressionError for an unknown operator."""
    return _matches(value, query, _QUERY, 0)


def matches_operators(value: Any, operators: dict[str, Any]) -> bool:
    """Whether one value fulfils all of `{$gt: 1, $lt: 5}`, with the loose equality of filters."""
    return _fulfils([value], operators, _FILTER, 0)


def check_operators(operators: dict[str, Any]) -> None:
    """ExpressionError for an operator there is not, or one whose operand is of no use, whatever the value."""
    for name in operators:
        _operator([], name, operators, _FILTER, 0)


def matches_filter(value: Any, wanted: Any) -> bool:
    """Whether one value equals `wanted`, or fulfils it when it is an operator object."""
    return matches_operators(value, wanted) if is_operators(wanted) else _equal_in_filter(value, wanted)


def is_operators(value: Any) -> bool:
    return type(value) is dict and bool(value) and all(type(key) is str and key.startswith("$") for key in value)


def _matches(value: Any, query: Any, rules: _Rules, depth: int) -> bool:
    check_depth(depth)
    if type(query) is not dict:
        raise ExpressionError("A query must be an object")
    return all(_holds(value, key, condition, rules, depth) for key, condition in query.items())


def _holds(value: Any, key: Any, condition: Any, rules: _Rules, depth: int) -> bool:
    key = str(key)
    if not key.startswith("$"):
        keys = key.split(".")
        check_depth(len(keys))
        return _fulfils(_values(value, keys), condition, rules, depth)
    if key in ("$and", "$or", "$nor"):
        matching = (_matches(value, query, rules, depth + 1) for query in _listed(key, condition))
        return all(matching) if key == "$and" else any(matching) is (key == "$or")
    if key == "$not":
        return not _matches(value, condition, rules, depth + 1)
    return _fulfils([value], {key: condition}, rules, depth)


def _values(value: Any, keys: list[str]) -> list[Any]:
    """What a dotted path leads to: through a list by index, or through each of its items."""
    found = [value]
    for name in keys:
        key = as_key(name)
        step: list[Any] = []
        for parent in found:
            if type(parent) is list and type(key) is str:
                step += [child[name] for child in parent if type(child) is dict and name in child]
            elif type(parent) in (dict, list):
                child = member(parent, key)
                if child is not UNDEFINED:
                    step.append(child)
        found = step
    return found


def _fulfils(found: list[Any], condition: Any, rules: _Rules, depth: int) -> bool:
    """`found` holds the values at a path, none when it is missing."""
    check_depth(depth)
    if not is_operators(condition):
        return _any(found, lambda value: rules.equal(value, condition))
    return all(_operator(found, name, condition, rules, depth) for name in condition)


def _any(found: list[Any], test: Callable[[Any], bool]) -> bool:
    """A value passes itself, or as a list through one of its items; a missing one is tested as undefined."""
    if not found:
        return test(UNDEFINED)
    return any(test(value) or type(value) is list and any(map(test, value)) for value in found)


def _operator(found: list[Any], name: str, operators: dict[str, Any], rules: _Rules, depth: int) -> bool:
    wanted = operators[name]
    match name:
        case "$eq":
            return _any(found, lambda value: rules.equal(value, wanted))
        case "$ne":
            return not _any(found, lambda value: rules.equal(value, wanted))
        case "$gt" | "$gte" | "$lt" | "$lte":
            return _any(found, lambda value: rules.ordered(_SIGNS[name], value, wanted))
        case "$in" | "$nin":
            return _is_one_of(found, _listed(name, wanted), rules) is (name == "$in")
        case "$all":
            return all(_any(found, lambda value, item=item: rules.equal(value, item)) for item in _listed(name, wanted))
        case "$size":
            return any(type(value) is list and len(value) == wanted for value in found)
        case "$exists":
            return any(value is not UNDEFINED for value in found) is bool(wanted)
        case "$regex":
            pattern = compile_pattern(str(wanted), str(operators.get("$options", "")))
            return _any(found, lambda value: type(value) is str and pattern.search(value) is not None)
        case "$options":
            return "$regex" in operators
        case "$elemMatch":
            return any(_element(value, wanted, rules, depth) for value in found)
        case "$not":
            return not _fulfils(found, wanted, rules, depth + 1)
    raise ExpressionError(f"Unknown operator '{name[:100]}' in a query")


def _is_one_of(found: list[Any], wanted: list[Any], rules: _Rules) -> bool:
    return any(_any(found, lambda value, item=item: rules.equal(value, item)) for item in wanted)


def _element(value: Any, wanted: Any, rules: _Rules, depth: int) -> bool:
    if type(value) is not list:
        return False
    if is_operators(wanted):
        return any(_fulfils([item], wanted, rules, depth + 1) for item in value)
    return any(_matches(item, wanted, rules, depth + 1) for item in value if type(item) is dict)


def _listed(name: str, wanted: Any) -> list[Any]:
    if type(wanted) is not list:
        raise ExpressionError(f"{name} needs a list")
    return wanted
