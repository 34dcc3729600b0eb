"""How automations run: order, calls, breaks, errors, waits, limits, deliveries."""
from __future__ import annotations

import asyncio

import pytest
from kit import emit, endpoint, listener, of_type, payloads, put, sandbox, steps

import store
from runtime.calls import Response
from runtime.errors import AutomationsError, NotFound, OverBudget, TooManyCalls
from store.records import Delivery


async def test_native_events_of_a_webhook_come_in_order_and_the_callee_before_its_caller() -> None:
    async with sandbox({"main": endpoint({"child": {}}), "child": steps(emit("custom"))}) as box:
        await box.call("main")
        found = [e for e in await box.events() if e["source"]["correlationId"] == box.correlation_id]
        assert [e["type"] for e in found] == ["runtime.webhooks.triggered", "runtime.interactions.triggered", "custom",
                                              "runtime.automations.executed", "runtime.automations.executed"]
        assert [e["payload"]["slug"] for e in found[3:]] == ["child", "main"]


async def test_size_is_the_length_of_the_event_without_its_id() -> None:
    from runtime.values import decode, encode
    async with sandbox({"main": endpoint(emit("é", {"text": "héllo"}) if False else emit("hello", {"text": "héllo"}))}) as box:
        await box.call("main")
        [event] = await of_type(box, "hello")
        without = {k: v for k, v in decode(encode(event)).items() if k not in ("id", "size")}
        assert event["size"] == len(encode(without))


async def test_break_ends_the_automation_and_its_output_is_still_evaluated() -> None:
    async with sandbox({"main": endpoint(put("a", 1), {"break": {}}, put("a", 2), output="{{a}}")}) as box:
        assert await box.call("main") == 1
        [executed] = await payloads(box, "runtime.automations.executed")
        assert executed["break"] is True


async def test_break_all_ends_the_callers_too() -> None:
    async with sandbox({"main": endpoint({"child": {"output": "c"}}, put("after", 1), output={"after": "{{after}}", "c": "{{c}}", "root": True}),
                        "child": steps({"break": {"scope": "all"}}, output="value")}) as box:
        assert await box.call("main") == {"root": True}


async def test_break_repeat_leaves_the_innermost_loop_only() -> None:
    loop = {"repeat": {"on": "{{body}}", "do": [
        {"repeat": {"until": 3, "do": [{"conditions": {"{{item}} == 1": [{"break": {"scope": "repeat"}}]}}, put("seen[]", "{{item}}")]}}]}}
    async with sandbox({"main": endpoint(loop, output="{{seen}}")}) as box:
        assert await box.call("main", ["a", "b"]) == [0, 0]


async def test_an_unknown_automation_is_an_error_only_where_it_is_reached() -> None:
    async with sandbox({"main": endpoint({"conditions": {"{{body.go}}": [{"ghost": {}}]}}, output="fine")}) as box:
        assert await box.call("main") == "fine"
        with pytest.raises(NotFound) as caught:
            await box.call("main", {"go": True})
        assert caught.value.details == {"workspaceId": box.id, "automation": "ghost"}


async def test_a_failed_run_has_one_error_event_that_names_the_automation_that_threw() -> None:
    async with sandbox({"main": endpoint({"child": {}}), "child": steps({"ghost": {}})}) as box:
        with pytest.raises(NotFound):
            await box.call("main")
        [error] = await of_type(box, "error")
        assert error["source"]["automationSlug"] == "child"
        assert error["payload"]["error"] == "ObjectNotFoundError"
        [executed] = await payloads(box, "runtime.automations.executed")
        assert (executed["slug"], executed["status"], executed["error"]["error"]) == ("child", "error", "ObjectNotFoundError")


async def test_a_fault_of_the_server_is_told_like_any_other_error_without_what_happened() -> None:
    class Broken(Response):
        async def write(self, data: bytes) -> None:
            raise RuntimeError("something inside")

    async with sandbox({"main": endpoint(put("$http", {"chunk": 1}))}) as box:
        with pytest.raises(AutomationsError, match="Internal server error"):
            await box.call("main", response=Broken())
        told = [*await payloads(box, "error"), *(p["error"] for p in await payloads(box, "runtime.automations.executed"))]
        assert told == [{"error": "Internal", "message": "Internal server error"}] * 2


