"""Closures made of closures: what each operator, literal and call does with the values of its operands.

Frequent shapes get closures of their own: two integers, a constant at the right, a pattern known beforehand.
"""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

from runtime.errors import AutomationsError, ExpressionError
from runtime.expressions.arithmetic import ARITHMETIC, COMPARISONS, EXACT_ARITHMETIC, Operation
from runtime.expressions.coercion import (
    EXACT,
    as_double,
    contains,
    loose_equal,
    number,
    script_text,
    strict_equal,
    truthy,
)
from runtime.expressions.functions import Function
from runtime.expressions.limits import check_weight
from runtime.expressions.paths import Evaluate
from runtime.expressions.patterns import Pattern, compile_delimited, compile_pattern
from runtime.expressions.scope import Scope
from runtime.expressions.tokens import details
from runtime.values import UNDEFINED

MAX_PATTERNS = 1000

_NUMBERS = frozenset((int, float))
_VARYING = object()


def constant(value: Any) -> Evaluate:
    """A closure that gives `value`, marked so that `constant_of` knows it."""
    def give(scope: Scope) -> Any:
        return value
    give.constant = value  # type: ignore[attr-defined]
    return give


def constant_of(evaluate: Evaluate, default: Any = None) -> Any:
    """The value of a closure that always gives the same one, else `default`."""
    return getattr(evaluate, "constant", default)


def failing(error: AutomationsError) -> Evaluate:
    """A closure that raises a fresh copy of `error`: what does not compile fails when it is reached."""
    def fail(scope: Scope) -> Any:
        raise type(error)(error.message, error.details, hint=error.hint)
    return fail


def reporting(evaluate: Evaluate, source: str) -> Evaluate:
    """Errors raised on the way tell which expression they come from."""
    def report(scope: Scope) -> Any:
        try:
            return evaluate(scope)
        except ExpressionError as error:
            if error.details is None:
                error.details = details(source)
            raise
    return report


def negation(operand: Evaluate, *, is_boolean: bool) -> Evaluate:
    if is_boolean:
        return lambda scope: not operand(scope)
    return lambda scope: not truthy(operand(scope))


def existence(operand: Evaluate) -> Evaluate:
    def exists(scope: Scope) -> bool:
        value = operand(scope)
        return value is not None and value is not UNDEFINED
    return exists


def arithmetic(first: Evaluate, rest: list[tuple[str, Evaluate]]) -> Evaluate:
    if len(rest) > 1:
        return _chain(first, [(ARITHMETIC[sign], operand) for sign, operand in rest])
    sign, operand = rest[0]
    operation, exact = ARITHMETIC[sign], EXACT_ARITHMETIC.get(sign)
    if exact is None:
        return lambda scope: operation(first(scope), operand(scope))
    if sign in "+-" and type(step := constant_of(operand)) is int:
        return _step(first, step if sign == "+" else -step, lambda value: operation(value, step))

    def compute(scope: Scope) -> Any:
        left, right = first(scope), operand(scope)
        if type(left) is int and type(right) is int:
            result = exact(left, right)
            return result if -EXACT <= result <= EXACT else as_double(result)
        if type(left) is float and type(right) in _NUMBERS and -EXACT <= right <= EXACT:
            return number(exact(left, right))
        return operation(left, right)
    return compute


def _step(operand: Evaluate, step: int, otherwise: Callable[[Any], Any]) -> Evaluate:
    """A whole number plus a constant: counting, the most frequent sum of all."""
    def add(scope: Scope) -> Any:
        value = operand(scope)
        if type(value) is int:
            total = value + step
            return total if -EXACT <= total <= EXACT else as_double(total)
        return otherwise(value)
    return add


def _chain(first: Evaluate, rest: list[tuple[Operation, Evaluate]]) -> Evaluate:
    def compute(scope: Scope) -> Any:
        value = first(scope)
        for operation, operand in rest:
            value = operation(value, operand(scope))
        return value
    return compute


def logic(operands: list[Evaluate], is_and: tuple[bool, ...]) -> Evaluate:
    """All operands are always evaluated, so that an error in any of them surfaces; then folded from the right."""
    if len(operands) == 2:
        return (_and if is_and[0] else _or)(*operands)
    joints = is_and[::-1]

    def decide(scope: Scope) -> Any:
        values = [operand(scope) for operand in operands]
        value = values.pop()
        for joined_by_and in joints:
            left = values.pop()
            if truthy(left) is not joined_by_and:
                value = left
        return value
    return decide


