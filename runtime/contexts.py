"""Context documents: memory shared by runs. One cell per document and node; it orders the operations on it.

A cell is changed in memory at once, by one synchronous call, and every run of the node that looks at it sees the change. The
operation, never the document, goes to the store with the facts of the run that made it.
"""
from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any
from weakref import WeakValueDictionary

from runtime.errors import ContextTooLarge
from runtime.expressions import follow
from runtime.lifespans import Ends, limited, normal, stored_with, taken_from, unlimited
from runtime.values import UNDEFINED, decode, encode
from store.changes import apply
from store.documents import fold, operation
from store.protocol import Store
from store.records import Change, ContextKey, StoredContext

Path = tuple[str | int, ...]


class Cell:
    """One document. `persistent` cells give a `Change` for each write, the others live and die with their run."""

    __slots__ = ("key", "document", "expires_at", "persistent", "outgrown", "ends", "_size", "_has_ended", "_made", "__weakref__")

    def __init__(self, key: ContextKey, document: dict[str, Any] | None = None, *, persistent: bool = True) -> None:
        self.key = key
        self.document: dict[str, Any] = {} if document is None else document
        self.expires_at: int | None = None
        self.persistent = persistent
        self.outgrown = False
        """More than its limit, less than twice that: somebody should be told."""
        self.ends: Ends | None = None
        """When members that were set for a while end; None, as nearly always, when there are none."""
        self._size = 0
        self._has_ended = False
        """Its life is over here, and the store has not been told."""
        self._made: list[Change] | None = None
        """Operations made here since the document is being read again."""

    def live(self, now: int) -> dict[str, Any]:
        """The document, emptied first if its life has ended."""
        if self.expires_at is not None and self.expires_at <= now:
            self.document.clear()
            self.expires_at = None
            self.ends = None
            self._size = 0
            self._has_ended = True
        return self.document if self.ends is None else self.current(now)

    def outlive(self, now: int) -> None:
        """Its user goes on beyond the end that the store was told: the next operation tells it everything again."""
        if self.expires_at is not None and self.expires_at <= now:
            self._has_ended = True

    def current(self, now: int) -> dict[str, Any]:
        """The document, first without the members whose time is over."""
        for path in [path for path, end in (self.ends or {}).items() if end <= now]:
            del self.ends[path]
            if path:
                apply(self.document, "delete", path)
            else:
                self.document.clear()
        self.ends = self.ends or None
        return self.document

    def limit(self, path: Path, end: int) -> Change:
        """What is at `path` now ends then."""
        self.ends = {**(self.ends or {}), normal(path): end}
        return self._noted(limited(self.key, normal(path), end, self.expires_at))

    def release(self, path: Path) -> list[Change]:
        """What was written at `path` takes the place of members that would have ended."""
        above = normal(path)
        released = [ended for ended in self.ends or () if ended[:len(above)] == above]
        self.ends = {ended: end for ended, end in (self.ends or {}).items() if ended not in released} or None
        return [self._noted(unlimited(self.key, ended, self.expires_at)) for ended in released]

    def write(self, op: str, path: Path, value: Any, expires_at: int | None, limit: int | None = None) -> Change:
        """Apply one operation and say what the store must know of it. Raises `Unapplicable`, or `ContextTooLarge` above twice
        `limit` bytes, and then changes nothing. `value` is a copy that nobody else holds."""
        body = b"null" if value is None or value is UNDEFINED else encode(value)
        if limit is not None and op != "delete" and self._size + len(body) > limit:
            self._measure(op, path, value, len(body), limit=limit)
        if not _is_plain(value):
            value = decode(body)                           # memory and store hold the same: base64 text, null for not-a-number
        if path:
            apply(self.document, op, path, value)
        else:
            self._write_whole(op, value)
        self._size += len(body) + 16
        self.expires_at = expires_at
        if self._has_ended:
            self._has_ended = False
            return self._noted(Change(self.key, "replace", b"[]", encode(stored_with(self.document, self.ends)), expires_at))
        change = Change(self.key, op, encode(path), body, expires_at)
        return change if self._made is None else self._noted(change)

    def _noted(self, change: Change) -> Change:
        if self._made is not None:
            self._made.append(change)
        return change

    def begin_renewal(self) -> None:
        """The store is asked now: it answers with everything that was done before."""
        self._made = []

    def renew(self, stored: StoredContext | None) -> None:
        """Take what the store answered, and do again what was done here meanwhile."""
        made, self._made = self._made or (), None
        self.document, self.expires_at = (stored.document, stored.expires_at) if stored is not None else ({}, None)
        for change in made:
            self.document = fold([operation(change)], self.document)
            self.expires_at = change.expires_at
        self.ends = taken_from(self.document)
        self._has_ended = False

    def abandon_renewal(self) -> None:
        self._made = None

    def _write_whole(self, op: str, value: Any) -> None:
        if op in ("replace", "delete"):
            self.document.clear()
        if op != "delete" and type(value) is dict:
            self.document.update(value)

    def _measure(self, op: str, path: Path, value: Any, extra: int, *, limit: int) -> None:
        """The true size, measured only when what was written since the last measure could have reached the limit."""
        self._size = len(encode(self.document))
        size = self._size + extra - len(encode(self._overwritten(op, path, value)))
        if size > 2 * limit:
            raise ContextTooLarge(f"The {self.key.context} context would exceed {2 * limit} bytes",
                                  {"context": self.key.context, "size": size, "limit": limit})
        self.outgrown = size > limit

    def _overwritten(self, op: str, path: Path, value: Any) -> Any:
        """What gives its room to `value`."""
        before = follow(self.document, path)
        if op == "merge" and type(before) is dict and type(value) is dict:
            return {key: before[key] for key in value if key in before}
        return before if op == "replace" and before is not UNDEFINED else ""


