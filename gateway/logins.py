"""Users and their sessions as callers see them: signing up, logging in, looking at oneself and at others, logging out."""
from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from aiohttp import web

from gateway import bodies, wire
from gateway.access_tokens import ended_with
from gateway.accounts import Account, Accounts, email_key, is_email, taken
from gateway.auth import COOKIE, CORRELATION, SESSION, is_admin
from gateway.errors import invalid
from gateway.limits import public
from gateway.passwords import Passwords
from runtime.calls import ADMIN
from runtime.clock import iso
from runtime.errors import AutomationsError, Unauthenticated
from runtime.sessions import facts
from runtime.values import encode
from store.records import Session

if TYPE_CHECKING:
    from gateway.app import Gateway

_log = logging.getLogger("motorik.identity")

_LONGEST_BODY = 10_000
_LONGEST_NAME = 200
_NAMES = ("firstName", "lastName", "language")
_MOST_IDS = 100


def add_routes(gateway: Gateway, router: web.UrlDispatcher) -> None:
    logins = _Logins(gateway)
    router.add_post("/v2/login/anonymous", logins.anonymous)
    router.add_post("/v2/login", logins.login)
    router.add_post("/v2/signup", logins.signup)
    router.add_post("/v2/logout", logins.logout)
    router.add_get("/v2/me", logins.me)
    router.add_post("/v2/contacts", logins.contacts)


class _Logins:
    def __init__(self, gateway: Gateway) -> None:
        settings = gateway.settings
        self._auth = gateway.auth
        self._sessions = gateway.sessions
        self._door = gateway.door
        self._passwords = Passwords(settings.password_validation_regexp)
        self._accounts = Accounts(gateway.store, self._passwords, gateway.clock, gateway.ids)
        self._cookie_seconds = settings.session_cookies_max_age
        self._is_https = settings.runtime.api_url.startswith("https:")

    async def anonymous(self, request: web.Request) -> web.Response:
        """POST /v2/login/anonymous: a user nobody knew before. Credentials that come along are not looked at."""
        await self._door.enter(request, "anonymous_login", public(self._auth.address(request)))
        body = await bodies.json_object(request, _LONGEST_BODY)
        return self._logged_in(request, await self._sessions.open_anonymous(body.get("expiresAfter")))

    async def login(self, request: web.Request) -> web.Response:
        """POST /v2/login. Whether an address has an account can be told neither by the answer nor by the time it takes."""
        body = await bodies.json_object(request, _LONGEST_BODY)
        email, password = _text(body, "email"), _text(body, "password")
        try:
            await self._door.enter(request, "prismeai_login", email_key(email))
            account = await self._accounts.with_password(email, password)
            if account is None:
                raise Unauthenticated("The e-mail address or the password is not right")
            session = await self._sessions.open(account.facts(), body.get("expiresAfter"))
        except AutomationsError as error:
            self._note(request, "gateway.login.failed", email=self._auth.pseudonym(email_key(email)), error=error.wire)
            raise
        self._note(request, "gateway.login.succeeded", userId=account.id, sessionId=session.id)
        return self._logged_in(request, session)

    async def signup(self, request: web.Request) -> web.Response:
        """POST /v2/signup. Addresses are not verified, so one that may do everything is taken, except for who may do that already."""
        await self._door.enter(request, "signup", public(self._auth.address(request)))
        body = await bodies.json_object(request, _LONGEST_BODY)
        email, password, names = self._signup(body)
        try:
            if self._auth.is_reserved(email) and not self._auth.is_super_admin(await self._auth.authenticate(request)):
                _log.warning("an account for an address in SUPER_ADMIN_EMAILS is only made for who shows the admin token")
                raise taken()
            account = await self._accounts.create(email, password, names)
        except AutomationsError as error:
            self._note(request, "gateway.signup.failed", email=self._auth.pseudonym(email_key(email)), error=error.wire)
            raise
        self._note(request, "gateway.signup.succeeded", userId=account.id)
        return wire.answer(_shown(account.facts()))

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
            shown = {**_shown(facts(session)), **_life(session)}
        return wire.answer(shown, headers={self._auth.csrf_header: self._auth.csrf_token(session_id)})

    async def logout(self, request: web.Request) -> web.Response:
        """POST /v2/logout. The predefined owner has no session that could end."""
        identity = await self._auth.authenticate(request, required=True)
        if not is_admin(identity) and identity.session_id is not None:
            await self._sessions.end(identity.session_id, *ended_with(identity.session_id))
        response = wire.answer({"success": True})
        response.del_cookie(COOKIE, httponly=True, secure=self._is_https, samesite="Lax")
        return response

    async def contacts(self, request: web.Request) -> web.Response:
        """POST /v2/contacts: accounts by their address or their ids, for who has an account."""
        identity = await self._auth.authenticate(request, required=True)
        if not identity.is_login or "anonymous" in (identity.auth_data or {}):
            raise Unauthenticated("This needs the login of an account")
        body = await bodies.json_object(request, _LONGEST_BODY)
        email, ids = body.get("email"), body.get("ids")
        if type(email) not in (str, type(None)):
            raise invalid("email should be a text", "email")
        if ids is not None and not (type(ids) is list and len(ids) <= _MOST_IDS and all(type(id) is str for id in ids)):
            raise invalid(f"ids should be a list of {_MOST_IDS} texts at most", "ids")
        found: dict[str, Account] = {account.id: account for account in await self._accounts.with_ids(dict.fromkeys(ids or ()))}
        if email is not None and (account := await self._accounts.with_email(email)) is not None:
            found[account.id] = account
        return wire.answer({"contacts": [account.contact() for account in found.values()]})

    def _signup(self, body: dict[str, Any]) -> tuple[str, str, dict[str, str]]:
        email, password = _text(body, "email").strip(), _text(body, "password")
        if not is_email(email):
            raise invalid("email should be an e-mail address", "email")
        if not self._passwords.accepts(password):
            raise invalid("The password does not look like the passwords of this server", "password")
        names = {name: _text(body, name) for name in _NAMES if body.get(name) is not None}
        for name, text in names.items():
            if len(text) > _LONGEST_NAME:
                raise invalid(f"{name} should have {_LONGEST_NAME} characters at most", name)
        return email, password, names

    def _logged_in(self, request: web.Request, session: Session) -> web.Response:
        token = self._auth.tokens.login(session.user_id, session.id, session.expires_at or 0)
        request[SESSION] = session.id
        response = wire.answer({**_shown(facts(session)), "token": token, **_life(session)})
        response.set_cookie(COOKIE, token, max_age=self._cookie_seconds, httponly=True, secure=self._is_https, samesite="Lax")
        return response

    def _note(self, request: web.Request, what: str, **told: str) -> None:
        """What operators may want to know. There are no addresses, passwords or tokens in logs: a pseudonym tells the same address again."""
        told |= {"ip": self._auth.address(request) or "", "correlationId": request[CORRELATION]}
        _log.info("%s %s", what, encode(told).decode())


def _text(body: dict[str, Any], name: str) -> str:
    value = body.get(name)
    if type(value) is not str:
        raise invalid(f"{name} should be a text", name)
    return value


def _shown(user: dict[str, Any]) -> dict[str, Any]:
    return {"id": user["userId"], **user}


def _life(session: Session) -> dict[str, Any]:
    expires = {"expires": iso(session.expires_at)} if session.expires_at is not None else {}
    return {"sessionId": session.id, **expires}
