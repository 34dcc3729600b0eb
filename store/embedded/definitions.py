"""The writer's half of what changes rarely: workspaces, apps, topics, sessions, feeds and ticks. One fact, one statement."""
from __future__ import annotations

from sqlite3 import Connection
from typing import NamedTuple

from store.errors import Conflict
from store.records import (
    App,
    AppDeleted,
    Item,
    ItemEnded,
    Session,
    SessionEnded,
    Tick,
    Topic,
    Workspace,
    WorkspaceDeleted,
)

TICKS_KEPT_MS = 7 * 24 * 3600 * 1000
"""How far behind the newest tick of an automation another may be; one older than this counts as fired."""


class LivesEnded(NamedTuple):
    """The lives of all logins and feed records that end at or before `now` are over."""

    now: int


class Definitions:
    """Writes as it is told, inside the transaction that is open."""

    def __init__(self, connection: Connection) -> None:
        self._execute = connection.execute

    def workspace(self, fact: Workspace) -> None:
        self._execute("INSERT INTO workspaces VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET "
                      "slug = excluded.slug, revision = excluded.revision, created_at = excluded.created_at, "
                      "updated_at = excluded.updated_at, body = excluded.body", fact)

    def workspace_deleted(self, fact: WorkspaceDeleted) -> None:
        self._execute("DELETE FROM workspaces WHERE id = ?", fact)
        self._execute("DELETE FROM ticks WHERE workspace_id = ?", fact)
        self._execute("DELETE FROM topics WHERE workspace_id = ?", fact)
        self._execute("DELETE FROM items WHERE workspace_id = ?", fact)

    def app(self, fact: App) -> None:
        cursor = self._execute("INSERT INTO apps VALUES (?, ?, ?) ON CONFLICT (slug) DO UPDATE SET body = excluded.body "
                               "WHERE workspace_id = excluded.workspace_id", fact)
        if cursor.rowcount == 0:
            raise Conflict(f"the slug {fact.slug!r} belongs to another workspace's app")

    def app_deleted(self, fact: AppDeleted) -> None:
        self._execute("DELETE FROM apps WHERE slug = ?", fact)

    def topic(self, fact: Topic) -> None:
        self._execute("INSERT OR IGNORE INTO topics VALUES (?, ?, ?)", fact)

    def session(self, fact: Session) -> None:
        self._execute("INSERT OR REPLACE INTO sessions VALUES (?, ?, ?, ?)", fact)

    def session_ended(self, fact: SessionEnded) -> None:
        self._execute("DELETE FROM sessions WHERE id = ?", fact)

    def item(self, fact: Item) -> None:
        insert = "INSERT INTO" if fact.is_first else "INSERT OR REPLACE INTO"
        self._execute(f"{insert} items VALUES (?, ?, ?, ?, ?)", fact[:5])

    def item_ended(self, fact: ItemEnded) -> None:
        self._execute("DELETE FROM items WHERE collection = ? AND id = ?", fact)

    def lives_ended(self, fact: LivesEnded) -> None:
        self._execute("DELETE FROM sessions WHERE expires_at <= ?", fact)
        self._execute("DELETE FROM items WHERE expires_at <= ?", fact)

    def tick(self, fact: Tick) -> None:
        whose = fact.workspace_id, fact.automation
        newest = self._execute("SELECT max(at) FROM ticks WHERE workspace_id = ? AND automation = ?", whose).fetchone()[0]
        forgotten = max(fact.at, newest or fact.at) - TICKS_KEPT_MS
        if fact.at <= forgotten:
            raise Conflict(f"{fact.automation} fired long after {fact.at}")
        self._execute("INSERT INTO ticks VALUES (?, ?, ?)", fact)
        self._execute("DELETE FROM ticks WHERE workspace_id = ? AND automation = ? AND at <= ?", (*whose, forgotten))
