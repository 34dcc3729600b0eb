"""How the file of an older version becomes one of this version. `schema.sql` is what a new file gets."""
from __future__ import annotations

import logging
import sqlite3
from pathlib import Path

_log = logging.getLogger("motorik.store")

# The statements that lead from version n + 1 to version n + 2 stand at n. They are never altered once released.
_STEPS = (
    """
    CREATE TABLE forgotten (position INTEGER NOT NULL);
    INSERT INTO forgotten VALUES (0);
    CREATE TABLE changes (
        n            INTEGER PRIMARY KEY AUTOINCREMENT,
        key          BLOB NOT NULL,
        op           TEXT NOT NULL,
        path         BLOB NOT NULL,
        value        BLOB NOT NULL,
        expires_at   INTEGER
    );
    CREATE TABLE documents (
        key          BLOB NOT NULL UNIQUE,
        n            INTEGER NOT NULL,
        body         BLOB NOT NULL,
        expires_at   INTEGER
    );
    CREATE INDEX documents_by_end ON documents (expires_at) WHERE expires_at IS NOT NULL;
    INSERT INTO changes SELECT n, key, op, path, value, expires_at FROM cells ORDER BY n;
    INSERT INTO sqlite_sequence SELECT 'changes', n FROM reserved WHERE NOT EXISTS (SELECT 1 FROM sqlite_sequence);
    UPDATE sqlite_sequence SET seq = (SELECT n FROM reserved) WHERE name = 'changes';
    DROP TABLE cells;
    DROP TABLE reserved;
    CREATE TABLE items (
        collection   TEXT NOT NULL,
        id           TEXT NOT NULL,
        workspace_id TEXT NOT NULL,
        expires_at   INTEGER,
        body         BLOB NOT NULL,
        PRIMARY KEY (collection, id)
    );
    CREATE INDEX items_of_workspace ON items (workspace_id, collection);
    CREATE INDEX items_by_end ON items (expires_at) WHERE expires_at IS NOT NULL;
    CREATE TABLE probes (body BLOB NOT NULL);
    """,
)
SCHEMA_VERSION = len(_STEPS) + 1

_INCREMENTAL = 2


def version_of(connection: sqlite3.Connection) -> int:
    """The version of the schema in this file; 0 when there is none."""
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    return version


def upgrade(connection: sqlite3.Connection) -> None:
    """Bring the file to the present version. Each step and its number are one transaction: whatever ends it, the file is of
    one version or of the next."""
    version = version_of(connection)
    if version == 0:
        _step(connection, Path(__file__).with_name("schema.sql").read_text(), SCHEMA_VERSION)
        return
    for number, statements in enumerate(_STEPS[version - 1:], start=version + 1):
        _step(connection, statements, number)
    _let_it_shrink(connection)


def _step(connection: sqlite3.Connection, statements: str, version: int) -> None:
    try:
        connection.executescript(f"BEGIN IMMEDIATE; {statements} PRAGMA user_version = {version}; COMMIT;")
    except sqlite3.Error:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _let_it_shrink(connection: sqlite3.Connection) -> None:
    """Files of version 1 were made without the means to give room back. It takes their size once more on the disk to add
    them; a file that has not that much works as it is, and is asked again when it is opened the next time."""
    if connection.execute("PRAGMA auto_vacuum").fetchone()[0] == _INCREMENTAL:
        return
    try:
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
        connection.execute("VACUUM")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    except sqlite3.OperationalError as failure:
        _log.warning("the store works, but cannot give room back to the disk before it is rewritten once: %s", failure)
