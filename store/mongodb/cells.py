"""Context documents: one document each, to which changes are pushed; now and then somebody folds them into one.

`{_id, ws, at, ends, ops: [text, …], base?: text, snapshot?: id, weight}`. `at` is the number of the last piece of the log that
changed it: whoever comes with an earlier one comes too late, so a piece may be applied twice, and by anybody.
"""
from __future__ import annotations

import datetime
from collections.abc import Iterable, Sequence
from typing import Any

import orjson
from orjson import Fragment
from pymongo import UpdateOne

from store.documents import is_fresh_start, next_version, shortened
from store.mongodb.client import Collection, Database
from store.mongodb.wire import CellEnded, Entry
from store.records import Change, ContextKey, StoredContext

_LIGHT = 16_384                     # logs below this weight are left as they are
_LARGE = 32_768                     # from this size on a folded document has a place of its own
_OPERATION_WEIGHT = 64
_GRACE = datetime.timedelta(hours=1)
CELL_INDEXES = {"contexts": [[("ws", 1)], [("ends", 1)]], "snapshots": [[("ws", 1)]]}
_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)


def name_of(cell: ContextKey) -> str:
    return f"{cell.workspace_id}\0{cell.context}\0{cell.key}"


def gone(ends: int | None) -> datetime.datetime | None:
    """When MongoDB itself may drop what ended then; reads look at the time themselves."""
    try:
        return None if ends is None else _EPOCH + datetime.timedelta(milliseconds=ends) + _GRACE
    except OverflowError:
        return None


class Cells:
    def __init__(self, database: Database) -> None:
        self._cells: Collection = database["contexts"]
        self._snapshots: Collection = database["snapshots"]
        self.heavy: set[str] = set()
        """Documents whose operations have outgrown them."""
        self._weights: dict[str, int] = {}
        self._limits: dict[str, int] = {}

    def writes(self, n: int, facts: Iterable[Entry]) -> tuple[list[UpdateOne], list[UpdateOne]]:
        """What piece `n` of the log does to the documents: first these, then those."""
        changes: dict[ContextKey, list[Change]] = {}
        ended: dict[ContextKey, int] = {}
        for fact in facts:
            if type(fact) is Change:
                changes.setdefault(fact.cell, []).append(fact)
            elif type(fact) is CellEnded and fact.cell not in changes:
                ended[fact.cell] = fact.now
        return ([_ending(n, cell, now) for cell, now in ended.items()],
                [self._update(n, cell, of_cell) for cell, of_cell in changes.items()])

    def _update(self, n: int, cell: ContextKey, changes: Sequence[Change]) -> UpdateOne:
        name, operations, ends = name_of(cell), shortened(changes), changes[-1].expires_at
        texts = [orjson.dumps([op, Fragment(path or b"[]"), Fragment(value)]).decode() for op, path, value in operations]
        fixed = {"at": n, "ws": cell.workspace_id, "ends": ends, "gone": gone(ends), "cleared": None}
        weight = sum(map(len, texts)) + _OPERATION_WEIGHT * len(texts)
        if is_fresh_start(operations[0]):
            self._weights[name], self._limits[name] = 0, max(_LIGHT, weight)
            update: dict[str, Any] = {"$set": {**fixed, "ops": texts}, "$unset": {"base": "", "snapshot": ""}}
        else:
            self._weigh(name, weight)
            update = {"$set": fixed, "$push": {"ops": {"$each": texts}}}
        return UpdateOne({"_id": name, "at": {"$lt": n}}, update, upsert=True)

    def _weigh(self, name: str, weight: int) -> None:
        total = self._weights.get(name, 0) + weight
        if total > self._limits.get(name, _LIGHT):
            self.heavy.add(name)
            total = 0
        self._weights[name] = total
        if len(self._weights) > 65_536:                    # forgetting one only delays its folding
            self._weights.clear()
            self._limits.clear()

    async def read(self, keys: Sequence[ContextKey]) -> list[StoredContext | None]:
        names = [name_of(key) for key in keys]
        query = {"_id": {"$in": names}} if len(names) > 1 else {"_id": names[0]} if names else None
        found = {} if query is None else {d["_id"]: d for d in await self._cells.find(query).to_list(None)}
        return [await self._document(found.get(name)) for name in names]

    async def _document(self, stored: dict[str, Any] | None) -> StoredContext | None:
        while stored is not None:
            base: str | None = stored.get("base")
            if stored.get("snapshot"):
                snapshot = await self._snapshots.find_one({"_id": stored["snapshot"]})
                if snapshot is None:                       # folded anew a moment ago
                    stored = await self._cells.find_one({"_id": stored["_id"]})
                    continue
                base = snapshot["base"]
            if base is None and not stored.get("ops"):
                return None                                # it ended, and nobody has written since
            return StoredContext(_folded(base, stored.get("ops", ())), stored["ends"])
        return None

    async def fold(self, name: str) -> None:
        """Put one document in the place of the operations that make it, unless somebody changes it meanwhile."""
        stored = await self._cells.find_one({"_id": name})
        read = await self._document(stored)
        if stored is None or read is None:
            return
        base = orjson.dumps(read.document).decode()
        place: dict[str, Any] = {"base": base}
        if len(base) > _LARGE:
            place = {"snapshot": f"{name}\0{stored['at']}"}
            await self._snapshots.update_one({"_id": place["snapshot"]}, {"$set": {"base": base, "ws": stored["ws"]}}, upsert=True)
        dropped = {"base": "", "snapshot": ""}
        dropped.pop(next(iter(place)))
        await self._cells.update_one({"_id": name, "at": stored["at"]}, {"$set": {**place, "ops": []}, "$unset": dropped})
        self._limits[name] = max(_LIGHT, len(base) // 2)
        present = await self._cells.find_one({"_id": name}, {"snapshot": 1}) or {}
        for outdated in {stored.get("snapshot"), place.get("snapshot")} - {None, present.get("snapshot")}:
            await self._snapshots.delete_one({"_id": outdated})    # that of another node who folds the same is the present one

    async def ended(self, now: int, limit: int) -> list[ContextKey]:
        """Documents whose life is over and which still hold something."""
        found = await self._cells.find({"ends": {"$lte": now}}, {"_id": 1}).limit(limit).to_list(limit)
        return [ContextKey(*document["_id"].split("\0", 2)) for document in found]

    async def forget(self, cleared_before: int) -> None:
        """Drop what was emptied before then. Until then it keeps its number, against those who come too late."""
        await self._cells.delete_many({"cleared": {"$lte": cleared_before}})

    async def delete_workspace(self, workspace_id: str) -> None:
        await self._cells.delete_many({"ws": workspace_id})
        await self._snapshots.delete_many({"ws": workspace_id})


def _ending(n: int, cell: ContextKey, now: int) -> UpdateOne:
    """Half a number lower: changes of the same piece come after it."""
    return UpdateOne({"_id": name_of(cell), "at": {"$lt": n - 0.5}, "ends": {"$lte": now}},
                     {"$set": {"at": n - 0.5, "ops": [], "ends": None, "gone": gone(now), "cleared": now}, "$unset": {"base": "", "snapshot": ""}})


def _folded(base: str | None, operations: Iterable[str]) -> dict[str, Any]:
    document: dict[str, Any] = {} if base is None else orjson.loads(base)
    for text in operations:
        try:
            document = next_version(document, *orjson.loads(text))
        except ValueError:                                 # inapplicable to what another node wrote meanwhile: it changes nothing
            continue
    return document
