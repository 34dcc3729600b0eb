"""The reader's half of the events: a query as one statement that touches little more than what it returns."""
from __future__ import annotations

from sqlite3 import Connection
from typing import Any

from store.embedded.conditions import Clause, clause
from store.embedded.postings import BLOCK_SIZE, column_of, terms
from store.query import All, Condition, EventQuery
from store.records import StoredEvent

_ENDLESS = 1 << 62


_INSTRUCTIONS_BETWEEN_LOOKS = 20_000


class Search:
    """A query as a question for the reader. One that is abandoned ends soon, so that it holds up nobody else's."""

    __slots__ = ("_query", "is_abandoned")

    def __init__(self, query: EventQuery) -> None:
        self._query = query
        self.is_abandoned = False

    def __call__(self, connection: Connection) -> list[StoredEvent]:
        if self.is_abandoned:
            return []
        connection.set_progress_handler(lambda: self.is_abandoned, _INSTRUCTIONS_BETWEEN_LOOKS)
        try:
            return find_events(connection, self._query)
        finally:
            connection.set_progress_handler(None, 0)


def find_events(connection: Connection, query: EventQuery) -> list[StoredEvent]:
    row = connection.execute("SELECT number FROM tenants WHERE id = ?", (query.workspace_id,)).fetchone()
    if row is None:
        return []
    sql, parameters = statement(query, row[0])
    return [StoredEvent(position, body.encode()) for position, body in connection.execute(sql, parameters)]


def statement(query: EventQuery, workspace: int) -> Clause:
    """Each term the events can be found by is walked block by block in the order asked for, and no further than needed."""
    found = terms(query.workspace_id, query.where)
    rows, parameters = _rows(query, workspace)
    if not found and found is not None:
        return Clause("SELECT NULL, NULL WHERE 0", [])
    if found is None or len(found) == 1:
        term = workspace if found is None else next(iter(found))
        return Clause(f"{rows} OFFSET ?", [term, *parameters, query.limit, query.offset])
    branches = " UNION ".join([f"SELECT * FROM ({rows})"] * len(found))
    enough = query.limit + query.offset
    return Clause(f"SELECT position, body FROM ({branches}) ORDER BY position {_direction(query)} LIMIT ? OFFSET ?",
                  [p for term in sorted(found) for p in (term, *parameters, enough)] + [query.limit, query.offset])


def _rows(query: EventQuery, workspace: int) -> Clause:
    """The events of one term, which is the first parameter; the limit is the last one."""
    bounds = [_positions(query), _times(query), *_columns(query.workspace_id, query.where), clause(query.where)]
    direction = _direction(query)
    sql = (f"SELECT position, body FROM postings CROSS JOIN events ON position BETWEEN postings.block * {BLOCK_SIZE} "
           f"AND postings.block * {BLOCK_SIZE} + {BLOCK_SIZE - 1} WHERE term = ? AND workspace = ? AND "
           f"{' AND '.join(f'({b.sql})' for b in bounds)} "
           f"ORDER BY postings.block {direction}, position {direction} LIMIT ?")
    return Clause(sql, [workspace, *(p for b in bounds for p in b.parameters)])


def _direction(query: EventQuery) -> str:
    return "ASC" if query.ascending else "DESC"


def _positions(query: EventQuery) -> Clause:
    after = -1 if query.after is None else query.after
    before = _ENDLESS if query.before is None else query.before
    return Clause("position > ? AND position < ? AND postings.block BETWEEN ? AND ?",
                  [after, before, max(after, 0) // BLOCK_SIZE, before // BLOCK_SIZE])


def _times(query: EventQuery) -> Clause:
    """Times mostly grow with positions, but need not: the spans of the blocks say which ones to leave out."""
    sql, parameters = ["1"], []
    if query.after_time is not None:
        sql.append("created_at > ? AND postings.block >= ifnull((SELECT block FROM blocks WHERE latest > ? "
                   f"ORDER BY block LIMIT 1), {_ENDLESS})")
        parameters += [query.after_time, query.after_time]
    if query.before_time is not None:
        sql.append("created_at < ? AND postings.block <= ifnull((SELECT block FROM blocks WHERE earliest < ? "
                   "ORDER BY block DESC LIMIT 1), -1)")
        parameters += [query.before_time, query.before_time]
    return Clause(" AND ".join(sql), parameters)


def _columns(workspace_id: str, condition: Condition) -> list[Clause]:
    """What the numbers of a row tell without a look into its body."""
    parts = condition.parts if isinstance(condition, All) else (condition,)
    columns: list[tuple[str, Any]] = [c for part in parts if (c := column_of(workspace_id, part)) is not None]
    return [Clause(f"{name} IN ({', '.join('?' * len(numbers))})", sorted(numbers)) for name, numbers in columns]
