"""What is wrong with the templates in a value, as far as it shows before they are evaluated."""
from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from runtime.errors import AutomationsError, VariableNameError
from runtime.expressions import find_condition_problems, find_problems
from runtime.language.problems import Findings, shown
from runtime.language.source import Path

_EMPTY = re.compile(r"\{\{\s*\}\}|\{%\s*%\}")
_FROM_END = re.compile(r"\{\{[^{}%]*?(?:\[\s*|\.)(-\d+)")

_FOREIGN = (
    (re.compile(r"\{\{[^{}'\"\[\]|]+\|[^|{}'\"\[\]]"), "there are no filters: all of this is read as one name",
     "Write a function in an expression: {% upper({{name}}) %}."),
    (re.compile(r"\{\{[^{}'\"\[\]]*\s(?:[-+*/<>]|[=!<>]=+|&&|\|\||and|or)\s"),
     "there are no operators between these braces: all of this is read as one name", "Write an expression: {% {{a}} + 1 %}."),
    (re.compile(r"\{\{[#/^>!]"), "there are no blocks: this is read as a name", "Use the instructions conditions and repeat."))
"""Templates of other tools. Like all patterns here they stop at the next brace, so that long texts take linear time."""
_EXPRESSION_HINTS = {
    "ends too early": "Something is missing at the end: a value, or a closing parenthesis.",
    "unexpected": "Put quotes around texts, compare with ==, join with and, or.",
}


def is_template(value: Any) -> bool:
    return isinstance(value, str) and ("{{" in value or "{%" in value)


def check_templates(findings: Findings, value: Any, path: Path) -> None:
    """Every text below `value`, and the keys above it, which are never replaced."""
    for place, text, is_key in _texts(value, path):
        if not is_key:
            _check_text(findings, text, place)
        elif is_template(text):
            findings.warn("template-in-key", place, f"templates in a key are not replaced: {shown(text)}",
                          hint="Set a member by its path instead: set: {name: 'map[{{key}}]', value: …}.", key=True)


def check_condition(findings: Findings, text: str, path: Path) -> None:
    """The key of a branch."""
    if _EMPTY.search(text):
        _warn_empty(findings, path, key=True)
        return
    for _, error in find_condition_problems(text):
        _warn(findings, error, path, key=True)
    _check_indexes(findings, text, path, key=True)


def _check_text(findings: Findings, text: str, path: Path) -> None:
    if _EMPTY.search(text):
        _warn_empty(findings, path)
        return
    for _, error in find_problems(text):
        _warn(findings, error, path)
    _check_indexes(findings, text, path)
    for opening, closing in (("{{", "}}"), ("{%", "%}")):
        if opening in text and closing not in text:
            findings.warn("open-template", path, f"{opening} is never closed: this stays as it is", hint=f"Add {closing}.")
    for pattern, message, hint in _FOREIGN:
        if found := pattern.search(text):
            findings.warn("foreign-template", path, f"{shown(text[found.start():])}: {message}", hint=hint)
            break


def _check_indexes(findings: Findings, text: str, path: Path, *, key: bool = False) -> None:
    if found := _FROM_END.search(text):
        findings.warn("negative-index", path, f"an index does not count from the end: {shown(text[found.start():])} is undefined",
                      hint=f"Use {{% slice({{{{list}}}}, {found[1][:20]}) %}}.", key=key)


def _warn_empty(findings: Findings, path: Path, *, key: bool = False) -> None:
    findings.warn("empty-template", path, "a template without a name",
                  hint="Write the name of a variable between the braces, or quote them in an expression to show them: "
                       '{% "{{}}" %}.', key=key)


def _warn(findings: Findings, error: AutomationsError, path: Path, *, key: bool = False) -> None:
    if isinstance(error, VariableNameError):
        findings.warn("bad-variable", path, error.message, hint=error.hint or "Write a path such as session.cart[0].name.", key=key)
        return
    expression = error.details.get("expression") if isinstance(error.details, dict) else None
    message = error.message if expression is None else f"{error.message}, in {shown(expression)}"
    hint = error.hint or next((hint for reason, hint in _EXPRESSION_HINTS.items() if reason in message), "")
    findings.warn("bad-expression", path, message, hint=hint, key=key)


def _texts(value: Any, path: Path) -> Iterator[tuple[Path, str, bool]]:
    """(path, text, whether it is the key there) of every text with a brace."""
    if isinstance(value, str):
        if is_template(value):
            yield path, value, False
    elif isinstance(value, dict):
        for key, member in value.items():
            if "{" in key:
                yield (*path, key), key, True
            yield from _texts(member, (*path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _texts(item, (*path, index))
