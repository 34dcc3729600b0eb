"""Events that are too large: those of somebody's own are refused, those of the server lose what is largest, and nothing fails for it."""
from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.envelope import custom, native
from runtime.errors import InvalidEvent
from runtime.native import EXECUTED
from runtime.values import decode

X = "x" * 3000
Y = "y" * 2000


def accepted(draft: Any) -> dict[str, Any]:
    return decode(draft.accepted("1767225600000-000001", "2026-01-01T00:00:00.000Z"))


@pytest.mark.parametrize(("payload", "limit", "left"), [
    ({"payload": {"a": X}, "output": Y, "slug": "s"}, 10_000, {"payload": {"a": X}, "output": Y, "slug": "s"}),
    ({"payload": {"a": Y}, "output": X, "slug": "s"}, 4000, {"payload": None, "output": X, "slug": "s"}),
    ({"payload": {"a": "small"}, "output": X, "slug": "s"}, 2000, {"payload": None, "output": None, "slug": "s"}),
    ({"payload": {"a": X}, "output": {"b": 1}, "slug": "s"}, 2000, {"payload": None, "output": {"b": 1}, "slug": "s"}),
    ({"output": X, "slug": "s"}, 2000, {"output": None, "slug": "s"}),
])
def test_an_executed_event_loses_its_payload_then_its_output(payload: dict[str, Any], limit: int, left: dict[str, Any]) -> None:
    assert accepted(native(EXECUTED, {}, payload, limit=limit))["payload"] == left


@pytest.mark.parametrize(("payload", "limit", "left"), [
    ({"a": X, "b": Y, "c": 1}, 6000, {"a": X, "b": Y, "c": 1}),
    ({"a": X, "b": Y, "c": 1}, 3000, {"a": None, "b": Y, "c": 1}),
    ({"b": Y, "a": X, "c": 1}, 1000, {"b": None, "a": None, "c": 1}),
])
def test_any_other_native_event_loses_its_largest_members(payload: dict[str, Any], limit: int, left: dict[str, Any]) -> None:
    assert accepted(native("runtime.fetch.failed", {}, payload, limit=limit))["payload"] == left


@settings(max_examples=80, deadline=None)
@given(st.dictionaries(st.text("abcdef", min_size=1, max_size=3), st.text("xé\"", max_size=800), max_size=6), st.integers(600, 3000), st.sampled_from([EXECUTED, "error"]))
def test_a_native_event_fits_and_never_fails(payload: dict[str, str], limit: int, type: str) -> None:
    draft = native(type, {"workspaceId": "w"}, payload, limit=limit)
    event = accepted(draft)
    assert event["size"] <= limit and event["payload"].keys() == payload.keys()
    assert all(value is None or value == payload[key] for key, value in event["payload"].items())


@pytest.mark.parametrize("over", [0, 1])
def test_an_event_of_somebodys_own_is_taken_up_to_the_limit_and_refused_beyond(over: int) -> None:
    size = accepted(custom("t", {}, {"a": ""}, None, None, limit=10_000, chained=False))["size"]
    payload = {"a": "x" * (1000 - size + over)}
    if not over:
        assert accepted(custom("t", {}, payload, None, None, limit=1000, chained=False))["size"] == 1000
        return
    with pytest.raises(InvalidEvent) as refused:
        custom("t", {}, payload, None, None, limit=1000, chained=False)
    assert refused.value.details == {"reason": "EventTooLarge", "eventType": "t", "eventSize": 1001, "maxSize": 1000}
