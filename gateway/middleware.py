"""The edge of every request: its correlation id, its errors as answers, its CORS headers."""
from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from aiohttp import hdrs, web
from multidict import istr

from gateway import errors, wire
from gateway.auth import CORRELATION
from gateway.cors import Cors
from gateway.passing import HEADER, Passing, Relayed
from runtime.errors import AutomationsError, TooLarge

if TYPE_CHECKING:
    from runtime.clock import Clock
    from runtime.ids import Ids

CatchUp = Callable[[], Awaitable[None]]
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
READINESS = "/v2/readiness"
_WEBHOOKS = "/webhooks/"
_log = logging.getLogger("motorik.gateway")


def edge(clock: Clock, ids: Ids, passing: Passing | None = None,
         catch_up: CatchUp | None = None) -> Callable[[web.Request, Handler], Awaitable[web.StreamResponse]]:
    """The only middleware. Whatever happens inside, the caller gets an answer of the documented form.

    `passing` and `catch_up` are for one node among several: what came from another one is told from what pretends to, and a
    request sees everything that was acknowledged anywhere before it came.
    """

    @web.middleware
    async def at_the_edge(request: web.Request, handler: Handler) -> web.StreamResponse:
        request[CORRELATION] = ids.correlation_id(clock.now())
        if passing is not None and HEADER in request.headers:
            passing.recognize(request)
        try:
            if request.method == "OPTIONS":
                return web.Response(status=204)
            if catch_up is not None and _needs_all(request):
                await catch_up()
            return await handler(request)
        except AutomationsError as error:
            return wire.refusal(error)
        except web.HTTPException as error:
            return _translated(error)
        except web.RequestPayloadError as error:
            return wire.refusal(errors.invalid(f"The body cannot be read: {error}"))
        except ConnectionError:
            raise                                            # the caller is gone: nobody to answer
        except Exception as error:
            return _unexpected(request, error)

    return at_the_edge


def finish(cors: Cors, correlation_header: str) -> Callable[[web.Request, web.StreamResponse], Awaitable[None]]:
    """What every answer carries, streams and websockets included: called right before the headers leave."""
    correlation_header = istr(correlation_header)

    async def add_headers(request: web.Request, response: web.StreamResponse) -> None:
        if isinstance(response, Relayed):
            return
        headers = response.headers
        headers[correlation_header] = request[CORRELATION]
        headers[hdrs.SERVER] = "Motorik"
        origin = request.headers.get(hdrs.ORIGIN)
        if origin is not None:
            headers.extend(cors.headers(origin, is_preflight=request.method == "OPTIONS"))

    return add_headers


def _needs_all(request: web.Request) -> bool:
    """Webhooks, by far the most requests, leave it to the engine."""
    path = request.rel_url.raw_path
    return path.startswith("/v2/") and path != READINESS and _WEBHOOKS not in path


def _translated(error: web.HTTPException) -> web.StreamResponse:
    """What the web framework itself refuses, in our words."""
    if error.status == 404:
        return wire.refusal(errors.RouteNotFound("Route not found"))
    if isinstance(error, web.HTTPMethodNotAllowed):
        allowed = ", ".join(sorted(error.allowed_methods))
        return wire.refusal(errors.MethodNotAllowed(f"{error.method} is not possible here", {"allowed": allowed}),
                            headers={hdrs.ALLOW: allowed})
    if error.status == 413:
        return wire.refusal(TooLarge("The body is too large"))
    if error.status < 400:
        return error
    return wire.refusal(errors.invalid(error.reason))


def _unexpected(request: web.Request, error: Exception) -> web.StreamResponse:
    known = errors.known(error)
    if known is not None:
        return wire.refusal(known)
    _log.error("%s %s failed (correlation id %s)", request.method, request.path, request[CORRELATION], exc_info=error)
    if request.writer.output_size:
        raise error                                          # part of the answer has left: only closing is honest now
    return wire.refusal(errors.Internal())
