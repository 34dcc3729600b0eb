"""The contract of contexts, C1 to C9, C12, C13 and C16 to C18, on every store: what automations and runs see of each other's writes.

Through one node. What of it takes two nodes is in test_cluster.py; C14 and C10, C11, C15 have files of their own beside this one.
"""
from __future__ import annotations

import asyncio
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from kit import ALICE, BOB, emit, endpoint, listener, origin, payloads, put, sandbox, steps

from runtime.calls import Call, NewEvent, Response
from runtime.errors import AutomationsError, InvalidInstruction
from runtime.testing import Sandbox
from store.protocol import Store
from store.query import All
from store.records import ContextKey
from tests.contract.facts import documents

SHARED = ["global", "user", "session", "socket", "run", "config"]
HOLD = {"wait": {"oneOf": [{"event": "go"}], "timeout": 5}}


async def start(box: Sandbox, *calls: Any) -> list[asyncio.Task[Any]]:
    """Calls that have come to where they wait."""
    running = [asyncio.create_task(call) for call in calls]
    await box.settle()
    return running


# C1: read your writes

@pytest.mark.parametrize("context", [*SHARED, "local"])
async def test_c1_what_was_set_is_read_by_the_next_instruction_whatever_the_operation(store: Store, context: str) -> None:
    at = context + ".data"
    seen = put("seen[]", "{{%s}}" % at)
    async with sandbox({"main": endpoint(
        put(at, {"a": 1}), seen, put(at + ".b.c", [1]), seen, put(at + ".b.c[]", 2), seen, put(at + ".b", {"d": 3}, type="merge"), seen,
        put(at + ".a", 41, type="add"), seen, {"delete": {"name": at + ".b.c"}}, seen, put(at + ".a", "{{%s.a}}{{%s.b.d}}" % (at, at)), seen,
        {"delete": {"name": at}}, seen, output="{{seen}}")}, on=store) as box:
        assert await box.call("main", identity=ALICE) == [
            {"a": 1}, {"a": 1, "b": {"c": [1]}}, {"a": 1, "b": {"c": [1, 2]}}, {"a": 1, "b": {"c": [1, 2], "d": 3}},
            {"a": 42, "b": {"c": [1, 2], "d": 3}}, {"a": 42, "b": {"d": 3}}, {"a": "423", "b": {"d": 3}}, None]


# C2, C3: callers and callees

@pytest.mark.parametrize("context", SHARED)
@pytest.mark.parametrize(("write", "seen"), [
    (put("{}.data.b", 2), {"a": 1, "b": 2}), (put("{}.data", {"b": 2}), {"b": 2}), (put("{}", {"data": {"b": 2}}), {"b": 2}),
    (put("{}", {"data": {"c": 2}}, type="merge"), {"c": 2}), ({"delete": {"name": "{}.data.a"}}, {}), ({"delete": {"name": "{}.data"}}, None)])
async def test_c2_what_a_callee_of_a_callee_writes_its_caller_sees_nested_or_whole(store: Store, context: str, write: Any, seen: Any) -> None:
    [(word, body)] = write.items()
    write = {word: {**body, "name": body["name"].format(context)}}
    async with sandbox({"main": endpoint(put(context + ".data", {"a": 1}), {"child": {}}, output=["{{%s.data}}" % context]),
                        "child": steps({"grandchild": {}}), "grandchild": steps(write)}, on=store) as box:
        assert await box.call("main", identity=ALICE) == [seen]


@pytest.mark.parametrize("context", SHARED)
async def test_c3_what_was_written_before_a_call_or_a_branch_is_seen_in_it(store: Store, context: str) -> None:
    async with sandbox({
        "main": endpoint(put(context + ".n", [1]), {"look": {"output": "called"}}, put(context + ".n[]", 2),
                         {"all": [{"look": {"output": "first"}}, {"look": {"output": "second"}}]}, put(context + ".n[]", 3),
                         {"repeat": {"on": [0], "batch": {"size": 1}, "do": [{"look": {"output": "repeated"}}]}},
                         output=["{{called}}", "{{first}}", "{{second}}", "{{repeated}}"]),
        "look": steps(output="{{%s.n}}" % context)}, on=store) as box:
        assert await box.call("main", identity=ALICE) == [[1], [1, 2], [1, 2], [1, 2, 3]]


