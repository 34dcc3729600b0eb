"""The writer's half of the context documents: an operation is one row more, whatever the size of its document."""
from __future__ import annotations

from collections import deque
from sqlite3 import Connection
from typing import NamedTuple

from store.documents import Operation, cell_key, is_fresh_start, operation, shortened
from store.embedded.bulk import delete, insert
from store.records import Change, ContextKey

_ROWS = insert("cells", 6)
_SUPERSEDED = delete("cells", "key")

_ROW_WEIGHT = 64                    # what reading one more row costs, in bytes of JSON
_LIGHT = 16_384                     # logs below this weight are left as they are
_REMEMBERED = 65_536                # cells whose weight is known; forgetting one only delays its compaction
_RESERVE = 1 << 20


class Compacted(NamedTuple):
    """The document of `key` as it was after its operation `n`; None when that operation replaced the whole."""

    key: bytes
    n: int
    snapshot: bytes | None


class CellEnded(NamedTuple):
    """Somebody saw that this document's life ended at or before `now`: what comes later starts from an empty one."""

    key: bytes
    now: int


class CellLog:
    """Gathers the changes of one transaction; `flush` writes them, `load` forgets what was gathered.

    `heavy` names the documents whose log has outgrown them. Whoever takes one from it answers with a `Compacted`, so
    each byte of a log is folded about once and a small change of a large document stays small.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.heavy: deque[bytes] = deque()
        self._weights: dict[bytes, int] = {}
        self._limits: dict[bytes, int] = {}
        self.load()

    def load(self) -> None:
        self._n: int = self._connection.execute("SELECT n FROM reserved").fetchone()[0]
        self._ceiling = self._n
        self._changes: dict[ContextKey, list[Change]] = {}

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
        superseded: list[bytes] = []
        size = 0
        for cell, changes in self._changes.items():
            key = cell_key(cell)
            operations = shortened(changes) if len(changes) > 1 else [operation(changes[0])]
            if is_fresh_start(operations[0]):
                superseded.append(key)
            size += self._append(rows, key, operations, changes[-1].expires_at)
        self._reserve()
        _SUPERSEDED.run(self._connection, superseded)
        _ROWS.run(self._connection, rows)
        self._changes = {}
        return size

    def _append(self, rows: list[object], key: bytes, operations: list[Operation], expires_at: int | None) -> int:
        weight = 0
        for op, path, value in operations:
            self._n += 1
            rows += (key, self._n, op, path, value, expires_at)
            weight += _ROW_WEIGHT + len(path) + len(value)
        if is_fresh_start(operations[0]):
            self._limits[key] = max(_LIGHT, weight)
            self._weights[key] = 0
        elif (total := self._weights.get(key, 0) + weight) > self._limits.get(key, _LIGHT):
            self._weights[key] = 0                     # asked once; the answer resets it
            self.heavy.append(key)
        else:
            self._weights[key] = total
        if len(self._weights) > _REMEMBERED:
            self._weights.clear()
            self._limits.clear()
        return weight

    def _reserve(self) -> None:
        if self._n > self._ceiling:
            self._ceiling = self._n + _RESERVE
            self._connection.execute("UPDATE reserved SET n = ?", (self._ceiling,))

    def compacted(self, fact: Compacted) -> None:
        """Put the snapshot in the place of the operations it is made of, unless those are gone."""
        self.flush()
        key, n, snapshot = fact
        if snapshot is None:
            found = self._connection.execute("SELECT 1 FROM cells WHERE key = ? AND n = ?", (key, n)).fetchone()
        else:
            self._limits[key] = max(_LIGHT, len(snapshot) // 2)
            found = self._connection.execute("UPDATE cells SET op = 'replace', path = x'', value = ? "
                                             "WHERE key = ? AND n = ? RETURNING 1", (snapshot, key, n)).fetchone()
        if found is not None:
            self._connection.execute("DELETE FROM cells WHERE key = ? AND n < ?", (key, n))

    def ended(self, fact: CellEnded) -> None:
        """Drop the document unless a change has given it a longer life."""
        self.flush()
        self._connection.execute("DELETE FROM cells WHERE key = ?1 AND ?2 >= (SELECT expires_at FROM cells "
                                 "WHERE key = ?1 ORDER BY n DESC LIMIT 1)", fact)

    def delete_between(self, first: bytes, last: bytes) -> None:
        self.flush()
        self._connection.execute("DELETE FROM cells WHERE key BETWEEN ? AND ?", (first, last))
