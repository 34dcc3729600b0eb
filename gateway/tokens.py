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


def access_session_id(token: str) -> str:
    """The session of an access token, found by its digest: the token itself is kept nowhere."""
    return ACCESS + hashlib.sha256(token.encode("utf-8", "surrogateescape")).hexdigest()[:32]


class Tokens:
    """JSON web tokens of this installation. The library is imported when the first one is seen."""

    def __init__(self, key: bytes, audience: str, clock: Clock) -> None:
        self._secret = key
        self._audience = audience
        self._clock = clock

    def login(self, user_id: str, session_id: str, expires_at: int | None) -> str:
        claims: dict[str, Any] = {"sub": user_id, "prismeaiSessionId": session_id}
        if expires_at is not None:
            claims["exp"] = expires_at // 1000
        return self._sign(claims)

    def run(self, origin: Origin, workspace_id: str, depth: int) -> str:
        """What an automation shows its own server: who it acts for, and in which run."""
        identity = origin.identity
        claims: dict[str, Any] = {"correlationId": origin.correlation_id, "workspaceId": workspace_id, "depth": depth,
                                  "exp": self._clock.now() // 1000 + _RUN_TOKEN_SECONDS}
        if identity.user_id is not None:
            claims |= {"sub": identity.user_id, "prismeaiSessionId": identity.session_id, "isLogin": identity.is_login}
        if origin.socket_id is not None:
            claims["socketId"] = origin.socket_id
        return self._sign(claims)

    def key(self, workspace_id: str, name: str) -> str:
        """What a run sends in the place of the API key of its workspace that has this name."""
        return self._sign({"workspaceId": workspace_id, "apiKey": name, "exp": self._clock.now() // 1000 + _RUN_TOKEN_SECONDS})

    def read(self, token: str) -> dict[str, Any] | None:
        """The claims of a token signed here, expired ones included; None for anything else."""
        from joserfc import jwt
        from joserfc.errors import JoseError
        try:
            claims = jwt.decode(token, self._key, algorithms=["HS256"]).claims
        except (JoseError, ValueError, TypeError):
            return None
        return claims if claims.get("aud") == self._audience == claims.get("iss") else None

    def _sign(self, claims: dict[str, Any]) -> str:
        from joserfc import jwt
        claims |= {"iat": self._clock.now() // 1000, "aud": self._audience, "iss": self._audience}
        return jwt.encode({"alg": "HS256"}, claims, self._key)

    @cached_property
    def _key(self) -> Any:
        from joserfc.jwk import OctKey
        return OctKey.import_key(self._secret)
