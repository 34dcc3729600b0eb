"""Who is calling: logins, cookies, tokens of runs, and what becomes of bad ones."""
from __future__ import annotations

import os
import stat
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from door import KEYS, OWNER, House, house

from gateway import keys
from gateway.config import Settings
from gateway.tokens import Tokens
from runtime.calls import NOBODY, Identity, Origin
from runtime.ids import RandomIds
from runtime.testing import CountedIds, HandClock

WHO = """
name: Who
automations:
  who:
    when: {endpoint: true}
    do: []
    output: {user: '{{user.id}}', session: '{{session.id}}', correlation: '{{run.correlationId}}', depth: '{{run.depth}}', data: '{{user.authData}}',
             socket: '{{run.socketId}}', proven: '{{run.authenticatedWorkspaceId}}', from: '{{headers.x-prismeai-workspace-id}}', auth: '{{headers.authorization}}'}
"""


@pytest.fixture
async def door() -> AsyncIterator[House]:
    async with house(WHO) as opened:
        yield opened


def bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


async def test_an_anonymous_login_is_a_user_with_a_session(door: House) -> None:
    _, login, response = await door.request("POST", "/v2/login/anonymous")
    assert login["id"] == login["userId"] and login["firstName"].startswith("anonymous-") and login["authData"] == {"anonymous": {}}
    assert login["expires"] == "2026-01-31T00:00:00.000Z"
    cookie = response.cookies["access-token"]
    assert (cookie.value, cookie["httponly"], cookie["samesite"]) == (login["token"], True, "Lax")
    status, me, _ = await door.request("GET", "/v2/me", headers=bearer(login["token"]))
    assert status == 200 and me == {key: login[key] for key in ("id", "userId", "firstName", "authData", "sessionId", "expires")}


async def test_a_login_ends_when_it_said_it_would(door: House) -> None:
    login = await door.login(expiresAfter=2)
    assert login["authData"]["anonymous"]["expiresAt"]
    assert (await door.request("GET", "/v2/me", headers=bearer(login["token"])))[0] == 200
    door.clock.advance(2)
    status, answer, _ = await door.request("GET", "/v2/me", headers=bearer(login["token"]))
    assert (status, answer["error"]) == (401, "AuthenticationError")
    _, seen, _ = await door.call("who", headers=bearer(login["token"]))
    assert "user" not in seen and "auth" not in seen                       # absent for the webhook, and hidden all the same


@pytest.mark.parametrize("life", [0, -1, "10", True, [], 1e400])
async def test_a_life_that_is_no_number_of_seconds_is_refused(door: House, life: object) -> None:
    text = '{"expiresAfter": 1e400}' if life == 1e400 else None
    more = {"data": text, "headers": {"content-type": "application/json"}} if text else {"json": {"expiresAfter": life}}
    status, answer, _ = await door.request("POST", "/v2/login/anonymous", **more)
    assert (status, answer["error"]) == (400, "RequestValidationError")


async def test_a_life_longer_than_allowed_is_shortened(door: House) -> None:
    assert (await door.login(expiresAfter=10 ** 12))["expires"] == "2026-01-31T00:00:00.000Z"


async def test_after_logout_the_token_is_worth_nothing(door: House) -> None:
    login, ended = await door.login(), []
    door.gateway.sessions.on_end(ended.append)
    assert (await door.request("POST", "/v2/logout", headers=bearer(login["token"])))[1] == {"success": True}
    assert ended == [login["sessionId"]]
    assert (await door.request("GET", "/v2/me", headers=bearer(login["token"])))[0] == 401
    assert (await door.request("POST", "/v2/logout"))[0] == 401


async def test_a_logout_elsewhere_is_noticed_within_seconds(door: House) -> None:
    from store.records import SessionEnded
    login = await door.login()
    await door.gateway.store.commit([SessionEnded(login["sessionId"])])
    door.clock.advance(5)
    assert (await door.request("GET", "/v2/me", headers=bearer(login["token"])))[0] == 401