# C4: parallel branches

@pytest.mark.parametrize("context", SHARED)
async def test_c4_a_branch_sees_what_another_wrote_meanwhile(store: Store, context: str) -> None:
    async with sandbox({
        "main": endpoint({"all": [{"waits": {"output": "seen"}}, {"writes": {}}]}, output="{{seen}}"),
        "waits": steps(HOLD, output="{{%s.written}}" % context), "writes": steps(put(context + ".written", "by a branch"), emit("go"))}, on=store) as box:
        assert await box.call("main", identity=ALICE) == "by a branch"


async def test_c4_the_listeners_of_one_event_share_what_they_write(store: Store) -> None:
    async with sandbox({
        "waits": listener("both", HOLD, emit("seen", {"run": "{{run.n}}", "session": "{{session.n}}"})),
        "writes": listener("both", put("run.n", 1), put("session.n", 2), emit("go"))}, on=store) as box:
        await box.emit("both", identity=ALICE)
        await box.settle()
        assert await payloads(box, "seen") == [{"run": 1, "session": 2}]


# C5: one copy for all of a run

async def test_c5_automations_of_one_correlation_id_never_hold_different_copies(store: Store) -> None:
    writes = [put(f"{context}.n", "{{body}}") for context in ("run", "session", "socket", "global")]
    look = {context: "{{%s.n}}" % context for context in ("run", "session", "socket", "global")}
    async with sandbox({"waits": endpoint(*writes, HOLD, output=look), "writes": endpoint(*writes), "hears": listener("look", emit("heard", look))}, on=store) as box:
        [waiting] = await start(box, box.call("waits", 1, origin=origin("c", ALICE)))
        await box.call("writes", 2, origin=origin("c", ALICE))
        await box.engine.accept(box.id, [NewEvent("look"), NewEvent("go")], origin("c", ALICE))
        assert await waiting == dict.fromkeys(look, 2)
        await box.settle()
        assert await payloads(box, "heard") == [dict.fromkeys(look, 2)]


async def test_c5_an_event_of_an_earlier_correlation_id_is_heard_with_what_its_run_left(store: Store) -> None:
    automations = {"main": endpoint(put("run.n", 1)), "hears": listener("go", emit("seen", {"n": "[{{run.n}}]"}))}
    async with sandbox(automations, on=store) as box:
        await box.call("main", origin=origin("c"))
    async with sandbox(automations, on=store) as box:
        for correlation_id in ("c", "other"):
            await box.engine.accept(box.id, [NewEvent("go"), NewEvent("unheard")], origin(correlation_id))
        await box.settle()
        assert await payloads(box, "seen") == [{"n": "[1]"}, {"n": "[]"}]


# C6: an event implies the state behind it

LOOK = {"run": "{{run.n}}", "session": "{{session.n}}", "global": "{{global.n}}"}
WRITTEN = {"run": 2, "session": 2, "global": 2}


def writes(value: Any) -> list[Any]:
    return [put(f"{context}.n", value) for context in LOOK]


async def test_c6_a_listener_sees_every_write_made_before_the_event(store: Store) -> None:
    async with sandbox({"main": endpoint(*writes(1), emit("first"), *writes(2), emit("second")), "hears": listener("second", emit("seen", LOOK))}, on=store) as box:
        await box.call("main", identity=ALICE)
        await box.settle()
        assert await payloads(box, "seen") == [WRITTEN]


async def test_c6_a_wait_ends_with_every_write_made_before_the_event_it_waited_for(store: Store) -> None:
    async with sandbox({"waits": endpoint(HOLD, output=LOOK), "main": endpoint(*writes(2), emit("go"))}, on=store) as box:
        same, other = await start(box, box.call("waits", origin=origin("c", ALICE)), box.call("waits", origin=origin("d", ALICE)))
        await box.call("main", origin=origin("c", ALICE))
        assert [await same, await other] == [WRITTEN, {"session": 2, "global": 2}]


