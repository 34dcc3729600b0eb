"""Definition documents: the revision of a workspace, how a document is brought into its kept form, and how it is shown. Pure."""
from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from runtime.catalog.publications import Publication, interface
from runtime.clock import iso
from runtime.errors import AlreadyUsed, InvalidRequest
from runtime.values import decode, encode, encode_exactly
from store.records import Workspace as WorkspaceFact

Definition = dict[str, Any]
FindPublication = Callable[[str], Publication | None]

KEYED = ("automations", "imports", "pages")
"""Sections whose members have a slug, and a file of their own in an archive."""
ASSIGNED = ("id", "createdAt", "updatedAt", "createdBy", "updatedBy")
"""What the server says about a workspace; a document that carries it was exported from somewhere. Of pages, the id."""


@dataclass(frozen=True, slots=True)
class Revision:
    """One state of a workspace. An edit makes the next one; nothing here is ever changed in place."""

    id: str
    owner: str
    number: int
    created_at: int
    updated_at: int
    updated_by: str
    definition: Definition
    page_ids: Mapping[str, str] = field(default_factory=dict)
    """Slug → id of each page. Ids outlive new slugs, and are never taken from a document."""
    is_suspended: bool = False

    @property
    def slug(self) -> str:
        return self.definition["slug"]

    def fact(self) -> WorkspaceFact:
        body = encode({"owner": self.owner, "updatedBy": self.updated_by, "definition": self.definition, "pageIds": self.page_ids,
                       "suspended": self.is_suspended})
        return WorkspaceFact(self.id, self.slug, self.number, self.created_at, self.updated_at, body)

    def next(self, definition: Definition, now: int, author: str, page_ids: Mapping[str, str]) -> Revision:
        return replace(self, number=self.number + 1, updated_at=now, updated_by=author, definition=definition, page_ids=page_ids)

    def page(self, slug: str) -> Definition:
        """A page with what the server says about it. Raises `KeyError`."""
        return {"id": self.page_ids.get(slug), "slug": slug, **self.definition["pages"][slug]}

    def metadata(self) -> dict[str, Any]:
        """The short form, as lists of workspaces show it."""
        kept = {key: self.definition[key] for key in ("name", "slug", "description", "photo", "labels") if key in self.definition}
        return {"id": self.id, **kept, **self._times()}

    def summary(self) -> dict[str, Any]:
        """Every root section but the keyed ones; what events about the workspace carry."""
        return {**{key: value for key, value in self.definition.items() if key not in KEYED}, **self._times()}

    def index(self, find: FindPublication) -> dict[str, Any]:
        """The definition as it is shown: automations and pages without their content, imports with what their apps offer."""
        automations, imports, pages = ((self.definition.get(section) or {}).items() for section in KEYED)
        return {**self.summary(),
                "automations": {slug: automation_summary(slug, automation) for slug, automation in automations},
                "imports": {slug: instance_summary(slug, imported, find) for slug, imported in imports},
                "pages": {slug: page_summary(self.page(slug)) for slug, _ in pages}}

    def _times(self) -> dict[str, Any]:
        return {"createdAt": iso(self.created_at), "updatedAt": iso(self.updated_at),
                "createdBy": self.owner, "updatedBy": self.updated_by, **({"suspended": True} if self.is_suspended else {})}


def from_fact(fact: WorkspaceFact) -> Revision:
    body = decode(fact.body)
    return Revision(fact.id, body["owner"], fact.revision, fact.created_at, fact.updated_at, body["updatedBy"], body["definition"],
                    body.get("pageIds") or {}, body.get("suspended", False))


def own(value: Any) -> Any:
    """A copy that nobody else holds, exactly as it will be read back from the store."""
    try:
        return decode(encode_exactly(value))
    except TypeError as error:                          # an integer beyond 64 bits, broken text, nesting beyond any use
        raise InvalidRequest(f"This cannot be kept as JSON: {error}") from None


def kept_form(document: Definition) -> Definition:
    """The document as it is kept: members under their slugs, automations named, nothing that only the server may say."""
    kept = {key: value for key, value in document.items() if key not in ASSIGNED and value is not None}
    for section in KEYED:
        if section in kept:
            kept[section] = _by_slug(section, kept[section])
    for slug, automation in kept.get("automations", {}).items():
        automation.setdefault("name", slug)
    return kept


def _by_slug(section: str, members: Mapping[str, Any]) -> dict[str, Any]:
    """A member is known by its `slug`, else by its key; the key alone is kept, so that the two never disagree."""
    keyed: dict[str, Any] = {}
    for key, member in members.items():
        member = dict(member or {})
        slug = member.pop("slug", None) or key
        if section == "pages":
            member.pop("id", None)
        if slug in keyed:
            raise AlreadyUsed(f'Two {section} have the slug "{slug}"', {"slug": slug, "path": f"{section}.{key}"})
        keyed[slug] = member
    return keyed


def automation_summary(slug: str, automation: Definition) -> dict[str, Any]:
    return {"slug": slug, **{key: value for key, value in automation.items() if key not in ("do", "output")}}


def page_summary(page: Definition) -> dict[str, Any]:
    return {key: value for key, value in page.items() if key != "blocks"}


def instance_summary(slug: str, imported: Definition, find: FindPublication) -> dict[str, Any]:
    """An app instance with what its app offers; an app that is not there offers nothing."""
    publication = find(imported.get("appSlug") or "")
    version = publication.version(imported.get("appVersion")) if publication else None
    offer = interface(version.definition if version else {})
    photo = {"photo": publication.labels["photo"]} if publication and "photo" in publication.labels else {}
    return {"slug": slug, **imported, **photo, **offer}


def members(definition: Definition) -> Iterator[str]:
    """The parts of a definition by the names of their files: `index`, `automations/main`, …"""
    yield "index"
    if "security" in definition:
        yield "security"
    for section in KEYED:
        for slug in definition.get(section) or ():
            yield f"{section}/{slug}"


def same(one: Any, other: Any) -> bool:
    """Equal as JSON: unlike `==`, 1 is not true. Shared parts are not looked into."""
    if one is other:
        return True
    if type(one) is not type(other):
        return False
    if type(one) is dict:
        return one.keys() == other.keys() and all(same(value, other[key]) for key, value in one.items())
    if type(one) is list:
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other)
