"""Conditions of rules, in the part of MongoDB's query language that access rules use.

Read once, when a rule is. Placeholders are filled with what is known of the caller; then the conditions are asked of the
fields of a subject, or made into a condition on stored events.
"""
from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any as Anything

import regex

from runtime.permissions.patterns import glob_of
from store.query import EVERYTHING, NOTHING, All, Any, Compared, Condition, Exists, Is, Like, Not, Path, as_text, is_compared, value_at

Known = Callable[[str], Anything]
"""What is known of the caller under a name, `user.id`; None for what is not."""

_PLACEHOLDER = regex.compile(r"\{\{\s*([\w.]+)\s*\}\}|\$\{\s*([\w.]+)\s*\}")
_GROUPS = {"$and": "all", "$or": "any", "$nor": "none"}
_ORDERS = {"$gt": "gt", "$gte": "gte", "$lt": "lt", "$lte": "lte"}
_LISTS = frozenset(("$in", "$nin", "$all"))
_OPERATORS = frozenset(("$eq", "$ne", "$exists", "$regex", *_LISTS, *_ORDERS))
_NOWHERE: tuple[Anything, ...] = (None, [], {})
_MATCH_SECONDS = 0.05


class Unusable(Exception):
    """Conditions that cannot be understood; the text says why."""


@dataclass(frozen=True, slots=True)
class Hole:
    """A placeholder. Alone it stands for the value, between texts for its text."""

    name: str


@dataclass(frozen=True, slots=True)
class Template:
    parts: tuple[str | Hole, ...]


@dataclass(frozen=True, slots=True)
class Test:
    """What the value at one path has to be."""

    path: Path
    operator: str
    operand: Anything
    ignores_case: bool = False


@dataclass(frozen=True, slots=True)
class Group:
    """All, any or none of `parts`."""

    kind: str
    parts: tuple["Node", ...]


Node = Test | Group


# --- reading -----------------------------------------------------------------------------------------


def parse(raw: Anything) -> Group:
    """Raises `Unusable`."""
    if type(raw) is not dict:
        raise Unusable("conditions should be an object")
    return Group("all", tuple(_member(key, value) for key, value in raw.items()))


def _member(key: str, value: Anything) -> Node:
    if key in _GROUPS:
        if type(value) is not list:
            raise Unusable(f"{key} should be a list of conditions")
        return Group(_GROUPS[key], tuple(map(parse, value)))
    if key == "$not":
        return Group("none", (parse(value),))
    if not key or key.startswith("$"):
        raise Unusable(f"the operator {key} is not known here")
    return _of_path(tuple(key.split(".")), value)


def _of_path(path: Path, value: Anything) -> Node:
    if type(value) is not dict:
        return Test(path, "$eq", _operand(value))
    if not value:
        raise Unusable(f"{'.'.join(path)} cannot be compared with an object")
    return Group("all", tuple(_test(path, name, operand, value.get("$options")) for name, operand in value.items() if name != "$options"))


def _test(path: Path, operator: str, operand: Anything, options: Anything) -> Node:
    if operator == "$not":
        return Group("none", (_of_path(path, operand),))
    if operator not in _OPERATORS:
        raise Unusable(f"the operator {operator} is not known here")
    if operator in _LISTS and type(operand) is not list and not _is_hole(operand):
        raise Unusable(f"{operator} should have a list")
    if operator == "$exists" and type(operand) is not bool:
        raise Unusable("$exists should be true or false")
    if operator == "$regex":
        return Test(path, operator, _expression(operand), options == "i")
    if operator in _ORDERS and type(operand) not in (str, int, float):
        raise Unusable(f"{operator} should have a number or a text")
    return Test(path, operator, _operand(operand))


def _expression(operand: Anything) -> str:
    if type(operand) is not str:
        raise Unusable("$regex should be a text")
    try:
        _compiled(operand, False)
    except regex.error as error:
        raise Unusable(f"$regex is not a regular expression: {error}") from None
    return operand


def _operand(value: Anything) -> Anything:
    if type(value) is list:
        return tuple(map(_operand, value))
    if type(value) is dict:
        raise Unusable("a value cannot be compared with an object")
    if type(value) is not str:
        return value
    parts: list[str | Hole] = []
    at = 0
    for found in _PLACEHOLDER.finditer(value):
        parts += [value[at:found.start()], Hole(found[1] or found[2])]
        at = found.end()
    parts = [part for part in (*parts, value[at:]) if part != ""]
    if not any(type(part) is Hole for part in parts):
        return value
    return parts[0] if len(parts) == 1 else Template(tuple(parts))


