"""The reader's half of the context documents: what the file holds of one, and the operations since then on top."""
from __future__ import annotations

from collections.abc import Iterator, Sequence
from sqlite3 import Connection
from typing import Any

import orjson

from store.documents import fold
from store.embedded.celllog import ALL_ENDED, ENDED, Folded, size_of
from store.records import StoredContext

_FEW = 32                       # rows that are asked for one by one; of more, those between the first and the last are looked through
_FOLDED_AT_ONCE = 4096          # rows
_COLUMNS = "n, op, path, value, expires_at"

Places = Sequence[int]
Row = tuple[Any, ...]


def documents(connection: Connection, wanted: Sequence[tuple[bytes, Places]]) -> list[StoredContext | None]:
    """In the order asked for; nobody else holds a part of any of them. The places are those of a moment before the reader's."""
    bases = _bases(connection, [key for key, _ in wanted])
    return [_document(bases.get(key), list(_operations(connection, key, places))) for key, places in wanted]


def folded(connection: Connection, key: bytes, places: Places) -> Folded:
    """One document with everything that was done to it."""
    base, operations = _bases(connection, [key]).get(key), list(_operations(connection, key, places))
    document = _document(base, operations)
    last = operations[-1][0] if operations else 0
    return Folded([(key, last, orjson.dumps(document.document), document.expires_at)] if document and last else [])


def oldest_folded(connection: Connection) -> Folded:
    """The documents that the oldest part of the log is about, as they were at its end."""
    rows = connection.execute(f"SELECT key, {_COLUMNS} FROM changes ORDER BY n LIMIT ?", (_FOLDED_AT_ONCE,)).fetchall()
    operations: dict[bytes, list[Row]] = {}
    for key, *row in rows:
        match row[1]:
            case "end":
                operations.pop(key, None)
            case "end all":
                for ended in [ended for ended in operations if ended.startswith(key)]:
                    del operations[ended]
            case _:
                operations.setdefault(key, []).append(tuple(row))
    bases = _bases(connection, list(operations))
    found = [(key, of_key[-1][0], orjson.dumps(document.document), document.expires_at) for key, of_key in operations.items()
             if (base := bases.get(key)) is None or base[0] < of_key[-1][0] if (document := _document(base, of_key)) is not None]
    return Folded(found, rows[-1][1] + 1 if rows else 0, size_of((row[3], row[4]) for row in rows))


def ended(connection: Connection, now: int) -> tuple[list[bytes], list[bytes]]:
    """Keys of documents whose life is over: as far as what was folded tells, and by the last operation in the log."""
    of_documents = [row[0] for row in connection.execute("SELECT key FROM documents WHERE expires_at <= ?", (now,))]
    last = connection.execute("SELECT key, max(n), op, expires_at FROM changes GROUP BY key")
    of_changes = [key for key, _, op, end in last if op not in (ENDED, ALL_ENDED) and end is not None and end <= now]
    return of_documents, of_changes


def _bases(connection: Connection, keys: Sequence[bytes]) -> dict[bytes, tuple[int, bytes, int | None]]:
    found: dict[bytes, tuple[int, bytes, int | None]] = {}
    for begin in range(0, len(keys), 500):
        some = keys[begin:begin + 500]
        for key, *base in connection.execute(f"SELECT key, n, body, expires_at FROM documents WHERE key IN ({', '.join('?' * len(some))})", some):
            found[key] = tuple(base)
    return found


def _operations(connection: Connection, key: bytes, places: Places) -> Iterator[Row]:
    if not places:
        return iter(())
    if len(places) <= _FEW:
        return connection.execute(f"SELECT {_COLUMNS} FROM changes WHERE n IN ({', '.join('?' * len(places))}) ORDER BY n", places)
    return connection.execute(f"SELECT {_COLUMNS} FROM changes WHERE n BETWEEN ? AND ? AND key = ? ORDER BY n", (places[0], places[-1], key))


def _document(base: tuple[int, bytes, int | None] | None, operations: list[Row]) -> StoredContext | None:
    """What was folded already is not done again."""
    begin, body, end = base or (0, b"{}", None)
    operations = [row for row in operations if row[0] > begin]
    if not operations:
        return None if base is None else StoredContext(orjson.loads(body), end)
    is_whole = operations[0][1] == "replace" and not operations[0][2]
    return StoredContext(fold([row[1:4] for row in operations], {} if is_whole else orjson.loads(body)), operations[-1][4])
