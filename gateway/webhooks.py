"""Endpoints of automations: a request becomes a call, its output becomes the answer."""
from __future__ import annotations

import logging
from collections.abc import Awaitable
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any

from aiohttp import web

from gateway import bodies, errors, wire
from gateway.auth import Credentials
from gateway.bodies import Limits
from gateway.limits import public
from gateway.management import TEST, require
from gateway.passing import CALLER, HEADER
from gateway.streaming import Answer
from runtime.calls import Call, Origin
from runtime.errors import AutomationsError, HeldElsewhere, TimedOut

if TYPE_CHECKING:
    from gateway.app import Gateway

_log = logging.getLogger("motorik.gateway")

_METHODS = frozenset(("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD"))
_TEST_FILE_BYTES = 500_000
_WORKSPACE_HEADER = "x-prismeai-workspace-id"
_HIDDEN = frozenset(("cookie", "host", "x-real-ip", HEADER))
_HIDDEN_PREFIXES = ("x-prismeai-", "x-forwarded-")
_HOUR = 3600


def add_routes(gateway: Gateway, router: web.UrlDispatcher) -> None:
    """The busiest routes of a server: register them first, the router asks them in that order."""
    webhooks = Webhooks(gateway)
    router.add_route("*", "/v2/workspaces/{workspace}/webhooks/{endpoint:.*}", webhooks.call)
    router.add_post("/v2/workspaces/{workspace}/test/{slug:.*}", webhooks.test)


class Webhooks:
    def __init__(self, gateway: Gateway) -> None:
        settings = gateway.settings
        self._gateway = gateway
        self._engine = gateway.engine
        self._auth = gateway.auth
        self._door = gateway.door
        self._passing = gateway.passing
        self._clock = gateway.clock
        self._limits = Limits(settings.request_max_size, settings.uploads_max_size)
        self._test_limits = Limits(settings.request_max_size, _TEST_FILE_BYTES, files=1)
        self._timeout = settings.http_timeout_ms / 1000 or None
        named = (settings.runtime.correlation_id_header, settings.session_id_header, settings.api_key_header, settings.csrf_token_header,
                 settings.user_id_header, settings.role_header)
        self._shown_name = lru_cache(2048)(partial(_shown_name, _HIDDEN | frozenset(named)))

    async def call(self, request: web.Request) -> web.StreamResponse:
        """ANY /v2/workspaces/{WS}/webhooks/{endpoint}"""
        method = request.method
        if method not in _METHODS:
            raise errors.MethodNotAllowed(f"{method} is not possible here", {"allowed": ", ".join(sorted(_METHODS))})
        workspace_id = request.match_info["workspace"]
        credentials = await self._credentials(request, workspace_id)
        body = await bodies.parse(request, self._limits)
        query = request.rel_url.raw_query_string
        variables = {"body": body.value, "headers": self._headers(request, credentials), "method": method,
                     "query": bodies.form(query) if query else {}}
        origin = self._auth.origin_of(request, credentials)
        answer = Answer(request, self._clock, self._timeout)
        path = request.rel_url.raw_path
        call = Call(workspace_id, request.match_info["endpoint"], variables, origin, answer, body.raw,
                    path.split("/", 5)[5] if "%2" in path else "")
        return await self._respond(request, body.raw, answer, origin, self._engine.call(call))

    async def test(self, request: web.Request) -> web.StreamResponse:
        """POST /v2/workspaces/{WS}/test/{slug}: any automation, for those who write it."""
        workspace_id = request.match_info["workspace"]
        credentials = await self._credentials(request, workspace_id, required=True)
        require(self._gateway, self._engine.catalog.require(workspace_id), credentials.identity, TEST)
        body = await bodies.parse(request, self._test_limits)
        payload = body.value.get("payload", {}) if type(body.value) is dict else None
        if type(payload) is not dict:
            raise errors.invalid("payload must be an object", "payload")
        origin = self._auth.origin_of(request, credentials)
        answer = Answer(request, self._clock, self._timeout)
        running = self._engine.test(workspace_id, request.match_info["slug"], payload, origin, answer)
        return await self._respond(request, body.raw, answer, origin, running)

    async def _credentials(self, request: web.Request, workspace_id: str, *, required: bool = False) -> Credentials:
        """Who calls, with their role in the workspace, and not too often."""
        credentials = await self._auth.credentials(request, required=required)
        if credentials.identity.user_id is not None:
            workspace = self._engine.catalog.get(workspace_id)
            if workspace is None:
                await self._engine.catch_up()                # another node may just have made it
                workspace = self._engine.catalog.get(workspace_id)
            if workspace is not None:
                credentials = credentials._replace(identity=self._auth.member(workspace, credentials.identity))
        if self._door.limits_webhooks and credentials.correlation_id is None and CALLER not in request:
            self._door.admit("webhooks_user", credentials.identity.user_id or public(self._auth.address(request)), request=request)
            self._door.admit("webhooks_workspace", workspace_id, _HOUR, request=request)
        return credentials

    async def _respond(self, request: web.Request, body: bytes, answer: Answer, origin: Origin,
                       running: Awaitable[Any]) -> web.StreamResponse:
        """Await the output and send it: as the answer, or as the end of the stream that the run has begun. The node that holds
        the run answers itself."""
        try:
            output = await running
            return await answer.finish(output) if answer.streaming else answer.plain(output)
        except HeldElsewhere as held:
            return await self._passing.on(request, body, held.url, (request.match_info["workspace"], origin.correlation_id), caller=origin.ip)
        except TimeoutError:
            return self._timed_out(answer)
        except AutomationsError as error:
            return await self._failed(answer, error)
        except Exception as error:
            if not answer.streaming:
                raise
            _log.error("A stream failed (correlation id %s)", origin.correlation_id, exc_info=error)
            return await self._failed(answer, errors.known(error) or errors.Internal())
        finally:
            answer.stop_beating()

    async def _failed(self, answer: Answer, error: AutomationsError) -> web.StreamResponse:
        return await answer.finish(error.body()) if answer.streaming else wire.refusal(error)

    def _timed_out(self, answer: Answer) -> web.Response:
        """The run goes on; what it answers later is nobody's any more."""
        answer.discard()
        timeout = round((self._timeout or 0) * 1000)
        error = TimedOut(f"The automation has not answered within {timeout} ms", {"timeout": timeout})
        return wire.answer({**error.body(), "timeout": timeout}, 408)

    def _headers(self, request: web.Request, credentials: Credentials) -> dict[str, str]:
        """The headers an automation sees: lower-case names, nothing that belongs to this platform or to proxies."""
        shown: dict[str, str] = {}
        for name, value in request.headers.items():
            key = self._shown_name(name)
            if key:
                shown[key] = f"{shown[key]}, {value}" if key in shown else value
        if credentials.is_ours:
            shown.pop("authorization", None)
        if credentials.workspace_id is not None:
            shown[_WORKSPACE_HEADER] = credentials.workspace_id
        return shown


def _shown_name(hidden: frozenset[str], name: str) -> str:
    """The name in lower case; empty for a header that automations do not see."""
    name = name.lower()
    return "" if name in hidden or name.startswith(_HIDDEN_PREFIXES) else name
