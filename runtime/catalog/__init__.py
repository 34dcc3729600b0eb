"""All workspaces and apps of this node: their revisions, their live snapshots, and the one way to change them.

Every edit is worked out on a copy, checked whole, and committed as one revision together with the events that tell of it;
or nothing of it happens.
"""
from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Any

from runtime.calls import NewEvent, Origin
from runtime.catalog import differences, edits, imports, publications
from runtime.catalog.definitions import Definition, Revision, kept_form, members, own
from runtime.catalog.editing import Editing, Step
from runtime.catalog.edits import Edit
from runtime.catalog.imports import ImportResult
from runtime.catalog.publications import Publication
from runtime.catalog.shelf import User
from runtime.catalog.versions import Versions
from runtime.clock import Clock
from runtime.errors import InvalidRequest
from runtime.events import Bus
from runtime.ids import Ids
from runtime.language.check import check_workspace
from runtime.language.source import Source
from runtime.permissions.granting import Granting
from runtime.permissions.shares import APPS, GRANTS, Subject
from runtime.settings import RuntimeSettings
from runtime.values import copy
from runtime.workspace import Workspace
from store.protocol import Store
from store.records import AppDeleted, Fact, ItemEnded, WorkspaceDeleted


class Catalog(Editing):
    """Reads are plain look-ups."""

    def __init__(self, store: Store, clock: Clock, ids: Ids, settings: RuntimeSettings, bus: Bus) -> None:
        super().__init__(store, clock, ids, settings, bus)
        self.granting = Granting(self.sharing, bus, ids)
        self.before_delete: Callable[[str], Awaitable[Any]] = _nothing
        """Awaited with the id of a workspace that is about to be deleted: what its last automations read must be read before."""
        self.versions = Versions(self, store, clock, settings.maximum_workspace_version)

    # --- workspaces ----------------------------------------------------------------------------------

    async def create(self, metadata: Any, owner: str, origin: Origin) -> Workspace:
        """A new workspace from its root sections. Its slug is made from its name unless it brings one."""
        return await self.begin(kept_form(edits.checked(edits.as_object(metadata))), owner, origin)

    async def update(self, id: str, patch: Any, origin: Origin) -> Workspace:
        """Replace root sections, one by one; null removes one."""
        await self.edit(id, edits.patch(patch), origin)
        return self.require(id)

    async def configure(self, id: str, config: Any, origin: Origin, *, replace: bool = False) -> Definition:
        """Merge the root keys of `config.value`, or replace the config; the whole config as it is then."""
        edited = await self.edit(id, edits.configure(config, replace=replace), origin)
        return copy(edited.definition["config"])

    async def suspend(self, id: str, reason: str, origin: Origin) -> None:
        """Nothing starts in the workspace from now on; what runs goes on to its end. Told once, however often it is said."""
        await self.step(id, lambda old: _suspended(old, True, reason), origin)

    async def resume(self, id: str, reason: str, origin: Origin) -> None:
        await self.step(id, lambda old: _suspended(old, False, reason), origin)

    async def delete(self, id: str, origin: Origin) -> None:
        """The workspace, its state and its app. Its automations hear of it, and so do the workspaces that use the app."""
        self.require(id)
        await self.alone(id, lambda: self._delete(id, origin))

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
        if overwrite_slug and wanted is not None and self.is_slug_of_another(wanted, id):
            warnings.append(imports.taken_slug(source))
            del kept["slug"]
        parts = [part for part in members(kept) if part != "index" or not merge]

        def last(new: Revision, removed: Sequence[str]) -> list[NewEvent]:
            return differences.of_import(new, parts, removed)
        if id is None:
            workspace, deleted = await self.begin(kept, owner, origin, like=wanted, last=last, id=new_id), []
        else:
            edited = await self.edit(id, edits.overlay(kept) if merge else edits.replace(kept), origin, last=last)
            workspace, deleted = self.require(id), edited.removed
        warnings += imports.not_loaded(source, workspace, self._find_app)
        return ImportResult(workspace, id is None, parts, deleted, [warning.as_dict() for warning in warnings])

    # --- automations, pages and app instances --------------------------------------------------------

    async def create_automation(self, id: str, automation: Any, origin: Origin) -> Definition:
        return await self._edit_member(id, "automations", edits.add_automation(automation), origin)

    async def update_automation(self, id: str, slug: str, automation: Any, origin: Origin) -> Definition:
        """A whole automation in the place of another; a slug of its own renames it."""
        return await self._edit_member(id, "automations", edits.replace_automation(slug, automation), origin)

    async def delete_automation(self, id: str, slug: str, origin: Origin) -> None:
        await self.edit(id, edits.remove("automations", slug), origin)

    async def create_page(self, id: str, page: Any, origin: Origin) -> Definition:
        edited = await self.edit(id, edits.add_page(page), origin)
        return self.revision(id).page(edited.slug)

    async def update_page(self, id: str, slug: str, changes: Any, origin: Origin) -> Definition:
        """Replace the keys of a page that are given; null removes one, a slug of its own renames it."""
        edited = await self.edit(id, edits.change_page(slug, changes), origin)
        return self.revision(id).page(edited.slug)

    async def delete_page(self, id: str, slug: str, origin: Origin) -> None:
        await self.edit(id, edits.remove("pages", slug), origin)

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
        await self.edit(id, edits.remove("imports", slug), origin)

    # --- apps ----------------------------------------------------------------------------------------

    async def publish_app(self, id: str, body: Any, origin: Origin) -> Publication:
        """Publish the workspace as it is now, or was in a version. Instances that name no version use it from then on."""
        body = edits.as_object(body)
        self.require(id)
        published: Publication = await self.alone(id, lambda: self._publish(id, body, origin))
        return published

    async def delete_app(self, slug: str, origin: Origin) -> None:
        """Take an app back. The instances of it stop, the workspaces they are in go on."""
        publication = self.require_app(slug)
        await self.alone(publication.workspace_id, lambda: self._unpublish(slug, origin))

    # --- one edit ------------------------------------------------------------------------------------

    async def _edit_member(self, id: str, section: str, edit: Edit, origin: Origin) -> Definition:
        """The member after the edit, with its slug."""
        edited = await self.edit(id, edit, origin)
        return {"slug": edited.slug, **copy(edited.definition[section][edited.slug])}

    async def _delete(self, id: str, origin: Origin) -> None:
        await self.before_delete(id)
        old, before = self.revision(id), self.require(id)
        app = self._app_of(id)
        facts: list[Fact] = [WorkspaceDeleted(id), *self.secrets.ends(id)]
        if app is not None:
            facts.append(AppDeleted(app.slug))
        users: list[User] = []

        def settle() -> None:
            self._put_away(id)
            if app is not None:
                users.extend(self._put_app(app.slug, None))
        events = [*differences.of_deletion(old), *([_app_deleted(app.slug)] if app is not None else ())]
        await self._bus.accept(before, events, origin, facts=facts, on_commit=settle)
        if app is not None:
            await self._tell_users(app.slug, [user.before for user in users], _app_deleted(app.slug), origin)

    # --- one publication -----------------------------------------------------------------------------

    async def _publish(self, id: str, body: Definition, origin: Origin) -> Publication:
        published, revision = self._app_of(id), await self.versions.revision(id, body.get("workspaceVersion"))
        app = publications.published(id, revision.definition, body, published, self._clock.now(),
                                     most=self._settings.maximum_app_version)
        users: list[User] = []
        with self._claim(f"app:{app.slug}", taken=published is None and app.slug in self._apps):
            event = NewEvent("apps.published", {"app": app.summary()})
            await self._bus.accept(self.require(id), [event], origin, facts=[app.fact()],
                                   on_commit=lambda: users.extend(self._put_app(app.slug, app)))
        await self._tell_users(app.slug, [user.after for user in users], event, origin)
        return app

    async def _unpublish(self, slug: str, origin: Origin) -> None:
        app = self.require_app(slug)
        users: list[User] = []
        grants = self.sharing.of(app.workspace_id).grants(Subject(APPS, slug))
        unshared = [ItemEnded(GRANTS, grant.id) for grant in grants]

        def settle() -> None:
            for ended in unshared:
                self.sharing.hear(ended)
            users.extend(self._put_app(slug, None))
        await self._bus.accept(self.require(app.workspace_id), [_app_deleted(slug)], origin, facts=[AppDeleted(slug), *unshared],
                               on_commit=settle)
        await self._tell_users(slug, [user.before for user in users], _app_deleted(slug), origin)

    async def _tell_users(self, slug: str, users: list[Workspace], event: NewEvent, origin: Origin) -> None:
        """Who uses the app hears what happened, but not who did it."""
        told, event = Origin(origin.correlation_id), replace(event, source={"appSlug": slug})
        await asyncio.gather(*(self._bus.accept(user, [event], told) for user in users
                               if any(instance.app_slug == slug for instance in user.instances.values())))


async def _nothing(id: str) -> None:
    """For a catalog without runs."""


def _suspended(old: Revision, is_suspended: bool, reason: str) -> Step:
    """No edit of the definition: neither the time of the last edit nor its author change."""
    new = replace(old, number=old.number + 1, is_suspended=is_suspended)
    event = NewEvent("workspaces.suspended", {"workspaceId": old.id, "suspended": is_suspended, "reason": reason})
    return Step(old, new, [event] if is_suspended != old.is_suspended else [])


def _app_deleted(slug: str) -> NewEvent:
    return NewEvent("apps.deleted", {"appSlug": slug})
