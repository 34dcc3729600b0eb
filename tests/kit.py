"""Builders shared by the tests: sandboxes on a memory store, identities, and small readers of what happened."""
from __future__ import annotations

from contextlib import asynccontextmanager
from typing import Any, AsyncIterator

import store
from runtime.calls import NOBODY, Identity, Origin
from runtime.settings import RuntimeSettings
from runtime.testing import HandClock, Sandbox
from store.protocol import Store
from store.query import Is

ALICE = Identity("alice", "session-of-alice", 1_999_999_999_000)
BOB = Identity("bob", "session-of-bob", 1_999_999_999_000)


def origin(correlation_id: str, identity: Identity = NOBODY, **more: Any) -> Origin:
    """Of a call whose correlation id may have been used before."""
    return Origin(correlation_id, identity, is_new=False, **more)


@asynccontextmanager
async def sandbox(automations: dict[str, Any] | str, *, on: Store | None = None, clock: HandClock | None = None,
                  apps: dict[str, dict[str, Any]] | None = None, config: Any = None, imports: Any = None,
                  **settings: Any) -> AsyncIterator[Sandbox]:
    """A workspace of these automations, in memory unless a store is given. `settings` are those of the runtime."""
    if isinstance(automations, str):
        workspace: Any = automations
    else:
        workspace = {"name": "Sandbox", "automations": automations, **({"config": config} if config else {}), **({"imports": imports} if imports else {})}
    box = Sandbox(workspace, store=on or await store.open("memory:"), clock=clock, apps=apps,
                  settings=RuntimeSettings(fetch_allowed_hosts=("127.0.0.1",), **settings))
    async with box:
        yield box


def endpoint(*instructions: Any, output: Any = None, **more: Any) -> dict[str, Any]:
    """An automation behind a URL."""
    return {"when": {"endpoint": True}, "do": list(instructions), **({"output": output} if output is not None else {}), **more}


def listener(event: str, *instructions: Any, **more: Any) -> dict[str, Any]:
    return {"when": {"events": [event]}, "do": list(instructions), **more}


def steps(*instructions: Any, output: Any = None, **more: Any) -> dict[str, Any]:
    """An automation that only others call."""
    return {"do": list(instructions), **({"output": output} if output is not None else {}), **more}


def put(name: str, value: Any, **more: Any) -> dict[str, Any]:
    return {"set": {"name": name, "value": value, **more}}


def emit(event: str, payload: Any = None, **more: Any) -> dict[str, Any]:
    return {"emit": {"event": event, **({"payload": payload} if payload is not None else {}), **more}}


async def of_type(box: Sandbox, *types: str) -> list[dict[str, Any]]:
    return await box.events(Is(("type",), types))


async def payloads(box: Sandbox, type: str) -> list[Any]:
    return [event.get("payload") for event in await of_type(box, type)]