async def test_the_admin_token_is_the_predefined_owner_for_ever(door: House) -> None:
    door.clock.advance(10 ** 9)
    _, me, _ = await door.request("GET", "/v2/me", headers=OWNER)
    assert me == {"id": "admin", "userId": "admin", "firstName": "admin", "authData": {}, "sessionId": "at:admin"}
    assert (await door.request("POST", "/v2/logout", headers=OWNER))[0] == 200
    assert (await door.request("GET", "/v2/me", headers=OWNER))[0] == 200


@pytest.mark.parametrize("token", ["nonsense", "a.b.c", "", "x" * 9000, "\u00e9.b.c",
                                   "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhZG1pbiIsInByaXNtZWFpU2Vzc2lvbklkIjoiYXQ6YWRtaW4ifQ."])
async def test_a_token_nobody_signed_is_no_token(door: House, token: str) -> None:
    token = token[:7000]
    assert (await door.request("GET", "/v2/me", headers=bearer(token)))[0] == 401
    status, seen, _ = await door.call("who", headers=bearer(token))
    assert status == 200 and "user" not in seen


async def test_a_token_of_another_installation_is_no_token(door: House) -> None:
    api_url = door.gateway.settings.runtime.api_url
    for tokens in (Tokens(b"other" * 8, api_url, door.clock), Tokens(KEYS.signing, "https://elsewhere/v2", door.clock)):
        assert (await door.request("GET", "/v2/me", headers=bearer(tokens.login("admin", "at:admin", 2_000_000_000_000))))[0] == 401


async def test_a_bad_access_token_is_refused_even_where_credentials_are_optional(door: House) -> None:
    status, answer, _ = await door.call("who", headers=bearer("at:unknown"))
    assert (status, answer["error"]) == (401, "AuthenticationError")


async def test_the_legacy_header_counts_as_a_login(door: House) -> None:
    login = await door.login()
    assert (await door.call("who", headers={"x-prismeai-token": login["token"]}))[1]["user"] == login["id"]


async def test_a_cookie_needs_the_csrf_token_for_everything_but_reading(door: House) -> None:
    login = await door.login()
    cookie = {"cookie": f"access-token={login['token']}"}
    _, _, response = await door.request("GET", "/v2/me", headers=cookie)
    assert (await door.call("who", "GET", headers=cookie))[1]["user"] == login["id"]
    status, answer, _ = await door.call("who", headers=cookie)
    assert (status, answer["error"]) == (403, "ForbiddenError")
    assert (await door.call("who", headers={**cookie, "x-prismeai-csrf-token": "guessed"}))[0] == 403
    csrf = {"x-prismeai-csrf-token": response.headers["x-prismeai-csrf-token"]}
    assert (await door.call("who", headers={**cookie, **csrf}))[1]["user"] == login["id"]
    assert (await door.request("POST", "/v2/login/anonymous", headers=cookie))[0] == 200
    assert (await door.call("who", headers={"cookie": "access-token=old; b=c"}))[0] == 200


async def test_a_run_that_calls_keeps_its_identity_its_run_and_its_depth(door: House) -> None:
    login = await door.login()
    auth = door.gateway.auth
    caller = (await auth.identify(login["token"])).identity
    chosen = Identity("chosen", "chosen", is_login=False)
    for identity, workspace, user in ((caller, "ws-calling", login["id"]), (NOBODY, "ws-calling", None), (chosen, door.id, "chosen")):
        token = auth.mint_internal(Origin("correlation-x", identity, socket_id="tab-1"), workspace, 3)
        _, seen, response = await door.call("who", headers=bearer(token))
        assert (seen.get("user"), seen["correlation"], seen["from"], seen["depth"]) == (user, "correlation-x", workspace, 4)
        assert (seen["socket"], seen["proven"]) == ("tab-1", workspace)
        assert response.headers["x-correlation-id"] == "correlation-x" and "auth" not in seen
    assert (await auth.identify(auth.mint_internal(Origin("c", caller), "w", 1))).identity == caller


@pytest.mark.parametrize("id", ["admin", "at:admin"])
async def test_a_session_that_an_automation_chose_proves_nothing(door: House, id: str) -> None:
    chosen = Origin("correlation-x", Identity(id, id, is_login=False))
    headers = bearer(door.gateway.auth.mint_internal(chosen, door.id, 1))
    assert (await door.request("PATCH", f"/v2/workspaces/{door.id}", json={"name": "Taken"}, headers=headers))[0] == 403
    assert (await door.request("PUT", "/sys/logging", json={"level": "warn"}, headers=headers))[0] != 200
    assert (await door.request("POST", f"/v2/workspaces/{door.id}/test/who", headers=headers))[0] == 403


