"""After the end of a workspace nothing of it is left but its events, in memory or in the store, on one node or on several."""
from __future__ import annotations

import asyncio
import builtins
import gc
from typing import Any

import pytest
from kit import sandbox
from nodes_kit import nodes

from runtime.calls import NOBODY, Identity, NewEvent, Origin
from runtime.contexts import Cell
from runtime.errors import NotFound
from runtime.permissions.shares import Grant, Subject
from runtime.run import Run
from runtime.space import Space
from runtime.testing import Sandbox
from runtime.workspace import Workspace
from store.query import EventQuery
from store.records import ContextKey

ALICE = Identity("alice", "session-of-alice", is_login=True)
STEPS: dict[str, Any] = {
    "fill": {"when": {"endpoint": True}, "do": [
        {"set": {"name": "global.count", "value": 1}}, {"set": {"name": "user.name", "value": "Alice"}},
        {"set": {"name": "session.a", "value": 1}}, {"set": {"name": "socket.a", "value": 1}}, {"set": {"name": "run.a", "value": 1}},
        {"set": {"name": "config.a", "value": 1}}, {"createUserTopic": {"topic": "t", "userIds": ["alice"]}}]},
    "wait": {"when": {"events": ["begin"]}, "do": [
        {"set": {"name": "global.waiting", "value": True}}, {"wait": {"oneOf": [{"event": "never"}], "timeout": 3600}},
        {"set": {"name": "global.late", "value": True}}]},
    "nightly": {"when": {"schedules": ["0 5 * * *"]}, "do": []},
    "bye": {"when": {"events": ["workspaces.deleted"]}, "do": [
        {"set": {"name": "global.bye", "value": True}}, {"emit": {"event": "bye", "payload": {"count": "{{global.count}}"}}}]},
    "chained": {"when": {"events": ["bye"]}, "do": [{"set": {"name": "user.bye", "value": 1}}, {"emit": {"event": "chained"}}]},
}


async def filled(box: Sandbox, origin: str = "first") -> None:
    """Contexts of every kind, topics, a version, an open wait, a delivery, and the firing of a schedule."""
    await box.call("fill", identity=ALICE, origin=Origin(origin, ALICE))
    await box.engine.accept(box.id, [NewEvent("begin", {})], Origin(origin + "-wait", ALICE))
    catalog, workspace = box.engine.catalog, box.engine.catalog.require(box.id)
    await catalog.versions.publish(box.id, {"name": origin[:15]}, Origin("version"))
    await catalog.granting.share(workspace, Grant(box.id, Subject("workspaces", box.id), "bob", "editor", frozenset(), {}), Origin("share"))
    await catalog.granting.make_key(workspace, "key", [], Origin("key"))


async def gone(box: Sandbox, *others: Sandbox) -> None:
    """Let the workspace go, and what still runs in it be broken off."""
    await box.engine.catalog.delete(box.id, Origin("delete"))
    for _ in range(8):
        for _ in range(60):
            await asyncio.sleep(0)
        box.clock.advance(1)
    for _ in range(60):
        await asyncio.sleep(0)
    for each in (box, *others):
        left_in_memory(each, box.id)


def left_in_memory(box: Sandbox, id: str) -> None:
    engine = box.engine
    assert engine.catalog.get(id) is None and id not in engine.catalog._revisions and id not in engine.catalog._locks
    assert id not in engine.catalog.sharing._by_workspace and not engine.catalog.secrets.of(id)
    assert id not in engine._spaces and id not in engine._scheduler._plans
    with pytest.raises(NotFound):
        engine.feed(id)
    assert [thing for thing in living() if _whose(thing) == id] == []


def living() -> list[Any]:
    """Those that no earlier test has left behind."""
    gc.collect()
    return [thing for thing in gc.get_objects() if type(thing) in (Space, Workspace, Run, Cell) and builtins.id(thing) not in _earlier]


_earlier: set[int] = set()


@pytest.fixture(autouse=True)
def forget_earlier_tests() -> None:
    _earlier.clear()
    _earlier.update(builtins.id(thing) for thing in living())


def _whose(thing: Any) -> str:
    return thing.key.workspace_id if type(thing) is Cell else thing.space.id if type(thing) is Run else thing.id


async def left_in_store(box: Sandbox) -> None:
    store, id, now = box.store, box.id, box.clock.now()
    assert [workspace.id for workspace in await store.workspaces() if workspace.id == id] == []
    keys = [ContextKey(id, "global", ""), ContextKey(id, "user", "alice"), ContextKey(id, "session", "session-of-alice"),
            ContextKey(id, "socket", "session-of-alice"), ContextKey(id, "run", "first"), ContextKey(id, "config", "")]
    assert await store.contexts(keys, now) == [None] * len(keys)
    facts = [*await store.deliveries(), *await store.waits(), *await store.ticks(), *await store.topics()]
    assert [fact for fact in facts if fact.workspace_id == id] == []
    for collection in ("versions", "versions.definitions", "permissions", "apikeys"):
        assert await store.items(collection, id, now) == []


async def types(box: Sandbox) -> list[str]:
    events = await box.events()
    return [event["type"] for event in events]


async def test_nothing_of_a_deleted_workspace_is_left_but_its_events() -> None:
    async with sandbox(STEPS) as box:
        await filled(box)
        await gone(box)
        await left_in_store(box)
        said = await types(box)
        assert {"workspaces.deleted", "bye", "chained"} <= set(said)
        assert next(event for event in await box.events() if event["type"] == "bye")["payload"] == {"count": 1}
        assert len(await box.store.events(EventQuery(box.id, limit=1000))) == len(said)


async def test_nothing_is_left_on_two_nodes_whichever_runs_what() -> None:
    async with nodes(STEPS) as house:
        await filled(house[1])
        await house[2].engine.catch_up()
        await filled(house[2], "second")
        await house[1].engine.catch_up()
        await gone(house[1], house[2])
        await house[2].engine.catch_up()
        await left_in_store(house[2])
        assert (await types(house[1])).count("bye") == 1


async def test_what_still_runs_is_broken_off_and_writes_nothing_more() -> None:
    async with sandbox(STEPS) as box:
        await filled(box)
        await gone(box)
        head = await box.store.head()
        box.clock.advance(7200)
        for _ in range(60):
            await asyncio.sleep(0)
        assert await box.store.head() == head
        await left_in_store(box)


async def test_the_last_automations_of_a_workspace_read_what_it_remembered_also_after_a_restart() -> None:
    async with sandbox(STEPS) as box:
        await box.call("fill", identity=ALICE)
        again = Sandbox({"name": box._definition.get("name", "Sandbox"), "automations": STEPS}, store=box.store, clock=box.clock)
        async with again:
            assert again.id == box.id
            await again.engine.catalog.delete(again.id, Origin("delete", NOBODY))
            await again.settle()
            assert [event["payload"] for event in await again.events() if event["type"] == "bye"] == [{"count": 1}]


async def test_a_workspace_made_again_under_its_id_is_left_alone() -> None:
    async with sandbox(STEPS) as box:
        catalog, id = box.engine.catalog, box.id
        await filled(box)
        await catalog.delete(id, Origin("delete"))
        await catalog.import_definition({"name": "Again", "automations": STEPS}, owner="ada", origin=Origin("again"), new_id=id)
        await box.call("fill", identity=ALICE)
        for _ in range(8):
            for _ in range(60):
                await asyncio.sleep(0)
            box.clock.advance(1)
        [kept] = await box.store.contexts([ContextKey(id, "global", "")], box.clock.now())
        assert kept is not None and kept.document == {"count": 1}
        assert await box.call("fill", identity=ALICE) is not None
