"""The embedded store: one SQLite file, one thread that writes it and two that read it."""
from __future__ import annotations

import asyncio
import sqlite3
from asyncio import Future, Task
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path
from typing import Any

from store.documents import cell_key
from store.embedded import documents, reader
from store.embedded.celllog import CellEnded
from store.embedded.definitions import LivesEnded
from store.embedded.folder import Folder
from store.embedded.forgetting import Excess, RoomReturned, event_workspaces, excess, forgettable, free_pages
from store.embedded.lane import Lane
from store.embedded.reader import Reader
from store.embedded.search import Search
from store.embedded.writer import Limit, Probe, Writer
from store.errors import StoreError
from store.query import EventQuery
from store.records import (
    App,
    ContextKey,
    Delivery,
    Fact,
    Item,
    Session,
    StoredContext,
    StoredEvent,
    Tick,
    Topic,
    Wait,
    Workspace,
)

_CHECKPOINT_BYTES = 8 << 20     # of log: enough that hot pages are copied once for many commits, little enough to copy
_SPARE_PAGES = 128              # left for what comes next
_PAGES_AT_ONCE = 64
_EXPIRED_AT_ONCE = 500          # documents dropped in one transaction, so that commits get their turn


class SqliteStore:
    """Keeps every promise of `Store` in one folder of one machine."""

    cluster = None

    def __init__(self, folder: Path, *, durability: str = "commit", max_bytes: int | None = None) -> None:
        loop = asyncio.get_running_loop()
        with ExitStack() as undo:
            self._folder = Folder(folder)
            undo.callback(self._folder.release)
            self._writer = Writer(self._folder.writing(durability, max_bytes))
            self._reader, self._searcher = Reader(self._folder.reading()), Reader(self._folder.reading())
            undo.pop_all()
        self._head = self._writer.head
        self._tidying: Task[None] | None = None
        self._is_room_due = False
        self._is_closing = self._is_closed = False
        self._writes = Lane("store-writer", loop, self._writer.commit, after=self._look_after)
        self._reads = Lane("store-reader", loop, self._reader.answer)
        self._searches = Lane("store-search", loop, self._searcher.answer)

    def commit(self, facts: Sequence[Fact]) -> Future[int]:
        return self._writes.submit(tuple(facts))

    async def contexts(self, keys: Sequence[ContextKey], now: int) -> list[StoredContext | None]:
        names, places = [cell_key(key) for key in keys], self._writer.cells.places
        cells = await self._ask(documents.documents, [(name, tuple(places.get(name, ()))) for name in names])
        ended = {name for name, cell in zip(names, cells, strict=True) if cell is not None and _is_over(cell, now)}
        if ended:                                      # takes effect before any change the caller makes of this answer
            self._writes.submit([CellEnded(name, now) for name in ended]).add_done_callback(_let_be)
        return [cell if cell is not None and not _is_over(cell, now) else None for cell in cells]

    async def events(self, query: EventQuery) -> list[StoredEvent]:
        search = Search(query)
        try:
            return await self._searches.submit(search)
        except asyncio.CancelledError:
            search.is_abandoned = True
            raise

    async def head(self) -> int:
        return self._head

    async def workspaces(self) -> list[Workspace]:
        return await self._ask(reader.workspaces)

    async def apps(self) -> list[App]:
        return await self._ask(reader.apps)

    async def deliveries(self) -> list[Delivery]:
        return await self._ask(reader.deliveries)

    async def waits(self) -> list[Wait]:
        return await self._ask(reader.waits)

    async def ticks(self) -> list[Tick]:
        return await self._ask(reader.ticks)

    async def session(self, id: str, now: int) -> Session | None:
        found = await self._ask(reader.session, id)
        return None if found is None or _is_over(found, now) else found

    async def topics(self) -> list[Topic]:
        return await self._ask(reader.topics)

    async def item(self, collection: str, id: str, now: int) -> Item | None:
        found = await self._ask(reader.item, collection, id)
        return None if found is None or _is_over(found, now) else found

    async def items(self, collection: str, workspace_id: str, now: int) -> list[Item]:
        return [item for item in await self._ask(reader.items, collection, workspace_id) if not _is_over(item, now)]

    async def expire(self, now: int) -> int:
        folded, changed = await self._ask(documents.ended, now)
        places = self._writer.cells.places
        keys = [key for key in folded if key not in places] + [key for key in changed if key in places]
        for begin in range(0, len(keys), _EXPIRED_AT_ONCE):
            await self._writes.submit([CellEnded(key, now) for key in keys[begin:begin + _EXPIRED_AT_ONCE]])
            self._is_room_due = True
        if others := await self._ask(reader.ended_lives, now):
            await self._writes.submit([LivesEnded(now)])
        return len(keys) + others

    async def forget_events(self, workspace_id: str, *, before_time: int | None = None, keep: int | None = None) -> int:
        found = None if keep is not None else Excess(0, 0)
        while found is None or found.left:
            found = await self._searches.submit(partial(excess, workspace_id=workspace_id, so_far=found, keep=keep))
        dropped = after = 0
        question = partial(forgettable, workspace_id=workspace_id, before=found.before, before_time=before_time or 0)
        while (forgotten := await self._searches.submit(partial(question, after=after))) is not None:
            await self._writes.submit([forgotten])
            dropped += len(forgotten.positions)
            after = forgotten.positions[-1]
        if dropped:
            self._is_room_due = True
            self._look_after()
        return dropped

    async def oldest(self, workspace_id: str) -> int:
        found = await self.events(EventQuery(workspace_id, ascending=True, limit=1))
        return found[0].position if found else 0

    async def event_workspaces(self) -> list[str]:
        return await self._ask(event_workspaces)

    async def ping(self) -> None:
        """After a write that was not possible, also raises `Full` or `Unavailable` until one is."""
        await self._ask(reader.ping)
        if self._writer.is_failing:
            for begins in (True, False):
                await self._writes.submit([Probe(begins)])

    async def limit(self, max_bytes: int) -> None:
        """The file may become as large as this from now on."""
        await self._writes.submit([Limit(max_bytes)])

    async def close(self) -> None:
        self._is_closing = True
        if self._tidying is not None:
            await asyncio.wait([self._tidying])
        for lane in (self._writes, self._reads, self._searches):
            await lane.close()
        if not self._is_closed:
            self._is_closed = True
            self._reader.close()
            self._searcher.close()
            self._writer.close()
            self._folder.release()

    def _ask(self, question: Callable[..., Any], *arguments: Any) -> Future[Any]:
        return self._reads.submit(lambda connection: question(connection, *arguments))

    def _look_after(self) -> None:
        """Between two groups: see how far the writer is, and whether its file wants tidying."""
        writer = self._writer
        self._head = writer.head
        is_due = writer.cells.heavy or writer.cells.is_long or self._is_room_due or writer.bytes_since_checkpoint > _CHECKPOINT_BYTES
        if is_due and self._tidying is None and not self._is_closing:
            self._tidying = asyncio.create_task(self._tidy())

    async def _tidy(self) -> None:
        """Compact what has become heavy, give room back and copy the log into the file, all of it beside the commits."""
        with suppress(StoreError, sqlite3.Error):      # nothing is lost; the next group asks for it again
            await self._fold()
            has_shrunk = False
            while self._is_room_due and not self._is_closing:
                has_shrunk |= await self._return_room()
                await self._checkpoint(_CHECKPOINT_BYTES)
            await self._checkpoint(0 if has_shrunk else _CHECKPOINT_BYTES)
        self._tidying = None

    async def _fold(self) -> None:
        """Documents with too many operations, and those of the oldest part of a long log."""
        cells = self._writer.cells
        while cells.heavy and not self._is_closing:
            key = cells.heavy.popleft()
            await self._writes.submit([await self._searches.submit(partial(documents.folded, key=key, places=tuple(cells.places.get(key, ()))))])
        while cells.is_long and not self._is_closing:
            await self._writes.submit([await self._searches.submit(documents.oldest_folded)])

    async def _return_room(self) -> bool:
        """Cut pages that nothing uses off the end of the file, unless they are few; whether there are fewer of them now."""
        free = await self._ask(free_pages)
        surplus = min(free - _SPARE_PAGES, _PAGES_AT_ONCE)
        self._is_room_due = False
        if surplus <= 0:
            return False
        await self._writes.submit([RoomReturned(surplus)])
        self._is_room_due = await self._ask(free_pages) < free      # a file that was never rewritten for it stays as it is
        return self._is_room_due

    async def _checkpoint(self, worth: int) -> None:
        """The file itself becomes smaller when the log has been copied into it as a whole."""
        if self._writer.bytes_since_checkpoint > worth:
            await asyncio.to_thread(self._folder.checkpoint)
            self._writer.is_checkpoint_due = True


def _is_over(life: StoredContext | Session | Item, now: int) -> bool:
    return life.expires_at is not None and life.expires_at <= now


def _let_be(future: Future[Any]) -> None:
    """Housekeeping that failed is nobody's failure: reads look at the time themselves."""
    if not future.cancelled():
        future.exception()
