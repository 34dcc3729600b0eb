"""The four operations, the remainder, and the order of two values; every result is a canonical number or a text."""
from __future__ import annotations

import math
import operator
from collections.abc import Callable
from typing import Any

from runtime.expressions.coercion import EXACT, NAN, Number, comparable, number, script_text, to_number
from runtime.expressions.limits import check_text

Operation = Callable[[Any, Any], Any]

_JOINABLE = frozenset((str, dict, list))


def add(left: Any, right: Any) -> Any:
    """The sum, or the two texts one after the other when either side is a text, a list or a map."""
    if type(left) in _JOINABLE or type(right) in _JOINABLE:
        left, right = script_text(left), script_text(right)
        check_text(len(left) + len(right))
        return left + right
    return number(operand(left) + operand(right))


def operand(value: Any) -> Number:
    """An exact integer or a double, so that no operation meets an integer that is too large for it."""
    return number(to_number(value))


def subtract(left: Any, right: Any) -> Number:
    return number(operand(left) - operand(right))


def multiply(left: Any, right: Any) -> Number:
    return number(operand(left) * operand(right))


def divide(left: Any, right: Any) -> Number:
    left, right = operand(left), operand(right)
    if right:
        return number(left / right)
    if not left or math.isnan(left):
        return NAN
    return math.inf if left > 0 else -math.inf


def remainder(left: Any, right: Any) -> Number:
    """Of a division that rounds towards zero: it takes the sign of the dividend."""
    if type(left) is int and type(right) is int and 0 <= left <= EXACT and 0 < right <= EXACT:
        return left % right
    left, right = operand(left), operand(right)
    if not right or not math.isfinite(left):
        return NAN
    return number(math.fmod(left, right))


def _ordered(compare: Operation) -> Operation:
    def ordered(left: Any, right: Any) -> bool:
        left, right = comparable(left), comparable(right)
        if type(left) is not type(right) and (type(left) is str or type(right) is str):
            left, right = to_number(left), to_number(right)
        return compare(left, right)
    return ordered


ARITHMETIC: dict[str, Operation] = {
    "+": add, "-": subtract, "*": multiply, "/": divide, "%": remainder}

EXACT_ARITHMETIC: dict[str, Operation] = {"+": operator.add, "-": operator.sub, "*": operator.mul}
"""Operations whose result on two integers is an integer."""

COMPARISONS: dict[str, tuple[Operation, Operation]] = {
    sign: (fast, _ordered(fast)) for sign, fast in {
        "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}.items()}
"""Sign → the comparison of two numbers, and the one of any two values."""
