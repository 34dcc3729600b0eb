"""The one door through which requests leave: it checks the address, every redirect, the size and the time."""
from __future__ import annotations

import asyncio
import errno
import re
from base64 import b64encode
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from multidict import CIMultiDict
from yarl import URL

from runtime.errors import FetchFailed
from runtime.outbound.address_guard import AddressGuard, ForbiddenAddress
from runtime.outbound.streams import EventStream
from runtime.settings import RuntimeSettings
from runtime.values import decode

_MAX_REDIRECTS = 5
_MAX_RETRY_AFTER = 61
_REDIRECTS = frozenset((301, 302, 303, 307, 308))
_RESETS = frozenset((errno.ECONNRESET, errno.ECONNABORTED, errno.EPIPE))
_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_HEADER_VALUE = re.compile(r"[^\x00-\x08\x0a-\x1f\x7f]*")

# Framing belongs to the connection. An automation that passes on the headers it received must not break it.
_CONNECTION_HEADERS = frozenset((
    "connection", "content-length", "expect", "host", "keep-alive", "proxy-authorization", "proxy-connection", "te", "trailer",
    "transfer-encoding", "upgrade"))
_CREDENTIAL_HEADERS = ("Authorization", "Cookie", "X-Prismeai-Api-Key")


@dataclass(frozen=True, slots=True)
class Request:
    """What to send. `shown` stands for the url in errors when the url itself holds a secret."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes | None = None
    shown: str = ""


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back. Header names are in lower case; the body of an event stream is read while it arrives."""

    status: int
    headers: dict[str, str]
    body: bytes | EventStream

    @property
    def content_type(self) -> str:
        return self.headers.get("content-type", "")


@dataclass(frozen=True, slots=True)
class _Hop:
    """One request of a chain of redirects."""

    method: str
    url: URL
    headers: CIMultiDict[str]
    body: bytes | None


