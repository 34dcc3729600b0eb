"""Facts that stand until another one ends them: deliveries and waits. Most never reach the file at all."""
from __future__ import annotations

from sqlite3 import Connection

from store.embedded.bulk import delete, insert
from store.records import Delivered, Delivery, Wait, WaitEnded


class OpenFacts:
    """One table of them, and in memory where each one is, which spares an index and lets a pair cancel out unwritten."""

    def __init__(self, connection: Connection, table: str, columns: int) -> None:
        self._connection = connection
        self._table = table
        self._insert = insert(table, 1 + columns)
        self._delete = delete(table, "number")
        self.load()

    def load(self) -> None:
        """Go on from what the file holds."""
        self._numbers: dict[str, int] = dict(self._connection.execute(f"SELECT id, number FROM {self._table}"))
        self._last = max(self._numbers.values(), default=0)
        self._new: dict[str, Delivery | Wait] = {}
        self._ended: list[int] = []

    def add(self, fact: Delivery | Wait) -> None:
        self.end(fact)                                 # the same id again takes the place of the first
        self._new[fact.id] = fact

    def end(self, fact: Delivery | Delivered | Wait | WaitEnded) -> None:
        if self._new.pop(fact.id, None) is None:
            number = self._numbers.pop(fact.id, None)
            if number is not None:
                self._ended.append(number)

    def flush(self) -> int:
        """Write what was gathered; about how many bytes that was."""
        size = 0
        rows: list[object] = []
        for id, fact in self._new.items():
            self._last += 1
            self._numbers[id] = self._last
            rows += (self._last, *fact)
            size += len(fact.body)
        if self._ended:
            self._delete.run(self._connection, self._ended)
        if rows:
            self._insert.run(self._connection, rows)
        self._new, self._ended = {}, []
        return size

    def delete_workspace(self, workspace_id: str) -> None:
        self.flush()
        self._connection.execute(f"DELETE FROM {self._table} WHERE workspace_id = ?", (workspace_id,))
        last = self._last
        self.load()
        self._last = last
