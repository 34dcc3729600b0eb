"""Changes of rules, shares and keys reach open sockets at once, and the other nodes."""
from __future__ import annotations

from typing import Any

from door import OWNER, house
from test_nodes_in_memory import nodes

WORKSPACE = """
name: House
slug: house
automations: {}
security: {authorizations: {roles: {reader: {}}, rules: [{role: reader, action: read, subject: events}]}}
"""
FORBID = {"authorizations": {"roles": {"reader": {}}, "rules": [
    {"role": "reader", "action": "read", "subject": "events"},
    {"action": "read", "subject": "events", "inverted": True, "conditions": {"payload.kind": "hidden"}}]}}


async def test_an_open_socket_hears_what_its_user_may_read_now() -> None:
    async with house(WORKSPACE) as home:
        path = f"/v2/workspaces/{home.id}"
        login = await home.login()
        headers = {"authorization": f"Bearer {login['token']}"}
        grant = {"target": {"id": login["id"]}, "permissions": {"role": "reader"}}

        async def emit(name: str, **payload: Any) -> None:
            status, _, _ = await home.request("POST", path + "/events", headers=OWNER, json={"events": [{"type": name, "payload": payload}]})
            assert status == 200

        async with home._client.ws_connect(path + "/events", headers=headers) as socket:
            await socket.send_json({"op": "subscribe", "id": "all", "filters": {"types": ["e*"]}})
            assert [(await socket.receive_json())["op"] for _ in range(2)] == ["welcome", "subscribed"]
            await emit("e1")
            assert (await home.request("POST", path + "/permissions", headers=OWNER, json=grant))[0] == 200
            await emit("e2", kind="hidden")
            assert (await home.request("PUT", path + "/security", headers=OWNER, json=FORBID))[0] == 200
            await emit("e3", kind="hidden")
            await emit("e4")
            assert (await home.request("DELETE", f"{path}/permissions/{login['id']}", headers=OWNER))[0] == 200
            await emit("e5")
            await socket.send_json({"op": "ping", "t": 1})
            heard = [await socket.receive_json() for _ in range(3)]
            assert [frame["event"]["type"] if frame["op"] == "event" else frame["op"] for frame in heard] == ["e2", "e4", "pong"]


async def test_other_nodes_know_shares_and_keys_and_their_ends() -> None:
    async with nodes() as ([one, other], path):
        _, login = await one.ask("POST", "/v2/login/anonymous", {})
        mine = {"authorization": f"Bearer {login['token']}"}
        assert (await other.ask("GET", path, **mine))[0] == 403
        status, _ = await one.ask("POST", path + "/permissions", {"target": {"id": login["id"]}, "permissions": {"role": "editor"}})
        assert status == 200 and (await other.ask("GET", path, **mine))[0] == 200
        _, key = await one.ask("POST", path + "/security/apikeys", {"rules": [{"action": "update", "subject": "workspaces"}]})
        with_key = {**mine, "x-prismeai-api-key": key["apiKey"]}
        assert (await other.ask("DELETE", f"{path}/permissions/{login['id']}"))[0] == 200
        assert (await one.ask("GET", path, **mine))[0] == 403 and (await other.ask("PATCH", path, {"description": "x"}, **with_key))[0] == 200
        assert (await other.ask("DELETE", f"{path}/security/apikeys/{key['apiKey']}"))[0] == 200
        assert (await one.ask("PATCH", path, {"description": "y"}, **with_key))[0] == 403


async def test_a_key_in_the_first_frame_adds_to_what_the_token_allows() -> None:
    async with house(WORKSPACE) as home:
        path = f"/v2/workspaces/{home.id}"
        login = await home.login()
        _, key, _ = await home.request("POST", path + "/security/apikeys", headers=OWNER, json={"rules": [{"action": "read", "subject": "events"}]})
        for extra, expected in (({}, "pong"), ({"apiKey": key["apiKey"]}, "event")):
            async with home._client.ws_connect(path + "/events") as socket:
                await socket.send_json({"op": "hello", "token": login["token"], **extra})
                await socket.send_json({"op": "subscribe", "id": "all", "filters": {"types": ["e1"]}})
                assert [(await socket.receive_json())["op"] for _ in range(2)] == ["welcome", "subscribed"]
                await home.request("POST", path + "/events", headers=OWNER, json={"events": [{"type": "e1"}]})
                await socket.send_json({"op": "ping", "t": 1})
                assert (await socket.receive_json())["op"] == expected
