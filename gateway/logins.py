"""Sessions as callers see them: opening one, looking at it, ending it."""
from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aiohttp import web

from gateway import bodies, wire
from gateway.access_tokens import ended_with
from gateway.auth import COOKIE, CSRF_HEADER, is_admin
from gateway.limits import public
from runtime.calls import ADMIN
from runtime.clock import iso
from runtime.errors import Unauthenticated
from runtime.sessions import facts
from store.records import Session

if TYPE_CHECKING:
    from gateway.app import Gateway

_LONGEST_BODY = 10_000


def add_routes(gateway: Gateway, router: web.UrlDispatcher) -> None:
    logins = _Logins(gateway)
    router.add_post("/v2/login/anonymous", logins.anonymous)
    router.add_post("/v2/logout", logins.logout)
    router.add_get("/v2/me", logins.me)


class _Logins:
    def __init__(self, gateway: Gateway) -> None:
        self._auth = gateway.auth
        self._sessions = gateway.sessions
        self._door = gateway.door
        self._cookie_seconds = gateway.settings.session_cookies_max_age
        self._is_https = gateway.settings.runtime.api_url.startswith("https:")

    async def anonymous(self, request: web.Request) -> web.Response:
        """POST /v2/login/anonymous: a user nobody knew before. Credentials that come along are not looked at."""
        headers = self._door.admit("anonymous_login", public(self._auth.address(request)))
        body = await bodies.json_object(request, _LONGEST_BODY)
        session = await self._sessions.open_anonymous(body.get("expiresAfter"))
        token = self._auth.tokens.login(session.user_id, session.id, session.expires_at)
        response = wire.answer({**_user(session), "token": token, **_session(session)}, headers=headers)
        response.set_cookie(COOKIE, token, max_age=self._cookie_seconds, httponly=True, secure=self._is_https, samesite="Lax")
        return response

    async def me(self, request: web.Request) -> web.Response:
        """GET /v2/me, with the token that calls by cookie need."""
        identity = await self._auth.authenticate(request, required=True)
        session_id = identity.session_id or ""
        if is_admin(identity):
            shown: dict[str, Any] = {"id": ADMIN.user_id, "userId": ADMIN.user_id, "firstName": "admin", "authData": {},
                                     "sessionId": session_id}
        else:
            session = await self._sessions.find(session_id)
            if session is None:
                raise Unauthenticated("The session has ended")
            shown = {**_user(session), **_session(session)}
        return wire.answer(shown, headers={CSRF_HEADER: self._auth.csrf_token(session_id)})

    async def logout(self, request: web.Request) -> web.Response:
        """POST /v2/logout. The predefined owner has no session that could end."""
        identity = await self._auth.authenticate(request, required=True)
        if not is_admin(identity) and identity.session_id is not None:
            await self._sessions.end(identity.session_id, *ended_with(identity.session_id))
        response = wire.answer({"success": True})
        response.del_cookie(COOKIE, httponly=True, secure=self._is_https, samesite="Lax")
        return response


def _user(session: Session) -> dict[str, Any]:
    return {"id": session.user_id, **facts(session)}


def _session(session: Session) -> dict[str, Any]:
    expires = {"expires": iso(session.expires_at)} if session.expires_at is not None else {}
    return {"sessionId": session.id, **expires}
