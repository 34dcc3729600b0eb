"""What in a document would fail when it is reached, for those who check documents before they run."""
from __future__ import annotations

from typing import Any

from runtime.errors import AutomationsError
from runtime.expressions.braces import split
from runtime.expressions.evaluate import compile_truth
from runtime.expressions.limits import MAX_VALUE_DEPTH, too_deep
from runtime.expressions.template import compile_part

Problem = tuple[tuple[str | int, ...], AutomationsError]
"""Where in the value, and the error that its evaluation raises."""


def find_problems(value: Any) -> list[Problem]:
    """Every template in `value` that does not compile."""
    found: list[Problem] = []
    _search(value, (), found)
    return found


def find_condition_problems(text: Any) -> list[Problem]:
    """The same for a key of `conditions`, which is an expression as a whole."""
    try:
        if type(text) is str:
            compile_truth(text)
    except AutomationsError as error:
        return [((), error)]
    return []


def _search(value: Any, path: tuple[str | int, ...], found: list[Problem]) -> None:
    kind = type(value)
    if kind is str:
        found += ((path, error) for error in _errors(value))
    elif kind is dict or kind is list:
        if len(path) > MAX_VALUE_DEPTH:
            found.append((path, too_deep()))
            return
        for key, item in value.items() if kind is dict else enumerate(value):
            _search(item, (*path, key), found)


def _errors(text: str) -> list[AutomationsError]:
    errors: list[AutomationsError] = []
    try:
        parts = split(text)
    except AutomationsError as error:
        return [error]
    for part in parts:
        try:
            if type(part) is not str:
                compile_part(part, text)
        except AutomationsError as error:
            errors.append(error)
    return errors
