"""`set` and `delete`: what each type makes of what was there, and which names are refused."""
from __future__ import annotations

from typing import Any

import pytest
from kit import endpoint, put, sandbox


@pytest.mark.parametrize(("before", "value", "after"), [
    (None, "text", None), (None, [1], None), (None, {"a": 1}, {"a": 1}), ({}, [1], {}), ({"a": 1}, "text", {"a": 1}), ("text", [1], [1]), ([], None, [None])])
async def test_a_merge_into_an_object_or_null_takes_objects_only(before: Any, value: Any, after: Any) -> None:
    for name in ("x", "o.x", "l[0]", "global.x"):
        async with sandbox({"main": endpoint(put("l", [9]), put(name, before), put(name, value, type="merge"), output={"x": "{{%s}}" % name})}) as box:
            assert await box.call("main") == {"x": after}


async def test_a_merge_into_nothing_is_a_plain_replacement() -> None:
    async with sandbox({"main": endpoint(put("a", "text", type="merge"), put("o.b", [1], type="merge"), output={"a": "{{a}}", "o": "{{o}}"})}) as box:
        assert await box.call("main") == {"a": "text", "o": {"b": [1]}}
