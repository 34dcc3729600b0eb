"""How workspaces change: one edit after the other, each worked out on a copy and committed with the events that tell of it, or not at all."""
from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

from runtime.calls import NewEvent, Origin
from runtime.catalog import differences, edits, slugs
from runtime.catalog.definitions import Definition, Revision
from runtime.catalog.differences import UNINSTALLED
from runtime.catalog.edits import Edit, Edited
from runtime.catalog.shelf import Shelf
from runtime.clock import Clock
from runtime.errors import AlreadyUsed, NotFound, TooBusy
from runtime.events import Bus
from runtime.ids import Ids
from runtime.permissions.shares import GRANTS, PAGES, Subject
from runtime.settings import RuntimeSettings
from runtime.workspace import Workspace
from store.errors import Conflict
from store.protocol import Store
from store.records import Fact, ItemEnded

_log = logging.getLogger("motorik.catalog")
_MOST_TRIES = 20
"""Of one edit, while other nodes edit the same workspace."""

Last = Callable[[Revision, Sequence[str]], list[NewEvent]]
"""What is told at the end of an edit, given the new revision and the parts that are gone."""


class Step(NamedTuple):
    """From one revision to the next."""

    old: Revision | None
    new: Revision
    events: list[NewEvent]


class Editing(Shelf):
    """Edits of one workspace follow each other; one that has begun is finished even when its caller goes away."""

    def __init__(self, store: Store, clock: Clock, ids: Ids, settings: RuntimeSettings, bus: Bus) -> None:
        super().__init__(store, settings)
        self._clock = clock
        self._ids = ids
        self._bus = bus
        self._claimed: set[str] = set()
        self._locks: dict[str, asyncio.Lock] = {}
        self._edits: set[asyncio.Task[Any]] = set()
        self.on_change(self._unlock)

    async def edit(self, id: str, edit: Edit, origin: Origin, *, last: Last | None = None) -> Edited:
        """The next revision of a workspace. Nothing happens when nothing changes and `last` has nothing to tell."""
        edited = Edited({})

        def next_of(old: Revision) -> Step:
            nonlocal edited
            edited = edit(old.definition)
            page_ids = edits.page_ids(old.page_ids, edited, self._ids.uuid)
            new = old.next({**edited.definition, "id": id}, self._clock.now(), origin.identity.user_id or old.owner, page_ids)
            return Step(old, new, [*differences.between(old, new, edited.renamed), *(last(new, edited.removed) if last else ())])
        await self.step(id, next_of, origin)
        return edited

    async def step(self, id: str, next_of: Callable[[Revision], Step], origin: Origin) -> None:
        """Whatever makes a revision of a revision."""
        self.require(id)
        await self.alone(id, lambda: self._go(id, next_of, origin))

    async def begin(self, definition: Definition, owner: str, origin: Origin, *, like: str | None = None, last: Last | None = None,
                    id: str | None = None) -> Workspace:
        """A new workspace. Without a slug it gets a free one, made from `like` or from its name; `id` is kept if it is free."""
        async def begin() -> Workspace:
            slug = definition.get("slug") or slugs.for_workspace(like or definition["name"], self._is_taken)
            chosen = id if id is not None and id not in self._revisions else self._free_id()
            now = self._clock.now()
            kept = {"id": chosen, "name": definition["name"], "slug": slug, **definition}
            new = Revision(chosen, owner, 1, now, now, origin.identity.user_id or owner, kept,
                           edits.page_ids({}, Edited(kept), self._ids.uuid))
            await self._commit(Step(None, new, [*differences.between(None, new), *(last(new, ()) if last else ())]), origin)
            return self.require(chosen)
        workspace: Workspace = await self._finished(begin())
        return workspace

    async def tell(self, id: str, events: Sequence[NewEvent], origin: Origin, facts: Sequence[Fact]) -> None:
        """Commit what belongs to a workspace besides its definition. Raises `NotFound` when the workspace has gone meanwhile."""
        await self._bus.accept(self.require(id), events, origin, facts=facts)
        self.require(id)

    async def alone(self, id: str, work: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
        """Do `work` while nobody else edits this workspace, to its end, whatever becomes of the caller."""
        async def locked() -> Any:
            async with self._locks.setdefault(id, asyncio.Lock()):
                try:
                    return await work()
                finally:
                    if id not in self._revisions:
                        self._locks.pop(id, None)
        return await self._finished(locked())

    def _unlock(self, before: Workspace | None, after: Workspace | None) -> None:
        """Nobody edits a workspace that is deleted, here or by another node."""
        if after is None and before is not None:
            self._locks.pop(before.id, None)

    async def _finished(self, work: Coroutine[Any, Any, Any]) -> Any:
        task = asyncio.create_task(work)
        self._edits.add(task)
        task.add_done_callback(self._edits.discard)
        return await asyncio.shield(task)

    async def _go(self, id: str, next_of: Callable[[Revision], Step], origin: Origin) -> None:
        """An edit that another node was faster with is done on what that one left, so that both survive."""
        for _ in range(_MOST_TRIES):
            step = next_of(self.revision(id))
            try:
                if step.events:
                    await self._commit(step, origin)
                return
            except AlreadyUsed:
                if not await self._is_overtaken(step.old):
                    raise
        raise TooBusy("Too many edit this workspace at the same time", {"retryAfter": 1})

    async def _is_overtaken(self, old: Revision | None) -> bool:
        if self._bus.catch_up is not None:
            await self._bus.catch_up()
        return old is not None and self._revisions.get(old.id) is not old

    async def _commit(self, step: Step, origin: Origin) -> None:
        """The revision and what is told of it, in one batch."""
        old, new, events = step
        after, built_at = self._build(new), self._apps_changed
        before = self._live[old.id] if old else after
        unshared = self._unshared(step)

        def settle() -> None:
            for ended in unshared:
                self.sharing.hear(ended)
            self._put(new, after if built_at == self._apps_changed else self._build(new))
            for slug in _not_loaded(after) - (_not_loaded(before) if old else set()):
                _log.error("workspace %s: the app behind the import %s is not there or contains itself; the import is not loaded", new.id, slug)

        with self._claim(f"workspace:{new.slug}", taken=self._ids_by_slug.get(new.slug, new.id) != new.id):
            await self._bus.accept(_audience(before, after, events), events, origin, facts=[new.fact(), *unshared],
                                   on_commit=settle)

    def _unshared(self, step: Step) -> list[ItemEnded]:
        """A page that goes takes along whom it was shared with."""
        gone = set(step.old.page_ids.values()) - set(step.new.page_ids.values()) if step.old else set()
        shares = self.sharing.of(step.new.id) if gone else None
        return [ItemEnded(GRANTS, grant.id) for id in gone for grant in shares.grants(Subject(PAGES, id))]

    # --- names -------------------------------------------------------------------------------------------

    def _free_id(self) -> str:
        return next(id for id in iter(self._ids.workspace_id, None) if id not in self._revisions)

    def _is_taken(self, slug: str) -> bool:
        return slug in self._ids_by_slug or f"workspace:{slug}" in self._claimed

    @contextmanager
    def _claim(self, name: str, *, taken: bool) -> Iterator[None]:
        """Keep a slug for the commit that is on its way. Raises `AlreadyUsed`."""
        kind, _, slug = name.partition(":")
        refusal = AlreadyUsed(f'The {kind} slug "{slug}" is taken', {"slug": slug})
        if taken or name in self._claimed:
            raise refusal
        self._claimed.add(name)
        try:
            with refused_as(refusal):
                yield
        finally:
            self._claimed.discard(name)


@contextmanager
def refused_as(refusal: AlreadyUsed | NotFound) -> Iterator[None]:
    """What is said when another node was faster."""
    try:
        yield
    except TooBusy as error:
        if isinstance(error.__cause__, Conflict):
            raise refusal from None
        raise


def _not_loaded(workspace: Workspace) -> set[str]:
    """Imports that ought to be there."""
    wanted = {slug for slug, imported in (workspace.definition.get("imports") or {}).items() if imported.get("disabled") is not True}
    return wanted - workspace.root.imports.keys()


def _audience(before: Workspace, after: Workspace, events: Sequence[NewEvent]) -> Workspace | _Audience:
    """Who listens to the events of a step."""
    is_anyone_leaving = any(event.type == UNINSTALLED for event in events)
    return _Audience(after.id, _Listeners(before, after), before.hidden_texts | after.hidden_texts) if is_anyone_leaving else after


class _Audience(NamedTuple):
    """What the bus asks of a workspace, in a step that takes instances away."""

    id: str
    triggers: _Listeners
    hidden_texts: frozenset[str]


class _Listeners:
    """Those of the new revision; an instance that is removed hears of its end with the automations it still had."""

    def __init__(self, before: Workspace, after: Workspace) -> None:
        self._before = before.triggers.events
        self._after = after.triggers.events
        self.custom = self._after.custom

    @property
    def events(self) -> _Listeners:
        return self

    def native(self, type: str, source: dict[str, Any]) -> Sequence[Any]:
        present = self._after.native(type, source)
        if type != UNINSTALLED:
            return present
        leaving = (a for a in self._before.native(type, source) if a.instance.prefix)
        return [*(a for a in present if not a.instance.prefix), *leaving]