async def test_c6_whoever_reads_an_event_in_the_feed_and_calls_in_sees_what_was_written_before_it(store: Store) -> None:
    async with sandbox({"main": endpoint(*writes(2), emit("told")), "look": endpoint(output=LOOK)}, on=store) as box:
        coming = asyncio.get_running_loop().create_future()
        box.engine.feed(box.id).subscribe(All(()), lambda live: live.type != "told" or coming.set_result(live.event["source"]["correlationId"]))
        running = asyncio.create_task(box.call("main", origin=origin("c", ALICE)))
        assert await box.call("look", origin=origin(await coming, ALICE)) == WRITTEN
        await running


async def test_c6_an_automation_that_calls_its_own_server_is_seen_there_as_it_was_at_the_call(store: Store) -> None:
    async def own(request: web.Request) -> web.Response:
        came = origin(request.headers["x-correlation-id"], ALICE, depth=1)
        return web.json_response(await box.call("inner", origin=came))

    served = web.Application()
    served.router.add_route("*", "/", own)
    async with TestServer(served) as server, sandbox({
        "main": endpoint(*writes(2), {"fetch": {"url": str(server.make_url("/")), "output": "seen"}}, output={"inner": "{{seen}}", "after": "{{run.added}}"}),
        "inner": endpoint(put("run.added", 3), output=LOOK)}, on=store) as box:
        assert await box.call("main", identity=ALICE) == {"inner": WRITTEN, "after": 3}


# C7: no lost operations

async def test_c7_no_push_of_concurrent_runs_is_lost_and_every_key_survives(store: Store) -> None:
    automations = {"main": endpoint(put("global.list[]", "{{body.n}}"), put("global.keys.k{{body.n}}", "{{body.n}}"), HOLD,
                                    put("global.list[]", "{{body.n}}"), put("global.map", "{{body.own}}", type="merge")),
                   "read": endpoint(output="{{global}}")}
    async with sandbox(automations, on=store) as box:
        running = await start(box, *(box.call("main", {"n": n, "own": {f"k{n}": n}}) for n in range(20)))
        await box.emit("go")
        await asyncio.gather(*running)
    async with sandbox(automations, on=store) as box:
        kept = await box.call("read")
        assert sorted(kept["list"]) == sorted([*range(20)] * 2)
        assert kept["keys"] == kept["map"] == {f"k{n}": n for n in range(20)}


async def test_c7_of_writes_to_one_key_the_last_acknowledged_wins_in_memory_and_in_the_store(store: Store) -> None:
    automations = {"main": endpoint(put("global.last", "{{body.n}}"), put("global.order[]", "{{body.n}}")), "read": endpoint(output="{{global}}")}
    async with sandbox(automations, on=store) as box:
        await asyncio.gather(*(box.call("main", {"n": n}) for n in range(20)))
        held = await box.call("read")
        assert held["last"] == held["order"][-1]
        await box.call("main", {"n": "later"})
    async with sandbox(automations, on=store) as box:
        kept = await box.call("read")
        assert kept["order"] == [*held["order"], "later"]
        assert kept["last"] == "later"


# C8: visibility across runs

@pytest.mark.parametrize("context", ["global", "user", "session"])
async def test_c8_an_acknowledged_write_is_seen_by_a_run_that_starts_and_by_one_that_goes_on(store: Store, context: str) -> None:
    look = {"n": "{{%s.n}}" % context}
    async with sandbox({"write": endpoint(put(context + ".n", "{{body}}")), "look": endpoint(output=look),
                        "goes-on": endpoint(put("before", "{{%s.n}}" % context), HOLD, output={"before": "{{before}}", **look})}, on=store) as box:
        await box.call("write", 1, identity=ALICE)
        [running] = await start(box, box.call("goes-on", identity=ALICE))
        await box.call("write", 2, identity=ALICE)
        assert await box.call("look", identity=ALICE) == {"n": 2}
        await box.emit("go")
        assert await running == {"before": 1, "n": 2}


# C9: one operation is one

@pytest.mark.parametrize("bad", [put("global.text.a.b", 1), put("global.text", 1, type="add"), put("global.text", "x" * 3000),
                                 put("global.new", {"a": {"big": "x" * 3000}}, type="merge"), put("global.new.deep.text", "x" * 3000)])
