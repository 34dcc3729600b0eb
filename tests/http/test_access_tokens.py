"""Access tokens: who may make them, what they are good for, and how they end."""
from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from door import OWNER, House, house

import store
from runtime.calls import Origin

PATH = "/v2/user/accessTokens"
WHO = """
name: Who
automations:
  put: {when: {endpoint: true}, do: [{set: {name: user.color, value: red}}, {set: {name: session.seen, value: 1}}]}
  who: {when: {endpoint: true}, do: [], output: {user: '{{user.id}}', session: '{{session.id}}', color: '{{user.color}}', seen: '{{session.seen}}'}}
"""


@pytest.fixture
async def door() -> AsyncIterator[House]:
    async with house(WHO) as opened:
        yield opened


def bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


async def make(door: House, login: dict[str, Any], **body: Any) -> dict[str, Any]:
    body = {"name": "laptop", "expiresAt": "2026-01-02T00:00:00.000Z", **body}
    status, made, _ = await door.request("POST", PATH, json=body, headers=bearer(login["token"]))
    assert status == 200, made
    return made


async def test_a_token_is_its_user_in_a_session_of_its_own(door: House) -> None:
    login = await door.login()
    made = await make(door, login)
    assert made == {"id": made["id"], "name": "laptop", "expiresAt": "2026-01-02T00:00:00.000Z", "userId": login["id"], "token": made["token"]}
    assert made["token"].startswith("at:") and len(made["token"]) == 39
    await door.call("put", headers=bearer(login["token"]))
    _, seen, _ = await door.call("who", headers=bearer(made["token"]))
    assert seen == {"user": login["id"], "session": f"at:{made['id']}", "color": "red"}
    _, me, _ = await door.request("GET", "/v2/me", headers=bearer(made["token"]))
    assert (me["id"], me["sessionId"], me["expires"]) == (login["id"], f"at:{made['id']}", made["expiresAt"])


async def test_a_token_is_shown_once_and_kept_nowhere() -> None:
    kept = await store.open("memory:")
    async with house(WHO, on=kept) as door:
        login = await door.login()
        made = await make(door, login)
        _, listed, _ = await door.request("GET", PATH, headers=bearer(login["token"]))
        assert listed == [{key: made[key] for key in ("id", "name", "expiresAt", "userId")}]
        secret = made["token"].removeprefix("at:")
        assert secret not in repr([kept._items, kept._sessions])


async def test_a_token_outlives_the_login_that_made_it_and_ends_when_it_said(door: House) -> None:
    login = await door.login()
    made = await make(door, login)
    await door.request("POST", "/v2/logout", headers=bearer(login["token"]))
    assert (await door.call("who", headers=bearer(made["token"])))[0] == 200
    door.clock.advance(86_400)
    status, answer, _ = await door.call("who", headers=bearer(made["token"]))
    assert (status, answer["error"]) == (401, "AuthenticationError")


@pytest.mark.parametrize("by", ["id", "token"])
async def test_a_token_that_was_taken_back_is_refused_at_once(door: House, by: str) -> None:
    login, ended = await door.login(), []
    made, other = await make(door, login), await make(door, login, name="other")
    door.gateway.sessions.on_end(ended.append)
    assert (await door.call("who", headers=bearer(made["token"])))[0] == 200
    status, answer, _ = await door.request("DELETE", f"{PATH}/{made[by]}", headers=bearer(login["token"]))
    assert (status, answer, ended) == (200, {"id": made["id"]}, [f"at:{made['id']}"])
    assert (await door.call("who", headers=bearer(made["token"])))[0] == 401
    assert (await door.call("who", headers=bearer(other["token"])))[0] == 200
    assert (await door.request("DELETE", f"{PATH}/{made[by]}", headers=bearer(login["token"])))[0] == 404


async def test_nobody_sees_or_ends_the_tokens_of_others(door: House) -> None:
    made, other = await make(door, await door.login()), await door.login()
    assert (await door.request("GET", PATH, headers=bearer(other["token"])))[1] == []
    for by in ("id", "token"):
        assert (await door.request("DELETE", f"{PATH}/{made[by]}", headers=bearer(other["token"])))[0] == 404
    assert (await door.call("who", headers=bearer(made["token"])))[0] == 200


async def test_only_the_token_of_a_login_makes_others(door: House) -> None:
    login = await door.login()
    made = await make(door, login)
    identity = (await door.gateway.auth.identify(login["token"])).identity
    run = door.gateway.auth.mint_internal(Origin("correlation-x", identity), door.id, 1)
    for headers in ({}, OWNER, bearer(made["token"]), bearer(run)):
        for method, path in (("POST", PATH), ("GET", PATH), ("DELETE", f"{PATH}/{made['id']}")):
            status, answer, _ = await door.request(method, path, headers=headers)
            assert (status, answer["error"]) == (401, "AuthenticationError")


async def test_a_token_that_logs_out_is_gone(door: House) -> None:
    login = await door.login()
    made = await make(door, login)
    assert (await door.request("POST", "/v2/logout", headers=bearer(made["token"])))[0] == 200
    assert (await door.call("who", headers=bearer(made["token"])))[0] == 401
    assert (await door.request("GET", PATH, headers=bearer(login["token"])))[1] == []


@pytest.mark.parametrize("body", [{"name": ""}, {"name": 1}, {"name": "x" * 201}, {"name": None}, {"expiresAt": "soon"}, {"expiresAt": 1},
                                  {"expiresAt": "2025-12-31T23:59:59.999Z"}, {"expiresAt": "2026-01-01T00:00:00.000Z"}, {"expiresAt": []}])
async def test_a_token_needs_a_name_and_an_end_in_the_future(door: House, body: dict[str, Any]) -> None:
    body = {"name": "laptop", "expiresAt": "2026-01-02T00:00:00.000Z", **body}
    status, answer, _ = await door.request("POST", PATH, json=body, headers=await door.as_somebody())
    assert (status, answer["error"]) == (400, "RequestValidationError")


async def test_a_token_without_an_end_lives_as_long_as_a_login(door: House) -> None:
    assert (await make(door, await door.login(), expiresAt=None))["expiresAt"] == "2026-01-31T00:00:00.000Z"


async def test_a_user_has_so_many_tokens_and_no_more(door: House) -> None:
    login = await door.login()
    for _ in range(100):
        await make(door, login)
    assert (await door.request("POST", PATH, json={"name": "more"}, headers=bearer(login["token"])))[0] == 400
