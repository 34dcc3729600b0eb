"""Edits of one part of a definition: what it becomes, and the fragment that has to be checked. Pure; nothing is changed in place."""
from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from runtime import slugs
from runtime.definitions import KEYED, Definition, FindPublication, own
from runtime.errors import AlreadyUsed, InvalidRequest, InvalidSlug, NotFound

_INSTANCE_KEYS = ("appSlug", "appVersion", "config", "disabled", "labels")


@dataclass(frozen=True, slots=True)
class Edited:
    """A definition after an edit. Only `fragment` is new in it; the rest was checked when it came in."""

    definition: Definition
    fragment: Definition
    slug: str = ""
    """Of the member that was edited."""
    renamed: Mapping[str, str] = field(default_factory=dict)
    """New slug → old slug."""


Edit = Callable[[Definition], Edited]


def patch(changes: Any) -> Edit:
    """Replace root sections one by one; null removes one."""
    changes = _object(changes)

    def edit(definition: Definition) -> Edited:
        merged = {key: value for key, value in {**definition, **changes}.items() if value is not None}
        return Edited(merged, {key: value for key, value in merged.items() if key in changes or key not in KEYED})
    return edit


def configure(changes: Any, *, replace: bool = False) -> Edit:
    """Merge the root keys of `config.value`, or take a whole new config. `schema` is replaced where it is given."""
    changes = _object(changes)
    if not changes.keys() & {"value", "schema"}:
        raise InvalidRequest("A config has the keys value and schema", [{"path": "value", "message": "is required"}])

    def edit(definition: Definition) -> Edited:
        config = changes if replace else _merged(definition.get("config") or {}, changes)
        return patch({"config": config})(definition)
    return edit


def add_automation(body: Any) -> Edit:
    """A new automation; its slug is made from its name unless it brings one. Arguments are validated unless it says otherwise."""
    automation = _object(body)
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
    automation = _object(body)
    slug = automation.pop("slug", None) or old_slug

    def edit(definition: Definition) -> Edited:
        previous = member(definition, "automations", old_slug)
        named = {"name": previous["name"], **automation} if "name" in previous else automation
        return _put(definition, "automations", slug, named, old_slug=old_slug)
    return edit


def remove(section: str, slug: str) -> Edit:
    def edit(definition: Definition) -> Edited:
        member(definition, section, slug)
        rest = {key: value for key, value in definition[section].items() if key != slug}
        return Edited({**definition, section: rest}, {}, slug)
    return edit


def install(body: Any, find: FindPublication) -> Edit:
    """A new app instance. Its app and version have to be there; later they may go, and the workspace still loads."""
    body = _object(body)
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
    changes = _object(changes)
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
    changes = _object(changes)

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
        renamed = {slug: old_slug}
    fragment = {"name": definition["name"], section: {slug: value}}
    return Edited({**definition, section: placed}, fragment, slug, renamed)


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


def _object(body: Any) -> Definition:
    if type(body) is not dict:
        raise InvalidRequest("The body has to be an object", [{"path": "", "message": "should be object"}])
    return dict(own(body))
