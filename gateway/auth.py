"""Who is calling: tokens, cookies, and the runs of this server that call it themselves."""
from __future__ import annotations

import hashlib
import hmac
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from aiohttp import hdrs, web

from gateway.accounts import email_key
from gateway.limits import Proxies
from gateway.passing import CALLER
from gateway.tokens import ACCESS, Tokens, access_session_id
from runtime.calls import ADMIN, NOBODY, Identity, Origin, Presented
from runtime.clock import Clock
from runtime.errors import Forbidden, Unauthenticated
from runtime.permissions.decisions import role_of
from runtime.sessions import Sessions, facts
from runtime.signals import goes_on_as
from store.records import Session

if TYPE_CHECKING:
    from gateway.config import Settings
    from gateway.keys import Keys
    from runtime.workspace import Workspace

CORRELATION = web.RequestKey("correlation_id", str)
"""The correlation id of a request: made at the door, replaced by that of the run that calls."""

SESSION = web.RequestKey("session_id", str)
"""The session of the caller, once it is known: answers name it."""

COOKIE = "access-token"
LEGACY_HEADER = "x-prismeai-token"
OWNER = "owner"

_REMEMBERED = 10_000
_LONGEST_TOKEN = 8192
_LONGEST_CORRELATION_ID = 128
_SAFE_METHODS = frozenset((hdrs.METH_GET, hdrs.METH_HEAD, hdrs.METH_OPTIONS))


class Credentials(NamedTuple):
    """What a request proves. Between `is_ours` and `api_key` stands the run that makes the call, if one does."""

    identity: Identity = NOBODY
    is_ours: bool = False
    """The Authorization header is for us; automations do not see it."""
    correlation_id: str | None = None
    workspace_id: str | None = None
    depth: int = 0
    socket_id: str | None = None
    api_key: str | None = None
    """As it was sent, not looked up: what it allows, if anything, comes on top of what its bearer may do."""


_NONE = Credentials()
_EXPIRED = Credentials(is_ours=True)
_ADMIN = Credentials(ADMIN, is_ours=True)


class _Login(NamedTuple):
    """A token that was verified before, and whom it named when its session was read last."""

    session_id: str
    expires_at: int | None
    session: Session
    credentials: Credentials


