"""A scope made of plain values, and short ways to evaluate a template or an expression in it."""
from __future__ import annotations

from typing import Any

from runtime.expressions import compile_condition, compile_value
from runtime.expressions.paths import member
from runtime.values import UNDEFINED


class Variables:
    """Local variables, shared contexts as a plain map, and chance that is always the same."""

    locale = "en"
    timezone = "Europe/Paris"

    def __init__(self, local: dict[str, Any] | None = None, *, contexts: dict[str, Any] | None = None) -> None:
        self.locals = local or {}
        self.contexts = contexts or {}

    def read(self, context: str, path: tuple[str | int, ...]) -> Any:
        value = self.contexts.get(context, UNDEFINED)
        for key in path:
            value = member(value, key)
        return value

    def random(self) -> float:
        return 0.5

    def uuid(self) -> str:
        return "01234567-89ab-4def-8123-456789abcdef"


def value_of(template: Any, /, *, reexpand: bool = False, **local: Any) -> Any:
    return compile_value(template, reexpand=reexpand)(Variables(local))


def result_of(expression: str, /, **local: Any) -> Any:
    return value_of("{% " + expression + " %}", **local)


def holds(condition: str, /, **local: Any) -> bool:
    return compile_condition(condition)(Variables(local))
