"""Values of a document become closures: every string in them may hold templates, keys never do."""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

from runtime.errors import AutomationsError
from runtime.expressions.braces import Block, Group, split
from runtime.expressions.coercion import truthy
from runtime.expressions.evaluate import compile_expression, compile_node, compile_text, compile_truth
from runtime.expressions.limits import MAX_VALUE_DEPTH, check_weight, check_whole, too_deep
from runtime.expressions.operators import constant, constant_of, failing
from runtime.expressions.paths import Evaluate
from runtime.expressions.reexpansion import compile_expanding
from runtime.expressions.scope import Scope
from runtime.expressions.syntax import parse_part, parse_text
from runtime.values import UNDEFINED

_VARYING = object()


def compile_value(value: Any, *, reexpand: bool = False) -> Evaluate:
    """A closure that gives `value` with its templates replaced.

    Never raises: what does not compile raises its error when it is evaluated. A value without templates is given as it
    is, not copied (`constant_of` tells); an undefined member of an object is left out, an undefined item is null.
    """
    evaluate = _compile(value, compile_expanding if reexpand else compile_string, 0)
    kind = type(value)
    if kind is not dict and kind is not list or constant_of(evaluate, _VARYING) is value:
        return evaluate
    return _checked(evaluate, is_flat=not any(type(item) is dict or type(item) is list for item in (value.values() if kind is dict else value)))


def compile_condition(text: Any) -> Callable[[Scope], bool]:
    """A closure that tells whether the expression `text` holds; errors are raised when it is evaluated."""
    if type(text) is not str:                     # a key that the document's syntax made true, null or a number
        return constant(truthy(text))
    try:
        return compile_truth(text)
    except AutomationsError as error:
        return failing(error)


def compile_string(text: str) -> Evaluate:
    """A whole value keeps its type, templates inside a longer text become text."""
    if not _has_templates(text):
        return constant(text)
    try:
        parts = split(text)
        if len(parts) > 1:
            return compile_text(parse_text(parts), text)
        return constant(text) if type(parts[0]) is str else compile_part(parts[0], text)
    except AutomationsError as error:
        return failing(error)


def compile_part(part: Group | Block, text: str) -> Evaluate:
    if type(part) is Block:
        return compile_expression(part.source)
    return compile_node(parse_part(part), text)


def _has_templates(text: str) -> bool:
    return "{{" in text or "{%" in text


def _compile(value: Any, compile_one: Callable[[str], Evaluate], depth: int) -> Evaluate:
    kind = type(value)
    if kind is str:
        return compile_one(value) if _has_templates(value) else constant(value)
    if kind is not dict and kind is not list:
        return constant(value)
    if depth > MAX_VALUE_DEPTH:
        return failing(too_deep())
    dynamic = []
    for key, item in value.items() if kind is dict else enumerate(value):
        evaluate = _compile(item, compile_one, depth + 1)
        if constant_of(evaluate, _VARYING) is not item:
            dynamic.append((key, evaluate))
    if not dynamic:
        return constant(value)
    return (_map if kind is dict else _list)(value.copy(), dynamic)


def _checked(evaluate: Evaluate, *, is_flat: bool) -> Evaluate:
    """A document may name one large variable many times."""
    def check(scope: Scope) -> Any:
        made = evaluate(scope)
        if is_flat:
            check_weight(made.values() if type(made) is dict else made)
        else:
            check_whole(made)
        return made
    return check


def _map(skeleton: dict[str, Any], dynamic: list[tuple[str, Evaluate]]) -> Evaluate:
    """The copy of the skeleton keeps the members in the order of the document."""
    def build(scope: Scope) -> dict[str, Any]:
        made = skeleton.copy()
        for key, evaluate in dynamic:
            value = evaluate(scope)
            if value is UNDEFINED:
                del made[key]
            else:
                made[key] = value
        return made
    return build


def _list(skeleton: list[Any], dynamic: list[tuple[int, Evaluate]]) -> Evaluate:
    def build(scope: Scope) -> list[Any]:
        made = skeleton.copy()
        for index, evaluate in dynamic:
            value = evaluate(scope)
            made[index] = None if value is UNDEFINED else value
        return made
    return build
