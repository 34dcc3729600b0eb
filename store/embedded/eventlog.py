"""The writer's half of the events: positions, rows and where they will be found. `search` is the other half."""
from __future__ import annotations

from sqlite3 import Connection

from store.embedded.bulk import Bulk, insert
from store.embedded.forgetting import Forgotten, forget
from store.embedded.postings import BLOCK_BITS, correlation_term, id_term, moment_of, session_term, type_term
from store.records import Event

_EVENTS = Bulk("INSERT INTO events VALUES", "(?, ?, ?, ?, ?, ?, CAST(? AS TEXT))")
_POSTINGS = insert("postings", 2, verb="INSERT OR IGNORE INTO")
_BLOCKS = insert("blocks", 3, tail="ON CONFLICT (block) DO UPDATE SET earliest = min(earliest, excluded.earliest), "
                                   "latest = max(latest, excluded.latest)")


class EventLog:
    """Gathers the events of one transaction; `flush` writes them, `load` forgets what was gathered."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.load()

    def load(self) -> None:
        """Go on from what the file holds."""
        self.position: int = self._connection.execute(
            "SELECT max(ifnull((SELECT max(position) FROM events), 0), (SELECT position FROM forgotten))").fetchone()[0]
        self._tenants: dict[str, int] = dict(self._connection.execute("SELECT id, number FROM tenants"))
        self._block = -1
        self._posted: set[int] = set()
        self._clear()

    def _clear(self) -> None:
        self._rows: list[object] = []
        self._postings: list[int] = []
        self._spans: dict[int, tuple[int, int]] = {}

    def add(self, event: Event) -> None:
        workspace_id, id, type, created_at, correlation_id, session_id, body = event
        position = self.position = self.position + 1
        block = position >> BLOCK_BITS
        if block != self._block:
            self._block = block
            self._posted = set()
        workspace = self._tenants.get(workspace_id) or self._number(workspace_id)
        kind = type_term(workspace_id, type)
        correlation = correlation_term(correlation_id)
        session = session_term(session_id) if session_id is not None else None
        self._rows += (position, workspace, kind, correlation, session, created_at, body)
        posted = self._posted
        for term in (workspace, kind, correlation, session, id_term(moment_of(id))):
            if term not in posted:
                posted.add(term)
                if term is not None:
                    self._postings += (term, block)
        span = self._spans.get(block)
        if span is None:
            self._spans[block] = created_at, created_at
        elif not span[0] <= created_at <= span[1]:
            self._spans[block] = min(span[0], created_at), max(span[1], created_at)

    def _number(self, workspace_id: str) -> int:
        row = self._connection.execute("INSERT INTO tenants (id) VALUES (?) RETURNING number", (workspace_id,)).fetchone()
        return self._tenants.setdefault(workspace_id, row[0])

    def forgotten(self, fact: Forgotten) -> None:
        self.flush()
        self._block = -1                               # what was posted to it may go
        for id in forget(self._connection, fact):
            del self._tenants[id]

    def flush(self) -> int:
        """Write what was gathered; about how many bytes that was."""
        if not self._rows:
            return 0
        rows = self._rows
        _EVENTS.run(self._connection, rows)
        _POSTINGS.run(self._connection, self._postings)
        _BLOCKS.run(self._connection, [n for block, span in self._spans.items() for n in (block, *span)])
        self._clear()
        return sum(map(len, rows[6::7]))