def _is_hole(value: Anything) -> bool:
    return type(value) is str and type(_operand(value)) is Hole


def names(node: Node) -> Iterator[str]:
    """The placeholders."""
    if type(node) is Group:
        for part in node.parts:
            yield from names(part)
        return
    for one in node.operand if type(node.operand) is tuple else (node.operand,):
        for part in one.parts if type(one) is Template else (one,):
            if type(part) is Hole:
                yield part.name


# --- filling -----------------------------------------------------------------------------------------


def filled(node: Node, known: Known) -> Node:
    """The conditions about one caller, who has a value for each placeholder."""
    if type(node) is Group:
        return Group(node.kind, tuple(filled(part, known) for part in node.parts))
    return Test(node.path, node.operator, _filled(node.operand, known), node.ignores_case)


def _filled(operand: Anything, known: Known) -> Anything:
    if type(operand) is Hole:
        return known(operand.name)
    if type(operand) is Template:
        return "".join(part if type(part) is str else as_text(known(part.name)) or "" for part in operand.parts)
    if type(operand) is tuple:
        return tuple(_filled(one, known) for one in operand)
    return operand


# --- asking a subject --------------------------------------------------------------------------------


def holds(node: Node, fields: dict[str, Anything]) -> bool:
    """Whether filled conditions hold for a subject. Of a list, one member is enough."""
    if type(node) is Group:
        some = (holds(part, fields) for part in node.parts)
        return all(some) if node.kind == "all" else any(some) is (node.kind == "any")
    value = value_at(fields, node.path)
    operator, operand = node.operator, node.operand
    if operator == "$exists":
        return (value not in _NOWHERE) is operand
    if operator in ("$ne", "$nin"):
        return not _is_one(value, operand)
    if operator == "$all":
        return all(_is_one(value, one) for one in _members(operand))
    if operator in ("$eq", "$in"):
        return _is_one(value, operand)
    return any(_compares(one, node) for one in _members(value))


def _is_one(value: Anything, operand: Anything) -> bool:
    wanted = {as_text(one) for one in _members(operand)}
    if value in _NOWHERE:
        return None in wanted
    return any(text in wanted for one in _members(value) if (text := as_text(one)) is not None)


def _compares(value: Anything, node: Test) -> bool:
    if node.operator != "$regex":
        return is_compared(value, _ORDERS[node.operator], node.operand)
    text = as_text(value)
    if text is None:
        return False
    try:
        return _compiled(node.operand, node.ignores_case).search(text, timeout=_MATCH_SECONDS) is not None
    except TimeoutError:
        return False


def _members(value: Anything) -> tuple[Anything, ...]:
    return tuple(value) if isinstance(value, (list, tuple, set, frozenset)) else (value,)


@lru_cache(256)
def _compiled(expression: str, ignores_case: bool) -> Anything:
    if expression.endswith("$") and not expression.endswith("\\$"):
        expression = expression[:-1] + r"\Z"              # the very end, not a line's
    return regex.compile(expression, regex.DOTALL | (regex.IGNORECASE if ignores_case else 0))


# --- asking a store ----------------------------------------------------------------------------------


def as_condition(node: Node, *, is_wide: bool) -> Condition:
    """Filled conditions for stored events. What a store cannot look for becomes something `is_wide`: true more often,
    for a rule that forbids; or else less often, for one that allows."""
    if type(node) is Group:
        parts = tuple(as_condition(part, is_wide=is_wide is not (node.kind == "none")) for part in node.parts)
        return All(parts) if node.kind == "all" else Any(parts) if node.kind == "any" else Not(Any(parts))
    operator, operand, path = node.operator, node.operand, node.path
    if operator == "$exists":
        return Exists(path) if operand else Not(Exists(path))
    if operator in ("$eq", "$in"):
        return _among(path, operand)
    if operator in ("$ne", "$nin"):
        return Not(_among(path, operand))
    if operator in _ORDERS:
        return Compared(path, _ORDERS[operator], operand)
    if operator == "$regex":
        glob = glob_of(operand)
        return Like(path, glob.pattern, node.ignores_case) if glob.is_exact or is_wide else NOTHING
    return EVERYTHING if is_wide else NOTHING


def _among(path: Path, operand: Anything) -> Condition:
    texts = [as_text(one) for one in _members(operand)]
    found = Is(path, tuple(sorted(text for text in texts if text is not None)))
    return Any((found, Not(Exists(path)))) if None in texts else found