class Outbound:
    """Sends the requests of automations. Connects to an address only after the guard has seen it."""

    def __init__(self, settings: RuntimeSettings, *, resolver: AbstractResolver | None = None,
                 sleep: Callable[[float], Awaitable[Any]] = asyncio.sleep) -> None:
        self._settings = settings
        self._guard = AddressGuard(settings.fetch_forbidden_hosts, settings.fetch_allowed_hosts)
        self._resolver = resolver
        self._sleep = sleep
        self._api = URL(settings.api_url.rstrip("/"))
        self._sessions: dict[bool, aiohttp.ClientSession] = {}

    def is_own_api(self, url: str | URL) -> bool:
        """Whether `url` lies under API_URL."""
        try:
            url = URL(url)
            if _origin(url) != _origin(self._api):
                return False
        except (TypeError, ValueError):
            return False
        base = self._api.raw_path.rstrip("/")
        return url.raw_path == base or url.raw_path.startswith(base + "/")

    async def request(self, request: Request) -> Reply:
        """The reply, whatever its status. Raises `FetchFailed` for what is refused and for failures of the network."""
        hop = _first_hop(request)
        shown = request.shown or _without_secrets(hop.url)
        retries = self._settings.fetch_max_retries
        while True:
            try:
                async with asyncio.timeout(self._settings.fetch_timeout):
                    reply = await self._follow(hop)
            except FetchFailed as error:
                error.details = {"url": shown, **(error.details or {})}
                raise
            except ForbiddenAddress as error:
                raise FetchFailed(f"The request was refused: {error}", {"url": shown}) from None
            except TimeoutError:
                raise FetchFailed(f"No complete answer within {self._settings.fetch_timeout:g} seconds", {"url": shown}) from None
            except (aiohttp.ClientError, OSError) as error:
                if retries <= 0 or not _is_reset(error):
                    raise FetchFailed(f"The request failed: {_reason(error)}", {"url": shown}) from None
            else:
                seconds = self._retry_after(hop.url, reply) if retries > 0 else None
                if seconds is None:
                    return reply
                await self._sleep(seconds)
            retries -= 1

    async def close(self) -> None:
        """Close every connection, those of unfinished streams too."""
        sessions = list(self._sessions.values())
        self._sessions.clear()
        for session in sessions:
            await session.close()

    async def _follow(self, hop: _Hop) -> Reply:
        for _ in range(_MAX_REDIRECTS + 1):
            response = await self._send(hop)
            try:
                following = _next_hop(hop, response)
                if following is None:
                    return await self._receive(response)
            except BaseException:
                response.close()
                raise
            response.close()
            hop = following
        raise FetchFailed(f"The request was redirected more than {_MAX_REDIRECTS} times")

    async def _send(self, hop: _Hop) -> aiohttp.ClientResponse:
        if hop.url.scheme not in ("http", "https") or not hop.url.raw_host:
            raise FetchFailed("Only http and https urls with a host can be fetched")
        is_own = self.is_own_api(hop.url)
        if not is_own:
            self._guard.check(hop.url.raw_host)
        # Each side has its own connections: one opened to this server is never at hand for a request to elsewhere.
        session = self._sessions.get(is_own) or self._open(is_own)
        url = self._inside(hop.url) if is_own else hop.url
        return await session.request(hop.method, url, headers=hop.headers, data=hop.body, allow_redirects=False)

    def _open(self, is_own: bool) -> aiohttp.ClientSession:
        resolver = self._resolver or aiohttp.ThreadedResolver()
        seconds = self._settings.fetch_timeout
        session = self._sessions[is_own] = aiohttp.ClientSession(
            # No limit: a run that waits for a connection may be the one that another connection waits for.
            connector=aiohttp.TCPConnector(resolver=resolver if is_own else _CheckedResolver(resolver, self._guard), limit=0),
            cookie_jar=aiohttp.DummyCookieJar(), skip_auto_headers=("Content-Type", "User-Agent"),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=seconds, sock_read=seconds))
        return session

    def _inside(self, url: URL) -> URL:
        if not self._settings.internal_api_url:
            return url
        rest = url.raw_path_qs[len(self._api.raw_path.rstrip("/")):]
        return URL(self._settings.internal_api_url.rstrip("/") + rest, encoded=True)

    async def _receive(self, response: aiohttp.ClientResponse) -> Reply:
        headers = {name.lower(): ", ".join(response.headers.getall(name)) for name in response.headers}
        if response.content_type == "text/event-stream":
            stream = EventStream(self._chunks(response), _closing(response))
            return Reply(response.status, headers, stream)
        return Reply(response.status, headers, await self._read(response))

    async def _read(self, response: aiohttp.ClientResponse) -> bytes:
        limit = self._settings.fetch_max_bytes
        size, parts = response.content_length or 0, []
        if size <= limit:
            size = 0
            async for part in response.content.iter_any():
                parts.append(part)
                size += len(part)
                if size > limit:
                    break
        if size > limit:
            raise FetchFailed(f"The answer is larger than {limit} bytes", {"limit": limit})
        return b"".join(parts)

    async def _chunks(self, response: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
        try:
            async for part in response.content.iter_any():
                yield part
        except TimeoutError:
            raise FetchFailed(f"The stream was silent for {self._settings.fetch_timeout:g} seconds",
                              {"url": _without_secrets(response.url)}) from None
        except (aiohttp.ClientError, OSError) as error:
            raise FetchFailed(f"The stream broke off: {_reason(error)}", {"url": _without_secrets(response.url)}) from None
        finally:
            response.close()

    def _retry_after(self, url: URL, reply: Reply) -> float | None:
        """Seconds after which the own API wants to be asked again, if it is worth the wait."""
        if reply.status != 429 or isinstance(reply.body, EventStream) or not self.is_own_api(url):
            return None
        try:
            seconds = decode(reply.body)["details"]["retryAfter"]
        except (ValueError, TypeError, KeyError):
            return None
        return seconds if type(seconds) in (int, float) and 0 <= seconds < _MAX_RETRY_AFTER else None


class _CheckedResolver(AbstractResolver):
    """Resolves names to those of their addresses that the guard permits; these alone are connected to."""

    def __init__(self, inner: AbstractResolver, guard: AddressGuard) -> None:
        self._inner = inner
        self._guard = guard

    async def resolve(self, host: str, port: int = 0, family: Any = 0) -> list[ResolveResult]:
        found = await self._inner.resolve(host, port, family)
        permitted = [result for result in found if self._guard.permits(host, result["host"])]
        if found and not permitted:
            raise ForbiddenAddress("this host leads to a forbidden address")
        return permitted

    async def close(self) -> None:
        await self._inner.close()


def normal_url(text: str) -> str:
    """The url as it goes over the wire. Raises `ValueError`."""
    return str(URL(text).with_fragment(None))


def basic_authorization(user: str, password: str) -> str:
    return "Basic " + b64encode(f"{user}:{password}".encode()).decode()


def _first_hop(request: Request) -> _Hop:
    try:
        url = URL(request.url).with_fragment(None)
    except ValueError:
        raise FetchFailed("The url is not valid", {"url": request.shown} if request.shown else None) from None
    headers = _checked_headers(request.headers)
    if url.user is not None and "Authorization" not in headers:
        headers["Authorization"] = basic_authorization(url.user, url.password or "")
    return _Hop(request.method.upper(), url.with_user(None) if url.raw_host else url, headers, request.body)


def _checked_headers(headers: Mapping[str, str]) -> CIMultiDict[str]:
    """Refuses what could end a header and begin another; leaves out those that belong to the connection."""
    checked: CIMultiDict[str] = CIMultiDict()
    for name, value in headers.items():
        if not _HEADER_NAME.fullmatch(name):
            raise FetchFailed("The name of a header is not valid", {"header": name[:100]})
        if not _HEADER_VALUE.fullmatch(value):
            raise FetchFailed("The value of a header holds control characters", {"header": name[:100]})
        if name.lower() not in _CONNECTION_HEADERS:
            checked[name] = value
    return checked


def _next_hop(hop: _Hop, response: aiohttp.ClientResponse) -> _Hop | None:
    """The request that a redirect asks for, None for a final answer. Credentials stay with the origin they are meant for."""
    location = response.headers.get("Location")
    if response.status not in _REDIRECTS or not location:
        return None
    try:
        url = hop.url.join(URL(location)).with_fragment(None).with_user(None)
    except ValueError:
        raise FetchFailed("The answer redirects to something that is no url") from None
    following = replace(hop, url=url, headers=hop.headers.copy())
    if _origin(url) != _origin(hop.url):
        for name in _CREDENTIAL_HEADERS:
            following.headers.popall(name, None)
    if response.status == 303 and hop.method != "HEAD" or response.status in (301, 302) and hop.method == "POST":
        following.headers.popall("Content-Type", None)
        following = replace(following, method="GET", body=None)
    return following


def _closing(response: aiohttp.ClientResponse) -> Callable[[], Awaitable[None]]:
    async def close() -> None:
        response.close()
    return close


def _origin(url: URL) -> tuple[str, str | None, int | None]:
    return url.scheme, url.raw_host, url.port


def _without_secrets(url: URL) -> str:
    """Neither user and password nor the query, where keys often stand."""
    return str(url.with_user(None).with_query(None)) if url.raw_host else f"{url.scheme}:"


def _is_reset(error: BaseException) -> bool:
    return (isinstance(error, (ConnectionResetError, aiohttp.ServerDisconnectedError))
            or isinstance(error, OSError) and error.errno in _RESETS)


def _reason(error: BaseException) -> str:
    match error:
        case aiohttp.ClientConnectorDNSError():
            return f"the host {error.host} could not be resolved"
        case aiohttp.ClientConnectorCertificateError():
            return f"the certificate of {error.host} is not valid"
        case aiohttp.ClientConnectorError():
            return f"{error.host}:{error.port} could not be connected to"
        case _ if _is_reset(error):
            return "the connection was reset"
    return "the answer could not be read"