async def test_c9_a_set_that_fails_has_changed_nothing(store: Store, bad: Any) -> None:
    sizes = {"global": 1000, "run": 1000, "user": 1000, "session": 1000, "socket": 1000, "config": 1000, "local": 100_000}
    automations = {"bad": endpoint(bad), "write": endpoint(put("global.text", "text")), "read": endpoint(output="{{global}}")}
    async with sandbox(automations, on=store, context_max_sizes=sizes) as box:
        await box.call("write")
        before = await box.call("read")
        with pytest.raises(AutomationsError):
            await box.call("bad")
        assert await box.call("read") == before
    async with sandbox(automations, on=store) as box:
        assert await box.call("read") == before


async def test_c9_readers_never_see_half_of_a_set_and_an_instruction_reads_one_state(store: Store) -> None:
    write = endpoint({"repeat": {"until": 5, "do": [put("global.pair", {"a": "{{body}}-{{item}}", "b": {"c": "{{body}}-{{item}}"}}, type="{{query}}"),
                                                    emit("step", output="e")]}})
    async with sandbox({"write": write, "read": endpoint(put("line", "{{global.pair.a}}|{{global.pair.b.c}}|{{global.pair.a}}"), output="{{line}}")}, on=store) as box:
        writing = [asyncio.create_task(box.call("write", n, query="merge" if n % 2 else "replace")) for n in range(4)]
        while not all(task.done() for task in writing):
            assert len(set((await box.call("read")).split("|"))) == 1
            await asyncio.sleep(0)
        await asyncio.gather(*writing)


# C12: isolation

async def test_c12_callers_who_share_a_correlation_id_share_neither_user_nor_session_nor_socket(store: Store) -> None:
    automations = {"main": endpoint(*(put(f"{context}.k", "{{body}}") for context in ("user", "session", "socket"))),
                   "look": endpoint(output={context: f"{{{{{context}.k}}}}" for context in ("user", "session", "socket")})}
    async with sandbox(automations, on=store) as box:
        for who, value in ((origin("c", ALICE), "alice"), (origin("c", BOB), "bob"), (origin("c", ALICE, socket_id="tab-1"), "tab")):
            await box.call("main", value, origin=who)
        assert await box.call("look", origin=origin("c", BOB)) == {"user": "bob", "session": "bob", "socket": "bob"}
        assert await box.call("look", origin=origin("c", ALICE)) == {"user": "tab", "session": "tab", "socket": "alice"}
        assert await box.call("look", origin=origin("c")) == {}


async def test_c12_workspaces_share_nothing_whoever_calls_them(store: Store) -> None:
    automations = {"main": endpoint(*(put(f"{context}.k", "{{body}}") for context in SHARED)),
                   "look": endpoint(output={context: "{{%s.k}}" % context for context in SHARED})}
    async with sandbox(automations, on=store) as box:
        result = await box.engine.catalog.import_definition({"name": "Other", "automations": automations}, owner="admin", origin=origin("import"))
        workspaces = (box.id, result.workspace.id)

        async def call(workspace_id: str, name: str, body: Any = None) -> Any:
            return await box.engine.call(Call(workspace_id, name, {"body": body}, origin("c", ALICE, socket_id="tab"), Response()))

        for id in workspaces:
            await call(id, "main", id)
        assert [await call(id, "look") for id in workspaces] == [dict.fromkeys(SHARED, id) for id in workspaces]


async def test_c12_each_instance_of_an_app_has_its_own_config(store: Store) -> None:
    app = {"config": {"value": {"k": "default"}},
           "automations": {"write": steps(put("config.k", "{{value}}")), "read": steps(output="{{config.k}}")}}
    look = [{"left.read": {"output": "l"}}, {"right.read": {"output": "r"}}]
    automations = {"main": endpoint({"left.write": {"value": "{{body}}"}}, *look, output=["{{l}}", "{{r}}", "{{config.k}}"]),
                   "look": endpoint(*look, output=["{{l}}", "{{r}}", "{{config.k}}"])}
    imports = {"left": {"appSlug": "counter"}, "right": {"appSlug": "counter", "config": {"k": "right"}}}
    for apps in ({"counter": app}, None):
        async with sandbox(automations, on=store, apps=apps, imports=imports, config={"value": {"k": "mine"}}) as box:
            if apps:
                assert await box.call("main", "left") == ["left", "right", "mine"]
            assert await box.call("look") == ["left", "right", "mine"]