def _is_plain(value: Any) -> bool:
    """Whether its JSON means this very value, as far as can be told without looking inside."""
    kind = type(value)
    return kind is str and value.isascii() or kind is int and -2 ** 63 <= value < 2 ** 64 or kind is bool or value is None


def _read_back(key: ContextKey, stored: StoredContext | None) -> Cell:
    if stored is None:
        return Cell(key)
    cell = Cell(key, stored.document)
    cell.expires_at = stored.expires_at
    cell.ends = taken_from(stored.document)
    return cell


@dataclass(slots=True, eq=False)
class _Reading:
    """Documents on their way from the store, and those of them that another node changed meanwhile."""

    stored: dict[ContextKey, StoredContext | None]
    outdated: set[ContextKey]


_NOTHING = _Reading({}, set())


class Cells:
    """The cells of this node, one per document. Those in use are found by every run; a few hundred recent ones are kept besides.

    Where several nodes share the store, a cell is stale from the moment another node's change is heard until it has been read
    again. Nobody begins to use a stale one; those who do already keep it, and it is renewed in its place.
    """

    def __init__(self, store: Store, *, keep: int = 2000) -> None:
        self._store = store
        self._cells: WeakValueDictionary[ContextKey, Cell] = WeakValueDictionary()
        self._recent: OrderedDict[ContextKey, Cell] = OrderedDict()
        self._keep = keep
        self.stale: dict[ContextKey, Cell] = {}
        self.on_stale: Callable[[], None] = lambda: None
        """Called when a cell has become stale; somebody should `renew`."""
        self.on_renewed: Callable[[ContextKey], None] = lambda key: None
        self._renewing = asyncio.Lock()
        self._readings: list[_Reading] = []

    def find(self, key: ContextKey) -> Cell | None:
        """The cell, if this node holds it already, and nothing newer is known to exist."""
        cell = self._cells.get(key)
        if cell is not None and key in self._recent:
            self._recent.move_to_end(key)
        return cell if not self.stale or key not in self.stale else None

    async def load(self, keys: Sequence[ContextKey], now: int) -> list[Cell]:
        """The cells of `keys`; those not held are read from the store in one go."""
        if self.stale and not self.stale.keys().isdisjoint(keys):
            await self.renew(now)
        held = {key: cell for key in keys if (cell := self._cells.get(key)) is not None}
        missing = [key for key in keys if key not in held]
        reading = await self._read(missing, now) if missing else _NOTHING
        cells = [held.get(key) or self._cells.get(key) or self._add(_read_back(key, reading.stored[key])) for key in keys]
        for key in reading.outdated:
            self.outdate(key)
        return cells

    async def _read(self, keys: list[ContextKey], now: int) -> _Reading:
        reading = _Reading(dict.fromkeys(keys), set())
        self._readings.append(reading)
        try:
            reading.stored.update(zip(keys, await self._store.contexts(keys, now)))
        finally:
            self._readings.remove(reading)
        return reading

    def outdate(self, key: ContextKey) -> None:
        """Another node has changed this document."""
        for reading in self._readings:
            if key in reading.stored:
                reading.outdated.add(key)
        cell = self._cells.get(key)
        if cell is not None:
            self.stale[key] = cell
            self.on_stale()

    async def renew(self, now: int) -> None:
        """Read again what is stale. When this returns, nothing is that was so at the call."""
        async with self._renewing:
            cells = dict(self.stale)
            if not cells:
                return
            for cell in cells.values():
                cell.begin_renewal()
            try:
                reading = await self._read(list(cells), now)
            except BaseException:
                for cell in cells.values():
                    cell.abandon_renewal()
                raise
            for key, cell in cells.items():
                cell.renew(reading.stored[key])
                if key not in reading.outdated:
                    self.stale.pop(key, None)
                self.on_renewed(key)

    def fresh(self, key: ContextKey) -> Cell:
        """A cell for a document that cannot be stored yet, such as that of a new correlation id."""
        return self._cells.get(key) or self._add(Cell(key))

    def forget(self, workspace_id: str | None = None) -> None:
        """Drop what belongs to a deleted workspace, or what a failed commit left ahead of the store; all without a workspace."""
        for reading in self._readings:
            reading.outdated.update(k for k in reading.stored if workspace_id is None or k.workspace_id == workspace_id)
        for key in [k for k in self._cells if workspace_id is None or k.workspace_id == workspace_id]:
            self._recent.pop(key, None)
            self._cells.pop(key, None)
            self.stale.pop(key, None)

    def _add(self, cell: Cell) -> Cell:
        self._cells[cell.key] = cell
        self._recent[cell.key] = cell
        if len(self._recent) > self._keep:
            self._recent.popitem(last=False)
        return cell
