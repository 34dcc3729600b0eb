"""How instructions are read: when their templates are replaced, bodies that are one template, breaks that cross callers."""
from __future__ import annotations

import asyncio
from typing import Any

import pytest
from kit import emit, endpoint, payloads, put, sandbox, steps

from runtime.errors import AutomationsError, InvalidInstruction, NotFound

# --- a body that is one template ----------------------------------------------------------------------


async def test_the_arguments_of_a_call_may_be_one_variable() -> None:
    async with sandbox({"main": endpoint({"child": "{{body}}"}, {"native": "{{zero}}"}, output="{{answer}}"),
                        "child": steps(output={"a": "{{a}}", "output": "{{output}}"}), "native": steps()}) as box:
        with pytest.raises(InvalidInstruction, match="Invalid native instruction : undefined or null payload"):
            await box.call("main", {"a": 1})
    async with sandbox({"main": endpoint({"child": "{{body}}"}, output="{{answer}}"), "child": steps(output={"a": "{{a}}"})}) as box:
        assert await box.call("main", {"a": "{{config}}", "output": "answer"}) == {"a": "{{config}}"}


async def test_the_body_of_a_native_instruction_may_be_one_variable_whose_braces_are_text() -> None:
    async with sandbox({"main": endpoint({"set": "{{body.set}}"}, {"emit": "{{body.emit}}"}, {"break": "{{body.break}}"}, output="{{x}}")}) as box:
        assert await box.call("main", {"set": {"name": "x", "value": "{{body}}"}, "emit": {"event": "said", "payload": {"a": 1}},
                                       "break": {"scope": "automation"}}) == "{{body}}"
        assert await payloads(box, "said") == [{"a": 1}]


@pytest.mark.parametrize(("word", "body"), [
    ("repeat", {"until": 1, "do": [{"set": {"name": "x", "value": 1}}]}), ("all", [{"set": {"name": "x", "value": 1}}]), ("all", {"do": [{"break": {}}]}),
    ("conditions", {"true": [{"break": {}}]}), ("try", {"do": [{"break": {}}]})])
async def test_a_variable_brings_no_instructions(word: str, body: Any) -> None:
    async with sandbox({"main": endpoint({word: "{{body}}"}, output="done")}) as box:
        with pytest.raises(InvalidInstruction, match="Instructions stand in the document"):
            await box.call("main", body)


# --- all ---------------------------------------------------------------------------------------------


async def test_entries_of_all_see_the_variables_as_they_were_when_it_started() -> None:
    async with sandbox({"main": endpoint(
        put("x", "old"), put("list", [1]), put("name", "first"),
        {"all": [put("x", "new"), put("list[]", 2), put("name", "second"), put("seen", "{{x}}"), put("length", "{{list}}"),
                 {"child": {"x": "{{x}}", "output": "{{name}}"}}, {"set": "{{body}}"}]},
        output={"x": "{{x}}", "seen": "{{seen}}", "length": "{{length}}", "first": "{{first}}", "second": "{{second}}", "z": "{{z}}"}),
        "child": steps(output="{{x}}")}) as box:
        assert await box.call("main", {"name": "z", "value": 1}) == {"x": "new", "seen": "old", "length": [1], "first": "old", "z": 1}


async def test_instructions_inside_an_entry_see_what_the_entries_did() -> None:
    async with sandbox({"main": endpoint(
        {"all": [put("x", "new"), {"conditions": {"{{x}} == new": [put("branch", "{{x}}")]}},
                 {"repeat": {"on": "ab", "do": [put("items[]", "{{item}}{{x}}")]}}, {"try": {"do": [put("tried", "{{x}}")]}},
                 {"repeat": {"until": "{% {{counted.length}} == 3 %}", "do": [put("counted[]", "{{item}}")]}},
                 {"all": [put("y", 1), put("z", "{{y}}{{x}}")]}]},
        output={"branch": "{{branch}}", "items": "{{items}}", "tried": "{{tried}}", "counted": "{{counted}}", "z": "{{z}}"})}) as box:
        assert await box.call("main") == {"branch": "new", "items": ["anew", "bnew"], "tried": "new", "counted": [0, 1, 2], "z": "new"}


