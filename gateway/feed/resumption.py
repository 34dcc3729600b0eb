"""Who may take a lost connection up again: its identity, its subscriptions, and how far each of them was."""
from __future__ import annotations

from itertools import islice
from typing import Any, NamedTuple, Protocol

from gateway.feed.cursors import Cursor
from runtime.clock import Clock
from runtime.ids import Ids


class Saved(NamedTuple):
    """A subscription as it was when its connection ended."""

    id: str
    filters: Any
    cursor: Cursor


class Holder(Protocol):
    """An open connection."""

    def replace(self) -> None:
        """Save the subscriptions and close: another connection goes on in this one's place."""


class Record:
    """One socket identity. `owner` is the session it belongs to; `holder` the open connection, if there is one."""

    __slots__ = ("token", "socket_id", "workspace_id", "owner", "holder", "subscriptions", "closed_at")

    def __init__(self, token: str, socket_id: str, workspace_id: str, *, owner: str, holder: Holder) -> None:
        self.token = token
        self.socket_id = socket_id
        self.workspace_id = workspace_id
        self.owner = owner
        self.holder: Holder | None = holder
        self.subscriptions: tuple[Saved, ...] = ()
        self.closed_at: int | None = None
        """Milliseconds."""


class Resumption:
    """Records of this node's connections. A session keeps as many as it may have connections, so they stay few."""

    def __init__(self, clock: Clock, ids: Ids, *, ttl_seconds: float, most_per_session: int) -> None:
        self._clock = clock
        self._ids = ids
        self._ttl = int(ttl_seconds * 1000)
        self._most = most_per_session
        self._records: dict[str, Record] = {}
        self._closed: dict[str, dict[str, Record]] = {}
        """By owner, in the order of their end."""

    def issue(self, workspace_id: str, owner: str, holder: Holder) -> Record:
        record = Record(self._ids.token(), self._ids.token(12), workspace_id, owner=owner, holder=holder)
        self._records[record.token] = record
        return record

    def take(self, token: str, workspace_id: str, owner: str, *, holder: Holder) -> Record | None:
        """The identity behind the token, now held by `holder`; None when it is unknown, too old or somebody else's.
        A connection that still holds it is closed first."""
        record = self._records.get(token)
        if record is None or (record.workspace_id, record.owner) != (workspace_id, owner):
            return None
        if record.holder is not None:
            record.holder.replace()
        self._forget_closed(record)
        if record.closed_at is not None and record.closed_at + self._ttl <= self._clock.now():
            del self._records[token]
            return None
        record.holder = holder
        return record

    def release(self, record: Record, subscriptions: tuple[Saved, ...]) -> None:
        """Its connection has ended."""
        record.holder, record.subscriptions, record.closed_at = None, subscriptions, self._clock.now()
        closed = self._closed.setdefault(record.owner, {})
        closed[record.token] = record
        while len(closed) > self._most:
            token = next(iter(closed))
            del closed[token], self._records[token]
        self._expire()

    def _forget_closed(self, record: Record) -> None:
        closed = self._closed.get(record.owner)
        if closed is not None:
            closed.pop(record.token, None)
            if not closed:
                del self._closed[record.owner]

    def _expire(self) -> None:
        """Look at the two owners that were not looked at for longest: over time everything that is too old goes."""
        for owner in list(islice(self._closed, 2)):
            closed = self._closed.pop(owner)
            oldest = self._clock.now() - self._ttl
            for token in [token for token, record in closed.items() if (record.closed_at or 0) <= oldest]:
                del closed[token], self._records[token]
            if closed:
                self._closed[owner] = closed
