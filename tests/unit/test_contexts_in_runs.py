"""What the automations of one run, and of different runs, see of each other's writes."""
from __future__ import annotations

import asyncio

import pytest
from kit import ALICE, BOB, emit, endpoint, listener, payloads, put, sandbox, steps

import store
from runtime.errors import AutomationsError, ContextTooLarge, InvalidInstruction
from runtime.testing import HandClock


async def test_a_write_is_read_by_the_next_instruction() -> None:
    async with sandbox({"main": endpoint(put("global.a.b", 1), put("x", "{{global.a.b}}"), output="{{x}}")}) as box:
        assert await box.call("main") == 1


async def test_a_child_sees_what_its_parent_wrote_and_the_parent_what_the_child_wrote() -> None:
    async with sandbox({
        "main": endpoint(put("run.list", [1]), {"child": {"output": "seen"}}, output={"seen": "{{seen}}", "after": "{{run.list}}"}),
        "child": steps(put("seen", "{{run.list}}"), put("run.list[]", 2), output="{{seen}}"),
    }) as box:
        assert await box.call("main") == {"seen": [1], "after": [1, 2]}


async def test_a_child_that_replaces_a_whole_context_is_seen_by_its_caller() -> None:
    async with sandbox({
        "main": endpoint(put("session.old", 1), {"child": {}}, output="{{session}}"),
        "child": steps(put("session", {"new": 2})),
    }) as box:
        assert await box.call("main") == {"new": 2}


async def test_parallel_branches_see_each_others_writes() -> None:
    async with sandbox({
        "main": endpoint({"all": [{"waits": {}}, {"writes": {}}]}, output="{{run.seen}}"),
        "waits": steps({"wait": {"oneOf": [{"event": "go"}], "timeout": 5}}, put("run.seen", "{{run.written}}")),
        "writes": steps(put("run.written", "by a branch"), emit("go")),
    }) as box:
        assert await box.call("main") == "by a branch"


async def test_a_listener_sees_every_write_made_before_the_event() -> None:
    async with sandbox({
        "main": endpoint(put("run.n", 1), emit("first"), put("run.n", 2), emit("second")),
        "hears": listener("second", emit("seen", {"n": "{{run.n}}", "depth": "{{run.depth}}"})),
    }) as box:
        await box.call("main")
        await box.settle()
        assert await payloads(box, "seen") == [{"n": 2, "depth": 2}]


async def test_a_variable_read_from_a_context_is_a_copy() -> None:
    async with sandbox({
        "main": endpoint(put("global.list", [1]), put("mine", "{{global.list}}"), put("mine[]", 2), put("global.other", "{{mine}}"), put("mine[]", 3),
                         output={"global": "{{global.list}}", "other": "{{global.other}}", "mine": "{{mine}}"}),
    }) as box:
        assert await box.call("main") == {"global": [1], "other": [1, 2], "mine": [1, 2, 3]}


async def test_an_argument_changed_in_a_callee_is_unchanged_in_the_caller_and_in_what_is_told() -> None:
    async with sandbox({
        "main": endpoint(put("data", {"n": [1]}), {"child": {"data": "{{data}}"}}, put("body.added", 1), output="{{data}}"),
        "child": steps(put("data.n[]", 2)),
    }) as box:
        assert await box.call("main", {"sent": True}) == {"n": [1]}
        shown = [p["payload"] for p in await payloads(box, "runtime.automations.executed")]
        assert shown[0] == {"data": {"n": [1]}}
        assert shown[1]["body"] == {"sent": True}


async def test_four_hundred_concurrent_increments_count_to_four_hundred() -> None:
    async with sandbox({"main": endpoint(put("global.n", "{% {{global.n}} + 1 %}")), "read": endpoint(output="{{global.n}}"),
                        "zero": endpoint(put("global.n", 0))}) as box:
        await box.call("zero")
        await asyncio.gather(*(box.call("main") for _ in range(400)))
        assert await box.call("read") == 400


async def test_add_counts_from_nothing_and_refuses_what_is_no_number() -> None:
    async with sandbox({"main": endpoint(put("global.n", 2, type="add"), put("global.n", 0.5, type="add"), output="{{global.n}}"),
                        "bad": endpoint(put("global.n", "text", type="add"))}) as box:
        assert await box.call("main") == 2.5
        with pytest.raises(InvalidInstruction, match="Invalid set instruction"):
            await box.call("bad")
        assert await box.call("main") == 5


async def test_writes_of_different_keys_by_concurrent_runs_all_survive_a_restart() -> None:
    shared = await store.open("memory:")
    automations = {"main": endpoint(put("global.keys.{{body.k}}", "{{body.k}}"), put("global.list[]", "{{body.k}}")),
                   "read": endpoint(output={"keys": "{{global.keys}}", "list": "{{global.list}}"})}
    async with sandbox(automations, on=shared) as box:
        await asyncio.gather(*(box.call("main", {"k": f"k{n}"}) for n in range(20)))
    async with sandbox(automations, on=shared) as box:
        seen = await box.call("read")
        assert seen["keys"] == {f"k{n}": f"k{n}" for n in range(20)}
        assert sorted(seen["list"]) == sorted(f"k{n}" for n in range(20))


