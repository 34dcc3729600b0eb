"""`set` and `delete`: what each type makes of what was there, and which names are refused."""
from __future__ import annotations

from typing import Any

import pytest
from kit import endpoint, payloads, put, sandbox, steps

from runtime.calls import Response
from runtime.errors import InvalidInstruction


@pytest.mark.parametrize(("before", "value", "after"), [
    (None, "text", None), (None, [1], None), (None, {"a": 1}, {"a": 1}), ({}, [1], {}), ({"a": 1}, "text", {"a": 1}), ("text", [1], [1]), ([], None, [None])])
async def test_a_merge_into_an_object_or_null_takes_objects_only(before: Any, value: Any, after: Any) -> None:
    for name in ("x", "o.x", "l[0]", "global.x"):
        async with sandbox({"main": endpoint(put("l", [9]), put(name, before), put(name, value, type="merge"), output={"x": "{{%s}}" % name})}) as box:
            assert await box.call("main") == {"x": after}


async def test_a_merge_into_nothing_is_a_plain_replacement() -> None:
    async with sandbox({"main": endpoint(put("a", "text", type="merge"), put("o.b", [1], type="merge"), output={"a": "{{a}}", "o": "{{o}}"})}) as box:
        assert await box.call("main") == {"a": "text", "o": {"b": [1]}}


async def test_deleting_the_answer_is_no_fault_of_the_server() -> None:
    async with sandbox({"whole": endpoint({"delete": {"name": "$http"}}, put("$http", {"status": 201}), output="{{$http.status}}"),
                        "part": endpoint({"delete": {"name": "$http.status"}})}) as box:
        assert await box.call("whole") == 201
        with pytest.raises(InvalidInstruction, match="Invalid delete instruction"):
            await box.call("part")


async def test_a_name_made_of_variables_may_be_that_of_the_answer() -> None:
    response = Response()
    async with sandbox({"main": endpoint({"set": {"name": "{{body.name}}", "value": {"status": 207}}})}) as box:
        await box.call("main", {"name": "$http"}, response=response)
        assert response.status == 207


@pytest.mark.parametrize("name", [None, 5, "", "a..b", "a.", "[0]", "{{missing}}"])
async def test_a_bad_name_is_told_with_the_value(name: Any) -> None:
    async with sandbox({"main": endpoint({"set": {"name": name, "value": 1}})}) as box:
        with pytest.raises(InvalidInstruction, match="Invalid set instruction") as caught:
            await box.call("main")
        assert caught.value.details == {"variable": None if name == "{{missing}}" else name, "value": 1}


async def test_secret_is_a_variable_like_any_other() -> None:
    async with sandbox({"main": endpoint({"child": {"secret": "a", "output": "secret.b"}}, output="{{secret}}"), "child": steps(output="{{secret}}")}) as box:
        assert await box.call("main") == {"b": "a"}


async def test_computed_fields_cannot_be_forged_not_even_in_a_whole_context() -> None:
    forged = [put(name, "forged") for name in ("run.depth", "run.authenticatedWorkspaceId", "user.email", "global.apiUrl")]
    async with sandbox({"main": endpoint(*forged, put("user.mine", 1), output={"run": "{{run}}", "user": "{{user}}", "global": "{{global}}"})}) as box:
        seen = await box.call("main")
        assert seen["user"] == {"mine": 1} and seen["run"]["depth"] == 1 and "authenticatedWorkspaceId" not in seen["run"]
        assert seen["global"]["apiUrl"] != "forged"


@pytest.mark.parametrize("name", ["text.member", "a..b", "{{missing}}", "session.id"])
async def test_an_output_that_cannot_be_written_is_told_and_the_run_goes_on(name: str) -> None:
    async with sandbox({"main": endpoint(put("text", "x"), {"child": {"output": name}}, output="done"), "child": steps(output={"v": 1})}) as box:
        assert await box.call("main") == "done"
        assert [error["error"] for error in await payloads(box, "error")] == ["InvalidOutputError"]
