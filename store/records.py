"""The facts a store keeps: plain, flat, cheap to make. A batch is a list of them.

Times are milliseconds since 1970, UTC. Bodies are JSON, encoded once by whoever makes the fact.
"""
from __future__ import annotations

from typing import Any, NamedTuple


class Event(NamedTuple):
    """An accepted event. `body` is its complete envelope; the other fields are the ones an index needs."""

    workspace_id: str
    id: str
    type: str
    created_at: int
    correlation_id: str
    session_id: str | None
    body: bytes


class StoredEvent(NamedTuple):
    """An event as it is read back: its place in the order of its workspace, and its envelope."""

    position: int
    body: bytes


class ContextKey(NamedTuple):
    """Names one context document: `context` is global, user, session, run, socket or config; `key` whose."""

    workspace_id: str
    context: str
    key: str


class StoredContext(NamedTuple):
    """A context document as it is read back. `expires_at` is the end of its life (None: it lives for ever)."""

    document: dict[str, Any]
    expires_at: int | None


class Change(NamedTuple):
    """One operation on one context document. `path` and `value` are JSON texts; an empty path is the whole document.

    `expires_at` is the new end of life of the document (None: lives for ever).
    """

    cell: ContextKey
    op: str
    path: bytes
    value: bytes
    expires_at: int | None


class Delivery(NamedTuple):
    """An event that must start an automation, until `Delivered` says it has run. `body` is the event's envelope.

    With an empty `event_id` it is a tick, whose `body` is `{schedule, at, correlationId}`.
    """

    id: str
    workspace_id: str
    event_id: str
    automation: str
    created_at: int
    body: bytes


class Delivered(NamedTuple):
    id: str


class Wait(NamedTuple):
    """A frame that waits for an event. `body` is `{oneOf, timeout, …}`."""

    id: str
    workspace_id: str
    correlation_id: str
    expires_at: int
    body: bytes


class WaitEnded(NamedTuple):
    id: str


class Tick(NamedTuple):
    """The last firing of an automation's schedules. One (workspace, automation, at) is accepted once only."""

    workspace_id: str
    automation: str
    at: int


class Session(NamedTuple):
    """A login. `body` is `{userId, email?, authData?, …}`."""

    id: str
    user_id: str
    expires_at: int | None
    body: bytes


class SessionEnded(NamedTuple):
    id: str


class Workspace(NamedTuple):
    """A workspace and the revision of its definition. `body` is the whole definition document."""

    id: str
    slug: str
    revision: int
    created_at: int
    updated_at: int
    body: bytes


class WorkspaceDeleted(NamedTuple):
    """Takes the workspace's definition, contexts, topics, deliveries, waits and ticks with it. Its events stay (retention)."""

    id: str


class App(NamedTuple):
    """A published workspace. `body` is `{slug, workspaceId, name, versions: [{name, createdAt, definition}], …}`."""

    slug: str
    workspace_id: str
    body: bytes


class AppDeleted(NamedTuple):
    slug: str


class Topic(NamedTuple):
    """A user topic and one of its members (an empty `user_id` declares the topic alone)."""

    workspace_id: str
    topic: str
    user_id: str


class Item(NamedTuple):
    """A document of one of the collections that are looked up by `id`: places in the feed, accounts, keys, versions, …

    The same `id` again replaces it, unless it says that it is the first: then that is a `Conflict`. `workspace_id` is empty for
    what belongs to the installation. `expires_at` is the end of its life (None: it lives for ever).
    """

    collection: str
    id: str
    workspace_id: str
    expires_at: int | None
    body: bytes
    is_first: bool = False


class ItemEnded(NamedTuple):
    collection: str
    id: str


class RunHeld(NamedTuple):
    """The run of this correlation id lives on the node that commits this; a `Conflict` while it lives on another one."""

    workspace_id: str
    correlation_id: str


class RunLeft(NamedTuple):
    """The node that held the run has let go of it."""

    workspace_id: str
    correlation_id: str


class Volatile(NamedTuple):
    """An event that is told and never stored. Only nodes that share their store commit it: for the ears of the others."""

    workspace_id: str
    body: bytes


Fact = (Event | Change | Delivery | Delivered | Wait | WaitEnded | Tick | Session | SessionEnded
        | Workspace | WorkspaceDeleted | App | AppDeleted | Topic | Item | ItemEnded | RunHeld | RunLeft | Volatile)


class Member(NamedTuple):
    """A node, as the others see it. `id` is new at each start; `url` is where the others reach it."""

    id: str
    url: str
    host: str
    pid: int
