"""Whom a workspace is shared with, and by which API keys: kept as items, held in memory, the same on every node."""
from __future__ import annotations

import asyncio
import hashlib
import hmac
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from runtime.calls import Presented
from runtime.permissions.rules import Rule, read_rules
from runtime.values import decode, encode
from store.protocol import Store
from store.records import Item, ItemEnded

GRANTS, KEYS = "permissions", "apikeys"
COLLECTIONS = frozenset((GRANTS, KEYS))
PUBLIC = "*"
WORKSPACES, PAGES, APPS = "workspaces", "pages", "apps"
_ROLE = "role:"
_ALWAYS = 0
"""None of these items ends by itself."""


class Subject(NamedTuple):
    """What is shared: a workspace, one of its pages, or its app."""

    kind: str
    id: str


@dataclass(frozen=True, slots=True)
class Grant:
    """What one target may do with a subject. The target is a user id, `*` for everybody, or `role:` and the name of a role."""

    workspace_id: str
    subject: Subject
    target: str
    role: str | None
    policies: frozenset[str]
    labels: dict[str, Any]
    """How the target was named: `{email?, displayName?}`."""

    @property
    def id(self) -> str:
        return grant_id(self.workspace_id, self.subject, self.target)

    def shown(self) -> dict[str, Any]:
        """`{target, permissions}`."""
        return {"target": self.shown_target(), "permissions": self.shown_permissions()}

    def shown_target(self) -> dict[str, Any]:
        if self.target == PUBLIC:
            return {"public": True}
        named = {"displayName": self.labels["displayName"]} if "displayName" in self.labels else {}
        if self.target.startswith(_ROLE):
            return {"role": self.target.removeprefix(_ROLE), **named}
        return {"id": self.target, **named}

    def shown_permissions(self) -> dict[str, Any]:
        role = {"role": self.role} if self.role is not None else {}
        return {**role, **({"policies": dict.fromkeys(sorted(self.policies), True)} if self.policies else {})}

    def item(self) -> Item:
        body = {"subject": list(self.subject), "target": self.target, "role": self.role, "policies": sorted(self.policies),
                "labels": self.labels}
        return Item(GRANTS, self.id, self.workspace_id, None, encode(body))


def grant_id(workspace_id: str, subject: Subject, target: str) -> str:
    return f"{workspace_id}:{subject.kind}:{subject.id}:{target}"


def role_target(role: str) -> str:
    return _ROLE + role


@dataclass(frozen=True, slots=True)
class ApiKey:
    """The key is `handle.secret`; what is kept is its digest."""

    workspace_id: str
    handle: str
    digest: str
    name: str | None
    raw_rules: list[dict[str, Any]]
    rules: tuple[Rule, ...]

    @property
    def id(self) -> str:
        return f"{self.workspace_id}:{self.handle}"

    def shown(self, key: str | None = None) -> dict[str, Any]:
        """The key itself is shown once, then only what it begins with."""
        return {"apiKey": key or self.handle, "name": self.name, "rules": self.raw_rules,
                "subjectType": WORKSPACES, "subjectId": self.workspace_id}

    def item(self) -> Item:
        body = {"handle": self.handle, "digest": self.digest, "name": self.name, "rules": self.raw_rules}
        return Item(KEYS, self.id, self.workspace_id, None, encode(body))


def api_key(workspace_id: str, handle: str, digest: str, name: str | None, raw_rules: list[dict[str, Any]]) -> ApiKey:
    return ApiKey(workspace_id, handle, digest, name, raw_rules, tuple(read_rules(raw_rules, [])))


def digest_of(key: str) -> str:
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).hexdigest()


class Shares:
    """Those of one workspace. `revision` grows with each change."""

    __slots__ = ("_grants", "_keys", "revision")

    def __init__(self) -> None:
        self.revision = 0
        self._grants: dict[Subject, dict[str, Grant]] = {}
        self._keys: dict[str, ApiKey] = {}

    def grants(self, subject: Subject) -> list[Grant]:
        return list(self._grants.get(subject, {}).values())

    def grant(self, subject: Subject, target: str) -> Grant | None:
        return self._grants.get(subject, {}).get(target)

    def for_user(self, subject: Subject, user_id: str | None, roles: Iterable[str] = ()) -> Iterator[Grant]:
        """What is granted to a user: by name first, then to everybody, then to their roles."""
        granted = self._grants.get(subject)
        if granted:
            for target in (user_id, PUBLIC, *map(role_target, roles)):
                if target in granted:
                    yield granted[target]

    def keys(self) -> list[ApiKey]:
        return list(self._keys.values())

    def key(self, handle: str) -> ApiKey | None:
        """By what it begins with, or by all of it."""
        return self._keys.get(handle.partition(".")[0])

    def key_of(self, presented: Presented) -> ApiKey | None:
        """The key that a call proves to have."""
        if presented.name:
            return next((key for key in self._keys.values() if key.name == presented.name), None)
        found = self._keys.get(presented.secret.partition(".")[0])
        return found if found is not None and hmac.compare_digest(found.digest, digest_of(presented.secret)) else None

    def take(self, fact: Item) -> None:
        body = decode(fact.body)
        if fact.collection == KEYS:
            self._keys[body["handle"]] = api_key(fact.workspace_id, body["handle"], body["digest"], body["name"], body["rules"])
        else:
            subject = Subject(*body["subject"])
            self._grants.setdefault(subject, {})[body["target"]] = Grant(
                fact.workspace_id, subject, body["target"], body["role"], frozenset(body["policies"]), body["labels"])
        self.revision += 1

    def drop(self, ended: ItemEnded) -> None:
        if ended.collection == KEYS:
            self._keys = {handle: key for handle, key in self._keys.items() if key.id != ended.id}
        for granted in self._grants.values() if ended.collection == GRANTS else ():
            for target in [target for target, grant in granted.items() if grant.id == ended.id]:
                del granted[target]
        self.revision += 1

    def clear(self) -> None:
        self._grants.clear()
        self._keys.clear()
        self.revision += 1


class Sharing:
    """Those of all workspaces."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._by_workspace: dict[str, Shares] = {}

    def of(self, workspace_id: str) -> Shares:
        """The same object for as long as the workspace lives, whatever changes in it."""
        return self._by_workspace.setdefault(workspace_id, Shares())

    async def load(self, workspace_ids: Iterable[str]) -> None:
        """Read all of them; whatever was held before is forgotten."""
        for workspace_id in workspace_ids:
            kept = await asyncio.gather(*(self._store.items(collection, workspace_id, _ALWAYS) for collection in (GRANTS, KEYS)))
            shares = self.of(workspace_id)
            shares.clear()
            for item in (item for items in kept for item in items):
                shares.take(item)

    def hear(self, fact: Item | ItemEnded) -> None:
        """Go on with what was committed, here or on another node."""
        if fact.collection not in COLLECTIONS:
            return
        if isinstance(fact, Item):
            self.of(fact.workspace_id).take(fact)
        else:
            self.of(fact.id.partition(":")[0]).drop(fact)

    def forget(self, workspace_id: str) -> None:
        """The workspace is gone. Whoever still holds its shares keeps them as they were."""
        self._by_workspace.pop(workspace_id, None)
