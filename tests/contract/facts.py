"""Facts to store, with as little said about each as a test needs."""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from runtime.values import encode
from store.protocol import Store
from store.records import Change, ContextKey, Delivery, Event, Session, Wait, Workspace

NOON = 1_763_812_800_000
CELL = ContextKey("w1", "global", "w1")


async def documents(store: Store, cells: Sequence[ContextKey], now: int) -> list[Any]:
    """What the store holds of these contexts, None where it holds nothing."""
    return [stored and stored.document for stored in await store.contexts(cells, now)]


def event(number: int, type: str = "order.placed", *, workspace: str = "w1", correlation: str = "c1",
          session: str | None = None, at: int = NOON, id: str | None = None, **payload: Any) -> Event:
    id = id or f"{NOON + number}-{number}"
    source = {"workspaceId": workspace, "correlationId": correlation}
    if session is not None:
        source["sessionId"] = session
    body = {"id": id, "type": type, "source": source, "payload": {"number": number, **payload}}
    return Event(workspace, id, type, at, correlation, session, encode(body))


def change(op: str, path: list[str | int], value: Any = None, *, cell: ContextKey = CELL,
           expires_at: int | None = None) -> Change:
    return Change(cell, op, encode(path), encode(value), expires_at)


def delivery(id: str, *, workspace: str = "w1") -> Delivery:
    return Delivery(id, workspace, "e1", "greet", NOON, b'{"id":"e1"}')


def wait(id: str, *, workspace: str = "w1") -> Wait:
    return Wait(id, workspace, "c1", NOON, b'{"oneOf":[]}')


def session(id: str, expires_at: int | None = None) -> Session:
    return Session(id, "u1", expires_at, b'{"userId":"u1"}')


def workspace(id: str, slug: str, revision: int = 1) -> Workspace:
    return Workspace(id, slug, revision, NOON, NOON, b'{"name":"A"}')
