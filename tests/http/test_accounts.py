"""Accounts: signing up, logging in with a password, being found, and what the first ones may do."""
from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from typing import Any

import pytest
from door import OWNER, House, house

import store

ADA = {"email": "Ada@Example.org", "password": "correct horse", "firstName": "Ada", "lastName": "L", "language": "en"}


@pytest.fixture
async def door() -> AsyncIterator[House]:
    async with house() as opened:
        yield opened


def bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


async def signup(door: House, headers: dict[str, str] | None = None, **body: Any) -> tuple[int, Any]:
    return (await door.request("POST", "/v2/signup", json={**ADA, **body}, headers=headers or {}))[:2]


async def login(door: House, email: str = "ada@example.org", password: str = "correct horse") -> tuple[int, Any]:
    return (await door.request("POST", "/v2/login", json={"email": email, "password": password}))[:2]


async def test_who_signs_up_can_log_in_and_is_the_same_user_each_time(door: House) -> None:
    status, user = await signup(door)
    assert status == 200
    assert user == {"id": user["id"], "userId": user["id"], "email": "Ada@Example.org", "firstName": "Ada", "lastName": "L",
                    "language": "en", "authData": {"prismeai": {"email": "Ada@Example.org"}}}
    first, second = (await login(door))[1], (await login(door, "ADA@EXAMPLE.ORG"))[1]
    assert {key: first[key] for key in user} == user and first["sessionId"] != second["sessionId"] and second["id"] == user["id"]
    assert first.keys() - user.keys() == {"token", "sessionId", "expires"}
    _, me, _ = await door.request("GET", "/v2/me", headers=bearer(first["token"]))
    assert me == {key: first[key] for key in first if key != "token"}


async def test_a_login_sets_a_cookie_that_no_script_reads(door: House) -> None:
    await signup(door)
    _, answer, response = await door.request("POST", "/v2/login", json={"email": ADA["email"], "password": ADA["password"]})
    cookie = response.cookies["access-token"]
    assert (cookie.value, cookie["httponly"], cookie["samesite"], cookie["secure"]) == (answer["token"], True, "Lax", "")
    assert response.headers["x-prismeai-session-id"] == answer["sessionId"]


async def test_over_https_the_cookie_stays_there() -> None:
    async with house(API_URL="https://api.example.org/v2") as door:
        _, _, response = await door.request("POST", "/v2/login/anonymous")
        assert response.cookies["access-token"]["secure"] is True


async def test_an_unknown_address_and_a_wrong_password_are_answered_alike(door: House) -> None:
    await signup(door)
    wrong, unknown = await login(door, password="wrong horse"), await login(door, email="bob@example.org")
    assert wrong == unknown and wrong[0] == 401 and wrong[1]["error"] == "AuthenticationError"


async def test_an_address_has_one_account_however_it_is_spelled(door: House) -> None:
    await signup(door)
    for email in ("ada@example.org", "ADA@EXAMPLE.ORG", "\uff21da@example.org", " ada@example.org "):
        status, answer = await signup(door, email=email, password="another one")
        assert (status, answer["error"]) == (400, "AlreadyUsedError"), email
    assert (await login(door))[0] == 200


@pytest.mark.parametrize(("name", "value"), [
    ("email", "ada"), ("email", ""), ("email", 1), ("email", None), ("email", "a@b@c"), ("email", "a\n@b.org"), ("email", "a" * 300 + "@b.org"),
    ("password", "short"), ("password", "x" * 33), ("password", None), ("password", []), ("firstName", 1), ("language", "x" * 201)])
async def test_what_cannot_be_an_account_is_refused(door: House, name: str, value: Any) -> None:
    status, answer = await signup(door, **{name: value})
    assert (status, answer["error"], answer["details"][0]["path"]) == (400, "RequestValidationError", name)


async def test_what_passwords_look_like_is_up_to_the_operator() -> None:
    async with house(PASSWORD_VALIDATION_REGEXP="^[0-9]{4}$") as door:
        assert (await signup(door))[0] == 400
        assert (await signup(door, password="1234"))[0] == 200
        assert (await login(door, password="1234"))[0] == 200


async def test_neither_the_store_nor_the_log_has_a_password(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "motorik.identity")
    kept = await store.open("memory:")
    async with house(on=kept) as door:
        await signup(door)
        token = (await login(door))[1]["token"]
        await login(door, password="wrong horse")
        stored = repr([kept._items, kept._sessions])
        assert "horse" not in stored and "$argon2id$" in stored
        said = [record.getMessage() for record in caplog.records if record.name == "motorik.identity"]
        assert [text.split(" ")[0] for text in said] == ["gateway.signup.succeeded", "gateway.login.succeeded", "gateway.login.failed"]
        for secret in ("horse", "example.org", "Example.org", token):
            assert secret not in "".join(said)


