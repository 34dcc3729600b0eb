"""Statements for many rows at once: each one costs a round of the interpreter's lock, however many rows it carries."""
from __future__ import annotations

from collections.abc import Sequence
from sqlite3 import Connection
from typing import Any

# Any number of rows up to 15 is one statement, more are multiples of 16 and a rest. Few enough to stay prepared.
_SIZES = (*range(128, 0, -16), *range(15, 0, -1))


class Bulk:
    """`head`, then `row` as often as there are rows, then `tail`. Parameters come as one flat list."""

    def __init__(self, head: str, row: str, tail: str = "") -> None:
        self._width = row.count("?")
        self._texts = [(size * self._width, f"{head} {', '.join([row] * size)} {tail}") for size in _SIZES]

    def run(self, connection: Connection, parameters: Sequence[Any]) -> None:
        at, rest = 0, len(parameters)
        for size, text in self._texts:
            while rest >= size:
                connection.execute(text, parameters[at:at + size])
                at += size
                rest -= size
            if not rest:
                return


def insert(table: str, columns: int, *, verb: str = "INSERT INTO", tail: str = "") -> Bulk:
    return Bulk(f"{verb} {table} VALUES", f"({', '.join('?' * columns)})", tail)


def delete(table: str, column: str) -> Bulk:
    return Bulk(f"DELETE FROM {table} WHERE {column} IN (", "?", ")")
