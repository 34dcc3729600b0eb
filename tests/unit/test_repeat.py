"""`repeat`: what an iteration sees, when the loop ends, and that items belong to their list."""
from __future__ import annotations

from typing import Any

import pytest
from kit import endpoint, put, sandbox

LIST = [{"a": 1}, {"a": 2}]


def loop(*instructions: Any, **parameters: Any) -> dict[str, Any]:
    return {"repeat": {**parameters, "do": list(instructions)}}


@pytest.mark.parametrize("name", ["global.list", "list", "body.list"])
@pytest.mark.parametrize("batch", [None, {"size": 2}])
async def test_changing_an_item_does_not_change_the_list(name: str, batch: Any) -> None:
    more = {"batch": batch} if batch else {}
    async with sandbox({"main": endpoint(put(name, LIST), loop(put("item.a", 9), put("seen[]", "{{item}}"), on="{{%s}}" % name, **more),
                                         output={"list": "{{%s}}" % name, "seen": "{{seen}}"})}) as box:
        assert await box.call("main") == {"list": LIST, "seen": [{"a": 9}, {"a": 9}]}


async def test_the_value_of_a_member_of_an_object_is_not_changed_either() -> None:
    async with sandbox({"main": endpoint(put("o", {"k": {"a": 1}}), loop(put("item.value.a", 9), on="{{o}}"), output="{{o}}")}) as box:
        assert await box.call("main") == {"k": {"a": 1}}


@pytest.mark.parametrize(("until", "iterations"), [
    ("{{missing}}", 0), ("{{body.none}}", 0), ("{{body.three}}", 3), ("{{body.text}}", 2), ("{% {{seen.length}} == 4 %}", 4), ("{% {{missing}} or 5 %}", 5)])
async def test_a_count_that_is_not_there_makes_no_iteration(until: str, iterations: int) -> None:
    async with sandbox({"main": endpoint(put("seen", []), loop(put("seen[]", "{{item}}"), until=until), output="{{seen}}")}) as box:
        assert await box.call("main", {"none": None, "three": 3, "text": "2"}) == list(range(iterations))


async def test_a_list_is_taken_whole_when_its_limit_is_not_there() -> None:
    async with sandbox({"main": endpoint(loop(put("seen[]", "{{item}}"), on=[1, 2], until="{{missing}}"), output="{{seen}}")}) as box:
        assert await box.call("main") == [1, 2]


@pytest.mark.parametrize("batch", [{}, {"batch": {"size": 2}}])
async def test_after_the_loop_the_index_keeps_its_last_value_and_the_item_is_gone(batch: dict[str, Any]) -> None:
    async with sandbox({"main": endpoint(loop(on="abc", **batch), output={"index": "{{$index}}", "item": "{{item}}"})}) as box:
        assert await box.call("main") == {"index": 2}
