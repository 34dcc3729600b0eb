"""Who may look at the server itself: its owner, and programs that show the internal key."""
from __future__ import annotations

import hashlib
import hmac

from aiohttp import hdrs, web

from gateway.auth import Auth
from runtime.errors import Forbidden

_BEARER = "bearer "


class Operators:
    def __init__(self, auth: Auth, internal_key: str) -> None:
        """Without an internal key only the owner is let in."""
        self._auth = auth
        self._key = _digest(internal_key) if internal_key else None

    async def admit(self, request: web.Request) -> None:
        """Raises `Unauthenticated` or `Forbidden` for everybody else."""
        given = request.headers.get(hdrs.AUTHORIZATION, "")
        if self._key is not None and given[:7].lower() == _BEARER and hmac.compare_digest(_digest(given[7:].strip()), self._key):
            return
        if not self._auth.is_super_admin(await self._auth.authenticate(request, required=True)):
            raise Forbidden("Only the owner of the server may do this")


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()
