"""The folder of an embedded store: who may open it, and how its file is opened."""
from __future__ import annotations

import fcntl
import os
import sqlite3
from pathlib import Path

from store.embedded.conditions import add_functions
from store.embedded.migrations import SCHEMA_VERSION, upgrade, version_of
from store.errors import StoreError, Unavailable

FILE = "motorik.db"
PAGE_BYTES = 8192
_LOG_BYTES = 32 << 20           # what is left of the log's file once it starts over
_SYNCHRONOUS = {"commit": "FULL", "relaxed": "NORMAL"}


class Folder:
    """Held by one process at a time, from here to `release`."""

    def __init__(self, path: Path) -> None:
        try:
            path.mkdir(parents=True, exist_ok=True)
            self._lock = os.open(path / "motorik.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as failure:
            raise Unavailable(f"{path} cannot be used as a folder: {failure.strerror}") from failure
        self._file = path / FILE
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as failure:
            owner = os.pread(self._lock, 32, 0).decode() or "another process"
            os.close(self._lock)
            raise Unavailable(f"{path} is in use by {owner}; stop it, or name another folder") from failure
        os.ftruncate(self._lock, 0)
        os.pwrite(self._lock, f"process {os.getpid()}".encode(), 0)

    def release(self) -> None:
        os.close(self._lock)

    def writing(self, durability: str, max_bytes: int | None) -> sqlite3.Connection:
        """The connection that writes; makes the tables of a new file."""
        if durability not in _SYNCHRONOUS:
            raise StoreError(f"durability is {' or '.join(_SYNCHRONOUS)}, not {durability!r}")
        connection = self._connection()
        try:
            self._prepare(connection, durability, max_bytes)
        except sqlite3.Error as failure:
            connection.close()
            raise Unavailable(f"{self._file} cannot be used: {failure}") from failure
        except StoreError:
            connection.close()
            raise
        return connection

    def _prepare(self, connection: sqlite3.Connection, durability: str, max_bytes: int | None) -> None:
        connection.execute(f"PRAGMA page_size = {PAGE_BYTES}")
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")     # before the first page is written, or never without a copy
        connection.execute("PRAGMA journal_mode = WAL").fetchone()
        connection.execute(f"PRAGMA synchronous = {_SYNCHRONOUS[durability]}")
        connection.execute("PRAGMA wal_autocheckpoint = 0")        # the store does it, off the way of commits
        connection.execute(f"PRAGMA journal_size_limit = {_LOG_BYTES}").fetchone()
        connection.execute("PRAGMA secure_delete = OFF")           # do not write zeroes over what is gone
        connection.execute("PRAGMA cache_size = -16000")
        if max_bytes is not None:
            connection.execute(f"PRAGMA max_page_count = {max_bytes // PAGE_BYTES}").fetchone()
        if (version := version_of(connection)) > SCHEMA_VERSION:
            raise Unavailable(f"{self._file} was written by a newer version (schema {version}, this one knows up to "
                              f"{SCHEMA_VERSION}); update Motorik, or name another folder")
        upgrade(connection)

    def reading(self) -> sqlite3.Connection:
        """A connection that sees every commit and holds up none. The file must have been opened for writing before."""
        connection = self._connection()
        connection.execute("PRAGMA cache_size = -8000")
        add_functions(connection)
        return connection

    def checkpoint(self) -> None:
        """Copy the log into the file as far as it goes, beside the commits that go on meanwhile."""
        connection = self._connection()
        try:
            connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        finally:
            connection.close()

    def _connection(self) -> sqlite3.Connection:
        try:
            connection = sqlite3.connect(self._file, timeout=10, isolation_level=None, check_same_thread=False,
                                         cached_statements=512)
            connection.execute("PRAGMA temp_store = MEMORY")
        except sqlite3.Error as failure:
            raise Unavailable(f"{self._file} cannot be opened: {failure}") from failure
        return connection
