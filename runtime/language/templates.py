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
_FROM_END = re.compile(r"\{\{[^{}%]*?(?:\[\s*|\.)(-\d+)[^{}%]*\}\}")


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
    for error in find_condition_problems(text):
        _warn(findings, error, path, key=True)
    _check_indexes(findings, text, path, key=True)


def _check_text(findings: Findings, text: str, path: Path) -> None:
    if _EMPTY.search(text):
        _warn_empty(findings, path)
        return
    for below, error in find_problems(text):
        _warn(findings, error, (*path, *below))
    _check_indexes(findings, text, path)


def _check_indexes(findings: Findings, text: str, path: Path, *, key: bool = False) -> None:
    if found := _FROM_END.search(text):
        findings.warn("negative-index", path, f"{found[0]} is always undefined: indexes do not count from the end",
                      hint=f"Use {{% slice({{{{list}}}}, {found[1]}) %}}.", key=key)


def _warn_empty(findings: Findings, path: Path, *, key: bool = False) -> None:
    findings.warn("empty-template", path, "a template without a name",
                  hint="Write the name of a variable between the braces, or quote them in an expression to show them: "
                       '{% "{{}}" %}.', key=key)


def _warn(findings: Findings, error: AutomationsError, path: Path, *, key: bool = False) -> None:
    code = "bad-variable" if isinstance(error, VariableNameError) else "bad-expression"
    findings.warn(code, path, error.message.rstrip("."), hint=error.hint, key=key)


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
