"""Regular expressions of the JavaScript family, run with a time limit.

A pattern is rewritten into the dialect of the `regex` module, piece by piece, so that nothing of that dialect which
JavaScript does not know (recursion, fuzzy matches, named lists) can be reached by accident.
"""
from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache

import regex

from runtime.errors import ExpressionError

SECONDS = 0.05
"""A search that takes longer is given up: the pattern backtracks, or the text is enormous."""
MAX_PATTERN = 10_000
MAX_GROUPS = 100
MAX_REPEAT = 100_000

_FLAGS = {"i": regex.IGNORECASE, "m": regex.MULTILINE, "s": regex.DOTALL, "g": 0, "u": 0, "y": 0, "d": 0, "v": 0}
_DELIMITED = re.compile(r"/(.+)/([a-z]*)", re.DOTALL)
_INLINE_FLAGS = re.compile(r"\(\?([ims]+)\)")
_QUANTIFIER = re.compile(r"\{([0-9]+)(?:(,)([0-9]*))?\}")
_GROUP_NAME = re.compile(r"<([A-Za-z_$][\w$]*)>")
_PROPERTY = re.compile(r"\{\^?[A-Za-z_]+(?:=[A-Za-z_]+)?\}")
_CODE_POINT = re.compile(r"u\{([0-9A-Fa-f]{1,6})\}")
_CODE_UNIT = re.compile(r"u[0-9A-Fa-f]{4}|x[0-9A-Fa-f]{2}")
_GROUP_STARTS = ("(?:", "(?=", "(?!", "(?<=", "(?<!")

_WORD = "A-Za-z0-9_"
_OUTSIDE_SET = {
    "d": "[0-9]", "D": "[^0-9]", "w": f"[{_WORD}]", "W": f"[^{_WORD}]", "s": r"\s", "S": r"\S",
    "b": f"(?:(?<=[{_WORD}])(?![{_WORD}])|(?<![{_WORD}])(?=[{_WORD}]))",
    "B": f"(?:(?<=[{_WORD}])(?=[{_WORD}])|(?<![{_WORD}])(?![{_WORD}]))"}
_INSIDE_SET = {
    "d": "0-9", "D": r"\x00-/:-\U0010ffff", "w": _WORD, "W": r"\x00-/:-@\[-\^`{-\U0010ffff", "s": r"\s", "S": r"\S",
    "b": r"\x08"}
_SAME = {"n": r"\n", "r": r"\r", "t": r"\t", "f": r"\f", "v": r"\v", "0": r"\x00"}


class Pattern:
    """A compiled expression. Every use raises ExpressionError when it takes too long."""

    __slots__ = ("_regex", "_source")

    def __init__(self, source: str, flags: str) -> None:
        self._source = source
        self._regex = _compiled(source, flags)

    def search(self, text: str) -> regex.Match | None:
        try:
            return self._regex.search(text, timeout=SECONDS)
        except TimeoutError:
            raise self._slow() from None

    def find(self, text: str) -> Iterator[regex.Match]:
        """All matches from left to right; the time limit holds for all of them together."""
        try:
            yield from self._regex.finditer(text, timeout=SECONDS)
        except TimeoutError:
            raise self._slow() from None

    def _slow(self) -> ExpressionError:
        return ExpressionError(f"The regular expression took too long: {_shown(self._source)}")


@lru_cache(1024)
def compile_pattern(source: str, flags: str = "") -> Pattern:
    """ExpressionError when it is no valid regular expression."""
    return Pattern(source, flags)


def compile_delimited(source: str) -> Pattern:
    """A pattern that may be written with its flags: `/abc/i`."""
    delimited = _DELIMITED.fullmatch(source)
    if delimited and all(flag in _FLAGS for flag in delimited[2]):
        return compile_pattern(delimited[1], delimited[2])
    return compile_pattern(source)


def _shown(source: str) -> str:
    return source if len(source) <= 200 else source[:200] + "…"


def _compiled(source: str, flags: str) -> regex.Pattern:
    if len(source) > MAX_PATTERN:
        raise _invalid(source, f"it is longer than {MAX_PATTERN} characters")
    options = regex.VERSION0
    if inline := _INLINE_FLAGS.match(source):
        source, flags = source[inline.end():], flags + inline[1]
    for flag in flags:
        if flag not in _FLAGS:
            raise _invalid(source, f"unknown flag '{flag}'")
        options |= _FLAGS[flag]
    translated = _Translation(source, flags).text()
    if "y" in flags:
        translated = rf"\A(?:{translated})"
    try:
        return regex.compile(translated, options, cache_pattern=False)
    except (regex.error, ValueError, OverflowError, RecursionError) as error:
        raise _invalid(source, str(error).partition(" at position")[0]) from None


