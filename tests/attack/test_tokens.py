"""Tokens that were not made here, or not for this: none of them is anybody."""
from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from door import KEYS, OWNER, House, house
from joserfc import jwt
from joserfc.jwk import ECKey, OctKey, RSAKey

from gateway.keys import Keys
from gateway.tokens import Tokens
from runtime.calls import Identity, Origin
from runtime.testing import HandClock
from store.records import SessionEnded

SECRET = OctKey.import_key(KEYS.signing)
ANYONE = "{name: Anyone, automations: {who: {when: {endpoint: true}, do: [], output: {user: '{{user.id}}', role: '{{user.role}}'}}}}"


@pytest.fixture
async def door() -> AsyncIterator[House]:
    async with house(ANYONE) as opened:
        yield opened


def bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


def part(value: Any) -> str:
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def signed(header: Any, claims: Any, key: bytes = KEYS.signing, digest: str = "sha256") -> str:
    """By hand: no library between the attacker and the wire."""
    text = f"{part(header)}.{part(claims)}"
    return f"{text}.{part(hmac.new(key, text.encode(), digest).digest())}"


async def claims_of(door: House) -> dict[str, Any]:
    """Those of a login that holds."""
    return dict(jwt.decode((await door.login())["token"], SECRET).claims)


async def is_nobody(door: House, token: str) -> None:
    """Neither where credentials are required nor where they are optional, however they come."""
    for headers in (bearer(token), {"x-prismeai-token": token}, {"cookie": f"access-token={token}"}):
        status, answer, _ = await door.request("GET", "/v2/me", headers=headers)
        assert (status, answer["error"]) == (401, "AuthenticationError"), headers
        assert is_anonymous(*(await door.call("who", "GET", headers=headers))[:2])
    assert (await door.request("PATCH", f"/v2/workspaces/{door.id}", json={"name": "Taken"}, headers=bearer(token)))[0] == 401


def is_anonymous(status: int, seen: Any) -> bool:
    return status == 200 and "user" not in seen and "role" not in seen


async def test_a_token_made_by_hand_with_the_right_key_is_somebody(door: House) -> None:
    token = signed({"alg": "HS256", "typ": "JWT"}, await claims_of(door))
    assert (await door.request("GET", "/v2/me", headers=bearer(token)))[0] == 200


@pytest.mark.parametrize("alg", ["none", "None", "NONE", "nOnE", "", None, 0, ["HS256"], {"HS256": 1}])
@pytest.mark.parametrize("signature", ["", "AAAA", "of itself"])
async def test_no_algorithm_is_no_signature(door: House, alg: Any, signature: str) -> None:
    text = f"{part({'alg': alg, 'typ': 'JWT'})}.{part(await claims_of(door))}"
    if signature == "of itself":
        signature = part(hmac.new(KEYS.signing, text.encode(), "sha256").digest())
    await is_nobody(door, f"{text}.{signature}")


@pytest.mark.parametrize(("alg", "digest"), [("HS384", "sha384"), ("HS512", "sha512"), ("HS256", "sha512"), ("RS256", "sha256"), ("hs256", "sha256")])
async def test_another_algorithm_with_the_right_key_does_not_count(door: House, alg: str, digest: str) -> None:
    await is_nobody(door, signed({"alg": alg, "typ": "JWT"}, await claims_of(door), digest=digest))


async def test_keys_of_others_do_not_count(door: House) -> None:
    claims = await claims_of(door)
    for key in (b"", b"secret", b"s" * 31, b"s" * 33, KEYS.csrf, KEYS.admin_token.encode(), hashlib.sha256(KEYS.signing).digest(),
                KEYS.passing, b"undefined", b"null"):
        await is_nobody(door, signed({"alg": "HS256"}, claims, key))
    await is_nobody(door, jwt.encode({"alg": "RS256"}, claims, RSAKey.generate_key(2048)))
    await is_nobody(door, jwt.encode({"alg": "ES256"}, claims, ECKey.generate_key("P-256")))


@pytest.mark.parametrize("more", [
    {"kid": "../../dev/null"}, {"kid": "' OR 1=1"}, {"kid": 1}, {"jku": "http://127.0.0.1:1/keys"}, {"x5u": "http://127.0.0.1:1/chain"},
    {"jwk": {"kty": "oct", "k": "AAAA"}}, {"x5c": ["AAAA"]}, {"crit": ["exp"]}, {"crit": ["b64"], "b64": False}, {"b64": False},
    {"cty": "JWT"}, {"zip": "DEF"}])
async def test_a_header_that_asks_for_more_is_refused_even_when_it_is_signed(door: House, more: dict[str, Any]) -> None:
    await is_nobody(door, signed({"alg": "HS256", "typ": "JWT", **more}, await claims_of(door)))


