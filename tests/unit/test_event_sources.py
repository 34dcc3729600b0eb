"""`source` of events: who and what produced them, and what is nobody's business."""
from __future__ import annotations

import pytest
from kit import ALICE, emit, endpoint, listener, of_type, put, sandbox, steps

from runtime.calls import NOBODY, NewEvent, Origin

HTTP = {"method": "POST", "path": "/x", "hostname": "localhost", "originalUrl": "/x?a=1", "ip": "9.9.9.9"}
EVERYTHING = {"main": endpoint(emit("said"), {"child": {}}, {"ghost": {}}), "child": steps(emit("deeper")), "hears": listener("said", emit("heard"))}


def request(identity=ALICE, ip="9.9.9.9"):
    return Origin("c", identity, ip, http=HTTP)


async def test_what_a_user_sends_names_the_user_the_session_the_socket_and_the_address() -> None:
    async with sandbox({}) as box:
        [live] = await box.engine.accept(box.id, [NewEvent("said")], Origin("c", ALICE, "9.9.9.9", "tab-1", HTTP))
        assert live.event["source"] == {
            "workspaceId": box.id, "correlationId": "c", "userId": "alice", "sessionId": ALICE.session_id, "socketId": "tab-1", "ip": "9.9.9.9",
            "serviceTopic": "topic:runtime:emit", "host": {"service": "runtime", "replica": "n1"}}


@pytest.mark.parametrize(("ip", "shown"), [
    ("10.1.2.3", None), ("172.16.0.1", None), ("172.31.255.255", None), ("192.168.1.1", None), ("::ffff:10.0.0.1", None), (None, None),
    ("172.32.0.1", "172.32.0.1"), ("11.0.0.1", "11.0.0.1"), ("127.0.0.1", "127.0.0.1"), ("2001:db8::1", "2001:db8::1"), ("1.2.3.4, 10.0.0.1", "1.2.3.4")])
async def test_private_addresses_are_dropped(ip: str | None, shown: str | None) -> None:
    async with sandbox({"main": endpoint()}) as box:
        [live] = await box.engine.accept(box.id, [NewEvent("said")], request(ip=ip))
        assert live.event["source"].get("ip") == shown
        await box.call("main", origin=request(ip=ip))
        [triggered] = await of_type(box, "runtime.webhooks.triggered")
        assert triggered["source"].get("ip") == shown


async def test_natives_of_a_request_name_who_made_it_and_emitted_events_never_do() -> None:
    async with sandbox(EVERYTHING) as box:
        with pytest.raises(Exception, match="Automation not found"):
            await box.call("main", origin=request())
        await box.settle()
        users = {(e["type"], e["source"]["automationSlug"]): e["source"].get("userId") for e in await box.events() if e["source"]["correlationId"] == "c"}
        assert users == {
            ("runtime.webhooks.triggered", "main"): "alice", ("runtime.interactions.triggered", "main"): "alice", ("said", "main"): None,
            ("deeper", "child"): None, ("runtime.automations.executed", "child"): "alice", ("runtime.automations.executed", "main"): "alice",
            ("error", "main"): "alice", ("heard", "hears"): None, ("runtime.automations.executed", "hears"): "alice"}


async def test_the_address_is_not_inherited() -> None:
    async with sandbox(EVERYTHING) as box:
        with pytest.raises(Exception, match="Automation not found"):
            await box.call("main", origin=request())
        await box.settle()
        with_address = {e["type"] for e in await box.events() if "ip" in e["source"]}
        assert with_address == {"runtime.webhooks.triggered", "runtime.interactions.triggered"}


async def test_the_socket_is_inherited_by_everything_that_follows() -> None:
    async with sandbox({"hears": listener("said", emit("heard")), "then": listener("heard", {"child": {}}),
                        "child": steps(emit("deeper", {"socket": "{{run.socketId}}"}))}) as box:
        await box.engine.accept(box.id, [NewEvent("said")], Origin("c", ALICE, None, "tab-1"))
        await box.settle()
        events = [e for e in await box.events() if e["source"]["correlationId"] == "c"]
        assert {e["source"].get("socketId") for e in events} == {"tab-1"} and events[-1]["type"] == "runtime.automations.executed"
        assert [e["payload"] for e in events if e["type"] == "deeper"] == [{"socket": "tab-1"}]


async def test_emits_say_how_deep_they_were_made_and_where() -> None:
    app = {"automations": {"go": steps(emit("done"))}}
    async with sandbox({"main": endpoint({"box.go": {}}), "outer": endpoint({"main": {}})}, apps={"tool": app},
                       imports={"box": {"appSlug": "tool"}}) as box:
        await box.call("outer")
        [done] = await of_type(box, "box.done")
        source = done["source"]
        assert {key: source[key] for key in ("automationSlug", "automationDepth", "appSlug", "appInstanceFullSlug", "appInstanceDepth")} == {
            "automationSlug": "go", "automationDepth": 3, "appSlug": "tool", "appInstanceFullSlug": "box", "appInstanceDepth": 1}
        [executed, *_] = await of_type(box, "runtime.automations.executed")
        assert executed["source"]["serviceTopic"] == "runtime.automations.executed" and executed["source"]["automationDepth"] == 3


async def test_events_follow_the_session_that_was_switched_to() -> None:
    async with sandbox({"main": endpoint(emit("before"), put("session.id", "s"), emit("after"))}) as box:
        await box.call("main", identity=NOBODY)
        assert [e["source"].get("sessionId") for e in await of_type(box, "before", "after")] == [None, "s"]