async def test_an_unauthenticated_session_works_during_the_run_and_is_gone_after_it() -> None:
    async with sandbox({"main": endpoint(put("session.n", "{% {{session.n}} or 0 %}"), put("user.n", 1), {"child": {"output": "c"}}, output="{{c}}"),
                        "child": steps(output={"s": "{{session.n}}", "u": "{{user.n}}", "id": "{{session.id}}"}),
                        "read": endpoint(output="{{session}}")}) as box:
        assert await box.call("main") == {"s": 0, "u": 1}
        assert await box.call("read") == {}


async def test_user_and_session_belong_to_whoever_calls() -> None:
    async with sandbox({"main": endpoint(put("session.who", "{{user.id}}"), put("user.n", 1, type="add")),
                        "read": endpoint(output={"who": "{{session.who}}", "n": "{{user.n}}", "sid": "{{session.id}}"})}) as box:
        for identity in (ALICE, BOB, ALICE):
            await box.call("main", identity=identity)
        assert await box.call("read", identity=ALICE) == {"who": "alice", "n": 2, "sid": "session-of-alice"}
        assert await box.call("read", identity=BOB) == {"who": "bob", "n": 1, "sid": "session-of-bob"}


async def test_a_chosen_session_ends_an_hour_after_its_last_write() -> None:
    clock = HandClock()
    async with sandbox({"main": endpoint(put("session.id", "s"), put("session.n", 1, type="add"), output="{{session.n}}"),
                        "read": endpoint(put("session.id", "s"), output="[{{session.n}}]")}, clock=clock) as box:
        assert await box.call("main") == 1
        clock.advance(3599)
        assert await box.call("main") == 2
        clock.advance(3599)
        assert await box.call("read") == "[2]"
        clock.advance(2)
        assert await box.call("read") == "[]"


async def test_computed_fields_win_over_what_is_written() -> None:
    async with sandbox({"main": endpoint(put("run.correlationId", "forged"), put("global.workspaceId", "forged"), put("run.mine", 1),
                                         output={"c": "{{run.correlationId}}", "w": "{{global.workspaceId}}", "m": "{{run.mine}}"})}) as box:
        seen = await box.call("main")
        assert seen == {"c": box.correlation_id, "w": box.id, "m": 1}


async def test_writing_the_workspace_changes_nothing_and_tells_the_author() -> None:
    async with sandbox({"main": endpoint(put("$workspace.name", "Hacked"), output="{{$workspace.name}}")}) as box:
        assert await box.call("main") == "Sandbox"
        assert [p["error"] for p in await payloads(box, "error")] == ["InvalidInstructionError"]


async def test_an_error_keeps_the_writes_made_before_it() -> None:
    async with sandbox({"main": endpoint(put("global.kept", 1), {"ghost": {}}, put("global.never", 1)),
                        "read": endpoint(output={"kept": "{{global.kept}}", "never": "{{global.never}}"})}) as box:
        with pytest.raises(AutomationsError, match="Automation not found"):
            await box.call("main")
        assert await box.call("read") == {"kept": 1}


async def test_a_context_far_above_its_limit_is_refused_and_stays_as_it_was() -> None:
    sizes = {"global": 1000, "run": 1000, "user": 1000, "session": 1000, "socket": 1000, "config": 1000, "local": 100_000}
    async with sandbox({"main": endpoint(put("global.a", "{{body.text}}")), "read": endpoint(output="{{global.a.length}}")},
                       context_max_sizes=sizes) as box:
        await box.call("main", {"text": "x" * 1500})
        assert "ContextTooLargeError" in [p["error"] for p in await payloads(box, "error")]
        with pytest.raises(ContextTooLarge):
            await box.call("main", {"text": "x" * 5000})
        assert await box.call("read") == 1500


async def test_local_variables_that_double_for_ever_are_stopped() -> None:
    sizes = {"global": 1000, "run": 1000, "user": 1000, "session": 1000, "socket": 1000, "config": 1000, "local": 100_000}
    async with sandbox({"main": endpoint(put("s", "xxxxxxxxxx"), {"repeat": {"until": 60, "do": [put("s", "{{s}}{{s}}")]}})},
                       context_max_sizes=sizes) as box:
        with pytest.raises(ContextTooLarge):
            await box.call("main")


async def test_the_run_context_outlives_the_run_by_a_minute() -> None:
    clock = HandClock()
    async with sandbox({"main": endpoint(put("run.n", 1, type="add"), output="{{run.n}}")}, clock=clock) as box:
        origin = box._origin(ALICE)
        assert await box.call("main", origin=origin) == 1
        clock.advance(59)
        assert await box.call("main", origin=origin) == 2
        clock.advance(61)
        assert await box.call("main", origin=origin) == 1
