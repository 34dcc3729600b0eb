"""The versions of a workspace: its definition at moments somebody gave a name, to go back to. Never what runs remember, never secrets.

What is listed and what is restored are kept apart, so that a list does not read every definition.
"""
from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from runtime.calls import NewEvent, Origin
from runtime.catalog import differences, edits, imports
from runtime.catalog.definitions import Definition, Revision, kept_form, members, own
from runtime.catalog.editing import refused_as
from runtime.catalog.edits import as_object
from runtime.catalog.imports import ImportResult
from runtime.catalog.publications import version_name
from runtime.clock import Clock, iso
from runtime.errors import AlreadyUsed, InvalidRequest
from runtime.language.source import Source
from runtime.values import decode, encode
from runtime.workspace import Workspace
from store.protocol import Store
from store.records import Fact, Item, ItemEnded

if TYPE_CHECKING:
    from runtime.catalog import Catalog

_LIST, _DEFINITIONS = "versions", "versions.definitions"
CURRENT, LATEST = "current", "latest"


class Version(NamedTuple):
    """One version as it is listed. Numbers grow, so that versions of one moment have an order."""

    number: int
    name: str
    created_at: int
    description: Any = None

    def summary(self) -> dict[str, Any]:
        about = {"description": self.description} if self.description is not None else {}
        return {"name": self.name, "createdAt": iso(self.created_at), **about}


class Versions:
    """Read from the store whenever they are asked for: that is seldom, and any node may have made them."""

    def __init__(self, catalog: Catalog, store: Store, clock: Clock, most: int) -> None:
        self._catalog = catalog
        self._store = store
        self._clock = clock
        self._most = most

    async def list(self, id: str) -> list[Version]:
        """The newest first."""
        items = await self._store.items(_LIST, id, self._clock.now())
        return sorted((Version(*decode(item.body)) for item in items), reverse=True)

    async def revision(self, id: str, name: str | None) -> Revision:
        """The workspace as it was in a version, or as it is now. Raises `InvalidRequest`."""
        revision = self._catalog.revision(id)
        if name in (None, "", CURRENT):
            return revision
        definition = await self._definition(id, await self._find(id, str(name)))
        return replace(revision, definition={**definition, "id": id})

    async def publish(self, id: str, body: Any, origin: Origin) -> Version:
        """Keep the workspace as it is now. Beyond the maximum the oldest versions go."""
        body = as_object(body)
        if not isinstance(body.get("description"), str | dict | None):
            raise InvalidRequest("A description is a text", [{"path": "description", "message": "should be string"}])
        self._catalog.require(id)
        published: Version = await self._catalog.alone(id, lambda: self._publish(self._catalog.revision(id), body, origin))
        return published

    async def pull(self, id: str, name: str, origin: Origin) -> ImportResult:
        """Make the workspace what it was, as its next revision. Raises `InvalidRequest` for the current version, and unknown ones."""
        if name == CURRENT:
            raise _invalid(name)
        self._catalog.require(id)
        version = await self._find(id, name)
        definition = await self._definition(id, version)
        parts, warnings = list(members(definition)), []
        if self._catalog.is_slug_of_another(definition["slug"], id):
            warnings.append(imports.taken_slug(Source.of(definition)).as_dict())
            definition = {**definition, "slug": self._catalog.revision(id).slug}
        shown = version.summary()

        def last(new: Revision, removed: Any) -> list[NewEvent]:
            return [NewEvent("workspaces.versions.rollback", {"version": shown}),
                    *differences.of_import(new, parts, removed, version=version.name)]
        edited = await self._catalog.edit(id, edits.restore(definition), origin, last=last)
        return ImportResult(self._catalog.require(id), False, parts, edited.removed, warnings)

    async def duplicate(self, id: str, name: str, owner: str, origin: Origin) -> Workspace:
        """A new workspace that begins as this one was in a version, or is now; its slug is made from that of this one."""
        source = await self.revision(id, name)
        kept = kept_form(own(source.definition))
        slug = kept.pop("slug")
        original = {"id": id, "name": source.definition["name"], "slug": slug}
        return await self._catalog.begin(kept, owner, origin, like=slug, last=lambda new, removed: [
            NewEvent("workspaces.duplicated", {"workspace": new.summary(), "fromWorkspace": original})])

    async def delete(self, id: str, name: str, origin: Origin) -> Version:
        self._catalog.require(id)
        version = await self._find(id, name)
        event = NewEvent("workspaces.versions.deleted", {"version": version.summary()})
        await self._catalog.alone(id, lambda: self._catalog.tell(id, [event], origin, list(_ended(id, version))))
        return version

    async def _publish(self, revision: Revision, body: Definition, origin: Origin) -> Version:
        id, kept, now = revision.id, await self.list(revision.id), self._clock.now()
        taken = {version.name for version in kept}
        version = Version(kept[0].number + 1 if kept else 1, version_name(body.get("name"), now, taken.__contains__), now,
                          body.get("description"))
        refusal = AlreadyUsed(f'Version "{version.name}" exists already', {"version": version.name})
        if version.name in taken:
            raise refusal
        facts: list[Fact] = [Item(_LIST, _key(id, version.name), id, None, encode(list(version)), is_first=True),
                             Item(_DEFINITIONS, _key(id, version.name), id, None, encode(revision.definition))]
        for old in kept[max(self._most - 1, 0):]:
            facts += _ended(id, old)
        with refused_as(refusal):
            await self._catalog.tell(id, [NewEvent("workspaces.versions.published", {"version": version.summary()})], origin, facts)
        return version

    async def _find(self, id: str, name: str) -> Version:
        kept = await self.list(id)
        found = next((version for version in kept if name in (version.name, LATEST)), None)
        if found is None:
            raise _invalid(name)
        return found

    async def _definition(self, id: str, version: Version) -> Definition:
        item = await self._store.item(_DEFINITIONS, _key(id, version.name), self._clock.now())
        if item is None:                                     # deleted a moment ago
            raise _invalid(version.name)
        definition: Definition = decode(item.body)
        return definition


def _key(id: str, name: str) -> str:
    return f"{id}/{name}"


def _ended(id: str, version: Version) -> Iterator[Fact]:
    return (ItemEnded(collection, _key(id, version.name)) for collection in (_LIST, _DEFINITIONS))


def _invalid(name: str) -> InvalidRequest:
    return InvalidRequest("The workspace has no such version", {"version": name}, wire="InvalidVersionError")
