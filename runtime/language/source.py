"""A document with the place of everything in it."""
from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

Path = tuple[str | int, ...]

COLUMN_BITS = 24
_COLUMN = (1 << COLUMN_BITS) - 1


class Mark(NamedTuple):
    """Where something is written; lines and columns count from 1. A mark without a line is falsy and says the name alone."""

    name: str
    line: int = 0
    column: int = 0

    def __bool__(self) -> bool:
        return self.line > 0

    def __str__(self) -> str:
        return f"{self.name}:{self.line}:{self.column}" if self.line else self.name


def mark_of(name: str, spot: int) -> Mark:
    return Mark(name, (spot >> COLUMN_BITS) + 1, (spot & _COLUMN) + 1)


@dataclass(frozen=True, slots=True)
class Source:
    """Plain data and where it was read.

    A place is one integer (line and column) for a scalar, and for a collection a list: its own spot, then the place of
    each item; a map has the spot of each key before the place of its value. So positions cost a few bytes a node.
    """

    data: Any
    name: str
    _places: Any = field(default=None, repr=False, compare=False)
    _ranks: dict[int, dict[str, int]] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def of(cls, data: Any, name: str = "document") -> Source:
        """Data that was not read from text: it has no positions."""
        return cls(data, name)

    def at(self, path: Path, key: bool = False) -> Mark:
        """Where the value at `path` is, or its key; for a path that does not exist, its nearest parent that does."""
        if self._places is None:
            return Mark(self.name)
        data, places = self.data, self._places
        spot = _start(places)
        for part in path:
            rank = self._rank(data, part)
            if rank is None or places.__class__ is not list or rank >= (len(places) - 1) // (2 if data.__class__ is dict else 1):
                break  # not there, or added after the text was read
            if data.__class__ is dict:
                spot, places = places[2 * rank + 1], places[2 * rank + 2]
            else:
                places = places[rank + 1]
                spot = _start(places)
            data = data[part]
        return mark_of(self.name, spot if key else _start(places))

    def _rank(self, data: Any, part: str | int) -> int | None:
        """Which child of `data` a part of a path names; maps keep the order in which they were written."""
        if data.__class__ is list:
            return part if part.__class__ is int and 0 <= part < len(data) else None
        if data.__class__ is not dict or part not in data:
            return None
        ranks = self._ranks.get(id(data))
        if ranks is None:
            ranks = self._ranks[id(data)] = {key: rank for rank, key in enumerate(data)}
        return ranks.get(part)


def _start(places: Any) -> int:
    return places[0] if places.__class__ is list else places
