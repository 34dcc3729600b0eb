"""Login tokens and the short-lived tokens of runs: signed, verified, nothing else. Access tokens, which are only looked up."""
from __future__ import annotations

import hashlib
from functools import cached_property
from typing import Any

from runtime.calls import Origin
from runtime.clock import Clock

ACCESS = "at:"
"""How access tokens begin, and the sessions they are for."""

_RUN_TOKEN_SECONDS = 10
_SKEW_SECONDS = 60
"""How far apart the clocks of two nodes may be."""
_HEADERS = frozenset(("alg", "typ"))
"""Whatever else a header may ask for, such as a key to be fetched, is not ours."""


def access_session_id(token: str) -> str:
    """The session of an access token, found by its digest: the token itself is kept nowhere."""
    return ACCESS + hashlib.sha256(token.encode("utf-8", "surrogateescape")).hexdigest()[:32]


class Tokens:
    """JSON web tokens of this installation. The library is imported when the first one is seen. What was signed with a `retired`
    key counts until it ends."""

    def __init__(self, key: bytes, audience: str, clock: Clock, retired: tuple[bytes, ...] = ()) -> None:
        self._secrets = (key, *retired)
        self._audience = audience
        self._clock = clock

    def login(self, user_id: str, session_id: str, expires_at: int) -> str:
        return self._sign({"sub": user_id, "prismeaiSessionId": session_id, "exp": expires_at // 1000})

    def run(self, origin: Origin, workspace_id: str, depth: int) -> str:
        """What an automation shows its own server: who it acts for, and in which run."""
        identity = origin.identity
        claims: dict[str, Any] = {"correlationId": origin.correlation_id, "workspaceId": workspace_id, "depth": depth,
                                  "exp": self._clock.now() // 1000 + _RUN_TOKEN_SECONDS}
        if identity.user_id is not None:
            claims |= {"sub": identity.user_id, "prismeaiSessionId": identity.session_id, "isLogin": identity.is_login}
        if identity.api_key is not None and identity.api_key.name:
            claims["apiKey"] = identity.api_key.name
        if origin.socket_id is not None:
            claims["socketId"] = origin.socket_id
        return self._sign(claims)

    def read(self, token: str) -> dict[str, Any] | None:
        """The claims of a token signed here, expired ones included; None for anything else."""
        from joserfc import jwt
        from joserfc.errors import JoseError
        for key in self._keys:
            try:
                found = jwt.decode(token, key, algorithms=["HS256"])
            except (JoseError, ValueError, TypeError, RecursionError):
                continue
            return found.claims if found.header.keys() <= _HEADERS and self._are_ours(found.claims) else None
        return None

    def _are_ours(self, claims: Any) -> bool:
        """Whether these are claims as they are made here, and not of tomorrow."""
        if type(claims) is not dict or not claims.get("aud") == self._audience == claims.get("iss"):
            return False
        latest = self._clock.now() // 1000 + _SKEW_SECONDS
        if type(claims.get("exp")) is not int or type(claims.get("iat")) is not int or claims["iat"] > latest or "nbf" in claims:
            return False
        is_named = _is_text(claims.get("sub")) and _is_text(claims.get("prismeaiSessionId"))
        if "correlationId" not in claims:
            return is_named and "apiKey" not in claims
        return (_is_text(claims["correlationId"]) and _is_text(claims.get("workspaceId")) and type(claims.get("depth")) is int
                and ("apiKey" not in claims or _is_text(claims["apiKey"]))
                and (is_named and type(claims.get("isLogin")) is bool or "sub" not in claims))

    def _sign(self, claims: dict[str, Any]) -> str:
        from joserfc import jwt
        claims |= {"iat": self._clock.now() // 1000, "aud": self._audience, "iss": self._audience}
        return jwt.encode({"alg": "HS256"}, claims, self._keys[0])

    @cached_property
    def _keys(self) -> list[Any]:
        """The first one signs."""
        from joserfc.jwk import OctKey
        return [OctKey.import_key(secret) for secret in self._secrets]


def _is_text(value: Any) -> bool:
    return type(value) is str and value != ""
