"""How changes make a document: folding a log of them, and saying the same with fewer. Pure."""
from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import orjson

from store.changes import Key, apply
from store.records import Change, ContextKey

WHOLE = b""
EMPTY = b"{}"

_REMEMBERED = 64        # paths of one cell looked at together; keeps `shortened` linear


class Operation(NamedTuple):
    """A change without its cell. An operation on the whole document has the path `WHOLE`."""

    op: str
    path: bytes
    value: bytes


def operation(change: Change) -> Operation:
    """Forgetting a whole document, or writing what is no map in its place, is writing an empty one over it."""
    path = WHOLE if change.path in (b"", b"[]") else change.path
    if not path and (change.op == "delete" or change.op == "replace" and change.value[:1] != b"{"):
        return Operation("replace", WHOLE, EMPTY)
    return Operation(change.op, path, change.value if change.op != "delete" else b"null")


def is_fresh_start(operation: Operation) -> bool:
    """Nothing that was there before matters any more."""
    return not operation.path and operation.op == "replace"


def fold(operations: Iterable[tuple[str, bytes, bytes]], document: dict[str, Any] | None = None) -> dict[str, Any]:
    """The document that the operations make of `document`, which is used up. One that cannot be applied changes nothing."""
    document = {} if document is None else document
    for op, path, value in operations:
        try:
            content = orjson.loads(value) if op != "delete" else None
            document = next_version(document, op, orjson.loads(path) if path else (), content)
        except ValueError:                             # `Unapplicable`, or no JSON
            continue
    return document


def next_version(document: dict[str, Any], op: str, path: Sequence[Key], content: Any) -> dict[str, Any]:
    """What one operation makes of `document`, which is used up. Raises `Unapplicable`, and then changes nothing."""
    if path:
        apply(document, op, tuple(path), content)
    elif type(content) is dict:
        return content if op == "replace" else {**document, **content} if op == "merge" else document
    return document


def shortened(changes: Sequence[Change]) -> list[Operation]:
    """Operations that have the effect of `changes`, which are all of one cell, with what later ones overwrite left out.

    A second `replace` of a path takes the place of the first, and an `add` of a whole number joins the one before,
    when nothing between them touched the path or a part of it.
    """
    result: list[Operation] = []
    latest: dict[tuple[str, ...], int] = {}            # path -> the last operation on it that may still be altered
    for change in changes:
        new = operation(change)
        if is_fresh_start(new):
            result, latest = [new], {}
            continue
        path = tuple(map(str, orjson.loads(new.path))) if new.path else ()
        at = latest.get(path)
        joined = _joined(result[at], new) if at is not None else None
        if at is not None and joined is not None:
            result[at] = joined
            continue
        latest = _untouched(latest, new.op, path)
        if new.op in ("replace", "add"):
            latest[path] = len(result)
        result.append(new)
    return result


def _untouched(latest: dict[tuple[str, ...], int], op: str, path: tuple[str, ...]) -> dict[tuple[str, ...], int]:
    """Those of `latest` that an operation at `path` leaves alone."""
    if len(latest) >= _REMEMBERED:
        return {}
    if op == "delete":
        path = path[:-1]                               # the members behind it in a list move up
    return {p: at for p, at in latest.items() if p[:len(path)] != path and path[:len(p)] != p}


def _joined(first: Operation, second: Operation) -> Operation | None:
    if first.op == second.op == "replace":
        return second
    if first.op == second.op == "add":
        a, b = orjson.loads(first.value), orjson.loads(second.value)
        if type(a) is int and type(b) is int and abs(a + b) < 2 ** 53:
            return Operation("add", first.path, b"%d" % (a + b))
    return None


def cell_key(cell: ContextKey) -> bytes:
    """The name of a document in the file; those of one workspace are neighbours."""
    return f"{cell.workspace_id}\0{cell.context}\0{cell.key}".encode(errors="surrogatepass")


def cells_of(workspace_id: str) -> tuple[bytes, bytes]:
    """The keys of a workspace's documents lie between these two."""
    return f"{workspace_id}\0".encode(), f"{workspace_id}\1".encode()
