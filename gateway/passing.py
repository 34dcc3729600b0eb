"""Requests for a run that another node holds: passed on to that node, and its answer handed back as it comes."""
from __future__ import annotations

import asyncio
import hashlib
import hmac
import logging
from collections.abc import Callable, Mapping

import aiohttp
from aiohttp import hdrs, web
from multidict import CIMultiDict, CIMultiDictProxy, istr
from yarl import URL

from runtime.clock import Clock
from runtime.errors import TooBusy
from runtime.signals import trail_headers
from store.records import Member

_log = logging.getLogger("motorik.gateway")

HEADER = istr("x-motorik-passed-on")
"""Says for whom a node passes a request on. Only nodes can write it; what others send under this name counts for nothing."""

CALLER = web.RequestKey("caller", str)
"""The caller's address as the node saw it that passed the request on; empty where it was not known."""

_SEAL_SECONDS = 60
"""Also how far apart the clocks of two nodes may be."""
_CONNECT_SECONDS = 2.0
_GRACE_SECONDS = 10.0
_IDLE_SECONDS = 10.0
"""Shorter than the patience of the server at the other end, which must not hang up while a request is on its way."""
_LOOK_SECONDS = 0.5
_LOOKS = 3
"""A node that no longer holds the run may be about to send its answer; so many looks later it is not."""
_CONNECTION = frozenset((
    "connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "te", "trailer", "transfer-encoding", "upgrade"))
_OWN = frozenset((HEADER, "content-length", "content-encoding", "expect"))
"""Written anew: the body goes out as it was read, whole and unpacked."""
_NOTHING_BY_ITSELF = (hdrs.ACCEPT, hdrs.ACCEPT_ENCODING, hdrs.CONTENT_TYPE, hdrs.USER_AGENT)


Run = tuple[str, str]
"""Workspace and correlation id."""


class Seal:
    """What the nodes prove to each other with their common key: this request, for this caller, a moment ago."""

    def __init__(self, key: bytes, clock: Clock) -> None:
        self._key = key
        self._clock = clock

    def make(self, caller: str | None, method: str, path: str) -> str:
        said = f"{self._clock.now()} {caller or '-'}"
        return f"{said} {self._signature(said, method, path)}"

    def caller(self, text: str, method: str, path: str) -> str | None:
        """The address in a seal of this request, empty where it was not known; None for what no node of ours has made."""
        said, _, signature = text.rpartition(" ")
        if not hmac.compare_digest(signature.encode("utf-8", "surrogateescape"), self._signature(said, method, path).encode()):
            return None
        made, _, caller = said.partition(" ")
        return (caller if caller != "-" else "") if abs(self._clock.now() - int(made)) <= _SEAL_SECONDS * 1000 else None

    def _signature(self, said: str, method: str, path: str) -> str:
        signed = f"{said}\n{method}\n{path}".encode("utf-8", "surrogateescape")
        return hmac.new(self._key, signed, hashlib.sha256).hexdigest()


class Relayed(web.StreamResponse):
    """The answer of another node: complete, with everything that answers of this server carry."""


class Passing:
    """Connections to the other nodes. `patience` is for how many seconds a node may think before it answers; None is for ever.
    `owner` tells which other node holds a run."""

    def __init__(self, key: bytes, clock: Clock, *, patience: float | None, owner: Callable[[str, str], Member | None] | None = None) -> None:
        self._seal = Seal(key, clock)
        self._patience = patience + _GRACE_SECONDS if patience is not None else None
        self._owner = owner
        self._session: aiohttp.ClientSession | None = None

    def recognize(self, request: web.Request) -> None:
        """Believe what another node says about the request, if one does."""
        text = request.headers.get(HEADER)
        if text is not None:
            caller = self._seal.caller(text, request.method, request.rel_url.raw_path_qs)
            if caller is not None:
                request[CALLER] = caller

    async def on(self, request: web.Request, body: bytes, url: str, run: Run, *, caller: str | None) -> web.StreamResponse:
        """Let the node at `url`, which holds the run, answer; nothing of the answer is changed. Ends when the caller leaves.

        Raises `TooBusy` when that node cannot be reached, or loses the run before it answers; and for a request that was
        passed on already: then the run has just moved, and chasing it might never end.
        """
        if CALLER in request:
            raise TooBusy("The run has just moved to another node, try again", {"retryAfter": 1})
        answered = asyncio.Event()
        relaying = asyncio.create_task(self._relay(request, body, url, caller, answered))
        watching = asyncio.create_task(self._watch(request, url, run, answered))
        try:
            await asyncio.wait((relaying, watching), return_when=asyncio.FIRST_COMPLETED)
            if relaying.done():
                return relaying.result()
            watching.result()
            return web.Response()                         # goes nowhere: the caller has left
        finally:
            relaying.cancel()
            watching.cancel()
            await asyncio.gather(relaying, watching, return_exceptions=True)

    async def post(self, url: str, path: str, body: bytes, headers: Mapping[str, str], *, caller: str | None) -> tuple[int, bytes]:
        """Status and body of what the node at `url` answers to a request of this node. Raises `TooBusy`."""
        sent = CIMultiDict({**headers, **trail_headers()})
        sent[HEADER] = self._seal.make(caller, hdrs.METH_POST, path)
        async with await self._ask(hdrs.METH_POST, url + path, body, sent) as answer:
            return answer.status, await answer.read()

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    async def _watch(self, request: web.Request, url: str, run: Run, answered: asyncio.Event) -> None:
        """Until the caller has left: nobody tells, so look from time to time. Raises `TooBusy`."""
        lost = 0
        while request.transport is not None and not request.transport.is_closing():
            holder = self._owner(*run) if self._owner is not None else None
            is_lost = self._owner is not None and not answered.is_set() and (holder is None or holder.url != url)
            lost = lost + 1 if is_lost else 0
            if lost == _LOOKS:
                raise _lost()
            await asyncio.sleep(_LOOK_SECONDS)

    async def _relay(self, request: web.Request, body: bytes, url: str, caller: str | None, answered: asyncio.Event) -> web.StreamResponse:
        path = request.rel_url.raw_path_qs
        headers = _carried(request.headers, _OWN)
        headers.update(trail_headers())
        headers[HEADER] = self._seal.make(caller, request.method, path)
        async with await self._ask(request.method, url + path, body, headers) as answer:
            answered.set()
            relayed = Relayed(status=answer.status, reason=answer.reason, headers=_carried(answer.headers))
            try:
                await relayed.prepare(request)
                async for chunk in answer.content.iter_any():
                    await relayed.write(chunk)
                await relayed.write_eof()
            except (aiohttp.ClientError, ConnectionError) as error:
                _log.info("an answer of %s broke off: %s", url, error)
                if request.transport is not None:
                    request.transport.abort()            # part of the answer has left: only breaking off is honest now
            return relayed

    async def _ask(self, method: str, url: str, body: bytes, headers: CIMultiDict[str]) -> aiohttp.ClientResponse:
        try:
            async with asyncio.timeout(self._patience):
                return await self._open().request(method, URL(url, encoded=True), data=body or None, headers=headers,
                                                  allow_redirects=False)
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError):
            raise TooBusy("The node that holds this run cannot be reached, try again", {"retryAfter": 1}) from None
        except (aiohttp.ClientError, OSError, TimeoutError):
            raise _lost() from None

    def _open(self) -> aiohttp.ClientSession:
        """Made when it is first needed: most servers are alone."""
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=_IDLE_SECONDS), cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_SECONDS), auto_decompress=False,
                skip_auto_headers=_NOTHING_BY_ITSELF)
        return self._session


def _carried(headers: CIMultiDictProxy[str], without: frozenset[str] = frozenset()) -> CIMultiDict[str]:
    """All headers but those that belong to one connection."""
    named = {name.strip().lower() for value in headers.getall(hdrs.CONNECTION, ()) for name in value.split(",")}
    left_out = _CONNECTION | without | named
    return CIMultiDict((name, value) for name, value in headers.items() if name.lower() not in left_out)


def _lost() -> TooBusy:
    return TooBusy("The node that holds this run was lost before it answered; the call may have been carried out", {"retryAfter": 1})
