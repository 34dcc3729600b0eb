"""All workspaces and apps of this node: their revisions, their live snapshots, and the one way to change them.

Every edit is worked out on a copy, checked whole, and committed as one revision together with the events that tell of it;
or nothing of it happens.
"""
from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from runtime.calls import NewEvent, Origin
from runtime.catalog import differences, edits, imports, publications, slugs
from runtime.catalog.definitions import Definition, Revision, kept_form, members, own
from runtime.catalog.edits import Edit, Edited
from runtime.catalog.imports import ImportResult
from runtime.catalog.publications import Publication
from runtime.catalog.shelf import Shelf, User
from runtime.clock import Clock
from runtime.errors import AlreadyUsed, InvalidRequest, TooBusy
from runtime.events import Bus
from runtime.ids import Ids
from runtime.language.check import check_workspace
from runtime.language.source import Source
from runtime.settings import RuntimeSettings
from runtime.values import copy
from runtime.workspace import Workspace
from store.errors import Conflict
from store.protocol import Store
from store.records import AppDeleted, Fact, WorkspaceDeleted

_MOST_TRIES = 20
"""Of one edit, while other nodes edit the same workspace."""


class Catalog(Shelf):
    """Reads are plain look-ups. Edits of one workspace follow each other; one that has begun is finished even when its caller
    goes away."""

    def __init__(self, store: Store, clock: Clock, ids: Ids, settings: RuntimeSettings, bus: Bus) -> None:
        super().__init__(store, settings)
        self._clock = clock
        self._ids = ids
        self._bus = bus
        self._claimed: set[str] = set()
        self._locks: dict[str, asyncio.Lock] = {}
        self._edits: set[asyncio.Task[Any]] = set()

    # --- workspaces ----------------------------------------------------------------------------------

    async def create(self, metadata: Any, owner: str, origin: Origin) -> Workspace:
        """A new workspace from its root sections. Its slug is made from its name unless it brings one."""
        return await self._begin(kept_form(edits.checked(edits.as_object(metadata))), owner, origin)

    async def update(self, id: str, patch: Any, origin: Origin) -> Workspace:
        """Replace root sections, one by one; null removes one."""
        await self._edit(id, edits.patch(patch), origin)
        return self.require(id)

    async def configure(self, id: str, config: Any, origin: Origin, *, replace: bool = False) -> Definition:
        """Merge the root keys of `config.value`, or replace the config; the whole config as it is then."""
        edited = await self._edit(id, edits.configure(config, replace=replace), origin)
        return copy(edited.definition["config"])

    async def delete(self, id: str, origin: Origin) -> None:
        """The workspace, its state and its app. Its automations hear of it, and so do the workspaces that use the app."""
        self.require(id)
        await self._alone(id, lambda: self._delete(id, origin))

    async def import_definition(self, document: Source | Definition, *, owner: str, origin: Origin, id: str | None = None,
                                merge: bool = False, overwrite_slug: bool = True, new_id: str | None = None) -> ImportResult:
        """Take a whole definition as a new workspace, or as the next revision of the workspace `id`; with `merge` its members
        are put over those that are there, and nothing is removed. `new_id` is the id of a new workspace, if it may choose.

        A slug that another workspace has is replaced by a free one, and a warning says so, unless `overwrite_slug` is false.
        """
        source = document if isinstance(document, Source) else Source.of(own(document))
        if id is not None:
            source = imports.named(source, self.revision(id))
        # A large document takes seconds; other work goes on meanwhile.
        report = await asyncio.to_thread(check_workspace, source)
        report.refuse()
        kept, warnings = kept_form(own(source.data)), list(report.warnings)
        wanted = kept.get("slug")
        if overwrite_slug and wanted is not None and self._ids_by_slug.get(wanted, id) != id:
            warnings.append(imports.taken_slug(source))
            del kept["slug"]
        parts = [part for part in members(kept) if part != "index" or not merge]
        if id is None:
            workspace, deleted = await self._begin(kept, owner, origin, like=wanted, imported=parts, id=new_id), []
        else:
            edited = await self._edit(id, edits.overlay(kept) if merge else edits.replace(kept), origin, imported=parts)
            workspace, deleted = self.require(id), edited.removed
        warnings += imports.not_loaded(source, workspace, self._find_app)
        return ImportResult(workspace, id is None, parts, deleted, [warning.as_dict() for warning in warnings])

    # --- automations and app instances ---------------------------------------------------------------

    async def create_automation(self, id: str, automation: Any, origin: Origin) -> Definition:
        return await self._edit_member(id, "automations", edits.add_automation(automation), origin)

    async def update_automation(self, id: str, slug: str, automation: Any, origin: Origin) -> Definition:
        """A whole automation in the place of another; a slug of its own renames it."""
        return await self._edit_member(id, "automations", edits.replace_automation(slug, automation), origin)

    async def delete_automation(self, id: str, slug: str, origin: Origin) -> None:
        await self._edit(id, edits.remove("automations", slug), origin)

    async def install_app(self, id: str, instance: Any, origin: Origin) -> Definition:
        edit = edits.install(instance, self._apps.get)
        if self.require_app(instance["appSlug"]).workspace_id == id:
            raise InvalidRequest("An app cannot install itself", {"appSlug": instance["appSlug"]})
        return await self._edit_member(id, "imports", edit, origin)

    async def configure_app(self, id: str, slug: str, changes: Any, origin: Origin) -> Definition:
        """Replace the keys of an instance that are given; a slug of its own renames it."""
        return await self._edit_member(id, "imports", edits.configure_instance(slug, changes, self._apps.get), origin)

    async def merge_app_config(self, id: str, slug: str, changes: Any, origin: Origin) -> Definition:
        """Merge the root keys of an instance's config."""
        return await self._edit_member(id, "imports", edits.merge_instance_config(slug, changes, self._apps.get), origin)

    async def uninstall_app(self, id: str, slug: str, origin: Origin) -> None:
        await self._edit(id, edits.remove("imports", slug), origin)

    # --- apps ----------------------------------------------------------------------------------------

    async def publish_app(self, id: str, body: Any, origin: Origin) -> Publication:
        """Publish the workspace as it is now. Instances that name no version use it from then on."""
        body = edits.as_object(body)
        self.require(id)
        published: Publication = await self._alone(id, lambda: self._publish(self.revision(id), body, origin))
        return published

    async def delete_app(self, slug: str, origin: Origin) -> None:
        """Take an app back. The instances of it stop, the workspaces they are in go on."""
        publication = self.require_app(slug)
        await self._alone(publication.workspace_id, lambda: self._unpublish(slug, origin))

    # --- one edit ------------------------------------------------------------------------------------

    async def _edit_member(self, id: str, section: str, edit: Edit, origin: Origin) -> Definition:
        """The member after the edit, with its slug."""
        edited = await self._edit(id, edit, origin)
        return {"slug": edited.slug, **copy(edited.definition[section][edited.slug])}

    async def _edit(self, id: str, edit: Edit, origin: Origin, *, imported: list[str] | None = None) -> Edited:
        self.require(id)
        edited: Edited = await self._alone(id, lambda: self._apply(id, edit, origin, imported))
        return edited

    async def _alone(self, id: str, work: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
        """Do `work` while nobody else edits this workspace, to its end, whatever becomes of the caller."""
        async def locked() -> Any:
            async with self._locks.setdefault(id, asyncio.Lock()):
                return await work()
        return await self._finished(locked())

    async def _finished(self, work: Coroutine[Any, Any, Any]) -> Any:
        task = asyncio.create_task(work)
        self._edits.add(task)
        task.add_done_callback(self._edits.discard)
        return await asyncio.shield(task)

    async def _apply(self, id: str, edit: Edit, origin: Origin, imported: list[str] | None) -> Edited:
        """An edit that another node was faster with is done on what that one left, so that both survive."""
        for _ in range(_MOST_TRIES):
            old = self.revision(id)
            edited = edit(old.definition)
            author = origin.identity.user_id or old.owner
            new = old.next({**edited.definition, "id": id}, self._clock.now(), author)
            difference = differences.between(old, new, edited.renamed)
            if imported is not None:
                difference.events.append(differences.of_import(new, imported, edited.removed))
            try:
                if difference.events or difference.farewells:
                    await self._commit(old, new, difference, origin)
                return edited
            except AlreadyUsed:
                if not await self._is_overtaken(old):
                    raise
        raise TooBusy("Too many edit this workspace at the same time", {"retryAfter": 1})

    async def _is_overtaken(self, old: Revision) -> bool:
        if self._bus.catch_up is not None:
            await self._bus.catch_up()
        return self.revision(old.id) is not old

    async def _begin(self, definition: Definition, owner: str, origin: Origin, *, like: str | None = None,
                     imported: list[str] | None = None, id: str | None = None) -> Workspace:
        """A new workspace. Without a slug it gets a free one, made from `like` or from its name; `id` is kept if it is free."""
        async def begin() -> Workspace:
            slug = definition.get("slug") or slugs.for_workspace(like or definition["name"], self._is_taken)
            chosen = id if id is not None and id not in self._revisions else self._free_id()
            now = self._clock.now()
            new = Revision(chosen, owner, 1, now, now, origin.identity.user_id or owner,
                           {"id": chosen, "name": definition["name"], "slug": slug, **definition})
            difference = differences.between(None, new)
            if imported is not None:
                difference.events.append(differences.of_import(new, imported, ()))
            await self._commit(None, new, difference, origin)
            return self.require(chosen)
        workspace: Workspace = await self._finished(begin())
        return workspace

    async def _commit(self, old: Revision | None, new: Revision, difference: differences.Difference, origin: Origin) -> None:
        """The revision and what is told of it, in one batch."""
        after, built_at = self._build(new), self._apps_changed
        before = self._live[old.id] if old else after

        def settle() -> None:
            self._put(new, after if built_at == self._apps_changed else self._build(new))

        events, farewells = difference
        with self._claim(f"workspace:{new.slug}", taken=self._ids_by_slug.get(new.slug, new.id) != new.id):
            # What an instance hears of its own end is for the automations it still had.
            workspace, first = (after, events) if events else (before, farewells)
            await self._bus.accept(workspace, first, origin, facts=[new.fact()], on_commit=settle)
        if events and farewells:
            await self._bus.accept(before, farewells, origin)

    async def _delete(self, id: str, origin: Origin) -> None:
        old, before = self.revision(id), self.require(id)
        app = self._app_of(id)
        facts: list[Fact] = [WorkspaceDeleted(id)]
        if app is not None:
            facts.append(AppDeleted(app.slug))
        users: list[User] = []

        def settle() -> None:
            self._locks.pop(id, None)
            self._put_away(id)
            if app is not None:
                users.extend(self._put_app(app.slug, None))
        await self._bus.accept(before, differences.of_deletion(old), origin, facts=facts, on_commit=settle)
        if app is not None:
            await self._tell_users(app.slug, [user.before for user in users], _app_deleted(app.slug), origin)

    # --- one publication -----------------------------------------------------------------------------

    async def _publish(self, revision: Revision, body: Definition, origin: Origin) -> Publication:
        published = self._app_of(revision.id)
        app = publications.published(revision.id, revision.definition, body, published, self._clock.now())
        users: list[User] = []
        with self._claim(f"app:{app.slug}", taken=published is None and app.slug in self._apps):
            event = NewEvent("apps.published", {"app": app.summary()})
            await self._bus.accept(self.require(revision.id), [event], origin, facts=[app.fact()],
                                   on_commit=lambda: users.extend(self._put_app(app.slug, app)))
        await self._tell_users(app.slug, [user.after for user in users], event, origin)
        return app

    async def _unpublish(self, slug: str, origin: Origin) -> None:
        app = self.require_app(slug)
        users: list[User] = []
        await self._bus.accept(self.require(app.workspace_id), [_app_deleted(slug)], origin, facts=[AppDeleted(slug)],
                               on_commit=lambda: users.extend(self._put_app(slug, None)))
        await self._tell_users(slug, [user.before for user in users], _app_deleted(slug), origin)

    async def _tell_users(self, slug: str, users: list[Workspace], event: NewEvent, origin: Origin) -> None:
        """Who uses the app hears what happened, but not who did it."""
        told, event = Origin(origin.correlation_id), replace(event, source={"appSlug": slug})
        await asyncio.gather(*(self._bus.accept(user, [event], told) for user in users
                               if any(instance.app_slug == slug for instance in user.instances.values())))

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
            yield
        except TooBusy as error:
            if isinstance(error.__cause__, Conflict):   # another node was faster
                raise refusal from None
            raise
        finally:
            self._claimed.discard(name)


def _app_deleted(slug: str) -> NewEvent:
    return NewEvent("apps.deleted", {"appSlug": slug})
