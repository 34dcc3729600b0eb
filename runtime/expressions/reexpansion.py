"""Templates the way of 2024: text that a template brings in is read as a template again. Off unless asked for.

Each pass replaces the innermost templates by their text and reads the result anew, so text from outside can name
variables: a workspace that relies on it chooses so. Passes, replacements and sizes are bounded.
"""
from __future__ import annotations

from functools import lru_cache
from typing import Any

from runtime.errors import AutomationsError, ExpressionError
from runtime.expressions.braces import Block, Group, Part, split
from runtime.expressions.coercion import to_text
from runtime.expressions.evaluate import compile_expression, compile_node
from runtime.expressions.limits import check_text
from runtime.expressions.operators import failing
from runtime.expressions.paths import Evaluate
from runtime.expressions.scope import Scope
from runtime.expressions.syntax import parse_part
from runtime.expressions.tokens import details

MAX_PASSES = 20
MAX_REPLACEMENTS = 10_000


def compile_expanding(text: str) -> Evaluate:
    """A closure that replaces the templates of `text` until none is left. Never raises itself."""
    try:
        parts = split(text)
        if len(parts) == 1 and _is_flat(parts[0]):
            return _evaluator(parts[0])
    except AutomationsError as error:
        return failing(error)
    return lambda scope: _expand(parts, scope, text)


def _expand(parts: tuple[Part, ...], scope: Scope, text: str) -> Any:
    budget = _Budget()
    for _ in range(MAX_PASSES):
        if not any(type(part) is not str for part in parts):
            return "".join(parts)
        if len(parts) == 1 and _is_flat(parts[0]):
            return _evaluator(parts[0])(scope)
        parts = split("".join([_replaced(part, scope, budget) for part in parts]))
    raise ExpressionError("The template expands itself without end", details(text))


class _Budget:
    """How much one expansion has replaced so far."""

    def __init__(self) -> None:
        self._replacements = 0
        self._size = 0

    def spend(self, text: str) -> str:
        self._replacements += 1
        self._size += len(text)
        if self._replacements > MAX_REPLACEMENTS:
            raise ExpressionError(f"The template needs more than {MAX_REPLACEMENTS} replacements")
        check_text(self._size)
        return text


def _is_flat(part: Part) -> bool:
    """A block, or a group with nothing nested in it."""
    return type(part) is Block or type(part) is Group and part.depth == 1 and all(type(p) is str for p in part.parts)


def _replaced(part: Part, scope: Scope, budget: _Budget) -> str:
    if type(part) is str:
        return part
    if _is_flat(part):
        return budget.spend(to_text(_evaluator(part)(scope)))
    return "{{" + "".join([_replaced(inner, scope, budget) for inner in part.parts]) + "}}"


@lru_cache(1024)
def _evaluator(part: Group | Block) -> Evaluate:
    if type(part) is Block:
        return compile_expression(part.source)
    return compile_node(parse_part(part), "".join(map(str, part.parts)))
