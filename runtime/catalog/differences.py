"""Which native events tell that a definition changed. An edit that changes nothing has none. Pure."""
from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from runtime.calls import NewEvent
from runtime.catalog.definitions import KEYED, Definition, Revision, same

Renames = Mapping[tuple[str, str], str]
"""(section, new slug) → old slug."""
_NO_RENAMES: Renames = {}
UNINSTALLED = "workspaces.apps.uninstalled"


class _Member(NamedTuple):
    """A member of a keyed section that was added (`before` is None), removed (`after` is None), changed or renamed."""

    slug: str
    old_slug: str
    before: Definition | None
    after: Definition | None


def between(old: Revision | None, new: Revision, renamed: Renames = _NO_RENAMES) -> list[NewEvent]:
    """What is told of the step from `old`, None for a workspace that begins, to `new`."""
    before: Definition = old.definition if old else {}
    return [*(_began(new) if old is None else _sections(old, new)),
            *_automations(_changed("automations", before, new.definition, renamed)),
            *map(_instance, _changed("imports", before, new.definition, renamed)),
            *_pages(new, _changed("pages", before, new.definition, renamed))]


def of_deletion(old: Revision) -> list[NewEvent]:
    """The end of a workspace, and then that of each of its instances."""
    instances = (old.definition.get("imports") or {}).items()
    return [NewEvent("workspaces.deleted", {"workspaceId": old.id, "workspaceSlug": old.slug}),
            *(_instance(_Member(slug, slug, imported, None)) for slug, imported in instances)]


def of_import(new: Revision, imported: Sequence[str], removed: Sequence[str], *, version: str | None = None) -> list[NewEvent]:
    """The end of an import, after the events about what it changed; `version` is the one it came from."""
    about = {"version": version} if version is not None else {}
    replaced = [NewEvent("runtime.dsul.updated", {"workspaceId": new.id})] if new.number > 1 else []
    return [*replaced, NewEvent("workspaces.imported", {
        "workspace": new.summary(), "files": imported, "deleted": removed, **about, "errors": []})]


def _began(new: Revision) -> list[NewEvent]:
    return [NewEvent("workspaces.created", {"workspace": new.summary()}),
            NewEvent("workspaces.security.updated", {"security": new.definition.get("security") or {}})]


def _sections(old: Revision, new: Revision) -> Iterator[NewEvent]:
    before, after = old.definition, new.definition
    changed = {key for key in before.keys() | after.keys() if key not in KEYED and not same(before.get(key), after.get(key))}
    if changed:
        renamed = {"oldSlug": old.slug} if "slug" in changed else {}
        yield NewEvent("workspaces.updated", {"workspace": new.summary(), **renamed})
    if "config" in changed:
        yield NewEvent("workspaces.configured", {"config": after.get("config") or {}, "oldConfig": before.get("config") or {}})
    if "blocks" in changed:
        yield NewEvent("workspaces.blocks.updated", {"blocks": after.get("blocks") or [], "workspaceSlug": new.slug})
    if "security" in changed:
        yield NewEvent("workspaces.security.updated", {"security": after.get("security") or {}})


def _automations(changed: Iterable[_Member]) -> Iterator[NewEvent]:
    for member in changed:
        if member.after is None:
            yield NewEvent("workspaces.automations.deleted", {"automationSlug": member.slug})
            continue
        verb = "created" if member.before is None else "updated"
        yield NewEvent(f"workspaces.automations.{verb}", {
            "automation": {"slug": member.slug, **member.after}, "slug": member.slug, **_old_slug(member)})
        schedules = (member.after.get("when") or {}).get("schedules")
        if schedules and member.after.get("disabled") is not True:
            yield NewEvent("runtime.automations.scheduled", {
                "slug": member.slug, "schedules": schedules, "details": {"launched": True}}, source={"automationSlug": member.slug})


def _instance(member: _Member) -> NewEvent:
    imported = member.after or member.before or {}
    verb = "uninstalled" if member.after is None else "installed" if member.before is None else "configured"
    instance = {**imported, "slug": member.slug}
    if verb == "configured":
        instance.update(config=imported.get("config") or {}, oldConfig=(member.before or {}).get("config") or {})
    return NewEvent(f"workspaces.apps.{verb}", {"appInstance": instance, "slug": member.slug, **_old_slug(member)},
                    source={"appSlug": imported.get("appSlug"), "appInstanceFullSlug": member.slug, "appInstanceDepth": 1})


def _pages(new: Revision, changed: Iterable[_Member]) -> Iterator[NewEvent]:
    for member in changed:
        if member.after is None:
            yield NewEvent("workspaces.pages.deleted", {"pageSlug": member.slug})
        else:
            verb = "created" if member.before is None else "updated"
            yield NewEvent(f"workspaces.pages.{verb}", {"page": new.page(member.slug), **_old_slug(member)})


def _changed(section: str, old: Definition, new: Definition, renamed: Renames) -> Iterator[_Member]:
    before, after, stayed = old.get(section) or {}, new.get(section) or {}, set()
    for slug, member in after.items():
        old_slug = renamed.get((section, slug), slug)
        stayed.add(old_slug)
        previous = before.get(old_slug)
        if old_slug != slug or previous is None or not same(previous, member):
            yield _Member(slug, old_slug, previous, member)
    for slug, previous in before.items():
        if slug not in stayed:
            yield _Member(slug, slug, previous, None)


def _old_slug(member: _Member) -> dict[str, str]:
    return {"oldSlug": member.old_slug} if member.old_slug != member.slug else {}
