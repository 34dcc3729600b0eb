"""Functions on maps and lists: JSON in and out, queries, merging."""
from __future__ import annotations

import json
from typing import Any

from runtime.errors import ExpressionError
from runtime.expressions.coercion import json_text
from runtime.expressions.limits import MAX_VALUE_DEPTH, check_text, check_weight, too_deep
from runtime.expressions.query import matches_query
from runtime.expressions.texts import bad_arguments
from runtime.values import UNDEFINED, decode

_MAX_ATTEMPTS = 200
"""Brackets tried as the start of a document, so that text made of brackets alone is not read over and over."""


def to_or_from_json(value: Any = UNDEFINED) -> Any:
    """`json()`: a text is parsed, anything else is written compactly."""
    if value is UNDEFINED:
        return UNDEFINED
    if type(value) is not str:
        return json_text(value)
    try:
        return decode(value)
    except ValueError:
        raise ExpressionError("Invalid JSON syntax") from None


def find_json(text: Any = UNDEFINED) -> Any:
    """`unsafejson()`: the first JSON list or object in a longer text; undefined when there is none."""
    if type(text) is not str:
        return text
    starts = (at for at, character in enumerate(text) if character in "[{")
    for at, _ in zip(starts, range(_MAX_ATTEMPTS)):
        try:
            return _DECODER.raw_decode(text, at)[0]
        except (ValueError, RecursionError):
            continue
    return UNDEFINED


def _refuse(constant: str) -> Any:
    raise ValueError(constant)


def _integer(digits: str) -> int | float:
    return int(digits) if len(digits) < 19 else float(digits)


_DECODER = json.JSONDecoder(parse_constant=_refuse, parse_int=_integer)


def jsonmatch(value: Any = UNDEFINED, query: Any = UNDEFINED) -> bool:
    if type(query) is not dict:
        raise bad_arguments("jsonmatch", "the query is no object")
    if type(value) is not dict:
        return False
    try:
        return matches_query(value, query)
    except ExpressionError as error:
        raise bad_arguments("jsonmatch", error.message) from error


def deepmerge(first: Any = UNDEFINED, second: Any = UNDEFINED, options: Any = UNDEFINED) -> Any:
    """Both objects in one, the second wins; texts found on both sides are joined if `concatStrings` says so."""
    joins = type(options) is dict and options.get("concatStrings") is True
    if type(first) is dict and type(second) is dict:
        check_weight((first, second))
    return _merged(first, second, joins, 0)


def _merged(first: Any, second: Any, joins: bool, depth: int) -> Any:
    if depth > MAX_VALUE_DEPTH:
        raise too_deep()
    if second is UNDEFINED:
        return first
    if joins and type(first) is str and type(second) is str:
        check_text(len(first) + len(second))
        return first + second
    if type(first) is not dict or type(second) is not dict:
        return second
    merged = dict(first)
    for key, value in second.items():
        merged[key] = _merged(first[key], value, joins, depth + 1) if key in first else value
    return merged
