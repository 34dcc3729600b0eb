"""The order of what a search finds: newest first, the other way round, or by the values of fields."""
from __future__ import annotations

from typing import Any, NamedTuple

from runtime.search.collectors import scalars
from runtime.search.problems import expect, options, path_of, single
from store.query import Path

_MOST_FIELDS = 4
_BY_PLACE = frozenset((("createdAt",), ("id",), ("_doc",)))
"""Their order is that of the positions."""


class Field(NamedTuple):
    path: Path
    descends: bool


class Order(NamedTuple):
    """By `fields`, if there are any; equals, and everything otherwise, by position."""

    ascending: bool = False
    fields: tuple[Field, ...] = ()


def read_order(value: Any) -> Order:
    """`"createdAt"`, `{"payload.price": "desc"}`, `[{"payload.price": {"order": "desc"}}, …]`. Raises `SearchError`."""
    given = [] if value is None else value if isinstance(value, list) else [value]
    expect(len(given) <= _MOST_FIELDS, "sort", f"should have at most {_MOST_FIELDS} fields")
    fields: list[Field] = []
    for index, one in enumerate(given):
        path, direction = _field(one, f"sort[{index}]")
        if path in _BY_PLACE or path == ("_score",):       # nothing is left to be decided after this
            return Order(direction == "asc" and path != ("_score",), tuple(fields))
        fields.append(Field(path, direction == "desc"))
    return Order(False, tuple(fields))


def _field(one: Any, at: str) -> tuple[Path, str]:
    name, how = (one, "asc") if isinstance(one, str) else single(one, at, "field")
    if isinstance(how, dict):
        how = options(how, at, ("order", "missing", "unmapped_type", "format")).get("order", "asc")
        expect(one[name].get("missing", "_last") == "_last", at, "should leave events without the field to the end")
    expect(how in ("asc", "desc"), at, 'should be "asc" or "desc"')
    return path_of(name, at), how


Key = tuple[tuple[int, Any], ...]


class Sorter:
    """Keeps the places of the first `most` events in the order of the fields."""

    def __init__(self, fields: tuple[Field, ...], most: int) -> None:
        self._fields, self._most = fields, most
        self._kept: list[tuple[Key, int]] = []

    def take(self, event: dict[str, Any], position: int) -> None:
        self._kept.append((tuple(_key(event, field) for field in self._fields), position))
        if len(self._kept) > 2 * self._most + 1000:
            self.positions()

    def positions(self) -> list[int]:
        """In order; equals in the order in which they came."""
        for index in reversed(range(len(self._fields))):
            self._kept.sort(key=lambda kept: kept[0][index], reverse=self._fields[index].descends)
        del self._kept[self._most:]
        return [position for _, position in self._kept]


def _key(event: dict[str, Any], field: Field) -> tuple[int, Any]:
    """Numbers before texts, and what has neither at the end, whichever the direction."""
    value = next(scalars(event, field.path), None)
    if value is None:
        return (-1, 0) if field.descends else (2, 0)
    return (1, value[:256]) if type(value) is str else (0, value)