async def test_a_chosen_session_means_nothing_in_another_workspace(door: House) -> None:
    login = await door.login()
    chosen = Origin("correlation-x", Identity(login["id"], login["id"], is_login=False))
    headers = bearer(door.gateway.auth.mint_internal(chosen, "ws-calling", 1))
    assert "user" not in (await door.call("who", headers=headers))[1]
    assert (await door.request("POST", "/v2/workspaces", json={"name": "Mine"}, headers=headers))[0] == 401


async def test_a_token_of_a_run_lives_ten_seconds(door: House) -> None:
    token = door.gateway.auth.mint_internal(Origin("correlation-x"), "ws-calling", 3)
    door.clock.advance(10)
    assert (await door.call("who", headers=bearer(token)))[1]["correlation"] != "correlation-x"


async def test_a_correlation_id_from_outside_counts_only_where_it_is_trusted(door: House) -> None:
    assert (await door.call("who", headers={"x-correlation-id": "mine"}))[1]["correlation"] != "mine"
    async with house(WHO, OVERWRITE_CORRELATION_ID_HEADER="no") as trusting:
        assert (await trusting.call("who", headers={"x-correlation-id": "mine"}))[1]["correlation"] == "mine"
        for strange in ("é", "x" * 200, ""):
            assert (await trusting.call("who", headers={"x-correlation-id": strange}))[1]["correlation"] != strange


async def test_every_answer_to_a_session_names_it(door: House) -> None:
    login = await door.login()
    for path in ("/v2/me", "/v2/workspaces", f"/v2/workspaces/{door.id}", f"/v2/workspaces/{door.id}/webhooks/who", "/v2/workspaces/unknown"):
        _, _, response = await door.request("GET", path, headers=bearer(login["token"]))
        assert response.headers["x-prismeai-session-id"] == login["sessionId"], path
    for headers in ({}, bearer("nonsense"), {"x-prismeai-session-id": "mine"}):
        assert "x-prismeai-session-id" not in (await door.call("who", headers=headers))[2].headers


async def test_headers_have_the_names_that_the_operator_gives_them() -> None:
    names = {"CORRELATION_ID_HEADER": "X-Trace", "SESSION_ID_HEADER": "X-Session", "CSRF_TOKEN_HEADER": "X-Csrf", "API_KEY_HEADER": "X-Key",
             "USER_ID_HEADER": "X-User", "ROLE_HEADER": "X-Role", "STUDIO_URL": "https://studio.example.org"}
    echo = "{name: Echo, automations: {echo: {when: {endpoint: true}, do: [], output: '{{headers}}'}}}"
    async with house(echo, **names) as door:
        login = await door.login()
        cookie = {"cookie": f"access-token={login['token']}", "origin": "https://studio.example.org"}
        _, _, response = await door.request("GET", "/v2/me", headers=cookie)
        assert response.headers["x-session"] == login["sessionId"] and "x-trace" in response.headers
        exposed = response.headers["access-control-expose-headers"].lower().split(", ")
        assert {"x-trace", "x-session", "x-csrf", "x-ratelimit-remaining", "retry-after"} <= set(exposed)
        ours = {"x-trace": "a", "x-session": "a", "x-key": "a", "x-user": "a", "x-role": "a", "x-csrf": response.headers["x-csrf"]}
        status, seen, _ = await door.call("echo", headers={**cookie, **ours, "x-else": "seen"})
        assert status == 200 and seen["x-else"] == "seen" and not ours.keys() & seen.keys()
        assert (await door.call("echo", headers={**cookie, "x-prismeai-csrf-token": response.headers["x-csrf"]}))[0] == 403
        _, _, preflight = await door.request("OPTIONS", "/v2/me", headers={"origin": "https://studio.example.org"})
        assert {"x-csrf", "x-key"} <= set(preflight.headers["access-control-allow-headers"].split(", "))


