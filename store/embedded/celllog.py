"""The writer's half of the context documents: an operation is one row at the end of a log, whatever the size of its document.

`documents` holds what the log came to, for each document, when it was folded last; the operations after that are in the log, and
`places` knows where. So a commit writes a few pages in a row, however many documents it changes.
"""
from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from sqlite3 import Connection
from typing import NamedTuple

from store.documents import cell_key, shortened
from store.embedded.bulk import insert
from store.records import Change, ContextKey

_ROWS = insert("changes", 6)
_DOCUMENTS = insert("documents", 4, tail="ON CONFLICT (key) DO UPDATE SET n = excluded.n, body = excluded.body, expires_at = excluded.expires_at")
_LAST = "SELECT seq FROM sqlite_sequence WHERE name = 'changes'"
_LIVE = ("SELECT c.n, c.key, c.op, length(c.path), length(c.path) + length(c.value) FROM changes c LEFT JOIN documents d ON d.key = c.key "
         "WHERE d.n IS NULL OR c.n > d.n ORDER BY c.n")

ENDED = "end"
ALL_ENDED = "end all"
"""Operations that only the file knows: there is no document any more; nor any whose key begins like this."""
_SPECIAL = frozenset((ENDED, ALL_ENDED, "whole", "folded"))

_ROW_WEIGHT = 64                    # what reading one more row costs, in bytes of JSON
_LIGHT = 16_384                     # operations of one document below this weight are left as they are
_LONG = 4 << 20                     # the log is folded when it is longer than this,
_SHORT = _LONG // 2                 # until it is as short as this


class CellEnded(NamedTuple):
    """Somebody saw that this document's life ended at or before `now`: what comes later starts from an empty one."""

    key: bytes
    now: int


class Folded(NamedTuple):
    """What documents are after a row of the log: key, row, body and end of life. The log before `begin` is needed no more."""

    documents: list[tuple[bytes, int, bytes, int | None]]
    begin: int = 0
    size: int = 0
    """Of the rows before `begin`."""


