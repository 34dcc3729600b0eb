"""What the management routes share: who may do what to a workspace, and how lists are cut into pages."""
from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from aiohttp import web

from gateway import bodies
from gateway.auth import OWNER
from gateway.errors import invalid
from runtime.calls import Identity, Origin
from runtime.errors import Forbidden

if TYPE_CHECKING:
    from gateway.app import Gateway
    from runtime.workspace import Workspace

T = TypeVar("T")

READ, UPDATE, DELETE, TEST = "read", "update", "delete", "test"
SEARCH, USAGE = "aggregate_search", "get_usage"
SHARE, SECURE, KEYS, SECRETS = "manage_permissions", "manage_security", "manage_keys", "manage_secrets"
_EDITOR = frozenset((READ, UPDATE, TEST, SEARCH, USAGE))
_BY_ROLE = {OWNER: _EDITOR | {DELETE, SHARE, SECURE, KEYS, SECRETS}, "editor": _EDITOR}
_NOTHING: frozenset[str] = frozenset()
_LARGEST_PAGE = 1000


class Visit(NamedTuple):
    """A workspace and the caller who may do to it what the route does."""

    workspace: Workspace
    origin: Origin


def may(gateway: Gateway, workspace: Workspace, identity: Identity, action: str) -> bool:
    """The one decision about a workspace."""
    return action in _BY_ROLE.get(gateway.auth.role_in(workspace, identity) or "", _NOTHING)


async def enter(gateway: Gateway, request: web.Request, action: str, workspace_id: str | None = None) -> Visit:
    """The workspace of the path, or the one named. Raises `Unauthenticated`, `NotFound` or `Forbidden`, in that order."""
    origin = await gateway.auth.origin(request, required=True)
    workspace = gateway.engine.catalog.require(request.match_info["workspace"] if workspace_id is None else workspace_id)
    if not may(gateway, workspace, origin.identity, action):
        raise Forbidden(f"You may not {action} this workspace", {"workspaceId": workspace.id})
    return Visit(workspace, origin)


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
