"""Several nodes on one store: what one acknowledges the others know, and everything happens once."""
from __future__ import annotations

import asyncio
from typing import Any

import pytest
from kit import ALICE, emit, endpoint, listener, put, steps
from nodes_kit import nodes

from runtime.calls import NOBODY, Identity, NewEvent, Origin
from runtime.errors import HeldElsewhere, NotFound, Suspended
from runtime.testing import Sandbox
from runtime.values import UNDEFINED
from store.query import EVERYTHING, Is

ADD = endpoint({"set": {"name": "global.count", "type": "add", "value": 1}}, output="{{global.count}}")
READ = endpoint(output="{{global.count}}")


def origin(correlation_id: str = "given", identity: Identity = NOBODY) -> Origin:
    return Origin(correlation_id, identity, is_new=False)


async def types(box: Sandbox, *wanted: str) -> list[Any]:
    return [event["payload"] for event in await box.events(Is(("type",), wanted))]


# contexts

async def test_a_run_that_starts_sees_what_was_acknowledged_on_another_node() -> None:
    async with nodes({"add": ADD, "read": READ}) as house:
        assert await house[2].call("add") == 1
        assert await house[1].call("add") == 2
        assert await house[2].call("read") == 2
        house.store(1).deafen()
        assert await house[2].call("add") == 3
        assert await house[1].call("read") == 3


async def test_a_running_run_sees_within_a_moment_what_another_node_wrote() -> None:
    waiting = endpoint(put("before", "{{global.count}}"), {"wait": {"oneOf": [{"event": "go"}], "timeout": 60}}, output="{{before}} {{global.count}}")
    async with nodes({"add": ADD, "waiting": waiting}) as house:
        await house[1].call("add")
        running = asyncio.ensure_future(house[1].call("waiting"))
        await house.settle()
        await house[2].call("add")
        await house.settle()
        await house[2].emit("go")
        assert await running == "1 2"


async def test_counting_on_two_nodes_at_once_gives_the_exact_sum() -> None:
    async with nodes({"add": ADD, "read": READ}) as house:
        await asyncio.gather(*(house[1 + number % 2].call("add") for number in range(60)))
        assert await house[1].call("read") == await house[2].call("read") == 60


async def test_writes_made_while_a_document_is_read_again_are_kept() -> None:
    """Each run goes on at once, while what the other node wrote is on its way."""
    many = endpoint({"repeat": {"on": "{{body.keys}}", "do": [
        put("global['{{item}}']", True), {"emit": {"event": "written"}}, {"set": {"name": "global.count", "type": "add", "value": 1}}]}})
    async with nodes({"many": many, "all": endpoint(output="{{global}}")}) as house:
        await asyncio.gather(*(house[1 + call % 2].call("many", {"keys": [f"k{call}-{key}" for key in range(5)]}) for call in range(10)))
        for number in (1, 2):
            found = await house[number].call("all")
            assert {key for key in found if key.startswith("k")} == {f"k{call}-{key}" for call in range(10) for key in range(5)}
            assert found["count"] == 50


async def test_documents_of_users_and_sessions_are_the_same_on_all_nodes() -> None:
    write = endpoint(put("user.name", "{{body.name}}"), put("session.last", "{{body.name}}"))
    async with nodes({"write": write, "read": endpoint(output="{{user.name}} {{session.last}}")}) as house:
        for number, name in ((1, "one"), (2, "two"), (1, "three")):
            await house[number].call("write", {"name": name}, identity=ALICE)
            assert [await house[other].call("read", identity=ALICE) for other in (1, 2)] == [f"{name} {name}"] * 2


async def test_what_a_run_sets_in_the_config_is_seen_on_all_nodes() -> None:
    async with nodes({"write": endpoint(put("config.color", "{{body}}")), "read": endpoint(output="{{config.color}}")}) as house:
        assert await house[2].call("read") is UNDEFINED
        await house[1].call("write", "red")
        assert await house[2].call("read") == "red"
        await house[2].call("write", "blue")
        assert await house[1].call("read") == "blue"


# runs

REMEMBER = endpoint(put("run.seen", "{{body}}"), {"wait": {"oneOf": [{"event": "go"}], "timeout": 60}}, output="{{run.seen}}")
RECALL = endpoint(output="{{run.seen}}")