# C13: runs of nobody

async def test_c13_what_nobody_writes_to_user_and_session_is_seen_in_the_run_and_gone_after_it(store: Store) -> None:
    look = {"s": "{{session.n}}", "u": "{{user.n}}", "id": "{{session.id}}", "uid": "{{user.id}}"}
    async with sandbox({"main": endpoint(put("session.n", 1), put("user.n", 2), put("global.n", 3), {"child": {"output": "c"}}, emit("told"), output="{{c}}"),
                        "child": steps(output=look), "hears": listener("told", emit("seen", look)),
                        "read": endpoint(output=["{{session}}", "{{user}}", "{{global.n}}"])}, on=store) as box:
        assert await box.call("main", origin=origin("c")) == {"s": 1, "u": 2}
        await box.settle()
        assert await payloads(box, "seen") == [{"s": 1, "u": 2}]
        assert await box.call("read", origin=origin("c")) == [{}, {}, 3]
        keys = [ContextKey(box.id, context, key) for context in ("user", "session") for key in ("", "c")]
        assert await documents(store, keys, box.clock.now()) == [None] * 4


async def test_c13_from_a_switch_of_the_session_on_nobodys_writes_are_kept(store: Store) -> None:
    automations = {"main": endpoint(put("session.before", 1), put("session.id", "s"), put("session.after", 1), put("user.after", 1)),
                   "read": endpoint(put("session.id", "s"), output=["{{session}}", "{{user}}"])}
    async with sandbox(automations, on=store) as box:
        await box.call("main")
    async with sandbox(automations, on=store) as box:
        assert await box.call("read") == [{"id": "s", "after": 1}, {"id": "s", "after": 1}]


# C16: errors keep what was written before them

async def test_c16_what_was_written_before_an_error_stays(store: Store) -> None:
    automations = {"main": endpoint(put("global.kept", 1), put("session.kept", 1), {"ghost": {}}, put("global.never", 1)),
                   "caught": endpoint({"try": {"do": [{"child": {}}], "catch": []}}, {"all": [put("global.left", 1), put("global.right", 1)]}, {"ghost": {}}),
                   "child": steps(put("global.child", 1), {"ghost": {}}, put("global.never", 1)),
                   "read": endpoint(output={name: "{{global.%s}}" % name for name in ("kept", "never", "child", "left", "right")} | {"s": "{{session.kept}}"})}
    for is_writing in (True, False):
        async with sandbox(automations, on=store) as box:
            for name in ("main", "caught") if is_writing else ():
                with pytest.raises(AutomationsError, match="Automation not found"):
                    await box.call(name, identity=ALICE)
            assert await box.call("read", identity=ALICE) == {"kept": 1, "child": 1, "left": 1, "right": 1, "s": 1}


# C17: no aliasing

@pytest.mark.parametrize("context", SHARED)
async def test_c17_changing_a_variable_that_was_read_from_a_context_does_not_change_the_context(store: Store, context: str) -> None:
    at = context + ".data"
    automations = {
        "main": endpoint(put(at, {"l": [{"n": 1}]}), put("mine", "{{%s}}" % at), put("mine.l[0].n", 2), put("mine.l[]", 3), {"child": {"given": "{{%s}}" % at}},
                         {"repeat": {"on": "{{%s.l}}" % at, "do": [put("item.n", 4)]}}, put("global.twin", "{{%s}}" % at), put("global.twin.l[0].n", 5),
                         {"all": [{"child": {"given": "{{%s}}" % at}}]}, output=["{{%s}}" % at, "{{mine}}", "{{global.twin}}"]),
        "child": steps(put("given.l[0].n", 6), put("given.l[]", 7)),
        "kept": endpoint(output=["{{%s}}" % at, "{{global.twin}}"])}
    one, twin = {"l": [{"n": 1}]}, {"l": [{"n": 5}]}
    async with sandbox(automations, on=store) as box:
        assert await box.call("main", origin=origin("c", ALICE)) == [one, {"l": [{"n": 2}, 3]}, twin]
    async with sandbox(automations, on=store) as box:
        assert await box.call("kept", origin=origin("c", ALICE)) == [one, twin]


