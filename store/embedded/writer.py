"""Turns a group of batches into one transaction, and a failing one into the failure of its own batch alone."""
from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

from store.documents import cells_of
from store.embedded.celllog import CellEnded, CellLog, Folded
from store.embedded.definitions import Definitions, LivesEnded
from store.embedded.eventlog import EventLog
from store.embedded.folder import PAGE_BYTES
from store.embedded.forgetting import Forgotten, RoomReturned
from store.embedded.openfacts import OpenFacts
from store.errors import Conflict, Full, StoreError, Unavailable
from store.records import (
    App,
    AppDeleted,
    Change,
    Delivered,
    Delivery,
    Event,
    Fact,
    Item,
    ItemEnded,
    RunHeld,
    RunLeft,
    Session,
    SessionEnded,
    Tick,
    Topic,
    Volatile,
    Wait,
    WaitEnded,
    Workspace,
    WorkspaceDeleted,
)


class Probe(NamedTuple):
    """Find out whether something of some size can be written: once with `begins`, and once without to be rid of it."""

    begins: bool


class Limit(NamedTuple):
    """How large the file may become."""

    max_bytes: int


Batch = Sequence[Fact | CellEnded | Folded | LivesEnded | Forgotten | RoomReturned | Probe | Limit]

_PROBE_BYTES = 1 << 18         # what a call may well write; the little that still finds room says nothing

_FAILURES = (sqlite3.Error, StoreError, ValueError, TypeError, LookupError, AttributeError, OverflowError)

_GROUP_BYTES = 40_960       # what a transaction writes beside its rows: inner pages, indexes


class Writer:
    """Owns the one connection that writes. Everything here happens in the writer's thread."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._events = EventLog(connection)
        self.cells = CellLog(connection)
        self._deliveries = OpenFacts(connection, "deliveries", 6)
        self._waits = OpenFacts(connection, "waits", 5)
        self._definitions = Definitions(connection)
        self._parts = (self._events, self.cells, self._deliveries, self._waits)
        self._take: dict[type, Callable[[Any], None]] = {
            Event: self._events.add, Change: self.cells.add,
            Delivery: self._deliveries.add, Delivered: self._deliveries.end,
            Wait: self._waits.add, WaitEnded: self._waits.end,
            CellEnded: self.cells.ended, Folded: self.cells.folded,
            Tick: self._definitions.tick, Session: self._definitions.session, SessionEnded: self._definitions.session_ended,
            Item: self._definitions.item, ItemEnded: self._definitions.item_ended,
            LivesEnded: self._definitions.lives_ended,
            Forgotten: self._events.forgotten, RoomReturned: self._return_room,
            Probe: self._probe, Limit: self._limit,
            Workspace: self._definitions.workspace, WorkspaceDeleted: self._workspace_deleted,
            App: self._definitions.app, AppDeleted: self._definitions.app_deleted, Topic: self._definitions.topic,
            RunHeld: _ignore, RunLeft: _ignore, Volatile: _ignore,
        }
        self._is_stale = False
        self.head = self._events.position
        self.bytes_since_checkpoint = 0
        self.is_checkpoint_due = False
        self.is_failing = False
        """Something could not be written, whatever it was, and no `Probe` has been since."""

    def commit(self, batches: Sequence[Batch]) -> list[int | StoreError]:
        """The first position of each batch, or why it was not written."""
        if self.is_checkpoint_due:
            self._finish_checkpoint()
        try:
            return self._transaction(batches)
        except _FAILURES as failure:
            self._undo()
            if len(batches) == 1:
                answer = _translated(failure)
                self.is_failing = self.is_failing or isinstance(answer, Full | Unavailable)
                return [answer]
        return [self.commit([batch])[0] for batch in batches]

    def _transaction(self, batches: Sequence[Batch]) -> list[int | StoreError]:
        if self._is_stale:
            self._reload()
        execute, events, take = self._connection.execute, self._events, self._take
        execute("BEGIN IMMEDIATE")
        answers: list[int | StoreError] = []
        for batch in batches:
            before = events.position
            for fact in batch:
                take[type(fact)](fact)
            answers.append(before + 1 if events.position > before else 0)
        size = sum([part.flush() for part in self._parts])
        execute("COMMIT")
        self.cells.committed()
        self.head = events.position
        self.bytes_since_checkpoint += size + _GROUP_BYTES
        return answers

    def _undo(self) -> None:
        """What was gathered in memory is forgotten with what was written."""
        self._is_stale = True
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")

    def _reload(self) -> None:
        for part in self._parts:
            part.load()
        self._is_stale = False

    def _workspace_deleted(self, fact: WorkspaceDeleted) -> None:
        self.cells.delete_between(*cells_of(fact.id))
        self._deliveries.delete_workspace(fact.id)
        self._waits.delete_workspace(fact.id)
        self._definitions.workspace_deleted(fact)

    def _return_room(self, fact: RoomReturned) -> None:
        for _ in range(fact.pages):                    # the driver steps once through what gives no columns: one page
            self._connection.execute("PRAGMA incremental_vacuum(1)")
        self.bytes_since_checkpoint += fact.pages * 2 * PAGE_BYTES      # the page that moves, and the one that points to it

    def _probe(self, fact: Probe) -> None:
        if fact.begins:
            self._connection.execute("INSERT INTO probes VALUES (zeroblob(?))", (_PROBE_BYTES,))
        else:
            self._connection.execute("DELETE FROM probes")
            self.is_failing = False

    def _limit(self, fact: Limit) -> None:
        self._connection.execute(f"PRAGMA max_page_count = {fact.max_bytes // PAGE_BYTES}").fetchone()

    def _finish_checkpoint(self) -> None:
        """Copy the few pages that were written while the rest was copied elsewhere: then the log starts over."""
        self.is_checkpoint_due = False
        self.bytes_since_checkpoint = 0
        with suppress(sqlite3.Error):                  # no room for it: the log goes on, and this is tried again later
            self._connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()

    def close(self) -> None:
        with suppress(sqlite3.Error):                  # the log is read when the file is opened again
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        self._connection.close()


def _ignore(fact: RunHeld | RunLeft | Volatile) -> None:
    """What several nodes tell each other is of no use to one."""


def _translated(failure: Exception) -> StoreError:
    if isinstance(failure, StoreError):
        return failure
    if isinstance(failure, sqlite3.IntegrityError):
        return Conflict(f"this was written before: {failure}")
    if isinstance(failure, sqlite3.Error):
        if getattr(failure, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL:
            return Full("no room is left for the store; free some space, or give it a larger disk")
        return Unavailable(f"the store cannot write: {failure}")
    return StoreError(f"this cannot be stored: {failure}")