async def test_a_key_that_comes_along_is_not_used(door: House) -> None:
    key = OctKey.generate_key(256)
    header = {"alg": "HS256", "typ": "JWT", "jwk": key.as_dict()}
    await is_nobody(door, signed(header, await claims_of(door), base64.urlsafe_b64decode(key.as_dict()["k"] + "==")))


@pytest.mark.parametrize("missing", ["sub", "prismeaiSessionId", "exp", "iat", "aud", "iss"])
async def test_what_a_token_must_say_may_not_be_missing(door: House, missing: str) -> None:
    claims = await claims_of(door)
    del claims[missing]
    await is_nobody(door, signed({"alg": "HS256"}, claims))


@pytest.mark.parametrize(("name", "value"), [
    ("exp", "9999999999"), ("exp", True), ("exp", None), ("exp", 1e300), ("exp", -1), ("exp", 0), ("exp", [1]), ("iat", 9999999999), ("iat", "x"),
    ("nbf", 9999999999), ("nbf", "x"), ("sub", None), ("sub", 1), ("sub", ""), ("sub", ["admin"]), ("prismeaiSessionId", {}),
    ("prismeaiSessionId", "unknown"), ("prismeaiSessionId", "at:admin"), ("aud", "https://elsewhere/v2"), ("aud", ["http://localhost:8700/v2"]),
    ("aud", None), ("iss", "https://elsewhere/v2"), ("iss", None), ("correlationId", ""), ("correlationId", {}), ("correlationId", None),
    ("apiKey", "mine"), ("apiKey", {})])
async def test_what_a_token_says_must_make_sense(door: House, name: str, value: Any) -> None:
    await is_nobody(door, signed({"alg": "HS256"}, {**await claims_of(door), name: value}))


@pytest.mark.parametrize("claims", [[], "claims", 1, None, {}, b"\xff\xfe", b"{", b"[" * 5000 + b"]" * 5000, b'{"a":' * 900 + b"1" + b"}" * 900])
async def test_claims_that_are_no_claims(door: House, claims: Any) -> None:
    await is_nobody(door, signed({"alg": "HS256"}, claims)[:8000])


@pytest.mark.parametrize("header", [[], "x", 1, None, {}, b"\xff", b"{"])
async def test_headers_that_are_no_headers(door: House, header: Any) -> None:
    await is_nobody(door, signed(header, await claims_of(door)))


async def test_a_payload_or_a_signature_that_was_tampered_with(door: House) -> None:
    other = await door.login()
    token = (await door.login())["token"]
    header, payload, signature = token.split(".")
    claims = json.loads(base64.urlsafe_b64decode(payload + "=="))
    for change in ({"sub": "admin"}, {"prismeaiSessionId": other["sessionId"]}, {"exp": claims["exp"] + 10 ** 6}):
        await is_nobody(door, f"{header}.{part({**claims, **change})}.{signature}")
    for forged in (signature[:-4], signature[:-4] + "AAAA", signature + "AAAA", "", part(b"\0" * 32), other["token"].split(".")[2]):
        await is_nobody(door, f"{header}.{payload}.{forged}")
    for text in (f"{header}.{payload}", f"{header}.{payload}.{signature}.", f".{payload}.{signature}", f"{header}..{signature}", "..",
                 f"{header}.{payload}.{signature}.AAAA.AAAA"):
        await is_nobody(door, text)


@pytest.mark.parametrize("size", [8193, 100_000])
async def test_huge_tokens_are_not_even_read(door: House, size: int) -> None:
    claims = {**await claims_of(door), "padding": "x" * size}
    identified = await door.gateway.auth.identify(signed({"alg": "HS256"}, claims))
    assert identified.identity.user_id is None
    assert (await door.gateway.auth.identify("." * size)).identity.user_id is None


async def test_a_token_ends_with_its_time_and_with_its_session(door: House) -> None:
    early, late = await door.login(expiresAfter=10), await door.login()
    await door.gateway.store.commit([SessionEnded(late["sessionId"])])
    door.clock.advance(10)
    await is_nobody(door, early["token"])
    await is_nobody(door, late["token"])


async def test_the_token_of_a_run_is_no_token_of_a_login(door: House) -> None:
    """It names the same session; without what makes it a run's, the signature is gone."""
    login = await door.login()
    run = door.gateway.auth.mint_internal(Origin("c", Identity(login["id"], login["sessionId"])), door.id, 1)
    assert (await door.request("POST", "/v2/user/accessTokens", json={"name": "kept"}, headers=bearer(run)))[0] == 401
    door.clock.advance(10)
    await is_nobody(door, run)


