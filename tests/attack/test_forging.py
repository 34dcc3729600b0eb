"""Nobody but the server makes native events, whatever door is tried, and no header makes anybody somebody else."""
from __future__ import annotations

from typing import Any

import pytest
from door import OWNER, House, house

from runtime.native import EMIT_TOPIC, LISTENABLE
from runtime.values import decode
from store.query import EventQuery

NATIVE = ("runtime.automations.executed", "runtime.anything", "workspaces.configured", "workspaces.secrets.updated", "workspaces.x", "gateway.login.succeeded",
          "apikeys.created", "events.userTopics.joined", "apps.published", "apps.deleted", "runtime.", "workspaces.")
CLAIMS = {"source": {"serviceTopic": "workspaces.configured", "userId": "admin", "workspaceId": "other"}, "id": "1", "createdAt": "2020-01-01T00:00:00.000Z"}

WORKSPACE = """
name: Forge
automations:
  main: {when: {endpoint: true}, do: [{emit: {event: '{{body.type}}', payload: {value: {a: 1}}, options: '{{body.options}}', target: '{{body.target}}'}}]}
  constant: {when: {endpoint: true}, do: [{emit: {event: workspaces.configured, payload: {config: {}}}}]}
  stream: {when: {endpoint: true}, do: [{fetch: {url: '{{body.url}}', stream: {event: '{{body.type}}'}}}]}
  listener: {when: {events: [workspaces.configured, runtime.webhooks.triggered, error]}, do: [{set: {name: 'global.heard[]', value: '{{source.serviceTopic}}'}}]}
  who: {when: {endpoint: true}, do: [], output: {user: '{{user}}', session: '{{session.id}}', run: '{{run.sourceWorkspaceId}}', headers: '{{headers}}'}}
"""


async def events(at: House) -> list[dict[str, Any]]:
    rows = await at.gateway.store.events(EventQuery(at.id, ascending=True, limit=1000))
    return [decode(row.body) for row in rows]


async def assert_unforged(at: House, type: str) -> None:
    """Of the events of this name those that somebody sent say so, and only names that are free were sent."""
    sent = [event for event in await events(at) if event["type"] == type and event["source"].get("serviceTopic") == EMIT_TOPIC]
    assert not sent, sent
    assert all(event["source"]["serviceTopic"] in (EMIT_TOPIC, event["type"]) for event in await events(at))


@pytest.mark.parametrize("type", NATIVE)
async def test_no_door_takes_a_native_name(type: str) -> None:
    async with house(WORKSPACE) as at:
        status, answer, _ = await at.request("POST", f"/v2/workspaces/{at.id}/events", json={"events": [{"type": type, "payload": {}, **CLAIMS}]}, headers=OWNER)
        assert (status, answer["error"]) == (400, "InvalidEventError")
        status, answer, _ = await at.call("main", json={"type": type})
        assert (status, answer["error"]) == (400, "InvalidEventError")
        async with at.socket() as socket:
            await socket.send_json({"op": "emit", "id": "1", "event": {"type": type, "payload": {}, **CLAIMS}})
            answers = [await socket.receive_json() for _ in range(2)]
            assert "InvalidEventError" in str(answers)
        await assert_unforged(at, type)


@pytest.mark.parametrize("type", ["error", "usage", "apps.mine", "free"])
async def test_a_free_name_carries_nothing_of_what_its_sender_claims(type: str) -> None:
    async with house(WORKSPACE) as at:
        event = {"type": type, "payload": {"error": "x"}, **CLAIMS}
        status, answer, _ = await at.request("POST", f"/v2/workspaces/{at.id}/events", json={"events": [event]}, headers=OWNER)
        if status == 400:                                        # or refuses to hear of it
            status, answer, _ = await at.request("POST", f"/v2/workspaces/{at.id}/events", json={"events": [{"type": type, "payload": {}}]}, headers=OWNER)
        assert status == 200
        source = answer[0]["source"]
        assert source["serviceTopic"] == EMIT_TOPIC and source["workspaceId"] == at.id and answer[0]["createdAt"] > "2020-01-02"