async def test_try_catches_the_error_of_a_callee_and_no_error_event_is_told() -> None:
    async with sandbox({"main": endpoint({"try": {"do": [{"child": {}}], "catch": [put("why", "{{$error.error}}")]}}, output="{{why}}"),
                        "child": steps({"wait": {"oneOf": [{"event": "x"}], "timeout": 0}}, {"ghost": {}})}) as box:
        running = asyncio.create_task(box.call("main"))
        await box.settle()
        box.clock.advance(0)
        assert await running == "ObjectNotFoundError"
        assert await of_type(box, "error") == []


async def test_twenty_one_nested_calls_run_and_the_next_one_fails() -> None:
    async with sandbox({"main": endpoint(put("run.depth_reached", "{{run.depth}}"), {"main": {}})}) as box:
        with pytest.raises(TooManyCalls) as caught:
            await box.call("main")
        assert caught.value.details == {"limit": 20}
        assert len([p for p in await payloads(box, "runtime.automations.executed")]) == 1


async def test_a_circle_of_events_stops_at_the_same_depth() -> None:
    async with sandbox({"main": endpoint(emit("tick")), "again": listener("tick", emit("tick"))}) as box:
        await box.call("main")
        await box.settle()
        assert len(await of_type(box, "tick")) == 21
        assert [p["error"] for p in await payloads(box, "error")] == ["TooManyCallError"]


async def test_an_endless_loop_is_stopped_and_others_run_meanwhile() -> None:
    async with sandbox({"main": endpoint({"repeat": {"until": 1_000_000_000, "do": [put("x", "{{item}}")]}}), "quick": endpoint(output="ok")},
                       run_max_instructions=100_000) as box:
        running = asyncio.create_task(box.call("main"))
        await asyncio.sleep(0)
        assert await box.call("quick") == "ok"
        assert not running.done()
        with pytest.raises(OverBudget):
            await running


async def test_recursion_that_doubles_at_every_level_lets_others_run_and_ends() -> None:
    async with sandbox({"main": endpoint({"twice": {}}), "twice": steps({"try": {"do": [{"twice": {}}]}}, {"try": {"do": [{"twice": {}}]}}),
                        "quick": endpoint(output="ok")}, run_max_instructions=20_000) as box:
        running = asyncio.create_task(box.call("main"))
        await asyncio.sleep(0)
        assert await box.call("quick") == "ok"
        with pytest.raises(AutomationsError):
            await running


async def test_wait_gives_the_first_event_that_fits_and_sees_one_emitted_right_after_it() -> None:
    async with sandbox({
        "main": endpoint({"all": [{"wait": {"oneOf": [{"event": "answer", "filters": {"payload.n": {"$gt": 1}}}], "timeout": 5, "output": "w"}},
                                  {"sender": {}}]}, output="{{w.payload}}"),
        "sender": steps(*(emit("answer", {"n": n}) for n in (1, 2, 3))),
    }) as box:
        assert await box.call("main") == {"n": 2}


async def test_a_wait_ends_at_its_time_and_leaves_the_variable_alone() -> None:
    async with sandbox({"main": endpoint(put("w", "before"), {"wait": {"oneOf": [{"event": "never"}], "timeout": 7, "output": "w"}}, output="{{w}}")}) as box:
        running = asyncio.create_task(box.call("main"))
        await box.settle()
        box.clock.advance(6.9)
        await box.settle()
        assert not running.done()
        box.clock.advance(0.2)
        assert await running == "before"
        assert await box.store.waits() == []


async def test_an_event_kept_by_a_wait_starts_nothing() -> None:
    async with sandbox({
        "main": endpoint({"all": [{"wait": {"oneOf": [{"event": "mine", "cancelTriggers": True}], "timeout": 5}}, emit("mine")]}),
        "hears": listener("mine", emit("heard")),
    }) as box:
        await box.call("main")
        await box.settle()
        assert await of_type(box, "heard") == []


async def test_every_listener_runs_once_in_the_order_of_declaration() -> None:
    async with sandbox({"main": endpoint(emit("go")), **{f"l{n}": listener("go", emit("ran", {"n": n})) for n in (3, 1, 2)}}) as box:
        await box.call("main")
        await box.settle()
        assert [p["n"] for p in await payloads(box, "ran")] == [3, 1, 2]


