"""Who opens a websocket: the credentials of a handshake, in the order in which they count."""
from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from aiohttp import hdrs, web

from gateway.auth import COOKIE, LEGACY_HEADER
from gateway.cors import Cors
from runtime.calls import Identity
from runtime.errors import Forbidden, Unauthenticated

SUBPROTOCOL = "prismeai.events.v1"
_BEARER = "bearer."


async def identity_of_handshake(gateway: Any, request: web.Request, cors: Cors) -> Identity | None:
    """None when the client has to say who it is in its first frame.

    Raises `Unauthenticated` for a token that is not valid, `Forbidden` for a cookie sent on behalf of a foreign page.
    """
    if hdrs.AUTHORIZATION in request.headers or LEGACY_HEADER in request.headers:
        return await gateway.auth.authenticate(request, required=True)
    token = _offered(request)
    if token is None and gateway.settings.ws_allow_query_token:
        token = request.query.get("access_token")
    if token is not None:
        return await identity_of_token(gateway, token)
    if COOKIE in request.cookies:
        if not _is_home(request, cors):
            raise Forbidden("A page of this origin may not connect with a cookie")
        identity = await gateway.auth.authenticate(request)
        return identity if identity.user_id is not None else None
    return None


async def identity_of_token(gateway: Any, token: str) -> Identity:
    """Raises `Unauthenticated`."""
    identity = (await gateway.auth.identify(token)).identity
    if identity.user_id is None:
        raise Unauthenticated("The credentials are not valid, or not any more")
    return identity


def _offered(request: web.Request) -> str | None:
    """The token among the offered subprotocols, where browsers can put one."""
    for offer in request.headers.get(hdrs.SEC_WEBSOCKET_PROTOCOL, "").split(","):
        if offer.strip().startswith(_BEARER):
            return offer.strip()[len(_BEARER):]
    return None


def _is_home(request: web.Request, cors: Cors) -> bool:
    """Whether the page that connects is one of ours; clients that are no browsers name no origin."""
    origin = request.headers.get(hdrs.ORIGIN)
    return origin is None or cors.allows(origin) or urlsplit(origin).netloc == request.headers.get(hdrs.HOST)
