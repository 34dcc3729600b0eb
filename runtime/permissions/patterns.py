"""Regular expressions of rules, as far as a store can look for them: texts, stars and question marks."""
from __future__ import annotations

from typing import NamedTuple

_SPECIAL = frozenset("[](){}|+*?")
_CLASSES = frozenset("dDwWsS")


class Glob(NamedTuple):
    """What a `Like` looks for. Where it is not exact it finds more than the expression, never less."""

    pattern: str
    is_exact: bool


def glob_of(expression: str) -> Glob:
    """The expression with `.*` as a star and `.` as a question mark; anything a glob cannot say becomes a star."""
    begins, ends = expression.startswith("^"), expression.endswith("$") and not expression.endswith("\\$")
    inner = expression[begins:len(expression) - ends]
    pieces: list[str] = [] if begins else ["*"]
    is_exact, at = True, 0
    while at < len(inner):
        piece, at, is_plain = _next(inner, at)
        if piece is None:                                  # alternatives and groups reach further than we look
            return Glob("*", False)
        pieces.append(piece)
        is_exact = is_exact and is_plain
    if not ends:
        pieces.append("*")
    return Glob("".join(pieces), is_exact)


def _next(text: str, at: int) -> tuple[str | None, int, bool]:
    """One character of the expression with what repeats it: its glob, the place behind it, and whether they mean the same."""
    character, width = text[at], 1
    if character == "\\" and at + 1 < len(text):
        character, width = text[at + 1], 2
        if character.isalnum() and character not in _CLASSES:
            return None, at, False
        single = None if character in _CLASSES else _literal(character)
    elif character == ".":
        single = "?"
    elif character in _SPECIAL or character in "^$\\":
        return None, at, False
    else:
        single = _literal(character)
    behind = at + width
    following = text[behind:behind + 1]
    if following == "{":
        return None, at, False
    if following in ("*", "+", "?"):
        is_any = single == "?" and following != "?"
        prefix = "?" if is_any and following == "+" else ""
        manner = text[behind + 1:behind + 2]               # lazy, or giving nothing back
        return prefix + "*", behind + 1 + (manner in ("?", "+")), is_any and manner != "+"
    return (single or "?"), behind, single is not None


def _literal(character: str) -> str:
    return "\\" + character if character in "*?\\" else character