def _and(first: Evaluate, second: Evaluate) -> Evaluate:
    def both(scope: Scope) -> Any:
        left, right = first(scope), second(scope)
        return right if truthy(left) else left
    return both


def _or(first: Evaluate, second: Evaluate) -> Evaluate:
    def either(scope: Scope) -> Any:
        left, right = first(scope), second(scope)
        return left if truthy(left) else right
    return either


def comparison(sign: str, left: Evaluate, right: Evaluate) -> Evaluate:
    if sign == "strict":
        return lambda scope: strict_equal(left(scope), right(scope))
    if sign == "in":
        return lambda scope: contains(item=left(scope), collection=right(scope))
    if sign == "loose":
        return _loose(left, right)
    of_numbers, of_any = COMPARISONS[sign]

    def compare(scope: Scope) -> bool:
        first, second = left(scope), right(scope)
        if type(first) in _NUMBERS and type(second) in _NUMBERS:
            return of_numbers(first, second)
        return of_any(first, second)
    return compare


def _loose(left: Evaluate, right: Evaluate) -> Evaluate:
    wanted = constant_of(right, _VARYING)
    kind = type(wanted)
    if kind is not str and kind is not int:
        return lambda scope: loose_equal(left(scope), right(scope))

    def equals(scope: Scope) -> bool:
        value = left(scope)
        return value == wanted if type(value) is kind else loose_equal(value, wanted)
    return equals


def matching(operand: Evaluate, pattern: Evaluate) -> Evaluate:
    """`x matches y`: y is a pattern or a list of them; no pattern at all matches everything."""
    fixed = constant_of(pattern, _VARYING)
    if type(fixed) is str and fixed:
        return _searching(operand, compile_pattern(fixed))

    def matches(scope: Scope) -> bool:
        text, wanted = script_text(operand(scope)), pattern(scope)
        if type(wanted) is not list:
            return wanted is UNDEFINED or wanted == "" or _finds(text, wanted)
        if len(wanted) > MAX_PATTERNS:
            raise ExpressionError(f"More than {MAX_PATTERNS} patterns to match with")
        return any(_finds(text, item) for item in wanted)
    return matches


def _finds(text: str, pattern: Any) -> bool:
    return compile_pattern(script_text(pattern)).search(text) is not None


def _searching(operand: Evaluate, pattern: Pattern) -> Evaluate:
    return lambda scope: pattern.search(script_text(operand(scope))) is not None


def matching_regex(operand: Evaluate, pattern: Evaluate) -> Evaluate:
    """`x matches regex(…)`: an empty pattern matches nothing."""
    fixed = constant_of(pattern, _VARYING)
    if type(fixed) is str and fixed:
        return _searching(operand, compile_delimited(fixed))

    def matches(scope: Scope) -> bool:
        text, wanted = script_text(operand(scope)), pattern(scope)
        return wanted != "" and compile_delimited(wanted).search(text) is not None
    return matches


def call(function: Function, field: tuple[str, ...], given: list[Evaluate]) -> Evaluate:
    invoke = function.call
    if function.wants_scope:
        return lambda scope: invoke(scope, *field, *[argument(scope) for argument in given])
    if field or len(given) not in (1, 2):
        return lambda scope: invoke(*field, *[argument(scope) for argument in given])
    if len(given) == 1:
        only = given[0]
        return lambda scope: invoke(only(scope))
    first, second = given
    return lambda scope: invoke(first(scope), second(scope))


def list_of(items: list[Evaluate], *, is_outermost: bool) -> Evaluate:
    def build(scope: Scope) -> list[Any]:
        values = [item(scope) for item in items]
        if is_outermost:
            check_weight(values)
        return [None if value is UNDEFINED else value for value in values]
    return build


def map_of(members: list[tuple[str, Evaluate]], *, is_outermost: bool) -> Evaluate:
    def build(scope: Scope) -> dict[str, Any]:
        made = {}
        for key, evaluate in members:
            value = evaluate(scope)
            if value is not UNDEFINED:
                made[key] = value
        if is_outermost:
            check_weight(made.values())
        return made
    return build
