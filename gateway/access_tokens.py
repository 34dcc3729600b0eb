"""Access tokens: what programs of a user log in with, each under a name, until a day, or until it is taken back."""
from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from aiohttp import web

from gateway import bodies, wire
from gateway.errors import invalid
from gateway.tokens import ACCESS, access_session_id
from runtime.clock import iso
from runtime.errors import NotFound
from runtime.values import decode, encode
from store.records import Fact, Item, ItemEnded, Session

if TYPE_CHECKING:
    from gateway.app import Gateway

_COLLECTION = "access-tokens"
_LONGEST_BODY = 10_000
_LONGEST_NAME = 200
_MOST = 100
_PATH = "/v2/user/accessTokens"


def add_routes(gateway: Gateway, router: web.UrlDispatcher) -> None:
    routes = _Routes(gateway)
    router.add_get(_PATH, routes.list)
    router.add_post(_PATH, routes.create)
    router.add_delete(_PATH + "/{token}", routes.delete)


class AccessTokens:
    """Each is a session of its own, which says about its user what the login said that made it."""

    def __init__(self, gateway: Gateway) -> None:
        self._store = gateway.store
        self._sessions = gateway.sessions
        self._clock = gateway.clock
        self._ids = gateway.ids

    async def of(self, user_id: str) -> list[dict[str, Any]]:
        """What may be told about the tokens of a user, the oldest first."""
        items = await self._store.items(_COLLECTION, _owner(user_id), self._clock.now())
        found = sorted((decode(item.body) for item in items), key=lambda each: each["createdAt"])
        return [{key: each[key] for key in ("id", "name", "expiresAt", "userId")} for each in found]

    async def make(self, login: Session, name: str, expires_at: int) -> dict[str, Any]:
        """A new one for the user of `login`, durable; nobody can tell the token a second time."""
        token = ACCESS + self._ids.uuid()
        session_id = access_session_id(token)
        id = session_id.removeprefix(ACCESS)
        shown = {"id": id, "name": name, "expiresAt": iso(expires_at), "userId": login.user_id}
        body = encode({**shown, "createdAt": iso(self._clock.now())})
        await self._sessions.keep(Session(session_id, login.user_id, expires_at, login.body),
                                  Item(_COLLECTION, id, _owner(login.user_id), expires_at, body))
        return {**shown, "token": token}

    async def end(self, user_id: str, id: str) -> None:
        """Raises `NotFound` for what is no token of this user."""
        item = await self._store.item(_COLLECTION, id, self._clock.now())
        if item is None or item.workspace_id != _owner(user_id):
            raise NotFound("Access token not found")
        await self._sessions.end(ACCESS + id, *ended_with(ACCESS + id))


class _Routes:
    """For those who show the token of a login, anonymous users among them."""

    def __init__(self, gateway: Gateway) -> None:
        self._auth = gateway.auth
        self._clock = gateway.clock
        self._max_age = gateway.settings.access_tokens_max_age
        self._tokens = AccessTokens(gateway)

    async def list(self, request: web.Request) -> web.Response:
        return wire.answer(await self._tokens.of((await self._auth.login(request)).user_id))

    async def create(self, request: web.Request) -> web.Response:
        """The only time that the token is shown."""
        login = await self._auth.login(request)
        body = await bodies.json_object(request, _LONGEST_BODY)
        name = body.get("name")
        if type(name) is not str or not 0 < len(name.strip()) <= _LONGEST_NAME:
            raise invalid(f"name should be a text of {_LONGEST_NAME} characters at most", "name")
        expires_at = self._expiry(body.get("expiresAt"))
        if len(await self._tokens.of(login.user_id)) >= _MOST:
            raise invalid(f"A user may have {_MOST} access tokens at most")
        return wire.answer(await self._tokens.make(login, name.strip(), expires_at))

    async def delete(self, request: web.Request) -> web.Response:
        """By its id, or by the token itself."""
        login = await self._auth.login(request)
        given = request.match_info["token"]
        id = access_session_id(given).removeprefix(ACCESS) if given.startswith(ACCESS) else given
        await self._tokens.end(login.user_id, id)
        return wire.answer({"id": id})

    def _expiry(self, text: Any) -> int:
        """In milliseconds; where nothing is said, a token lives as long as a login."""
        now = self._clock.now()
        if text is None:
            return now + self._max_age * 1000
        try:
            moment = datetime.fromisoformat(text)
            expires_at = int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)
        except (ValueError, TypeError, OverflowError):
            raise invalid("expiresAt should be an ISO date, like 2030-01-31T00:00:00.000Z", "expiresAt") from None
        if expires_at <= now:
            raise invalid("expiresAt should be in the future", "expiresAt")
        return expires_at


def ended_with(session_id: str) -> list[Fact]:
    """What goes when this session ends: nothing, unless it is that of an access token."""
    return [ItemEnded(_COLLECTION, session_id.removeprefix(ACCESS))] if session_id.startswith(ACCESS) else []


def _owner(user_id: str) -> str:
    """Whose they are, where other items have their workspace; no workspace has such an id."""
    return f"user:{user_id}"