async def test_a_call_for_a_run_that_lives_elsewhere_is_told_where() -> None:
    async with nodes({"remember": REMEMBER, "recall": RECALL}) as house:
        running = asyncio.ensure_future(house[1].call("remember", 7, origin=Origin("mine")))
        await house.settle()
        for asked in (house[2].call("recall", origin=origin("mine")), house[2].engine.test(house[2].id, "recall", {}, origin("mine")),
                      house[2].engine.accept(house[2].id, [NewEvent("order.placed")], origin("mine"))):
            with pytest.raises(HeldElsewhere) as held:
                await asked
            assert held.value.url == "http://node-1"
        assert await house[1].call("recall", origin=origin("mine")) == 7
        await house[2].emit("go")
        assert await running == 7


async def test_a_run_that_was_let_go_of_goes_on_on_another_node() -> None:
    async with nodes({"remember": endpoint(put("run.seen", "{{body}}")), "recall": RECALL}) as house:
        await house[1].call("remember", 7, origin=Origin("mine"))
        assert await house[2].call("recall", origin=origin("mine")) == 7
        assert not house[1].engine._supervisor._runs
        with pytest.raises(HeldElsewhere):
            await house[1].call("recall", origin=origin("mine"))
        await house.pass_time(70)
        await house[1].call("recall", origin=origin("mine"))


async def test_two_nodes_that_want_a_run_at_once_agree_on_one_of_them() -> None:
    slow = endpoint({"set": {"name": "run.count", "type": "add", "value": 1}}, {"wait": {"oneOf": [{"event": "go"}], "timeout": 60}}, output="{{run.count}}")
    async with nodes({"slow": slow}) as house:
        calls = [asyncio.ensure_future(house[number].call("slow", origin=origin("ours"))) for number in (1, 2)]
        await house.settle()
        assert [call.done() for call in calls].count(True) == 1
        [lost] = [call for call in calls if call.done()]
        assert isinstance(lost.exception(), HeldElsewhere)
        await house[1].emit("go")
        await asyncio.gather(*calls, return_exceptions=True)


async def test_a_run_that_is_over_at_once_tells_nobody() -> None:
    async with nodes({"read": READ}) as house:
        await house[1].call("read")
        await house.settle()
        assert not house.cluster._ledger.holders


# events

async def test_a_wait_sees_an_event_that_another_node_accepts() -> None:
    async with nodes({"waiting": endpoint({"wait": {"oneOf": [{"event": "paid"}], "timeout": 60, "output": "event"}}, output="{{event.payload.n}}")}) as house:
        running = asyncio.ensure_future(house[1].call("waiting"))
        await house.settle()
        await house[2].emit("paid", {"n": 5})
        assert await running == 5


async def test_an_event_starts_its_automations_on_one_node_alone() -> None:
    async with nodes({"hear": listener("paid", {"set": {"name": "global.count", "type": "add", "value": 1}}), "read": READ}, count=3) as house:
        for number in (1, 2, 3):
            await house[number].emit("paid")
        await house.settle()
        assert [await house[number].call("read") for number in (1, 2, 3)] == [3, 3, 3]


async def test_a_feed_hears_what_all_nodes_accept_in_the_order_of_positions() -> None:
    async with nodes({"say": endpoint(emit("said", {"n": "{{body}}"}))}) as house:
        heard: dict[int, list[tuple[int, bytes]]] = {1: [], 2: []}
        for number, events in heard.items():
            house[number].engine.feed(house[number].id).subscribe(EVERYTHING, lambda live, events=events: events.append((live.position, live.body)))
        await asyncio.gather(*(house[1 + number % 2].call("say", number) for number in range(20)))
        await house.settle(400)
        assert heard[1] == heard[2] == sorted(heard[1])
        assert sum(b'"said"' in body for _, body in heard[1]) == 20


async def test_events_that_are_not_stored_are_heard_on_all_nodes() -> None:
    async with nodes({"say": endpoint(emit("said", {"n": 1}, options={"persist": False}))}) as house:
        heard: list[str] = []
        house[2].engine.feed(house[2].id).subscribe(Is(("type",), ("said",)), lambda live: heard.append(live.event["payload"]))
        await house[1].call("say")
        await house.settle()
        assert heard == [{"n": 1}]
        assert await types(house[1], "said") == []


async def test_no_two_nodes_make_the_same_event_id() -> None:
    async with nodes({"say": endpoint(emit("said"))}) as house:
        await asyncio.gather(*(house[1 + number % 2].call("say") for number in range(10)))
        ids = [event["id"] for event in await house[1].events()]
        assert len(ids) == len(set(ids))


