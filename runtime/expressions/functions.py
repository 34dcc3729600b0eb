"""The table of functions. What is not in it cannot be called."""
from __future__ import annotations

import difflib
from collections.abc import Callable
from typing import Any, NamedTuple

from runtime.errors import ExpressionError
from runtime.expressions import dates, documents, links, numerics, texts
from runtime.expressions.coercion import is_number
from runtime.expressions.scope import Scope
from runtime.values import UNDEFINED


class Function(NamedTuple):
    """`call` gets the scope and the field behind the call, as far as it wants them, then at most `most` arguments."""

    call: Callable[..., Any]
    most: int
    wants_scope: bool = False
    wants_field: bool = False
    takes_name: bool = False
    """Whether a literal text as first argument is the name of a variable."""


def is_list(value: Any = UNDEFINED) -> bool:
    return type(value) is list


def is_object(value: Any = UNDEFINED) -> bool:
    return value is None or type(value) is dict


def is_string(value: Any = UNDEFINED) -> bool:
    return type(value) is str


def is_numeric(value: Any = UNDEFINED) -> bool:
    return is_number(value)


def uuid(scope: Scope) -> str:
    return scope.uuid().replace("-", "")


FUNCTIONS: dict[str, Function] = {
    "URL": Function(links.url, 1, wants_field=True),
    "URLSearchParams": Function(links.search_params, 1, wants_field=True),
    "base64": Function(texts.to_base64, 1),
    "ceil": Function(numerics.round_up, 2),
    "date": Function(dates.date, 4, wants_scope=True, wants_field=True),
    "deepmerge": Function(documents.deepmerge, 3),
    "floor": Function(numerics.round_down, 2),
    "isArray": Function(is_list, 1, takes_name=True),
    "isNumber": Function(is_numeric, 1),
    "isObject": Function(is_object, 1, takes_name=True),
    "isString": Function(is_string, 1),
    "join": Function(texts.join, 2),
    "json": Function(documents.to_or_from_json, 1),
    "jsonmatch": Function(documents.jsonmatch, 2),
    "lower": Function(texts.lower, 1),
    "max": Function(numerics.largest, 1000),
    "min": Function(numerics.smallest, 1000),
    "number": Function(numerics.parse_number, 1),
    "rand": Function(numerics.rand, 2, wants_scope=True),
    "replace": Function(texts.replace, 3),
    "round": Function(numerics.round_half_up, 2),
    "sanitize": Function(texts.sanitize, 1),
    "slice": Function(texts.cut, 3),
    "split": Function(texts.split, 2),
    "truncate": Function(texts.truncate, 3),
    "unsafejson": Function(documents.find_json, 1),
    "upper": Function(texts.upper, 1),
    "uuid": Function(uuid, 0, wants_scope=True),
}


def find_function(name: str) -> Function:
    """ExpressionError with a suggestion when there is none of that name."""
    if function := FUNCTIONS.get(name):
        return function
    by_lower = {known.lower(): known for known in FUNCTIONS}
    near = difflib.get_close_matches(name.lower(), by_lower, 1)
    hint = f'Did you mean "{by_lower[near[0]]}"?' if near else ""
    raise ExpressionError(f"Unknown function '{name[:100]}'", hint=hint)
