"""The words of an expression: text becomes tokens, positions kept for error messages."""
from __future__ import annotations

import re
from typing import Any, NamedTuple

from runtime.errors import ExpressionError
from runtime.expressions.coercion import to_number
from runtime.expressions.limits import MAX_SOURCE


class Token(NamedTuple):
    """`kind` is number, text, word, reference, regex, sign or end; a sign's value is its spelling."""

    kind: str
    value: Any
    at: int


OPERATOR_WORDS = frozenset(("and", "or", "not", "in", "equals", "matches", "exists"))

_TOKEN = re.compile(r"""
    (?P<number> [0-9]+ (?:\.[0-9]+)? (?:[eE][+-]?[0-9]+)? (?![\w$]) )
  | (?P<word> [\w$]+ )
  | "(?P<double> [^"]* )" | '(?P<single> [^']* )'
  | (?P<opening> \{\{ )
  | (?P<sign> === | !== | [=!<>]= | && | \|\| | \{% | [-=<>!+*/%()\[\]{},:.] )
""", re.VERBOSE)
_BLANKS = re.compile(r"\s*")
_NEGATIVE = re.compile(r"-[0-9]")
_GROUP_MARKS = re.compile(r"\{\{|\}\}")
_REGEX = re.compile(r"\s*regex\s*\(", re.IGNORECASE)
_QUOTED_PATTERN = re.compile(r"\s*(?:\"([^\"]*)\"|'([^']*)')\s*\)")


def tokenize(source: str) -> list[Token]:
    """All tokens of `source` and one that marks the end."""
    if len(source) > MAX_SOURCE:
        raise invalid(f"it is longer than {MAX_SOURCE} characters", source)
    tokens: list[Token] = []
    blocks = 0
    position = _BLANKS.match(source).end()
    while position < len(source):
        token, position = _next(source, position, tokens, in_block=blocks > 0)
        tokens.append(token)
        if token.kind == "sign":
            blocks += (token.value == "{%") - (token.value == "%}")
        elif _is_word(token, "matches") and (opening := _REGEX.match(source, position)):
            pattern, position = _pattern(source, opening.end())
            tokens.append(Token("regex", pattern, opening.end()))
        position = _BLANKS.match(source, position).end()
    tokens.append(Token("end", "", len(source)))
    return tokens


def invalid(reason: str, source: str) -> ExpressionError:
    """The error of an expression that does not parse."""
    return ExpressionError(f"Invalid expression syntax: {reason}", details(source))


def details(source: str) -> dict[str, str]:
    text = source.strip()
    return {"expression": text if len(text) <= 2000 else text[:2000] + "…"}


def _next(source: str, at: int, before: list[Token], *, in_block: bool) -> tuple[Token, int]:
    if in_block and source.startswith("%}", at):
        return Token("sign", "%}", at), at + 2
    start = at
    if _NEGATIVE.match(source, at) and not _ends_value(before):
        start += 1
    match = _TOKEN.match(source, start)
    if match is None:
        raise invalid(f"unexpected {source[at]!r} at position {at}", source)
    kind, text = match.lastgroup, match[match.lastgroup or 0]
    if kind == "number":
        return Token("number", to_number(source[at:match.end()]), at), match.end()
    if start != at:                               # a minus sign before a word that starts with a digit
        return Token("sign", "-", at), start
    if kind == "opening":
        end = _group_end(source, at)
        return Token("reference", source[at:end], at), end
    if kind in ("double", "single"):
        kind = "text"
    return Token(kind or "", text, at), match.end()


def _is_word(token: Token, word: str) -> bool:
    return token.kind == "word" and token.value.lower() == word


def _ends_value(tokens: list[Token]) -> bool:
    """Whether a minus sign here subtracts, because a value precedes it."""
    if not tokens:
        return False
    last = tokens[-1]
    if last.kind == "sign":
        return last.value in (")", "]", "}", "%}")
    return last.kind != "word" or last.value.lower() not in OPERATOR_WORDS


def _group_end(source: str, start: int) -> int:
    depth = 0
    for mark in _GROUP_MARKS.finditer(source, start):
        depth += 1 if mark[0] == "{{" else -1
        if depth == 0:
            return mark.end()
    raise invalid(f"'{{{{' at position {start} is not closed", source)


def _pattern(source: str, start: int) -> tuple[str, int]:
    """The pattern that starts after `regex(`, and where the expression goes on."""
    if quoted := _QUOTED_PATTERN.match(source, start):
        return quoted[1] if quoted[1] is not None else quoted[2], quoted.end()
    end = _closing(source, start)
    if end < 0:
        end = source.find(")", start)
    if end < 0:
        raise invalid("'regex(' is not closed", source)
    return source[start:end], end + 1


def _closing(source: str, start: int) -> int:
    """Where the parenthesis around a pattern closes: escaped ones and those in `[…]` do not count."""
    depth, in_set, position = 0, False, start
    while position < len(source):
        character = source[position]
        if character == "\\":
            position += 1
        elif in_set:
            in_set = character != "]"
        elif character == "[":
            in_set = True
        elif character == "(":
            depth += 1
        elif character == ")":
            if depth == 0:
                return position
            depth -= 1
        position += 1
    return -1