@pytest.mark.parametrize("context", SHARED)
async def test_c17_changing_a_value_after_it_was_written_does_not_change_the_context(store: Store, context: str) -> None:
    at = context + ".data"
    automations = {
        "main": endpoint(put("mine", [{"n": 1}]), put(at, "{{mine}}"), put("mine[0].n", 2), put(at + "[]", "{{mine}}"), put("mine[0].n", 3),
                         put(at, "{{body}}", type="merge"), put("body[0].n", 4), put("global.copy", {"x": "{{mine}}"}, type="merge"), put("mine[0].n", 5),
                         output=["{{%s}}" % at, "{{global.copy}}"]),
        "kept": endpoint(output=["{{%s}}" % at, "{{global.copy}}"])}
    seen = [[{"n": 1}, [{"n": 2}], {"n": "sent"}], {"x": [{"n": 3}]}]
    async with sandbox(automations, on=store) as box:
        assert await box.call("main", [{"n": "sent"}], origin=origin("c", ALICE)) == seen
    async with sandbox(automations, on=store) as box:
        assert await box.call("kept", origin=origin("c", ALICE)) == seen


async def test_c17_an_event_holds_what_was_emitted_whatever_is_written_afterwards(store: Store) -> None:
    async with sandbox({"main": endpoint(put("global.data", [1]), emit("told", {"data": "{{global.data}}"}), put("global.data[]", 2), emit("told", "{{global}}"),
                                         put("global.data[]", 3)),
                        "hears": listener("told", put("payload.data[]", "mine"))}, on=store) as box:
        await box.call("main")
        await box.settle()
        assert [payload["data"] for payload in await payloads(box, "told")] == [[1], [1, 2]]


async def test_c17_an_output_is_what_it_was_when_its_automation_ended(store: Store) -> None:
    async with sandbox({"main": endpoint(put("global.list[]", 1), put("run.n[]", 1), output={"list": "{{global.list}}"}),
                        "breaks": endpoint(put("global.list[]", 1), {"break": {"payload": "{{global}}"}})}, on=store) as box:
        answers = await asyncio.gather(*(box.call(name, origin=origin("c")) for name in ["main", "breaks"] * 3))
        assert sorted(len(answer["list"]) for answer in answers) == [1, 2, 3, 4, 5, 6]


# C18: counting

@pytest.mark.parametrize("increment", [put("global.n", "{% {{global.n}} + 1 %}"), put("global.n", 1, type="add"), put("global.n", "{% ({{global.n}} or 0) + 1 %}")])
async def test_c18_four_hundred_concurrent_increments_count_to_four_hundred(store: Store, increment: Any) -> None:
    automations = {"main": endpoint(HOLD, increment), "zero": endpoint(put("global.n", 0)), "read": endpoint(output="{{global.n}}")}
    async with sandbox(automations, on=store, run_max_concurrency=500, workspace_max_concurrent_runs=500) as box:
        await box.call("zero")
        running = await start(box, *(box.call("main") for _ in range(400)))
        await box.emit("go")
        await asyncio.gather(*running)
        assert await box.call("read") == 400
    async with sandbox(automations, on=store) as box:
        assert await box.call("read") == 400


async def test_c18_add_counts_from_nothing_keeps_fractions_and_refuses_what_is_no_number(store: Store) -> None:
    automations = {"main": endpoint(put("global.n", 2, type="add"), put("global.n", 0.5, type="add"), output="{{global.n}}"),
                   "bad": endpoint(put("global.n", "{{body}}", type="add")), "read": endpoint(output="{{global.n}}")}
    async with sandbox(automations, on=store) as box:
        assert await box.call("main") == 2.5
        for value in ("text", "1", None, True, [1], {"a": 1}):
            with pytest.raises(InvalidInstruction, match="Invalid set instruction"):
                await box.call("bad", [value] if value == [1] else value)
        assert await box.call("main") == 5
    async with sandbox(automations, on=store) as box:
        assert await box.call("read") == 5