async def test_after_logout_the_session_is_over_everywhere(door: House) -> None:
    await signup(door)
    ended: list[str] = []
    door.gateway.sessions.on_end(ended.append)
    answer = (await login(door))[1]
    _, _, response = await door.request("POST", "/v2/logout", headers=bearer(answer["token"]))
    assert ended == [answer["sessionId"]] and response.cookies["access-token"].value == ""
    assert (await door.request("GET", "/v2/me", headers=bearer(answer["token"])))[0] == 401


async def test_who_has_an_account_finds_others(door: House) -> None:
    _, ada = await signup(door)
    _, bob = await signup(door, email="bob@example.org", firstName="Bob", lastName=None)
    headers = bearer((await login(door))[1]["token"])

    async def find(**body: Any) -> tuple[int, Any]:
        return (await door.request("POST", "/v2/contacts", json=body, headers=headers))[:2]
    assert await find(email="BOB@example.org") == (200, {"contacts": [{"id": bob["id"], "email": "bob@example.org", "firstName": "Bob"}]})
    _, found = await find(ids=[ada["id"], "nobody", ada["id"]], email="bob@example.org")
    assert [contact["id"] for contact in found["contacts"]] == [ada["id"], bob["id"]]
    assert await find() == (200, {"contacts": []}) == await find(email="nobody@example.org")
    for body in ({"ids": "all"}, {"ids": [1]}, {"ids": ["x"] * 101}, {"email": 1}):
        assert (await find(**body))[0] == 400


async def test_anonymous_users_find_nobody(door: House) -> None:
    for headers in ({}, await door.as_somebody()):
        assert (await door.request("POST", "/v2/contacts", json={"email": "a@b.org"}, headers=headers))[0] == 401


async def test_an_account_that_may_do_everything_is_only_made_for_the_owner_of_the_server() -> None:
    async with house(SUPER_ADMIN_EMAILS="ada@example.org", WORKSPACE_CREATION="admins") as door:
        for email in ("Ada@Example.org", "\uff41da@example.org"):
            status, answer = await signup(door, email=email)
            assert (status, answer["error"]) == (400, "AlreadyUsedError")
        assert (await signup(door, headers=await door.as_somebody()))[0] == 400
        assert (await signup(door, headers=OWNER))[0] == 200
        await signup(door, email="bob@example.org")
        ada, bob = [bearer((await login(door, email))[1]["token"]) for email in ("ada@example.org", "bob@example.org")]
        for headers, status in ((ada, 200), (bob, 403)):
            assert (await door.request("GET", f"/v2/workspaces/{door.id}", headers=headers))[0] == status
            assert (await door.request("PATCH", f"/v2/workspaces/{door.id}", json={"name": "New"}, headers=headers))[0] == status
            assert (await door.request("POST", "/v2/workspaces", json={"name": "Mine"}, headers=headers))[0] == status


async def test_members_may_make_workspaces_where_guests_may_not() -> None:
    async with house(WORKSPACE_CREATION="members") as door:
        await signup(door)
        assert (await door.request("POST", "/v2/workspaces", json={"name": "Mine"}, headers=await door.as_somebody()))[0] == 403
        headers = bearer((await login(door))[1]["token"])
        assert (await door.request("POST", "/v2/workspaces", json={"name": "Mine"}, headers=headers))[0] == 200


async def test_a_password_may_be_guessed_so_often_and_no_more() -> None:
    async with house(DISABLE_RATE_LIMIT="", RATE_LIMIT_PRISMEAI_LOGIN="2") as door:
        await signup(door)
        assert [(await login(door, password="wrong horse"))[0] for _ in range(3)] == [401, 401, 429]
        assert (await login(door, "ADA@example.org"))[0] == 429
        assert (await login(door, "bob@example.org"))[0] == 401
        door.clock.advance(60)
        assert (await login(door))[0] == 200


async def test_accounts_are_there_after_a_restart() -> None:
    kept = await store.open("memory:")
    async with house(on=kept) as door:
        await signup(door)
        items = dict(kept._items)
    again = await store.open("memory:")
    await again.commit(list(items.values()))
    async with house(on=again) as door:
        assert (await login(door))[0] == 200
