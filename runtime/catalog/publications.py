"""Apps: workspaces that were published, version by version, for others to install. Values only; the catalog keeps them."""
from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from runtime.catalog.slugs import is_slug
from runtime.clock import iso
from runtime.errors import AlreadyUsed, InvalidRequest, InvalidSlug
from runtime.values import decode, encode
from store.records import App

_LABELS = ("name", "description", "photo", "labels")
_VERSION_NAME = re.compile(r"[a-zA-Z0-9_.-]{1,15}")


@dataclass(frozen=True, slots=True)
class Version:
    """One publication of an app; it never changes."""

    name: str
    created_at: int
    definition: dict[str, Any]
    description: str | None = None

    def summary(self) -> dict[str, Any]:
        return {"name": self.name, "createdAt": iso(self.created_at),
                **({"description": self.description} if self.description else {})}


@dataclass(frozen=True, slots=True)
class Publication:
    """An app: where it comes from, how it presents itself, and its versions, the newest first."""

    slug: str
    workspace_id: str
    labels: dict[str, Any]
    """`name`, and `description`, `photo` and `labels` where they were given."""
    versions: tuple[Version, ...]

    @property
    def latest(self) -> Version:
        return self.versions[0]

    def version(self, name: str | None) -> Version | None:
        """The latest without a name; None when there is no such version."""
        if name is None:
            return self.latest
        return next((version for version in self.versions if version.name == name), None)

    def summary(self) -> dict[str, Any]:
        """The app as others see it; definitions stay inside."""
        return {"slug": self.slug, "workspaceId": self.workspace_id, **self.labels,
                "createdAt": iso(self.versions[-1].created_at), "updatedAt": iso(self.latest.created_at),
                "versions": [version.summary() for version in self.versions]}

    def fact(self) -> App:
        versions = [{"name": v.name, "createdAt": v.created_at, "description": v.description, "definition": v.definition}
                    for v in self.versions]
        return App(self.slug, self.workspace_id, encode({**self.labels, "slug": self.slug, "workspaceId": self.workspace_id,
                                                         "versions": versions}))

    def with_version(self, version: Version, labels: dict[str, Any], *, most: int) -> Publication:
        """The app after one more publication; beyond `most` the oldest versions go."""
        if self.version(version.name) is not None:
            raise AlreadyUsed(f'Version "{version.name}" of this app exists already', {"slug": self.slug, "version": version.name})
        return Publication(self.slug, self.workspace_id, {**self.labels, **labels}, (version, *self.versions)[:most])


def from_fact(fact: App) -> Publication:
    body = decode(fact.body)
    versions = tuple(Version(v["name"], v["createdAt"], v["definition"], v.get("description")) for v in body.pop("versions"))
    del body["slug"], body["workspaceId"]
    return Publication(fact.slug, fact.workspace_id, body, versions)


def published(workspace_id: str, definition: dict[str, Any], body: dict[str, Any], before: Publication | None, now: int, *,
              most: int) -> Publication:
    """The app after a publication of `definition`. `body` may name slug, labels and `version: {name, description}`; the slug is
    settled by the first publication, and so are the labels that later ones do not give."""
    slug = body.get("slug") or (before.slug if before else definition["slug"])
    if not is_slug(slug) or before is not None and slug != before.slug:
        why = f'the slug of this app is "{before.slug}" for ever' if before else "letters, digits, blanks, '/', '_' and '-' only"
        raise InvalidSlug(f"{slug!r} cannot be the slug: {why}", {"slug": slug})
    labels = {key: body[key] for key in _LABELS if body.get(key) is not None}
    about = body.get("version") if type(body.get("version")) is dict else {}
    taken = {version.name for version in before.versions} if before is not None else set()
    version = Version(version_name(about.get("name"), now, taken.__contains__), now, definition, about.get("description"))
    if before is not None:
        return before.with_version(version, labels, most=most)
    return Publication(slug, workspace_id, {**{key: definition[key] for key in _LABELS if key in definition}, **labels}, (version,))


def version_name(wanted: Any, now: int, is_taken: Callable[[str], bool]) -> str:
    """`wanted` once it is checked, or a name made from the time that no version has yet."""
    if wanted is None:
        while is_taken(_dated(now)):
            now += 1
        return _dated(now)
    if type(wanted) is not str or not _VERSION_NAME.fullmatch(wanted) or wanted in ("current", "latest"):
        raise InvalidRequest(f"{wanted!r} cannot name a version: letters, digits, '.', '_' and '-', 15 at most",
                             {"version": wanted}, wire="InvalidVersionError")
    return wanted


def _dated(now: int) -> str:
    """`2025-11-22T16:30:00.123Z` → `251122163000123`."""
    return re.sub(r"\D", "", iso(now))[2:]


def interface(definition: dict[str, Any]) -> dict[str, Any]:
    """What an app offers to who installs it: its automations that can be called, the events it emits and hears, its blocks."""
    automations, emitted, heard = [], {}, {}
    for slug, automation in (definition.get("automations") or {}).items():
        if automation.get("disabled") is True:
            continue
        _collect_emitted(automation.get("do"), emitted)
        heard.update(dict.fromkeys((automation.get("when") or {}).get("events") or ()))
        if automation.get("private") is not True:
            automations.append({"slug": slug, **{key: automation[key] for key in ("name", "description", "arguments")
                                                 if key in automation}})
    return {"automations": automations, "blocks": definition.get("blocks") or [],
            "events": {"emit": [{"event": event} for event in emitted], "listen": list(heard)}}


def _collect_emitted(value: Any, found: dict[str, None]) -> None:
    """The constant names in `emit` instructions, wherever they stand, in the order they are written."""
    if type(value) is list:
        for item in value:
            _collect_emitted(item, found)
    elif type(value) is dict:
        body = value.get("emit")
        if type(body) is dict and type(event := body.get("event")) is str and "{{" not in event:
            found[event] = None
        for item in value.values():
            _collect_emitted(item, found)