async def test_the_key_of_a_workspace_is_nobodys_login(door: House) -> None:
    """A run's token may name one; alone, or on a login, it is nothing."""
    claims = await claims_of(door)
    sub, session = claims.pop("sub"), claims.pop("prismeaiSessionId")
    await is_nobody(door, signed({"alg": "HS256"}, {**claims, "workspaceId": door.id, "apiKey": "mine"}))
    run = {**claims, "sub": sub, "prismeaiSessionId": session, "isLogin": True, "correlationId": "c", "workspaceId": door.id, "depth": 1}
    assert (await door.request("GET", "/v2/me", headers=bearer(signed({"alg": "HS256"}, run))))[0] == 200
    for change in ({"apiKey": 1}, {"apiKey": ""}, {"depth": "1"}, {"workspaceId": None}, {"isLogin": "yes"}, {"sub": None}):
        await is_nobody(door, signed({"alg": "HS256"}, {**run, **change}))


async def test_a_token_that_says_admin_is_not_the_admin(door: House) -> None:
    claims = {**await claims_of(door), "sub": "admin"}
    _, me, _ = await door.request("GET", "/v2/me", headers=bearer(signed({"alg": "HS256"}, claims)))
    assert me["id"] != "admin"                                  # the session says who it is


@pytest.mark.parametrize("token", ["at:", "at:admin", "at:nobody", "at:" + "0" * 32, "at:" + "x" * 9000, "at:\u00e9", "at:..", "at:a.b.c", "at: "])
async def test_access_tokens_nobody_has_are_refused_everywhere(door: House, token: str) -> None:
    for path in ("/v2/me", f"/v2/workspaces/{door.id}/webhooks/who"):
        headers = {"authorization": f"Bearer {token}"} if len(token) < 8000 else {"authorization": f"Bearer {token[:7900]}"}
        status, answer, _ = await door.request("GET", path, headers=headers)
        assert (status, answer["error"]) == (401, "AuthenticationError")


async def test_the_session_of_an_access_token_is_no_access_token(door: House) -> None:
    """Its id is shown to automations, so it must open nothing."""
    headers = await door.as_somebody()
    _, made, _ = await door.request("POST", "/v2/user/accessTokens", json={"name": "laptop"}, headers=headers)
    for token in (f"at:{made['id']}", made["id"], f"at:at:{made['id']}", made["token"].upper(), made["token"][:-1], made["token"] + " x"):
        assert (await door.request("GET", "/v2/me", headers=bearer(token)))[0] == 401
    assert (await door.request("GET", "/v2/me", headers=bearer(made["token"])))[0] == 200


@pytest.mark.parametrize("token", ["token-of-the-test", "token-of-the-testsx", "TOKEN-OF-THE-TESTS", "token-of-the-tests\u00e9", "admin", ""])
async def test_almost_the_admin_token(door: House, token: str) -> None:
    assert (await door.request("GET", "/v2/me", headers=bearer(token)))[0] == 401
    assert (await door.request("GET", "/v2/me", headers=OWNER))[0] == 200


async def test_headers_that_only_this_server_may_write_prove_nothing(door: House) -> None:
    claimed = {"x-prismeai-user-id": "admin", "x-prismeai-session-id": "at:admin", "x-prismeai-role": "owner", "x-prismeai-auth-data": "{}",
               "x-prismeai-workspace-id": door.id, "x-prismeai-api-key": "anything"}
    assert is_anonymous(*(await door.call("who", headers=claimed))[:2])
    assert (await door.request("PATCH", f"/v2/workspaces/{door.id}", json={"name": "Taken"}, headers=claimed))[0] in (401, 403)


def test_a_retired_secret_still_verifies_and_signs_nothing() -> None:
    clock = HandClock()
    ends = clock.now() + 1_000_000
    old, new = Tokens(b"o" * 32, "aud", clock), Tokens(b"n" * 32, "aud", clock, (b"o" * 32,))
    assert (new.read(old.login("u", "s", ends)) or {})["sub"] == "u"
    assert old.read(new.login("u", "s", ends)) is None
    assert Tokens(b"n" * 32, "aud", clock).read(old.login("u", "s", ends)) is None


async def test_what_was_signed_with_a_retired_secret_counts_until_it_ends() -> None:
    rotated = Keys("admin", b"n" * 32, b"c" * 32, False, retired=(KEYS.signing,))
    async with house(ANYONE) as door:
        login = await door.login()
        door.gateway.auth.tokens = Tokens(rotated.signing, door.gateway.settings.runtime.api_url, door.clock, rotated.retired)
        assert (await door.request("GET", "/v2/me", headers=bearer(login["token"])))[0] == 200
        door.gateway.auth.tokens = Tokens(rotated.signing, door.gateway.settings.runtime.api_url, door.clock)
        door.gateway.auth._logins.clear()
        await is_nobody(door, login["token"])