async def test_a_delivery_that_was_not_finished_is_started_again_and_a_finished_one_is_not() -> None:
    shared = await store.open("memory:")
    automations = {"hears": listener("go", emit("ran", {"n": "{{payload.n}}", "delivery": "{{run.deliveryId}}"}))}
    async with sandbox(automations, on=shared) as box:
        event = await box.emit("go", {"n": 1})
        await box.settle()
        assert await shared.deliveries() == []
    body = (await shared.events(__import__("store.query", fromlist=["EventQuery"]).EventQuery(box.id)))
    raw = next(e.body for e in body if b'"type":"go"' in e.body)
    await shared.commit([Delivery(f"{event['id']}:hears", box.id, event["id"], "hears", 1, raw)])
    async with sandbox(automations, on=shared) as box:
        await box.settle()
        assert [p["n"] for p in await payloads(box, "ran")] == [1, 1]
        assert await shared.deliveries() == []


async def test_an_emit_with_an_output_gives_the_accepted_event() -> None:
    async with sandbox({"main": endpoint(emit("go", {"n": 1}, output="sent"), output="{{sent}}")}) as box:
        sent = await box.call("main")
        assert [sent] == await of_type(box, "go")


async def test_a_payload_that_is_no_object_is_told_and_the_run_goes_on() -> None:
    async with sandbox({"main": endpoint(emit("thing", [1]), output="on")}) as box:
        assert await box.call("main") == "on"
        [error] = await payloads(box, "error")
        assert error == {"error": "InvalidEventError", "message": "Event payload must be an object, received Array",
                         "details": {"event": "thing", "payload": [1]}}


@pytest.mark.parametrize("name", ["runtime.automations.executed", "workspaces.deleted", "bad/name", "", "apikeys.created"])
async def test_names_of_the_server_and_bad_names_cannot_be_emitted(name: str) -> None:
    async with sandbox({"main": endpoint(emit(name))}) as box:
        with pytest.raises(AutomationsError) as caught:
            await box.call("main")
        assert caught.value.wire in ("InvalidEventError", "InvalidInstructionError")


async def test_an_event_above_the_limit_is_refused_and_an_executed_event_is_cut() -> None:
    async with sandbox({"main": endpoint(output="{{body.text}}"), "emits": endpoint(emit("big", {"t": "{{body.text}}"}))},
                       broker_emit_maxlen=2000, broker_emit_executed_automation_maxlen=2000) as box:
        assert len(await box.call("main", {"text": "x" * 5000})) == 5000
        [executed] = await payloads(box, "runtime.automations.executed")
        assert (executed["payload"], executed["output"], executed["slug"]) == (None, None, "main")
        with pytest.raises(AutomationsError) as caught:
            await box.call("emits", {"text": "x" * 5000})
        assert caught.value.details["reason"] == "EventTooLarge"


async def test_volatile_events_reach_listeners_and_are_not_stored() -> None:
    async with sandbox({"main": endpoint(emit("v", {"n": 1}, options={"persist": False})), "l": listener("v", emit("heard"))}) as box:
        await box.call("main")
        await box.settle()
        assert (len(await of_type(box, "v")), len(await of_type(box, "heard"))) == (0, 1)


async def test_an_automation_changed_while_a_run_waits_finishes_as_it_began() -> None:
    async with sandbox({"main": endpoint({"wait": {"oneOf": [{"event": "go"}], "timeout": 9}}, output="old")}) as box:
        running = asyncio.create_task(box.call("main"))
        await box.settle()
        origin = box._origin(__import__("kit").ALICE)
        await box.engine.catalog.update_automation(box.id, "main", {**endpoint(output="new"), "name": "main"}, origin)
        assert await box.call("main") == "new"
        await box.emit("go")
        assert await running == "old"


async def test_repeat_batches_have_an_item_each_and_share_the_rest() -> None:
    async with sandbox({"main": endpoint({"repeat": {"on": "{{body}}", "batch": {"size": 2}, "do": [{"echo": {"v": "{{item}}"}}, put("got[]", "{{item}}")]}},
                                         output="{{got}}"),
                        "echo": steps({"wait": {"oneOf": [{"event": "tick"}], "timeout": 1}})}) as box:
        running = asyncio.create_task(box.call("main", [1, 2, 3]))
        for _ in range(3):
            await box.settle()
            box.clock.advance(1)
        assert sorted(await running) == [1, 2, 3]