class CellLog:
    """Gathers the changes of one transaction; `flush` writes them, `committed` makes them known, `load` forgets them.

    `heavy` names the documents whose operations have outgrown them. Whoever takes one from it answers with a `Folded`, so each
    byte of a log is folded about once and a small change of a large document stays small.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.heavy: deque[bytes] = deque()
        self.places: dict[bytes, list[int]] = {}
        """Key → the rows of its operations since it was folded, or replaced as a whole. Read by other threads."""
        self._limits: dict[bytes, int] = {}
        self.load()

    def load(self) -> None:
        row = self._connection.execute(_LAST).fetchone()
        self._n: int = row[0] if row else 0
        self._changes: dict[ContextKey, list[Change]] = {}
        self._news: list[tuple[str, bytes, int]] = []
        self._ends: dict[bytes, int | None] = {}
        self._cut = 0
        self._weights: dict[bytes, int] = {}
        self.size = 0
        self.places.clear()
        for n, key, op, length, size in self._connection.execute(_LIVE):
            self._know(op if length or op != "replace" else "whole", key, n)
            self.size += _ROW_WEIGHT + size
        self._is_long = self.size > _LONG

    def add(self, change: Change) -> None:
        changes = self._changes.get(change.cell)
        if changes is None:
            self._changes[change.cell] = [change]
        else:
            changes.append(change)

    def flush(self) -> int:
        """Write what was gathered; about how many bytes that was."""
        if not self._changes:
            return 0
        rows: list[object] = []
        size = 0
        for cell, changes in self._changes.items():
            _, op, path, value, expires_at = changes[-1]
            if len(changes) == 1 and op != "delete" and path != b"[]" and path:      # as nearly always
                operations: Sequence[tuple[str, bytes, bytes]] = ((op, path, value),)
            else:
                operations = shortened(changes)
            size += self._append(rows, cell_key(cell), operations, expires_at)
        self._changes = {}
        _ROWS.run(self._connection, rows)
        self.size += size
        return size

    def _append(self, rows: list[object], key: bytes, operations: Sequence[tuple[str, bytes, bytes]], expires_at: int | None) -> int:
        weight, n, news = 0, self._n, self._news
        for op, path, value in operations:
            n += 1
            rows += (n, key, op, path, value, expires_at)
            news.append((op, key, n))
            weight += _ROW_WEIGHT + len(path) + len(value)
        if not operations[0][1] and operations[0][0] == "replace":
            news[-len(operations)] = ("whole", key, self._n + 1)
            self._limits[key] = max(_LIGHT, weight)
            self._weights[key] = 0
        elif (total := self._weights.get(key, 0) + weight) > self._limits.get(key, _LIGHT):
            self._weights[key] = 0                     # asked once; the answer resets it
            self.heavy.append(key)
        else:
            self._weights[key] = total
        self._n = n
        self._ends[key] = expires_at
        return weight

    def committed(self) -> None:
        """What was written is in the file: others may look for it."""
        places = self.places
        for op, key, n in self._news:
            if op in _SPECIAL:
                self._know(op, key, n)
            elif key in places:
                places[key].append(n)
            else:
                places[key] = [n]
        self.size -= self._cut
        self._news, self._ends, self._cut = [], {}, 0

    def _know(self, op: str, key: bytes, n: int) -> None:
        places = self.places
        match op:
            case "whole":                              # a new list: others may be looking at the old one
                places[key] = [n]
            case "end":
                places.pop(key, None)
            case "end all":
                for ended in [ended for ended in places if ended.startswith(key)]:
                    del places[ended]
            case "folded":
                rest = [place for place in places.get(key, ()) if place > n]
                if rest:
                    places[key] = rest
                else:
                    places.pop(key, None)
            case _:
                places.setdefault(key, []).append(n)

    @property
    def is_long(self) -> bool:
        """Whether the oldest part of the log should be folded."""
        self._is_long = self.size > (_SHORT if self._is_long else _LONG)
        return self._is_long

    def folded(self, fact: Folded) -> None:
        """Keep what was folded, unless the document has ended or was replaced as a whole meanwhile."""
        self.flush()
        ended = [key for op, key, _ in self._news if op in (ENDED, ALL_ENDED)]
        rows: list[object] = []
        for key, n, body, expires_at in fact.documents:
            places = self.places.get(key)
            if places and places[0] <= n and not key.startswith(tuple(ended)):
                rows += (key, n, body, expires_at)
                self._news.append(("folded", key, n))
                self._limits[key] = max(_LIGHT, len(body) // 2)
                self._weights[key] = 0
        _DOCUMENTS.run(self._connection, rows)
        if fact.begin:
            self._connection.execute("DELETE FROM changes WHERE n < ?", (fact.begin,))
            self._cut += fact.size
        if len(self._limits) > 65_536:                 # forgetting one only has it folded sooner, or later
            self._limits.clear()
            self._weights.clear()

    def ended(self, fact: CellEnded) -> None:
        """Drop the document unless a change has given it a longer life."""
        self.flush()
        end = self._ends[fact.key] if fact.key in self._ends else self._end_in_file(fact.key)
        if end is not None and end <= fact.now:
            self._connection.execute("DELETE FROM documents WHERE key = ?", (fact.key,))
            self._end(ENDED, fact.key)
            self._ends[fact.key] = None

    def _end_in_file(self, key: bytes) -> int | None:
        places = self.places.get(key)
        query = ("SELECT expires_at FROM changes WHERE n = ?", places[-1]) if places else ("SELECT expires_at FROM documents WHERE key = ?", key)
        row = self._connection.execute(query[0], query[1:]).fetchone()
        return row[0] if row else None

    def delete_between(self, first: bytes, last: bytes) -> None:
        """Drop the documents whose keys begin with `first`, and are below `last`."""
        self.flush()
        self._connection.execute("DELETE FROM documents WHERE key BETWEEN ? AND ?", (first, last))
        self._end(ALL_ENDED, first)

    def _end(self, op: str, key: bytes) -> None:
        self._n += 1
        self._connection.execute("INSERT INTO changes VALUES (?, ?, ?, x'', x'', NULL)", (self._n, key, op))
        self._news.append((op, key, self._n))
        self.size += _ROW_WEIGHT


def size_of(rows: Iterable[tuple[bytes, bytes]]) -> int:
    """How much rows with these paths and values add to the size of the log."""
    return sum(_ROW_WEIGHT + len(path) + len(value) for path, value in rows)