class Auth:
    """Tells who is calling. Verified tokens are remembered by their digest, so that no secret is compared letter by letter."""

    def __init__(self, settings: Settings, keys: Keys, sessions: Sessions, clock: Clock) -> None:
        self.tokens = Tokens(keys.signing, settings.runtime.api_url, clock, keys.retired)
        self.csrf_header = settings.csrf_token_header
        self._admin = _digest(keys.admin_token)
        self._csrf_key = keys.csrf
        self._sessions = sessions
        self._clock = clock
        self._super_admins = frozenset(email_key(email) for email in settings.super_admin_emails)
        self._api_key_header = settings.api_key_header
        self._proxies = Proxies(settings.trusted_proxies)
        self._logins: dict[bytes, _Login] = {}
        self._correlation_header = settings.runtime.correlation_id_header
        self._trusts_correlation = not settings.overwrite_correlation_id_header

    async def authenticate(self, request: web.Request, *, required: bool = False) -> Identity:
        """Who is calling; `NOBODY` without credentials unless they are `required`."""
        return (await self.credentials(request, required=required)).identity

    async def origin(self, request: web.Request, *, required: bool = False) -> Origin:
        """Where a request comes from, ready to be handed to the engine."""
        return self.origin_of(request, await self.credentials(request, required=required))

    async def credentials(self, request: web.Request, *, required: bool = False) -> Credentials:
        """Raises `Unauthenticated` for a bad access token, and for missing credentials when they are `required`."""
        headers = request.headers
        authorization = headers.get(hdrs.AUTHORIZATION)
        if authorization is not None and authorization[:7].lower() == "bearer ":
            found = await self.identify(authorization[7:].strip())
        elif LEGACY_HEADER in headers:
            found = (await self.identify(headers[LEGACY_HEADER].strip()))._replace(is_ours=False)
        elif hdrs.COOKIE in headers:
            found = await self._by_cookie(request)
        else:
            found = _NONE
        if not found.identity.is_login and found.workspace_id != _workspace_of(request):
            found = found._replace(identity=NOBODY)      # a session that an automation chose means something in its workspace only
        if self._api_key_header in headers:
            found = self._with_key(found, headers[self._api_key_header])
        if found.identity.session_id is not None:
            request[SESSION] = found.identity.session_id
        if required and found.identity.user_id is None:
            raise Unauthenticated("The credentials are no longer valid" if found.is_ours else "Credentials are required")
        return found

    async def identify(self, token: str) -> Credentials:
        """Whom a token names; a login token that is invalid or over names nobody. Raises `Unauthenticated` for `at:` tokens
        nobody has."""
        digest = _digest(token)
        if hmac.compare_digest(digest, self._admin):
            return _ADMIN
        login = self._logins.get(digest)
        if login is None:
            return await self._verify(token, digest)
        if login.expires_at is None or login.expires_at > self._clock.now():
            session = await self._sessions.find(login.session_id)
            if session is login.session:
                return login.credentials
            if session is not None:
                return self._remember(digest, session, login.expires_at)
        self._logins.pop(digest, None)
        return _over(token)

    async def login(self, request: web.Request) -> Session:
        """The session of a caller who shows the token of a login. Raises `Unauthenticated` for all others: an access token must not
        make another one, and no automation may for the users who pass by."""
        found = await self.credentials(request, required=True)
        session_id = found.identity.session_id or ACCESS
        session = None if found.correlation_id is not None or session_id.startswith(ACCESS) else await self._sessions.find(session_id)
        if session is None:
            raise Unauthenticated("This needs the token of a login")
        return session

    def origin_of(self, request: web.Request, credentials: Credentials) -> Origin:
        """The origin of a request with these credentials; settles the request's correlation id."""
        headers = request.headers
        ip = self.address(request)
        given = credentials.correlation_id
        if given is None and self._trusts_correlation and _is_sane(theirs := headers.get(self._correlation_header, "")):
            given = theirs
        if given is not None:
            request[CORRELATION] = given
            goes_on_as(given)
        host = headers.get(hdrs.HOST, "")
        return Origin(request[CORRELATION], credentials.identity, ip, credentials.socket_id,
                      {"method": request.method, "path": request.path, "hostname": host.partition(":")[0],
                       "originalUrl": request.raw_path, "ip": ip},
                      credentials.depth, given is None, credentials.workspace_id, credentials.workspace_id)

    def address(self, request: web.Request) -> str | None:
        """The caller's address, seen through trusted proxies, or by the node that passed the request on."""
        if CALLER in request:
            return request[CALLER] or None
        headers = request.headers
        if hdrs.X_FORWARDED_FOR not in headers:
            return request.remote
        return self._proxies.caller(request.remote, ",".join(headers.getall(hdrs.X_FORWARDED_FOR)))

    def role_in(self, workspace: Workspace, identity: Identity) -> str | None:
        """The caller's role in a workspace; None for those who have none."""
        return OWNER if self.is_super_admin(identity) else role_of(workspace, identity)

    def is_super_admin(self, identity: Identity) -> bool:
        """Whether this is the predefined owner, or the login of an account in SUPER_ADMIN_EMAILS."""
        return is_admin(identity) or identity.is_login and identity.email is not None and self.is_reserved(identity.email)

    def is_reserved(self, email: str) -> bool:
        """Whether the account with this address may do everything."""
        return bool(self._super_admins) and email_key(email) in self._super_admins

    def member(self, workspace: Workspace, identity: Identity) -> Identity:
        """The same caller with the role filled in."""
        role = self.role_in(workspace, identity)
        return identity if role is identity.role else replace(identity, role=role)

    def mint_internal(self, origin: Origin, workspace_id: str, depth: int) -> str:
        """A token for a run that calls this server; it lives for ten seconds."""
        return self.tokens.run(origin, workspace_id, depth)

    def csrf_token(self, session_id: str) -> str:
        """What a page must send along with its cookie."""
        return hmac.new(self._csrf_key, session_id.encode(), hashlib.sha256).hexdigest()

    def _with_key(self, found: Credentials, key: str) -> Credentials:
        """A key that was sent takes the place of one that the token of a run names."""
        return found._replace(api_key=key, identity=replace(found.identity, api_key=Presented(key)))

    def pseudonym(self, text: str) -> str:
        """What logs call somebody whose address is nobody's business; the same each time."""
        return hmac.new(self._csrf_key, b"pseudonym " + text.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()[:12]

    async def _by_cookie(self, request: web.Request) -> Credentials:
        token = request.cookies.get(COOKIE)
        if not token:
            return _NONE
        found = (await self.identify(token))._replace(is_ours=False)      # the header beside it is somebody else's
        session_id = found.identity.session_id
        if session_id is not None and request.method not in _SAFE_METHODS:
            given = request.headers.get(self.csrf_header, "")
            if not hmac.compare_digest(given.encode("utf-8", "surrogateescape"), self.csrf_token(session_id).encode()):
                raise Forbidden(f"A call with a cookie needs the header {self.csrf_header}, whose value GET /v2/me gives")
        return found

    async def _verify(self, token: str, digest: bytes) -> Credentials:
        if token.startswith(ACCESS):
            session = await self._sessions.find(access_session_id(token))
            return self._remember(digest, session, session.expires_at) if session is not None else _over(token)
        claims = self.tokens.read(token) if token.count(".") == 2 and len(token) <= _LONGEST_TOKEN else None
        if claims is None:
            return _NONE
        expires_at = claims["exp"] * 1000
        if expires_at <= self._clock.now():
            return _EXPIRED
        if "correlationId" in claims:
            return await self._of_run(claims)
        session = await self._sessions.find(claims["prismeaiSessionId"])
        return self._remember(digest, session, expires_at) if session is not None else _EXPIRED

    async def _of_run(self, claims: dict[str, Any]) -> Credentials:
        """A run calls: the identity it started with, in the same run, one step deeper."""
        user_id, session_id = claims.get("sub"), claims.get("prismeaiSessionId")
        if user_id is None:
            identity = NOBODY
        elif user_id == ADMIN.user_id and claims["isLogin"]:
            identity = ADMIN
        else:
            session = await self._sessions.find(session_id) if session_id else None
            identity = self._identity(session) if session is not None else Identity(user_id, session_id, is_login=False)
        if "apiKey" in claims:
            identity = replace(identity, api_key=Presented(workspace_id=claims["workspaceId"], name=claims["apiKey"]))
        return Credentials(identity, True, claims["correlationId"], claims["workspaceId"], claims["depth"], claims.get("socketId"))

    def _identity(self, session: Session) -> Identity:
        """Who may do everything is the owner wherever they go."""
        body = facts(session)
        email = body.get("email")
        role = OWNER if email is not None and self.is_reserved(email) else None
        return Identity(session.user_id, session.id, session.expires_at, email, body.get("authData"), role)

    def _remember(self, digest: bytes, session: Session, expires_at: int | None) -> Credentials:
        credentials = Credentials(self._identity(session), is_ours=True)
        if len(self._logins) >= _REMEMBERED:
            del self._logins[next(iter(self._logins))]
        self._logins[digest] = _Login(session.id, expires_at, session, credentials)
        return credentials


def is_admin(identity: Identity) -> bool:
    """Whether this is the predefined owner, and not a session that an automation named like it."""
    return identity.is_login and identity.user_id == ADMIN.user_id


def _over(token: str) -> Credentials:
    """What a token is worth whose session has ended. Raises `Unauthenticated` for an access token."""
    if token.startswith(ACCESS):
        raise Unauthenticated("Invalid access token")
    return _EXPIRED


def _workspace_of(request: web.Request) -> str | None:
    """The workspace in the path."""
    return request.match_info.get("workspace") or request.match_info.get("workspace_id")


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()


def _is_sane(correlation_id: str) -> bool:
    return 0 < len(correlation_id) <= _LONGEST_CORRELATION_ID and correlation_id.isascii() and correlation_id.isprintable()