async def test_a_topic_joined_on_one_node_is_known_on_the_other() -> None:
    async with nodes({"join": endpoint({"joinUserTopic": {"topic": "news"}})}) as house:
        await house[1].call("join", identity=ALICE)
        await house.settle()
        assert house[2].engine.topics_of(house[2].id, "alice") == {"news"}


async def test_a_tick_fires_once_however_many_nodes_plan_it() -> None:
    tick = {"when": {"schedules": ["*/15 * * * *"]}, "do": [{"set": {"name": "global.count", "type": "add", "value": 1}}]}
    async with nodes({"tick": tick, "read": READ}, count=3) as house:
        await house.pass_time(930)
        assert await house[2].call("read") == 1


# definitions

async def test_a_definition_changed_on_one_node_is_used_by_runs_accepted_afterwards_on_the_other() -> None:
    async with nodes({"version": endpoint(output="one")}) as house:
        assert await house[2].call("version") == "one"
        await house[1].engine.catalog.update_automation(house[1].id, "version", endpoint(output="two"), Origin("edit"))
        assert await house[2].call("version") == "two"


async def test_edits_on_two_nodes_at_once_both_survive() -> None:
    async with nodes({}) as house:
        await asyncio.gather(*(house[1 + number % 2].engine.catalog.create_automation(house[1].id, {"name": f"a{number}", **steps()}, Origin(f"edit-{number}"))
                               for number in range(8)))
        for number in (1, 2):
            await house[number].engine.catch_up()
            assert set(house[number].engine.catalog.require(house[1].id).automations) == {f"a{number}" for number in range(8)}


async def test_a_workspace_made_and_deleted_elsewhere_comes_and_goes() -> None:
    deleted: list[str] = []
    async with nodes({}) as house:
        house[2].engine.on_workspace_deleted(deleted.append)
        made = await house[1].engine.catalog.create({"name": "Other"}, "alice", Origin("make"))
        await house[2].engine.catch_up()
        assert house[2].engine.catalog.by_slug("other").id == made.id
        await house[1].engine.catalog.delete(made.id, Origin("delete"))
        await house[2].engine.catch_up()
        await house.settle()
        assert house[2].engine.catalog.by_slug("other") is None
        assert deleted == [made.id]
        with pytest.raises(NotFound):
            house[2].engine.feed(made.id)


async def test_an_app_published_on_one_node_is_used_on_the_other() -> None:
    async with nodes({"ask": endpoint({"helper.answer": {"output": "a"}}, output="{{a}}")}) as house:
        catalog = house[1].engine.catalog
        app = await catalog.import_definition({"name": "App", "automations": {"answer": steps(output="first")}}, owner="alice", origin=Origin("app"))
        await catalog.publish_app(app.workspace.id, {"slug": "app"}, Origin("publish"))
        await house[2].engine.catch_up()
        await house[2].engine.catalog.install_app(house[2].id, {"appSlug": "app", "slug": "helper"}, Origin("install"))
        assert await house[1].call("ask") == await house[2].call("ask") == "first"
        await catalog.update_automation(app.workspace.id, "answer", steps(output="second"), Origin("edit"))
        await catalog.publish_app(app.workspace.id, {}, Origin("again"))
        assert await house[2].call("ask") == "second"


async def test_a_workspace_suspended_on_one_node_starts_nothing_on_the_other() -> None:
    async with nodes({"ask": endpoint(output="yes")}) as house:
        await house[1].engine.catalog.suspend(house[1].id, "unpaid", Origin("suspend"))
        with pytest.raises(Suspended):
            await house[2].call("ask")
        await house[2].engine.catalog.resume(house[2].id, "paid", Origin("resume"))
        assert await house[1].call("ask") == "yes"


async def test_a_version_made_on_one_node_is_restored_on_the_other() -> None:
    async with nodes({"ask": endpoint(output="first")}) as house:
        await house[1].engine.catalog.versions.publish(house[1].id, {"name": "v1"}, Origin("version"))
        await house[1].engine.catalog.update_automation(house[1].id, "ask", endpoint(output="second"), Origin("edit"))
        assert await house[2].call("ask") == "second"
        await house[2].engine.catalog.versions.pull(house[2].id, "v1", Origin("pull"))
        assert await house[1].call("ask") == "first"


async def test_a_logout_is_heard_on_all_nodes() -> None:
    from store.records import SessionEnded
    ended: list[str] = []
    async with nodes({}) as house:
        house[2].engine.on_session_end(ended.append)
        await house.store(1).commit([SessionEnded("s1")])
        await house[2].engine.catch_up()
        assert ended == ["s1"]