def _invalid(source: str, reason: str) -> ExpressionError:
    return ExpressionError(f"Invalid regular expression {_shown(source)}: {reason}")


class _Translation:
    """Walks through a pattern once; each method consumes one construct and gives its equivalent."""

    def __init__(self, source: str, flags: str) -> None:
        self._source = source
        self._multiline = "m" in flags
        self._any = "." if "s" in flags else r"[^\n\r\u2028\u2029]"
        self._at = 0
        self._groups = 0

    def text(self) -> str:
        made: list[str] = []
        while self._at < len(self._source):
            made.append(self._next())
        return "".join(made)

    def _next(self) -> str:
        character = self._source[self._at]
        match character:
            case "\\":
                return self._escape(_OUTSIDE_SET)
            case "[":
                return self._set()
            case "(":
                return self._group()
            case "{":
                return self._braces()
        self._at += 1
        match character:
            case ".":
                return self._any
            case "$":
                return "$" if self._multiline else r"\Z"
            case "}" | "]":
                return "\\" + character
        return character

    def _escape(self, classes: dict[str, str]) -> str:
        self._at += 1
        if self._at == len(self._source):
            raise _invalid(self._source, r"\ at the end")
        rest = self._at
        letter = self._source[rest]
        self._at += 1
        if letter in classes:
            return classes[letter]
        if letter in "pP" and (named := _PROPERTY.match(self._source, rest + 1)):
            self._at = named.end()
            return f"\\{letter}{named[0]}"
        if point := _CODE_POINT.match(self._source, rest):
            self._at = point.end()
            return f"\\U{int(point[1], 16):08x}"
        if unit := _CODE_UNIT.match(self._source, rest):
            self._at = unit.end()
            return "\\" + unit[0]
        if letter == "k" and (name := _GROUP_NAME.match(self._source, rest + 1)):
            self._at = name.end()
            return f"(?P={name[1]})"
        if letter == "c" and self._at < len(self._source) and self._source[self._at].isalpha():
            self._at += 1
            return f"\\x{ord(self._source[self._at - 1]) % 32:02x}"
        if letter in _SAME:
            return _SAME[letter]
        if letter in "123456789" and classes is _OUTSIDE_SET:
            return self._backreference(rest)
        return regex.escape(letter, special_only=False)

    def _backreference(self, start: int) -> str:
        while self._at < len(self._source) and self._source[self._at] in "0123456789" and self._at < start + 3:
            self._at += 1
        return f"(?:\\{self._source[start:self._at]})"

    def _group(self) -> str:
        self._groups += 1
        if self._groups > MAX_GROUPS:
            raise _invalid(self._source, f"more than {MAX_GROUPS} groups")
        source, start = self._source, self._at
        if not source.startswith("(?", start):
            self._at += 1
            return "("
        for opening in _GROUP_STARTS:
            if source.startswith(opening, start):
                self._at += len(opening)
                return opening
        if name := _GROUP_NAME.match(source, start + 2):
            self._at = name.end()
            return f"(?P<{name[1]}>"
        raise _invalid(source, "unknown kind of group")

    def _braces(self) -> str:
        quantifier = _QUANTIFIER.match(self._source, self._at)
        if quantifier is None:
            self._at += 1
            return r"\{"
        if any(int(count[:9]) > MAX_REPEAT for count in quantifier.group(1, 3) if count):
            raise _invalid(self._source, f"more than {MAX_REPEAT} repetitions")
        self._at = quantifier.end()
        return quantifier[0]

    def _set(self) -> str:
        source = self._source
        negated = source.startswith("[^", self._at)
        self._at += 2 if negated else 1
        items: list[str] = []
        while self._at < len(source) and source[self._at] != "]":
            items.append(self._set_item(items))
        if self._at == len(source):
            raise _invalid(source, "[ is not closed")
        self._at += 1
        if not items:
            return r"[\s\S]" if negated else r"(?!)"
        return f"[{'^' if negated else ''}{''.join(items)}]"

    def _set_item(self, items: list[str]) -> str:
        """One member. A hyphen next to a class such as `\\w` is a hyphen, never a range."""
        character = self._source[self._at]
        if character == "\\":
            item = self._escape(_INSIDE_SET)
            if self._source[self._at - 1] in "dDwWsS" and item in _INSIDE_SET.values():
                if items and items[-1] == "-":
                    items[-1] = r"\-"
                if self._source.startswith("-", self._at):
                    self._at += 1
                    return item + r"\-"
            return item
        self._at += 1
        return "\\" + character if character in "[&~|^" else character
