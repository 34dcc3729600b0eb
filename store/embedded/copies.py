"""A store as one file: copied out of its folder while a server works on it, and put into one that no server holds."""
from __future__ import annotations

import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

from store.embedded.folder import FILE, Folder
from store.embedded.migrations import SCHEMA_VERSION, version_of
from store.errors import Conflict, Full, StoreError, Unavailable

_MAGIC = b"SQLite format 3\0"
_LOGGED = 2                     # byte 18: a part of the data may stand in a log beside the file
_TABLES = frozenset(("events", "workspaces", "deliveries"))


def copy(folder: Path, target: Path, *, replace: bool = False) -> int:
    """Write all facts committed before the call to `target`, as of one moment; how many bytes that takes.

    `target` is there only once it is complete, checked and on the disk. Raises `Conflict` when it is there already.
    """
    if not (folder / FILE).is_file():
        raise Unavailable(f"there is no store in {folder}")
    if target.exists() and not replace:
        raise _is_there(target)
    draft = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        os.close(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600))
        _copy_out(folder / FILE, draft)
        check(draft)
        _into_place(draft, target, replace=replace)
    except sqlite3.Error as failure:
        raise _translated(failure, target) from failure
    finally:
        draft.unlink(missing_ok=True)
    return target.stat().st_size


def put(file: Path, folder: Path, *, replace: bool = False) -> None:
    """Make the facts of a copy those of `folder`, all at once. Raises `Conflict` when it has some already, `Unavailable` when a
    server holds it or the file is no copy."""
    _identify(file)
    held = Folder(folder)
    draft = folder / f".{FILE}.restored"
    try:
        if (folder / FILE).exists() and not replace:
            raise _is_there(folder / FILE)
        with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as into, file.open("rb") as out:
            shutil.copyfileobj(out, into, 1 << 20)
        check(draft)
        _fold_log(folder / FILE)
        _into_place(draft, folder / FILE, replace=True)
    except sqlite3.Error as failure:
        raise _translated(failure, folder) from failure
    finally:
        draft.unlink(missing_ok=True)
        held.release()


def check(file: Path) -> None:
    """Raise `Unavailable` unless the file is a whole copy that this version can read."""
    _identify(file)
    try:
        with closing(_reading(file)) as connection:
            tables = {row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
            is_sound = _TABLES <= tables and connection.execute("PRAGMA integrity_check(1)").fetchone()[0] == "ok"
    except sqlite3.Error as failure:
        raise Unavailable(f"{file} is damaged: {failure}") from failure
    if not is_sound:
        raise Unavailable(f"{file} is damaged" if _TABLES <= tables else f"{file} is no backup: it is a database of something else")


def _identify(file: Path) -> None:
    """What the first bytes and the number of the schema tell."""
    try:
        with file.open("rb") as opened:
            start = opened.read(20)
    except OSError as failure:
        raise Unavailable(f"{file} cannot be read: {failure.strerror}") from failure
    if len(start) < 20 or not start.startswith(_MAGIC) or start[18] == _LOGGED:
        raise Unavailable(f"{file} is no backup; `motorik backup` makes one")
    try:
        with closing(_reading(file)) as connection:
            version = version_of(connection)
    except sqlite3.Error as failure:
        raise Unavailable(f"{file} is damaged: {failure}") from failure
    if version > SCHEMA_VERSION:
        raise Unavailable(f"{file} was written by a newer version (schema {version}, this one knows up to {SCHEMA_VERSION}); update Motorik")
    if version < 1:
        raise Unavailable(f"{file} is no backup: it is a database of something else")


def _reading(file: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"file:{quote(str(file))}?mode=ro", uri=True)


def _copy_out(source: Path, draft: Path) -> None:
    with closing(sqlite3.connect(f"file:{quote(str(source))}?mode=rw", uri=True, timeout=10)) as reading, \
            closing(sqlite3.connect(draft, isolation_level=None)) as writing:
        reading.backup(writing)                        # all in one step: one moment, and whoever commits meanwhile goes on
        writing.execute("PRAGMA journal_mode = DELETE").fetchone()


def _fold_log(file: Path) -> None:
    """Take what stands in the log into the file: a log that is left would be taken for that of the file's successor."""
    if not file.exists():
        return
    logs = [file.with_name(f"{file.name}{end}") for end in ("-wal", "-shm")]
    try:
        with closing(sqlite3.connect(file, timeout=10)) as connection:
            is_busy: int = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
    except sqlite3.DatabaseError:                      # it is damaged: the reason, perhaps, why it is replaced
        for log in logs:
            log.unlink(missing_ok=True)
        return
    if is_busy:
        raise Unavailable(f"{file} is being read by somebody else; try again when that is over")


def _into_place(draft: Path, target: Path, *, replace: bool) -> None:
    _sync(draft)
    try:
        if replace:
            os.replace(draft, target)
        else:
            os.link(draft, target)                     # never over an existing one
    except FileExistsError:
        raise _is_there(target) from None
    _sync(target.parent)


def _sync(place: Path) -> None:
    descriptor = os.open(place, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _is_there(target: Path) -> Conflict:
    return Conflict(f"{target} is there already; --force replaces it")


def _translated(failure: sqlite3.Error, place: Path) -> StoreError:
    if getattr(failure, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL:
        return Full(f"no room is left for {place}")
    return Unavailable(f"{place} cannot be written: {failure}")
