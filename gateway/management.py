"""What the management routes share: who may do what to a workspace, and how lists are cut into pages."""
from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from aiohttp import web

from gateway import bodies
from gateway.errors import invalid
from runtime.calls import Identity, Origin
from runtime.catalog.definitions import same
from runtime.errors import Forbidden, Unauthenticated
from runtime.permissions.decisions import DELETE, KEYS, READ, SEARCH, SECRETS, SECURE, SHARE, TEST, UPDATE, USAGE, Decision, decide, has_key, who_is
from runtime.permissions.shares import PAGES, WORKSPACES

if TYPE_CHECKING:
    from gateway.app import Gateway
    from runtime.workspace import Workspace

__all__ = ["DELETE", "KEYS", "READ", "SEARCH", "SECRETS", "SECURE", "SHARE", "TEST", "UPDATE", "USAGE", "Visit", "body_of", "decision", "enter",
           "enter_page", "keep_security", "listed", "may", "natural", "page", "require"]

T = TypeVar("T")

_SHOWN = ("id", "name", "slug", "description", "labels")
_LARGEST_PAGE = 1000


class Visit(NamedTuple):
    """A workspace and the caller who may do to it what the route does."""

    workspace: Workspace
    origin: Origin


def decision(gateway: Gateway, workspace: Workspace, identity: Identity, action: str, subject: str = WORKSPACES,
             fields: dict[str, Any] | None = None) -> Decision:
    """The one decision about what a caller does over HTTP; `fields` are those of the subject, else the workspace's own."""
    identity = gateway.auth.member(workspace, identity)
    who = who_is(workspace, identity, gateway.engine.topics_of(workspace.id, identity.user_id))
    if fields is None:
        fields = {name: workspace.definition[name] for name in _SHOWN if name in workspace.definition}
    return decide(workspace, who, action, subject, fields)


def may(gateway: Gateway, workspace: Workspace, identity: Identity, action: str) -> bool:
    """Whether the caller may do this to the workspace."""
    return decision(gateway, workspace, identity, action).is_allowed


def require(gateway: Gateway, workspace: Workspace, identity: Identity, action: str) -> None:
    """Raises `Forbidden`, in the words of the rule that forbids it, if there is one."""
    made = decision(gateway, workspace, identity, action)
    if not made.is_allowed:
        raise Forbidden(made.reason or f"You may not {action.replace('_', ' ')} this workspace", {"workspaceId": workspace.id})


async def enter(gateway: Gateway, request: web.Request, action: str, workspace_id: str | None = None) -> Visit:
    """The workspace of the path, or the one named. Raises `Unauthenticated`, `NotFound` or `Forbidden`, in that order."""
    origin = await gateway.auth.origin(request)
    identity = origin.identity
    if identity.user_id is None and identity.api_key is None:
        await gateway.auth.origin(request, required=True)
    workspace = gateway.engine.catalog.require(request.match_info["workspace"] if workspace_id is None else workspace_id)
    if identity.user_id is None and not has_key(workspace, identity):
        raise Unauthenticated("The API key is not one of this workspace")
    require(gateway, workspace, identity, action)
    return Visit(workspace, origin)


async def enter_page(gateway: Gateway, request: web.Request, fields: dict[str, Any]) -> Visit:
    """The workspace of a page that the caller may look at: whoever reads the workspace, and those the page is shared with."""
    origin = await gateway.auth.origin(request)
    workspace = gateway.engine.catalog.get(request.match_info["workspace"])
    if workspace is not None and decision(gateway, workspace, origin.identity, READ, PAGES, fields).is_allowed:
        return Visit(workspace, origin)
    return await enter(gateway, request, READ)


def keep_security(gateway: Gateway, visit: Visit, document: Any) -> None:
    """A document in the place of the workspace, or of sections of it, changes the rules only for those who may. Raises `Forbidden`."""
    if type(document) is dict and "security" in document:
        before, after = visit.workspace.definition.get("security"), document["security"]
        if not same(before or {}, after or {}):
            require(gateway, visit.workspace, visit.origin.identity, SECURE)


async def body_of(gateway: Gateway, request: web.Request) -> dict[str, Any]:
    return await bodies.json_object(request, gateway.settings.request_max_size)


def page(request: web.Request, items: Sequence[T], *, limit: int = 20) -> Sequence[T]:
    """The part of `items` that `limit` and `page` ask for; pages count from 0."""
    limit, number = natural(request, "limit", limit, most=_LARGEST_PAGE), natural(request, "page", 0)
    return items[number * limit:(number + 1) * limit]


def natural(request: web.Request, name: str, default: int, *, most: int = 1_000_000_000) -> int:
    """A whole number of the query, from 0 to `most`."""
    text = request.query.get(name)
    if text is None:
        return default
    if not (text.isascii() and text.isdigit() and len(text) <= 10 and int(text) <= most):
        raise invalid(f"{name} should be a whole number, {most} at most", name)
    return int(text)


def listed(request: web.Request, name: str) -> frozenset[str]:
    """The values of a query parameter that may be repeated or separated by commas; empty when it is not given."""
    return frozenset(part for text in request.query.getall(name, ()) for part in text.split(",") if part)
