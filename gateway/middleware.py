"""The edge of every request: its correlation id, its errors as answers, its CORS headers."""
from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from aiohttp import hdrs, web
from multidict import istr

from gateway import errors, logs, wire
from gateway.auth import CORRELATION, SESSION
from gateway.cors import Cors
from gateway.limits import LIMIT_HEADERS
from gateway.metrics import NO_ROUTE, Requests, known_method
from gateway.passing import HEADER, Passing, Relayed
from gateway.tracing import TRACEPARENT, TRACESTATE, carried_on
from runtime.errors import AutomationsError, TooLarge
from runtime.signals import TRAIL, Spans, Trail

if TYPE_CHECKING:
    from gateway.config import Settings
    from runtime.clock import Clock
    from runtime.ids import Ids

CatchUp = Callable[[], Awaitable[None]]
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
READINESS = "/v2/readiness"
_WEBHOOKS = "/webhooks/"
_UPGRADED = 101
"""A connection that has become a websocket; it is told in its own words when the server stops."""
_GONE = 499
"""Stands for the status of an answer that nobody waited for."""
_log = logging.getLogger("motorik.gateway")


def edge(clock: Clock, ids: Ids, passing: Passing | None = None,
         catch_up: CatchUp | None = None, *, requests: Requests | None = None, spans: Spans | None = None,
         logs_requests: bool = False) -> Callable[[web.Request, Handler], Awaitable[web.StreamResponse]]:
    """The only middleware. Whatever happens inside, the caller gets an answer of the documented form.

    `passing` and `catch_up` are for one node among several: what came from another one is told from what pretends to, and a
    request sees everything that was acknowledged anywhere before it came. `requests` counts what was answered.
    """
    counted = requests or Requests()

    @web.middleware
    async def counting(request: web.Request, handler: Handler) -> web.StreamResponse:
        correlation_id = request[CORRELATION] = ids.correlation_id(clock.now())
        trail, began, status = _trail(request, correlation_id), clock.monotonic(), _GONE
        method = known_method(request.method)
        TRAIL.set(trail)
        counted.open += 1
        try:
            answering = answered(request, handler)
            answer = await (answering if spans is None else spans.around(f"{method} {trail.route}", {}, lambda: answering))
            status = answer.status
            return answer
        finally:
            counted.open -= 1
            seconds = clock.monotonic() - began
            counted.count(method, trail.route, status, seconds)
            trail.correlation_id = request[CORRELATION]
            if logs_requests:
                logs.answered(method, status, seconds)
            TRAIL.set(None)

    async def answered(request: web.Request, handler: Handler) -> web.StreamResponse:
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

    return counting


def finish(cors: Cors, settings: Settings, is_stopping: Callable[[], bool]) -> Callable[[web.Request, web.StreamResponse], Awaitable[None]]:
    """What every answer carries, streams and websockets included: called right before the headers leave."""
    correlation_header, session_header = istr(settings.runtime.correlation_id_header), istr(settings.session_id_header)

    async def add_headers(request: web.Request, response: web.StreamResponse) -> None:
        headers = response.headers
        if is_stopping() and response.status != _UPGRADED:
            response.force_close()
            headers[hdrs.CONNECTION] = "close"
        if LIMIT_HEADERS in request:
            headers.update(request[LIMIT_HEADERS])
        if isinstance(response, Relayed):
            return
        headers[correlation_header] = request[CORRELATION]
        headers[hdrs.SERVER] = "Motorik"
        if SESSION in request:
            headers[session_header] = request[SESSION]
        origin = request.headers.get(hdrs.ORIGIN)
        if origin is not None:
            headers.extend(cors.headers(origin, is_preflight=request.method == "OPTIONS"))

    return add_headers


def _trail(request: web.Request, correlation_id: str) -> Trail:
    match, headers = request.match_info, request.headers
    resource = match.route.resource
    trail = Trail(correlation_id, match.get("workspace") or match.get("workspace_id"), resource.canonical if resource is not None else NO_ROUTE)
    if TRACEPARENT in headers:
        trail.traceparent, trail.tracestate = carried_on(headers[TRACEPARENT], headers.get(TRACESTATE, ""))
    return trail


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
    _log.error("a request failed", exc_info=error)
    if request.writer.output_size:
        raise error                                          # part of the answer has left: only closing is honest now
    return wire.refusal(errors.Internal())
