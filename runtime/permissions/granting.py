"""Shares and keys as they are made, changed and taken back: each in one batch with the event that tells of it."""
from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from runtime.calls import NewEvent, Origin
from runtime.permissions.shares import APPS, PAGES, WORKSPACES, ApiKey, Grant, Sharing, Subject, api_key, digest_of
from store.records import Item, ItemEnded

if TYPE_CHECKING:
    from runtime.events import Bus
    from runtime.ids import Ids
    from runtime.workspace import Workspace

_HANDLE, _SECRET = 12, 32
_PREFIX = "mk-"
_TOLD = {WORKSPACES: "workspaces.permissions", PAGES: "workspaces.pages.permissions"}
"""Nothing is told of the shares of an app."""


class Granting:
    """What it returns is in force, here at once and on other nodes before they answer their next call."""

    def __init__(self, sharing: Sharing, bus: Bus, ids: Ids) -> None:
        self._sharing = sharing
        self._bus = bus
        self._ids = ids

    async def share(self, workspace: Workspace, grant: Grant, origin: Origin) -> None:
        """Anew, or in the place of what the target was granted before."""
        target, permissions = grant.shown_target(), grant.shown_permissions()
        named = {"email": grant.labels["email"]} if "email" in grant.labels else {}
        if grant.subject.kind == PAGES:
            permissions = {**permissions, **named, **({"id": target["id"]} if "id" in target else {})}
        payload = {"subjectId": grant.subject.id, "permissions": permissions, "target": target}
        await self._commit(workspace, grant.item(), _told(grant.subject, "shared", payload), origin)

    async def unshare(self, workspace: Workspace, grant: Grant, origin: Origin) -> None:
        target = grant.shown_target()
        payload: dict[str, Any] = {"subjectId": grant.subject.id, "target": target}
        if grant.subject.kind == PAGES:
            payload |= {"userId": target.get("id"), **({"email": grant.labels["email"]} if "email" in grant.labels else {})}
        item = grant.item()
        await self._commit(workspace, ItemEnded(item.collection, item.id), _told(grant.subject, "deleted", payload), origin)

    async def make_key(self, workspace: Workspace, name: str | None, rules: list[dict[str, Any]], origin: Origin) -> tuple[ApiKey, str]:
        """A new key: what is kept of it, and the key itself, which nobody will see again."""
        handle = _PREFIX + self._ids.token(_HANDLE)
        secret = f"{handle}.{self._ids.token(_SECRET)}"
        key = api_key(workspace.id, handle, digest_of(secret), name, rules)
        await self._commit(workspace, key.item(), [NewEvent("apikeys.created", key.shown())], origin)
        return key, secret

    async def change_key(self, workspace: Workspace, key: ApiKey, name: str | None, rules: list[dict[str, Any]], origin: Origin) -> ApiKey:
        changed = api_key(key.workspace_id, key.handle, key.digest, name, rules)
        await self._commit(workspace, changed.item(), [NewEvent("apikeys.updated", changed.shown())], origin)
        return changed

    async def delete_key(self, workspace: Workspace, key: ApiKey, origin: Origin) -> None:
        item = key.item()
        await self._commit(workspace, ItemEnded(item.collection, item.id), [NewEvent("apikeys.deleted", key.shown())], origin)

    async def _commit(self, workspace: Workspace, fact: Item | ItemEnded, events: Sequence[NewEvent], origin: Origin) -> None:
        await self._bus.accept(workspace, events, origin, facts=[fact], on_commit=lambda: self._sharing.hear(fact))


def _told(subject: Subject, verb: str, payload: dict[str, Any]) -> list[NewEvent]:
    return [] if subject.kind == APPS else [NewEvent(f"{_TOLD[subject.kind]}.{verb}", payload)]
