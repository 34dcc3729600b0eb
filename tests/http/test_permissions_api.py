"""Sharing, rules and API keys over HTTP, and what they change for everybody at once."""
from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from door import OWNER, House, house

from runtime.calls import Identity, Origin, Presented

WORKSPACE = """
name: House
slug: house
automations:
  pay: {when: {endpoint: true}, authorizations: {action: pay}, output: paid, do: []}
  heard: {when: {events: [said]}, authorizations: {action: pay}, do: []}
pages: {front: {name: Front, blocks: []}}
security:
  authorizations:
    roles: {cashier: {}, reader: {}}
    rules:
      - {role: cashier, action: execute, subject: automations, conditions: {authorizations.action: {$in: [pay]}}}
      - {role: reader, action: read, subject: [workspaces, events]}
      - {action: create, subject: events, inverted: true, reason: Closed, conditions: {type: {$regex: '^shut'}}}
"""


@pytest.fixture
async def home() -> AsyncIterator[House]:
    async with house(WORKSPACE) as opened:
        yield opened


async def somebody(home: House) -> tuple[str, dict[str, str]]:
    login = await home.login()
    return login["id"], {"authorization": f"Bearer {login['token']}"}


async def ask(home: House, method: str, path: str, headers: dict[str, str] | None = None, body: Any = None) -> tuple[int, Any]:
    more = {"json": body} if body is not None else {}
    status, answer, _ = await home.request(method, f"/v2/workspaces/{home.id}{path}", headers=headers or {}, **more)
    return status, answer


async def share(home: House, user_id: str, **permissions: Any) -> None:
    status, answer = await ask(home, "POST", "/permissions", OWNER, {"target": {"id": user_id}, "permissions": permissions})
    assert status == 200, answer


async def told(home: House, type: str) -> list[dict[str, Any]]:
    _, answer = await ask(home, "GET", f"/events?types={type}&sort=asc", OWNER)
    return [event["payload"] for event in answer["result"]["events"]]


async def test_a_share_is_in_force_when_it_is_answered_and_over_when_it_is_taken_back(home: House) -> None:
    user_id, headers = await somebody(home)
    assert (await ask(home, "GET", "", headers))[0] == 403
    await share(home, user_id, role="editor")
    assert (await ask(home, "PATCH", "", headers, {"description": "x"}))[0] == 200
    assert (await ask(home, "DELETE", "", headers))[0] == 403
    _, listed = await ask(home, "GET", "/permissions", OWNER)
    assert listed == {"result": [{"target": {"id": user_id}, "permissions": {"role": "editor"}}]}
    assert await ask(home, "DELETE", f"/permissions/{user_id}", OWNER) == (200, {"id": user_id})
    assert (await ask(home, "GET", "", headers))[0] == 403
    assert (await ask(home, "DELETE", f"/permissions/{user_id}", OWNER))[0] == 404
    [shared], [deleted] = await told(home, "workspaces.permissions.shared"), await told(home, "workspaces.permissions.deleted")
    assert shared == {"subjectId": home.id, "permissions": {"role": "editor"}, "target": {"id": user_id}}
    assert deleted == {"subjectId": home.id, "target": {"id": user_id}}


async def test_what_is_shared_with_everybody_is_open_to_every_login(home: House) -> None:
    _, headers = await somebody(home)
    assert (await ask(home, "POST", "/permissions", OWNER, {"target": {"public": True}, "permissions": {"policies": {"read": True}}}))[0] == 200
    assert (await ask(home, "GET", "", headers))[0] == 200 and (await ask(home, "PATCH", "", headers, {}))[0] == 403
    assert (await ask(home, "DELETE", "/permissions/*", OWNER))[0] == 200
    assert (await ask(home, "GET", "", headers))[0] == 403


@pytest.mark.parametrize("body", [
    {}, {"target": {"id": "u"}}, {"target": {"id": "u"}, "permissions": {}}, {"target": {"id": "u"}, "permissions": {"role": "nobody"}},
    {"target": {"id": "*"}, "permissions": {"role": "editor"}}, {"target": {"public": True}, "permissions": {"role": "owner"}},
    {"target": {"id": "u"}, "permissions": {"policies": {"fly": True}}}, {"target": 1, "permissions": {"role": "editor"}},
    {"target": {"id": "u"}, "permissions": {"policies": {"read": 1}}}])
async def test_a_share_that_means_nothing_is_refused(home: House, body: Any) -> None:
    assert (await ask(home, "POST", "/permissions", OWNER, body))[0] == 400


async def test_a_share_by_address_needs_an_account(home: House) -> None:
    assert (await ask(home, "POST", "/permissions", OWNER, {"email": "nobody@acme.example", "role": "editor"}))[0] == 404


