"""Reads the facts of the file, on a connection of its own that no write holds up."""
from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from typing import Any

from store.errors import Unavailable
from store.records import App, Delivery, Item, Session, Tick, Topic, Wait, Workspace

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


def ended_lives(connection: sqlite3.Connection, now: int) -> int:
    """How many logins and items there are whose end has come."""
    return connection.execute("SELECT (SELECT count(*) FROM sessions WHERE expires_at <= ?1) + "
                              "(SELECT count(*) FROM items WHERE expires_at <= ?1)", (now,)).fetchone()[0]


def ping(connection: sqlite3.Connection) -> None:
    connection.execute("SELECT position FROM forgotten").fetchone()


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
