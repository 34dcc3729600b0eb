"""How large an expression, and what it makes, may grow; and the error that says so."""
from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from runtime.errors import ExpressionError
from runtime.values import weigh

MAX_DEPTH = 100
"""Of parentheses, literals, nested blocks and nested references together."""
MAX_SOURCE = 100_000
"""Characters of one expression or reference."""
MAX_TEMPLATE = 1_000_000
"""Characters of one string that holds templates."""
MAX_TEXT = 50_000_000
"""Characters of one text that an expression or a template makes."""
MAX_ITEMS = 1_000_000
"""Items of one list that an expression makes."""
MAX_VALUE_DEPTH = 200
"""Of the maps and lists that are walked; JSON is not written beyond 254."""


def check_text(size: int) -> None:
    """Raise before a text of `size` characters is made that is too long."""
    if size > MAX_TEXT:
        raise ExpressionError(f"The text is too long: {size} characters, at most {MAX_TEXT} are allowed")


def check_depth(depth: int) -> None:
    if depth > MAX_DEPTH:
        raise ExpressionError(f"The expression is nested too deep: at most {MAX_DEPTH} levels are allowed")


def too_deep() -> ExpressionError:
    return ExpressionError(f"The value is nested too deep: at most {MAX_VALUE_DEPTH} levels are allowed")


_LARGE_TEXT = 1000


def check_weight(values: Iterable[Any]) -> None:
    """Raise when a value built from `values` would take too much room copied or written out.

    A value put together from variables may hold one large map many times: small in memory, enormous as text. It takes
    two large values to grow, so most are not walked.
    """
    large = [v for v in values if type(v) is dict or type(v) is list or type(v) is str and len(v) > _LARGE_TEXT]
    if len(large) > 1:
        check_whole(large)


def check_whole(value: Any) -> None:
    """The same for a value that is made already."""
    if weigh(value, MAX_TEXT) > MAX_TEXT:
        raise ExpressionError(f"The value is too large: at most {MAX_TEXT} bytes are allowed")