async def test_nobody_gives_what_they_do_not_have(home: House) -> None:
    (boss, headers), (other, _) = await somebody(home), await somebody(home)
    await share(home, boss, policies={"manage_permissions": True, "read": True})
    for permissions, status in (({"policies": {"read": True}}, 200), ({"policies": {"update": True}}, 403), ({"role": "owner"}, 403),
                                ({"role": "editor"}, 403)):
        assert (await ask(home, "POST", "/permissions", headers, {"target": {"id": other}, "permissions": permissions}))[0] == status


async def test_an_editor_neither_changes_the_rules_nor_lets_them_be_changed(home: House) -> None:
    user_id, headers = await somebody(home)
    await share(home, user_id, role="editor")
    _, rules = await ask(home, "GET", "/security", headers)
    assert (await ask(home, "PATCH", "", headers, {"security": rules}))[0] == 200                       # as they are
    open_door = {"authorizations": {"rules": [{"action": "manage", "subject": "all"}]}}
    assert (await ask(home, "PUT", "/security", headers, open_door))[0] == 403
    assert (await ask(home, "PATCH", "", headers, {"security": open_door}))[0] == 403
    assert (await ask(home, "PATCH", "", headers, {"security": None}))[0] == 403
    assert (await ask(home, "POST", "/import", headers, {"name": "House", "automations": {}, "security": open_door}))[0] == 403
    for path in ("/security/apikeys", "/security/secrets", "/permissions"):
        assert (await ask(home, "GET", path, headers))[0] == 403


async def test_rules_are_replaced_and_told_of_and_broken_ones_refused(home: House) -> None:
    assert (await ask(home, "PUT", "/security", OWNER, {"authorizations": {"rules": [{"action": "read"}]}}))[0] == 400
    security = {"authorizations": {"roles": {"guest": {}}, "rules": [{"action": "read", "subject": "workspaces"}]}}
    assert await ask(home, "PUT", "/security", OWNER, security) == (200, security)
    assert await ask(home, "GET", "/security", OWNER) == (200, security)
    assert (await told(home, "workspaces.security.updated"))[-1] == {"security": security}
    _, roles = await ask(home, "GET", "/security/roles", OWNER)
    assert [role["name"] for role in roles] == ["owner", "editor", "guest"]
    _, headers = await somebody(home)
    assert (await ask(home, "GET", "", headers))[0] == 200


async def test_an_action_is_for_those_whom_the_rules_let_execute_it(home: House) -> None:
    user_id, headers = await somebody(home)
    status, refusal, _ = await home.call("pay", headers=headers)
    assert (status, refusal["error"]) == (403, "ForbiddenError")
    assert (await home.call("pay"))[0] == 403
    await share(home, user_id, role="cashier")
    assert (await home.call("pay", headers=headers))[:2] == (200, b"paid")
    assert (await home.call("pay", headers=OWNER))[0] == 200


async def test_a_listener_runs_with_the_role_of_whoever_emitted(home: House) -> None:
    user_id, headers = await somebody(home)
    assert (await ask(home, "POST", "/events", headers, {"events": [{"type": "said"}]}))[0] == 200
    await home.gateway.engine._supervisor.drain(5)
    [refused] = await told(home, "error")
    assert refused["error"] == "ForbiddenError"


async def test_rules_close_events_with_their_reason(home: House) -> None:
    for headers in ({}, (await somebody(home))[1]):
        status, refusal = await ask(home, "POST", "/events", headers, {"events": [{"type": "open"}, {"type": "shut.door"}]})
        assert (status, refusal["error"], refusal["message"]) == (403, "ForbiddenError", "Closed")
    assert await told(home, "open") == []
    assert (await ask(home, "POST", "/events", OWNER, {"events": [{"type": "shut.door"}]}))[0] == 200


async def test_a_role_opens_events_to_searches_at_once(home: House) -> None:
    user_id, headers = await somebody(home)
    assert (await ask(home, "GET", "/events?types=workspaces.created", headers))[1] == {"result": {"events": []}}
    await share(home, user_id, role="reader")
    _, found = await ask(home, "GET", "/events?types=workspaces.created", headers)
    assert len(found["result"]["events"]) == 1