async def test_an_entry_that_cannot_be_computed_keeps_all_from_starting() -> None:
    async with sandbox({"main": endpoint({"try": {"do": [{"all": [put("x", 1), put("y", "{% 1 + %}")]}]}}, output={"x": "{{x}}", "error": "{{$error.name}}"})}) as box:
        assert await box.call("main") == {"error": "InvalidExpressionSyntax"}


async def test_entries_that_wait_keep_what_was_computed_for_them() -> None:
    async with sandbox({"main": endpoint(
        put("out", "a"), {"all": [{"child": {"v": 1, "output": "{{out}}"}}, put("out", "b"), {"child": {"v": 2, "output": "c"}}]},
        output={"a": "{{a}}", "b": "{{b}}", "c": "{{c}}"}),
        "child": steps({"wait": {"oneOf": [{"event": "never"}], "timeout": 1}}, output="{{v}}")}) as box:
        running = asyncio.create_task(box.call("main"))
        await box.settle()
        box.clock.advance(1)
        assert await running == {"a": 1, "c": 2}


async def test_places_of_errors_name_the_entry() -> None:
    async with sandbox({"main": endpoint({"all": [put("x", 1), {"ghost": {}}]})}) as box:
        with pytest.raises(NotFound) as caught:
            await box.call("main")
        assert caught.value.where == "do.0.all.1"


# --- break -------------------------------------------------------------------------------------------

LEAVE = {"break": {"scope": "all", "payload": {"p": 1}}}


async def test_a_payload_is_the_output_of_the_automation_that_breaks_and_callers_evaluate_their_own() -> None:
    async with sandbox({"main": endpoint({"child": {"output": "c"}}, put("after", 1), output={"root": True, "c": "{{c}}", "after": "{{after}}"}),
                        "alone": endpoint(LEAVE, output="no"), "child": steps(LEAVE, output="no")}) as box:
        assert await box.call("main") == {"root": True}
        assert [p["output"] for p in await payloads(box, "runtime.automations.executed")] == [{"p": 1}, {"root": True}]
        assert await box.call("alone") == {"p": 1}


@pytest.mark.parametrize("pause", [[], [emit("said", {}, output="e")]])
async def test_a_callers_try_catches_the_break_of_a_callee(pause: list[Any]) -> None:
    async with sandbox({"main": endpoint({"try": {"do": [{"child": {}}, put("x", 1)], "catch": [put("caught", "{{$error.name}}")]}}, put("after", 1),
                                         output={"caught": "{{caught}}", "after": "{{after}}", "x": "{{x}}"}),
                        "child": steps(*pause, {"grandchild": {}}, put("global.no", 1)), "grandchild": steps(*pause, LEAVE)}) as box:
        assert await box.call("main") == {"caught": "BreakError", "after": 1}
        executed = await payloads(box, "runtime.automations.executed")
        assert [(p["slug"], p["break"]) for p in executed] == [("grandchild", True), ("child", True), ("main", False)]


@pytest.mark.parametrize("scope", ["automation", "all"])
async def test_a_break_of_ones_own_passes_through_try(scope: str) -> None:
    async with sandbox({"main": endpoint({"try": {"do": [{"break": {"scope": scope}}], "catch": [put("caught", 1)]}}, put("after", 1),
                                         output={"caught": "{{caught}}", "after": "{{after}}"})}) as box:
        assert await box.call("main") == {}


@pytest.mark.parametrize("pause", [[], [emit("said", {}, output="e")]])
async def test_what_fails_while_catching_is_not_caught_by_the_same_try(pause: list[Any]) -> None:
    async with sandbox({"main": endpoint({"try": {"do": [{"child": {}}], "catch": [put("run.times", 1, type="add"), {"ghost": {}}]}}),
                        "look": endpoint(output="{{run.times}}"), "child": steps(*pause, LEAVE)}) as box:
        with pytest.raises(AutomationsError, match="Automation not found"):
            await box.call("main")
        assert (await payloads(box, "runtime.automations.executed"))[-1]["error"]["details"]["automation"] == "ghost"
