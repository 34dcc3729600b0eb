"""Edits of a definition: what it becomes. Pure; what comes in is checked, and nothing is changed in place."""
from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from runtime.catalog import slugs
from runtime.catalog.definitions import (
    ASSIGNED,
    KEYED,
    Definition,
    FindPublication,
    kept_form,
    members,
    own,
)
from runtime.errors import AlreadyUsed, InvalidRequest, InvalidSlug, NotFound
from runtime.language.check import check_workspace

_INSTANCE_KEYS = ("appSlug", "appVersion", "config", "disabled", "labels")
_LASTING = ("id", "slug")
"""What a workspace has for as long as it lives, though the slug may change."""


@dataclass(frozen=True, slots=True)
class Edited:
    """A definition after an edit."""

    definition: Definition
    slug: str = ""
    """Of the member that was edited."""
    renamed: Mapping[tuple[str, str], str] = field(default_factory=dict)
    """(section, new slug) → old slug."""
    removed: Sequence[str] = ()
    """The parts that an import left out, by the names of their files."""


Edit = Callable[[Definition], Edited]


def patch(changes: Any) -> Edit:
    """Replace root sections one by one; null removes one."""
    changes = as_object(changes)
    removed = {key for key, value in changes.items() if value is None and key not in _LASTING}

    def edit(definition: Definition) -> Edited:
        checked({**{key: value for key, value in definition.items() if key not in KEYED}, **changes})
        merged = {**definition, **kept_form(changes)}
        return Edited({key: value for key, value in merged.items() if key not in removed})
    return edit


def replace(document: Definition) -> Edit:
    """A whole document in the place of the definition. Without rules of its own it leaves those of the workspace in force: a
    document that says nothing about who may do what must not open or close anything."""
    def edit(definition: Definition) -> Edited:
        kept = {key: definition[key] for key in ("id", "name", "slug", "security") if key in definition}
        replaced = {**kept, **document}
        left = set(members(replaced))
        return Edited(replaced, removed=[part for part in members(definition) if part not in left])
    return edit


def restore(document: Definition) -> Edit:
    """Exactly what the definition was before, rules included."""
    def edit(definition: Definition) -> Edited:
        left = set(members(document))
        return Edited(dict(document), removed=[part for part in members(definition) if part not in left])
    return edit


def overlay(document: Definition) -> Edit:
    """The sections of a document over those that are there, keyed ones member by member."""
    def edit(definition: Definition) -> Edited:
        sections = {section: {**(definition.get(section) or {}), **document[section]} for section in KEYED if section in document}
        return Edited({**definition, **document, **sections})
    return edit


def configure(changes: Any, *, replace: bool = False) -> Edit:
    """Merge the root keys of `config.value`, or take a whole new config. `schema` is replaced where it is given."""
    changes = as_object(changes)
    if not changes.keys() & {"value", "schema"}:
        raise InvalidRequest("A config has the keys value and schema", [{"path": "value", "message": "is required"}])

    def edit(definition: Definition) -> Edited:
        config = changes if replace else _merged(definition.get("config") or {}, changes)
        return patch({"config": config})(definition)
    return edit


def add_automation(body: Any) -> Edit:
    """A new automation; its slug is made from its name unless it brings one. Arguments are validated unless it says otherwise."""
    automation = as_object(body)
    if not slugs.label(automation.get("name")).strip():
        raise InvalidRequest("An automation needs a name", [{"path": "name", "message": "is required"}])
    wanted = automation.pop("slug", None)
    automation.setdefault("validateArguments", True)

    def edit(definition: Definition) -> Edited:
        present = definition.get("automations") or {}
        slug = wanted or slugs.for_automation(automation["name"], present.__contains__)
        return _put(definition, "automations", slug, automation, old_slug=None)
    return edit


def replace_automation(old_slug: str, body: Any) -> Edit:
    """A whole automation in the place of another; a slug of its own renames it."""
    automation = as_object(body)
    slug = automation.pop("slug", None) or old_slug

    def edit(definition: Definition) -> Edited:
        previous = member(definition, "automations", old_slug)
        named = {"name": previous["name"], **automation} if "name" in previous else automation
        return _put(definition, "automations", slug, named, old_slug=old_slug)
    return edit


def add_page(body: Any) -> Edit:
    """A new page; its slug is made from its name unless it brings one."""
    page = as_object(body)
    if not slugs.label(page.get("name")).strip():
        raise InvalidRequest("A page needs a name", [{"path": "name", "message": "is required"}])
    wanted = _page(page).pop("slug", None)

    def edit(definition: Definition) -> Edited:
        present = definition.get("pages") or {}
        return _put(definition, "pages", wanted or slugs.for_workspace(page["name"], present.__contains__), page, old_slug=None)
    return edit


def change_page(old_slug: str, body: Any) -> Edit:
    """Replace the keys of a page that are given; null removes one, a slug of its own renames it."""
    changes = _page(as_object(body))
    slug = changes.pop("slug", None) or old_slug

    def edit(definition: Definition) -> Edited:
        previous = member(definition, "pages", old_slug)
        page = {key: value for key, value in {**previous, **changes}.items() if value is not None}
        return _put(definition, "pages", slug, page, old_slug=old_slug)
    return edit