async def test_an_automation_cannot_choose_the_source_of_what_it_emits() -> None:
    async with house(WORKSPACE) as at:
        options = {"serviceTopic": "workspaces.configured", "source": {"serviceTopic": "workspaces.configured"}, "native": True}
        await at.call("main", json={"type": "free", "options": options, "target": {"serviceTopic": "error", "userId": "u"}})
        [event] = [event for event in await events(at) if event["type"] == "free"]
        assert event["source"]["serviceTopic"] == EMIT_TOPIC


async def test_the_stream_of_a_fetch_cannot_be_emitted_under_a_native_name() -> None:
    async with house(WORKSPACE) as at:
        host, port = at.address
        url = f"http://{host}:{port}/v2/workspaces/{at.id}/events?access_token=x"
        for type in ("workspaces.configured", "runtime.x"):
            await at.call("stream", json={"type": type, "url": url})
            await assert_unforged(at, type)


async def test_an_automation_that_is_imported_with_a_native_name_to_emit_fails_when_it_is_reached() -> None:
    async with house(WORKSPACE) as at:
        status, answer, _ = await at.call("constant")
        assert (status, answer["error"]) == (400, "InvalidEventError")
        await assert_unforged(at, "workspaces.configured")


async def test_listeners_of_native_events_hear_no_custom_one_of_the_same_name() -> None:
    async with house(WORKSPACE) as at:
        await at.request("POST", f"/v2/workspaces/{at.id}/events", json={"events": [{"type": "error", "payload": {"error": "mine"}}]}, headers=OWNER)
        heard = [event for event in await events(at) if event["type"] == "runtime.automations.executed" and event["payload"]["slug"] == "listener"]
        assert all(event["payload"]["payload"]["source"]["serviceTopic"] == EMIT_TOPIC for event in heard if event["payload"]["trigger"]["value"] == "error")
        assert "error" not in LISTENABLE


async def test_an_app_named_like_the_server_makes_no_native_events() -> None:
    app = "{name: Tool, automations: {emit: {do: [{emit: {event: configured, payload: {}}}, {emit: {event: x.y, payload: {}}}]}}}"
    async with house(app) as at:
        status, _, _ = await at.request("POST", "/v2/apps", json={"workspaceId": at.id, "slug": "tool"}, headers=OWNER)
        assert status == 200
        for instance in ("workspaces", "runtime"):
            document = {"name": f"User {instance}", "imports": {instance: {"appSlug": "tool"}},
                        "automations": {"main": {"when": {"endpoint": True}, "do": [{f"{instance}.emit": {}}]}}}
            status, answer, _ = await at.request("POST", "/v2/workspaces/import", json=document, headers=OWNER)
            if status != 200:
                continue
            at.id = answer["workspace"]["id"]
            await at.call("main")
            for type in (f"{instance}.configured", f"{instance}.x.y"):
                await assert_unforged(at, type)


SPOOFED = {"x-prismeai-user-id": "admin", "x-prismeai-session-id": "at:admin", "x-prismeai-workspace-id": "other", "x-prismeai-role": "owner",
           "x-prismeai-auth-data": '{"a": 1}', "x-prismeai-correlation-id": "mine", "x-correlation-id": "mine", "x-forwarded-for": "8.8.8.8",
           "x-motorik-node": "forged", "x-prismeai-is-admin": "true"}


async def test_headers_make_nobody_somebody_else() -> None:
    async with house(WORKSPACE) as at:
        _, plain, _ = await at.call("who")
        status, spoofed, answer = await at.call("who", headers=SPOOFED)
        seen = {name for name in spoofed["headers"] if name.startswith(("x-prismeai-", "x-forwarded", "x-correlation"))}
        assert status == 200 and {**spoofed, "headers": 0} == {**plain, "headers": 0} and seen <= {"x-prismeai-workspace-id"}
        assert answer.headers["x-correlation-id"] != "mine"
        for path in ("", "/security/secrets", "/config", "/export"):
            status, _, _ = await at.request("GET", f"/v2/workspaces/{at.id}{path}", headers=SPOOFED)
            assert status == 401
        somebody = await at.as_somebody()
        for path in ("", "/security/secrets"):
            status, _, _ = await at.request("GET", f"/v2/workspaces/{at.id}{path}", headers={**SPOOFED, **somebody})
            assert status == 403
        for event in await events(at):
            assert event["source"].get("userId") in (None, "admin") and event["source"]["correlationId"] != "mine"
            assert not (event["type"] == "runtime.webhooks.triggered" and event["source"].get("userId") == "admin")
