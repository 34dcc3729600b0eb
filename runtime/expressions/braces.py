"""Where the templates of a text are: `{% … %}` blocks and `{{…}}` groups, found in one pass, whatever the nesting.

Nothing is read as a name or an expression here. Braces without a partner are text.
"""
from __future__ import annotations

import re
from dataclasses import dataclass

from runtime.errors import ExpressionError
from runtime.expressions.limits import MAX_TEMPLATE, check_depth


@dataclass(frozen=True, slots=True)
class Block:
    """The expression inside an outermost `{% … %}`."""

    source: str


@dataclass(frozen=True, slots=True)
class Group:
    """What stands between `{{` and `}}`: text, and groups and blocks further inside."""

    parts: tuple[Part, ...]
    depth: int


Part = str | Group | Block

_MARKS = re.compile(r"\{%|%\}")
_BRACES = re.compile(r"\{|\}\}?")


def split(text: str) -> tuple[Part, ...]:
    """The parts of `text` in order; a text without templates is its only part."""
    if len(text) > MAX_TEMPLATE:
        raise ExpressionError(f"The template is too long: at most {MAX_TEMPLATE} characters are allowed")
    groups = _Groups()
    position = 0
    for start, end in outer_blocks(text):
        groups.read(text[position:start])
        groups.put(Block(text[start + 2:end - 2]))
        position = end
    groups.read(text[position:])
    return tuple(_merged(groups.parts))


def outer_blocks(text: str) -> list[tuple[int, int]]:
    """Start and end of the `{% … %}` that are inside no other; a mark without a partner counts for nothing."""
    open_at: list[int] = []
    found: list[tuple[int, int]] = []
    for mark in _MARKS.finditer(text):
        if mark[0] == "{%":
            open_at.append(mark.start())
        elif open_at:
            start = open_at.pop()
            while found and found[-1][0] > start:
                found.pop()
            found.append((start, mark.end()))
    return found


class _Groups:
    """Reads braces like a parser reads parentheses: `}}` closes the two braces nearest to its left, if they touch."""

    def __init__(self) -> None:
        self.parts: list[Part] = []
        self._braces: list[int] = []
        """Where in `parts` single braces stand that belong to no group yet."""

    def put(self, part: Part) -> None:
        if part:
            self.parts.append(part)

    def read(self, text: str) -> None:
        position = 0
        while match := _BRACES.search(text, position):
            self.put(text[position:match.start()])
            position = match.end()
            if match[0] == "}}" and self._opened():
                self._close()
            else:                                 # of two closing braces the second may still have a partner
                position = match.start() + 1
                self._braces.append(len(self.parts))
                self.parts.append(match[0][0])
        self.put(text[position:])

    def _opened(self) -> bool:
        if len(self._braces) < 2:
            return False
        first, second = self._braces[-2:]
        return second == first + 1 and self.parts[first] == "{" == self.parts[second]

    def _close(self) -> None:
        start = self._braces[-2]
        inside = tuple(self.parts[start + 2:])
        depth = 1 + max((part.depth for part in inside if type(part) is Group), default=0)
        check_depth(depth)
        del self.parts[start:], self._braces[-2:]
        self.parts.append(Group(inside, depth))


def _merged(parts: list[Part]) -> list[Part]:
    """Neighbouring texts become one."""
    merged: list[Part] = []
    texts: list[str] = []
    for part in parts:
        if type(part) is str:
            texts.append(part)
            continue
        if texts:
            merged.append("".join(texts))
            texts = []
        merged.append(part)
    if texts:
        merged.append("".join(texts))
    return merged