def _page(page: Definition) -> Definition:
    """Without what only the server says."""
    for key in ASSIGNED:
        page.pop(key, None)
    return page


def page_ids(before: Mapping[str, str], edited: Edited, new_id: Callable[[], str]) -> dict[str, str]:
    """The ids of the pages after an edit: those of before under their new slugs, and new ones."""
    pages, renamed = edited.definition.get("pages") or {}, edited.renamed
    return {slug: before.get(renamed.get(("pages", slug), slug)) or new_id() for slug in pages}


def remove(section: str, slug: str) -> Edit:
    def edit(definition: Definition) -> Edited:
        member(definition, section, slug)
        rest = {key: value for key, value in definition[section].items() if key != slug}
        return Edited({**definition, section: rest}, slug)
    return edit


def install(body: Any, find: FindPublication) -> Edit:
    """A new app instance. Its app and version have to be there; later they may go, and the workspace still loads."""
    body = as_object(body)
    app_slug = body.get("appSlug")
    if type(app_slug) is not str or not app_slug:
        raise InvalidRequest("An app instance needs the slug of its app", [{"path": "appSlug", "message": "is required"}])
    instance = _instance(body)
    _require_app(instance, find)

    def edit(definition: Definition) -> Edited:
        return _put(definition, "imports", body.get("slug") or app_slug, instance, old_slug=None)
    return edit


def configure_instance(old_slug: str, changes: Any, find: FindPublication) -> Edit:
    """Replace the keys of an instance that are given; null removes one, a slug of its own renames it."""
    changes = as_object(changes)
    slug = changes.get("slug") or old_slug

    def edit(definition: Definition) -> Edited:
        previous = member(definition, "imports", old_slug)
        instance = {key: value for key, value in {**previous, **_instance(changes)}.items() if value is not None}
        if changes.keys() & {"appSlug", "appVersion"}:
            _require_app(instance, find)
        return _put(definition, "imports", slug, instance, old_slug=old_slug)
    return edit


def merge_instance_config(slug: str, changes: Any, find: FindPublication) -> Edit:
    """Merge the root keys of an instance's config."""
    changes = as_object(changes)

    def edit(definition: Definition) -> Edited:
        config = member(definition, "imports", slug).get("config")
        merged = {**config, **changes} if type(config) is dict else changes
        return configure_instance(slug, {"config": merged}, find)(definition)
    return edit


def member(definition: Definition, section: str, slug: str) -> Definition:
    """Raises `NotFound` when the section has no such member."""
    found: Definition | None = (definition.get(section) or {}).get(slug)
    if found is None:
        kind = {"automations": "Automation", "imports": "App instance", "pages": "Page"}[section]
        raise NotFound(f"{kind} not found", {"slug": slug, "workspaceId": definition.get("id")})
    return found


def _put(definition: Definition, section: str, slug: Any, value: Definition, *, old_slug: str | None) -> Edited:
    """Put a member under its slug: at the end, or in the place of the one it renames, since triggers start in that order."""
    members = definition.get(section) or {}
    if not slugs.is_slug(slug):
        raise InvalidSlug(f"{slug!r} is no slug: letters, digits, blanks, '/', '_' and '-' only", [{"path": "slug", "message": "is invalid"}])
    if slug != old_slug and slug in members:
        raise AlreadyUsed(f'The slug "{slug}" is taken', {"slug": slug})
    if old_slug is None or slug == old_slug:
        placed, renamed = {**members, slug: value}, {}
    else:
        placed = {slug if key == old_slug else key: value if key == old_slug else kept for key, kept in members.items()}
        renamed = {(section, slug): old_slug}
    checked({"name": definition["name"], section: {slug: value}})
    return Edited({**definition, section: placed}, slug, renamed)


def _instance(body: Definition) -> Definition:
    return {key: body[key] for key in _INSTANCE_KEYS if key in body}


def _require_app(instance: Definition, find: FindPublication) -> None:
    app_slug, version = instance["appSlug"], instance.get("appVersion")
    publication = find(app_slug)
    if publication is None or publication.version(version) is None:
        raise NotFound("App not found" if publication is None else "App version not found",
                       {"appSlug": app_slug, **({"appVersion": version} if version else {})})


def _merged(config: Definition, changes: Definition) -> Definition:
    value, given = config.get("value"), changes.get("value")
    if type(value) is dict and type(given) is dict:
        changes = {**changes, "value": {**value, **given}}
    return {**config, **changes}


def as_object(body: Any) -> Definition:
    """A copy of a body of ours. Raises `InvalidRequest` for anything but an object."""
    if type(body) is not dict:
        raise InvalidRequest("The body has to be an object", [{"path": "", "message": "should be object"}])
    return dict(own(body))


def checked(document: Definition) -> Definition:
    """The document, if it has the shape of one. Raises `InvalidAutomation` with all that is wrong."""
    check_workspace(document).refuse()
    return document
