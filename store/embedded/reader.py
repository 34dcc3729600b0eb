"""Reads the facts of the file, on a connection of its own that no write holds up."""
from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from typing import Any

import orjson

from store.documents import Operation, fold, is_fresh_start
from store.embedded.celllog import Compacted
from store.errors import Unavailable
from store.records import App, Delivery, Item, Session, StoredContext, Tick, Topic, Wait, Workspace

Question = Callable[[sqlite3.Connection], Any]


class Reader:
    """Answers a group of questions from one moment of the file. Everything here happens in the reader's thread."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def answer(self, questions: Sequence[Question]) -> list[Any]:
        connection = self._connection
        try:
            connection.execute("BEGIN")
            try:
                return [_answer(connection, question) for question in questions]
            finally:
                connection.execute("COMMIT")
        except sqlite3.Error as failure:
            return [_unreadable(failure)] * len(questions)

    def close(self) -> None:
        self._connection.close()


def _answer(connection: sqlite3.Connection, question: Question) -> Any:
    """A question that fails fails alone."""
    try:
        return question(connection)
    except sqlite3.Error as failure:
        return _unreadable(failure)
    except (ValueError, TypeError, OverflowError) as failure:
        return failure


def _unreadable(failure: sqlite3.Error) -> Unavailable:
    return Unavailable(f"the store cannot be read: {failure}")


def cells(connection: sqlite3.Connection, keys: Sequence[bytes]) -> list[StoredContext | None]:
    """In the order of `keys`; nobody else holds a part of any of the documents."""
    logs: dict[bytes, list[tuple[Any, ...]]] = {}
    sql = f"SELECT key, op, path, value, expires_at FROM cells WHERE key IN ({', '.join('?' * len(keys))}) ORDER BY key, n"
    for row in connection.execute(sql, keys):
        logs.setdefault(row[0], []).append(row)
    return [StoredContext(fold([row[1:4] for row in rows]), rows[-1][4]) if (rows := logs.get(key)) else None for key in keys]


def compacted(connection: sqlite3.Connection, key: bytes) -> Compacted | None:
    """What the log of `key` amounts to at this moment."""
    rows = connection.execute("SELECT op, path, value, n FROM cells WHERE key = ? ORDER BY n", (key,)).fetchall()
    if len(rows) < 2:
        return None
    operations = [Operation(*row[:3]) for row in rows]
    snapshot = None if is_fresh_start(operations[-1]) else orjson.dumps(fold(operations))
    return Compacted(key, rows[-1][3], snapshot)


def ended_cells(connection: sqlite3.Connection, now: int, limit: int) -> list[bytes]:
    rows = connection.execute(
        "SELECT DISTINCT key FROM cells c WHERE expires_at <= ?1 AND ?1 >= "
        "(SELECT expires_at FROM cells l WHERE l.key = c.key ORDER BY n DESC LIMIT 1) LIMIT ?2", (now, limit))
    return [row[0] for row in rows]


def ended_lives(connection: sqlite3.Connection, now: int) -> int:
    """How many logins and items there are whose end has come."""
    return connection.execute("SELECT (SELECT count(*) FROM sessions WHERE expires_at <= ?1) + "
                              "(SELECT count(*) FROM items WHERE expires_at <= ?1)", (now,)).fetchone()[0]


def ping(connection: sqlite3.Connection) -> None:
    connection.execute("SELECT n FROM reserved").fetchone()


def session(connection: sqlite3.Connection, id: str) -> Session | None:
    row = connection.execute("SELECT * FROM sessions WHERE id = ?", (id,)).fetchone()
    return row and Session(*row)


def item(connection: sqlite3.Connection, collection: str, id: str) -> Item | None:
    row = connection.execute("SELECT * FROM items WHERE collection = ? AND id = ?", (collection, id)).fetchone()
    return row and Item(*row)


def items(connection: sqlite3.Connection, collection: str, workspace_id: str) -> list[Item]:
    return [Item(*row) for row in connection.execute("SELECT * FROM items WHERE workspace_id = ? AND collection = ? ORDER BY id",
                                                     (workspace_id, collection))]


def workspaces(connection: sqlite3.Connection) -> list[Workspace]:
    return [Workspace(*row) for row in connection.execute("SELECT * FROM workspaces ORDER BY created_at, id")]


def apps(connection: sqlite3.Connection) -> list[App]:
    return [App(*row) for row in connection.execute("SELECT * FROM apps ORDER BY slug")]


def deliveries(connection: sqlite3.Connection) -> list[Delivery]:
    return [Delivery(*row[1:]) for row in connection.execute("SELECT * FROM deliveries ORDER BY number")]


def waits(connection: sqlite3.Connection) -> list[Wait]:
    return [Wait(*row[1:]) for row in connection.execute("SELECT * FROM waits ORDER BY number")]


def ticks(connection: sqlite3.Connection) -> list[Tick]:
    return [Tick(*row) for row in connection.execute(
        "SELECT workspace_id, automation, max(at) FROM ticks GROUP BY workspace_id, automation")]


def topics(connection: sqlite3.Connection) -> list[Topic]:
    return [Topic(*row) for row in connection.execute("SELECT * FROM topics ORDER BY workspace_id, topic, user_id")]