async def test_a_key_is_shown_once_and_told_of_by_what_it_begins_with(home: House) -> None:
    rules = [{"action": "read", "subject": "workspaces"}]
    _, made = await ask(home, "POST", "/security/apikeys", OWNER, {"name": "machine", "rules": rules})
    key = made["apiKey"]
    handle = key.partition(".")[0]
    assert made == {"apiKey": key, "name": "machine", "rules": rules, "subjectType": "workspaces", "subjectId": home.id}
    _, listed = await ask(home, "GET", "/security/apikeys", OWNER)
    assert [one["apiKey"] for one in listed] == [handle] and [one["apiKey"] for one in await told(home, "apikeys.created")] == [handle]
    alone = {"x-prismeai-api-key": key}
    assert (await ask(home, "GET", "", alone))[0] == 200 and (await ask(home, "PATCH", "", alone, {}))[0] == 403
    for wrong in (handle, handle + ".x", "", "x"):
        assert (await ask(home, "GET", "", {"x-prismeai-api-key": wrong}))[0] == 401
    assert (await home.request("POST", "/v2/workspaces", headers=alone, json={"name": "Mine"}))[0] == 401
    assert (await ask(home, "PUT", f"/security/apikeys/{handle}", OWNER, {"rules": [{"action": "update", "subject": "workspaces"}]}))[0] == 200
    assert (await ask(home, "GET", "", alone))[0] == 403 and (await ask(home, "PATCH", "", alone, {"description": "x"}))[0] == 200
    assert await ask(home, "DELETE", f"/security/apikeys/{handle}", OWNER) == (200, {"id": handle})
    assert (await ask(home, "PATCH", "", alone, {}))[0] == 401
    assert len(await told(home, "apikeys.updated")) == len(await told(home, "apikeys.deleted")) == 1


@pytest.mark.parametrize("body", [{"rules": 1}, {"rules": [{}]}, {"name": "", "rules": []}, {"name": 1}, {"rules": [{"action": "read", "subject": "all", "conditions": {"$x": 1}}]}])
async def test_a_key_with_broken_rules_is_not_made(home: House, body: Any) -> None:
    assert (await ask(home, "POST", "/security/apikeys", OWNER, body))[0] == 400


async def test_editors_and_the_feed_of_others_see_nothing_of_keys(home: House) -> None:
    user_id, headers = await somebody(home)
    await share(home, user_id, role="editor")
    await ask(home, "POST", "/security/apikeys", OWNER, {"rules": []})
    assert (await ask(home, "GET", "/events?type=apikeys*", headers))[1] == {"result": {"events": []}}


async def test_a_page_is_shared_by_its_id(home: House) -> None:
    user_id, headers = await somebody(home)
    _, page = await ask(home, "GET", "/pages/front", OWNER)
    path = f"/v2/pages/{page['id']}/permissions"
    assert (await home.request("GET", path, headers=headers))[0] == 403 and (await ask(home, "GET", "/pages/front", headers))[0] == 403
    body = {"target": {"id": user_id}, "permissions": {"policies": {"read": True}}}
    assert (await home.request("POST", path, headers=OWNER, json=body))[:2] == (200, body)
    assert (await ask(home, "GET", "/pages/front", headers))[0] == 200 and (await ask(home, "GET", "", headers))[0] == 403
    assert (await home.request("DELETE", f"{path}/{user_id}", headers=OWNER))[0] == 200
    assert (await ask(home, "GET", "/pages/front", headers))[0] == 403
    [shared], [deleted] = await told(home, "workspaces.pages.permissions.shared"), await told(home, "workspaces.pages.permissions.deleted")
    assert shared["subjectId"] == deleted["subjectId"] == page["id"] and deleted["userId"] == user_id
    assert shared["permissions"] == {"policies": {"read": True}, "id": user_id}


async def test_shares_and_keys_end_with_their_workspace(home: House) -> None:
    user_id, headers = await somebody(home)
    await share(home, user_id, role="owner")
    assert (await ask(home, "DELETE", "", headers))[0] == 200
    assert await home.gateway.store.items("permissions", home.id, 0) == []


async def test_shares_and_keys_are_there_after_a_restart(home: House) -> None:
    user_id, headers = await somebody(home)
    await share(home, user_id, role="editor")
    async with house("{name: Other, automations: {}}", on=home.gateway.store) as again:
        status, _, _ = await again.request("PATCH", f"/v2/workspaces/{home.id}", headers=headers, json={"description": "y"})
        assert status == 200


async def test_a_run_calls_with_the_key_of_its_workspace_and_of_no_other(home: House) -> None:
    await ask(home, "POST", "/security/apikeys", OWNER, {"name": "machine", "rules": [{"action": "read", "subject": "workspaces"}]})
    for named, workspace_id, status in (("machine", home.id, 200), ("other", home.id, 401), ("machine", "w-other", 401), ("", home.id, 401)):
        identity = Identity(api_key=Presented(workspace_id=workspace_id, name=named))
        token = home.gateway.auth.mint_internal(Origin("c1", identity), workspace_id, 1)
        assert (await ask(home, "GET", "", {"authorization": f"Bearer {token}"}))[0] == status