async def test_the_old_token_header_leaves_the_authorization_header_to_the_automation(door: House) -> None:
    login = await door.login()
    _, seen, _ = await door.call("who", headers={"x-prismeai-token": login["token"], "authorization": "Basic abc"})
    assert (seen["user"], seen["auth"]) == (login["id"], "Basic abc")


async def test_logins_are_limited_by_public_address_seen_through_trusted_proxies() -> None:
    limits = {"DISABLE_RATE_LIMIT": "", "RATE_LIMIT_ANONYMOUS_LOGIN": "2", "TRUSTED_PROXIES": "127.0.0.1,10.0.0.0/8"}
    async with house(WHO, **limits) as door:
        async def login(address: str) -> tuple[int, object, object]:
            status, answer, response = await door.request("POST", "/v2/login/anonymous", headers={"x-forwarded-for": address})
            return status, response.headers.get("x-ratelimit-remaining"), (answer.get("details") or {}).get("retryAfter")
        assert [await login("9.9.9.9") for _ in range(3)] == [(200, "1", None), (200, "0", None), (429, "0", 60)]
        assert (await login("1.1.1.1, 9.9.9.9, 10.1.2.3"))[0] == 429
        assert (await login("8.8.8.8"))[0] == 200
        assert [(await login("192.168.0.1"))[:2] for _ in range(3)] == [(200, None)] * 3
        door.clock.advance(60)
        assert await login("9.9.9.9") == (200, "1", None)


async def test_webhooks_are_limited_when_it_is_asked_for() -> None:
    async with house(WHO, DISABLE_RATE_LIMIT="", RATE_LIMIT_WEBHOOKS_USER="1") as door:
        somebody = await door.as_somebody()
        assert [(await door.call("who", headers=somebody))[0] for _ in range(2)] == [200, 429]
        assert (await door.call("who", headers=await door.as_somebody()))[0] == 200


async def test_readiness_and_health_ask_for_no_credentials_and_logging_does(door: House) -> None:
    assert (await door.request("GET", "/sys/healthcheck"))[0] == 200
    status, ready, _ = await door.request("GET", "/v2/readiness")
    assert (status, ready) == (200, {"status": "ready", "checks": {"store": "ok", "scheduler": "ok", "broker": "ok"}})
    assert (await door.request("PUT", "/sys/logging", json={"level": "warn"}))[0] == 401
    assert (await door.request("PUT", "/sys/logging", json={"level": "warn"}, headers=await door.as_somebody()))[0] == 403
    assert (await door.request("PUT", "/sys/logging", json={"level": "loud"}, headers=OWNER))[0] == 400
    assert (await door.request("PUT", "/sys/logging", json={"level": "warn"}, headers=OWNER))[0] == 200
    door.gateway.is_draining = True
    assert (await door.request("GET", "/v2/readiness"))[0] == 503


def test_keys_are_made_once_and_kept_for_their_owner_alone(tmp_path: Path) -> None:
    settings = Settings.from_environment({"STORAGE_URL": f"file:{tmp_path / 'data'}"})
    first, second = keys.load(settings, RandomIds()), keys.load(settings, RandomIds())
    assert first.made_admin_token and not second.made_admin_token
    assert first[:3] == second[:3] and len(first.admin_token) == 64
    files = sorted(os.listdir(tmp_path / "data"))
    assert files == ["admin-token", "internal-api-key", "jwt-secret", "secrets-key"]
    assert {stat.S_IMODE((tmp_path / "data" / name).stat().st_mode) for name in files} == {0o600}


def test_given_keys_win_and_touch_no_disk(tmp_path: Path) -> None:
    settings = Settings.from_environment({"STORAGE_URL": f"file:{tmp_path / 'data'}", "ADMIN_TOKEN": "mine", "JWT_SECRET": "short",
                                          "SECRETS_KEY": "s" * 32, "INTERNAL_API_KEY": "internal"})
    loaded = keys.load(settings, CountedIds())
    assert loaded.admin_token == "mine" and not loaded.made_admin_token and len(loaded.signing) == 32
    assert not (tmp_path / "data").exists()
    assert Tokens(loaded.signing, "aud", HandClock()).read(Tokens(loaded.signing, "aud", HandClock()).login("u", "s", 2_000_000_000_000)) is not None
