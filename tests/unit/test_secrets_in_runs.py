"""What an automation declares secret, or to be redacted, and what the events of its run still show."""
from __future__ import annotations

from typing import Any

from kit import emit, endpoint, payloads, sandbox, steps

FIELD = {"type": "string", "redact": True}


async def executed(automations: dict[str, Any], body: Any = None, **more: Any) -> dict[str, Any]:
    """What each automation that `main` set off tells of itself, by slug."""
    async with sandbox(automations, **more) as box:
        await box.call("main", body)
        await box.settle()
        return {payload["slug"]: payload for payload in await payloads(box, "runtime.automations.executed")}


async def test_a_redacted_field_is_covered_where_it_is_declared_and_only_there() -> None:
    told = await executed({
        "main": endpoint({"child": {"pin": "1234", "o": {"pin": "1234", "n": 5}, "l": [{"pin": 7}], "other": "1234"}}, {"other": {"pin": "1234"}}),
        "child": steps(output="{{pin}}", arguments={"pin": FIELD, "o": {"type": "object", "properties": {"pin": FIELD}},
                                                    "l": {"type": "array", "items": {"type": "object", "properties": {"pin": {"redact": True}}}}}),
        "other": steps()})
    assert told["child"]["payload"] == {"pin": "REDACTED", "o": {"pin": "REDACTED", "n": 5}, "l": [{"pin": "REDACTED"}], "other": "1234"}
    assert told["child"]["output"] == "1234" and told["other"]["payload"] == {"pin": "1234"}


async def test_a_redacted_field_is_what_it_is_for_the_automation_itself() -> None:
    async with sandbox({"main": endpoint(output="{{body.pin}}", arguments={"body": {"type": "object", "properties": {"pin": FIELD}}})}) as box:
        assert await box.call("main", {"pin": "1234"}) == "1234"
        [told] = await payloads(box, "runtime.automations.executed")
        assert told["payload"]["body"] == {"pin": "REDACTED"}


async def test_secrets_of_the_branches_of_schemas_are_hidden_as_those_of_arguments_are() -> None:
    branches = [{"conditions": {"kind": "a"}, "payload": {"type": "object", "properties": {"token": {"type": "string", "secret": True}}}},
                {"payload": {"type": "object", "properties": {"o": {"type": "object", "properties": {"key": {"type": "string", "secret": True}, "pin": FIELD}}}}}]
    told = await executed({
        "main": endpoint({"child": {"token": "first secret", "o": {"key": "second secret", "pin": "1"}}}, {"other": {"text": "a first secret, a second secret"}},
                         emit("said", {"text": "first secret"})),
        "child": steps(schemas=branches), "other": steps()})
    assert told["child"]["payload"] == {"token": "REDACTED", "o": {"key": "REDACTED", "pin": "REDACTED"}}
    assert told["other"]["payload"] == {"text": "a REDACTED, a REDACTED"}
