"""Functions on numbers: rounding, extremes, parsing, chance."""
from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from runtime.expressions.coercion import NAN, Number, is_number, number, to_number
from runtime.expressions.scope import Scope
from runtime.expressions.texts import bad_arguments
from runtime.values import UNDEFINED


def _half_up(value: float) -> Number:
    """Halves go towards positive infinity; adding a half first would round 0.49999999999999994 up."""
    floor = math.floor(value)
    return floor + (value - floor >= 0.5)


def _rounding(name: str, apply: Callable[[float], Number]) -> Callable[..., Number]:
    def rounded(value: Any = UNDEFINED, decimals: Any = UNDEFINED) -> Number:
        """`apply(value · 10^decimals) / 10^decimals`, in floating point."""
        if not is_number(value) or not (decimals is UNDEFINED or is_number(decimals)):
            raise bad_arguments(name, "expected numbers")
        value = number(value)
        if decimals is UNDEFINED or not decimals:
            return number(apply(value)) if math.isfinite(value) else value
        scale = _power_of_ten(decimals)
        scaled = value * scale
        if not math.isfinite(scaled) or not scale:
            return NAN
        return number(apply(scaled) / scale)
    return rounded


def _power_of_ten(exponent: Number) -> float:
    try:
        return math.pow(10, number(exponent))
    except OverflowError:
        return math.inf


round_half_up = _rounding("round", _half_up)
round_down = _rounding("floor", math.floor)
round_up = _rounding("ceil", math.ceil)


def parse_number(text: Any = UNDEFINED) -> Number:
    """`number()`: not a number when the text is none."""
    return to_number(text)


def smallest(*values: Any) -> Number:
    return _extreme(values, min, math.inf)


def largest(*values: Any) -> Number:
    return _extreme(values, max, -math.inf)


def _extreme(values: tuple[Any, ...], choose: Callable[..., Number], default: float) -> Number:
    """Of several arguments, or of the items of a single list."""
    if len(values) == 1 and type(values[0]) is list:
        values = values[0]
    numbers = [number(to_number(value)) for value in values]
    if any(map(math.isnan, numbers)):
        return NAN
    return choose(numbers, default=default)


def rand(scope: Scope, least: Any = UNDEFINED, limit: Any = UNDEFINED) -> Number:
    """A fraction below 1, or with arguments a whole number from `least` up to, but not including, `limit`."""
    if least is UNDEFINED:
        return scope.random()
    limit = 1 if limit is UNDEFINED else limit
    if not is_number(least) or not is_number(limit):
        raise bad_arguments("rand", "expected numbers")
    least, limit = number(least), number(limit)
    drawn = scope.random() * (limit - least) + least
    return number(math.floor(drawn)) if math.isfinite(drawn) else NAN
