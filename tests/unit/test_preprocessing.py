"""Rules of the operator: what they cover in what is stored, and for whom they change nothing."""
from __future__ import annotations

from typing import Any

import pytest
from door import OWNER, house

from gateway.config import BadSettings, Settings
from runtime.preprocessing import parse
from runtime.values import decode, encode

RULES = """
- {id: cards, events: [order.placed, 'audit.*'], fields: [payload.card, payload.items.*.pin, source.ip], action: redact}
"""
WORKSPACE = """
name: Shop
automations:
  heard: {when: {events: [order.placed]}, do: [{set: {name: global.card, value: '{{payload.card}}'}}]}
  read: {when: {endpoint: true}, do: [], output: '{{global.card}}'}
"""


def test_rules_cover_fields_of_the_events_they_name() -> None:
    rules = parse([{"events": ["a.*", "b"], "fields": ["payload.x", "payload.l.*.y"]}, {"topics": ["b"], "fields": ["payload.z"]}])
    event = {"payload": {"x": 1, "l": [{"y": 2}, 3], "z": {"deep": 1}}}
    assert decode(rules.stored("a.c", encode(event))) == {"payload": {"x": "REDACTED", "l": [{"y": "REDACTED"}, 3], "z": {"deep": 1}}}
    assert decode(rules.stored("b", encode(event)))["payload"]["z"] == "REDACTED"
    body = encode(event)
    assert rules.stored("c", body) is body and rules.stored("a.c", b'{"payload":5}') == b'{"payload":5}'


async def test_what_is_found_lacks_the_fields_and_what_listens_gets_the_event_whole(tmp_path: Any) -> None:
    (tmp_path / "rules.yml").write_text(RULES)
    async with house(WORKSPACE, PREPROCESSING_RULES_FILEPATH=str(tmp_path / "rules.yml")) as at:
        events = [{"type": "order.placed", "payload": {"card": "4711", "items": [{"pin": 1, "name": "n"}]}}, {"type": "other", "payload": {"card": "4711"}}]
        await at.request("POST", f"/v2/workspaces/{at.id}/events", json={"events": events}, headers=OWNER)
        _, found, _ = await at.request("GET", f"/v2/workspaces/{at.id}/events?types=order.placed,other", headers=OWNER)
        payloads = {event["type"]: event["payload"] for event in found["result"]["events"]}
        assert payloads == {"order.placed": {"card": "REDACTED", "items": [{"pin": "REDACTED", "name": "n"}]}, "other": {"card": "4711"}}
        assert (await at.call("read"))[1] in (4711, b"4711", "4711")


@pytest.mark.parametrize("text", ["{}", "[5]", "- {events: [a]}", "- {events: [a], fields: [b], action: drop}", "- {events: a, fields: [b]}", "[", None])
def test_rules_that_make_no_sense_stop_the_start(text: str | None, tmp_path: Any) -> None:
    if text is not None:
        (tmp_path / "rules.yml").write_text(text)
    with pytest.raises(BadSettings, match="PREPROCESSING_RULES_FILEPATH"):
        Settings.from_environment({"PREPROCESSING_RULES_FILEPATH": str(tmp_path / "rules.yml")})
