"""The part of a frame that the outside notices: events, waits, and what leaves the process."""
from __future__ import annotations

import asyncio
from asyncio import Future
from collections.abc import Awaitable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from runtime.calls import Presented
from runtime.clock import iso
from runtime.envelope import LiveEvent, check_name, custom, native, shown_address
from runtime.errors import AutomationsError, ExpressionError, VariableNameError
from runtime.events import HOST, durable
from runtime.instructions.step import At
from runtime.native import ERROR, EXECUTED, WEBHOOK
from runtime.redaction import collect, redact_fields
from runtime.renewals import Begun, missed
from runtime.signals import Spans, trail_headers
from runtime.values import UNDEFINED
from runtime.waits import PendingWait, compile_pattern
from store.records import WaitEnded

if TYPE_CHECKING:
    from runtime.frame import Frame


class Effects:
    """Mixed into `Frame`."""

    __slots__ = ()

    # --- events -------------------------------------------------------------------------------------

    def source(self: Frame) -> dict[str, Any]:
        """What the events of this frame say about where they come from; a new map each time, the caller completes it."""
        source = self._source
        if source is None:
            source = self._source = {**self.instance.source, "correlationId": self.run.correlation_id, "automationSlug": self.automation.slug,
                                     "automationDepth": self.depth, "host": HOST}
            if self.origin.socket_id is not None:
                source["socketId"] = self.origin.socket_id
        session_id = self.view.identity.session_id
        return {**source, "sessionId": session_id} if session_id is not None else source.copy()

    def native(self: Frame, type: str, payload: dict[str, Any], *, persistent: bool = True) -> None:
        self._draft(type, self._requested_source(), payload, limit=self.settings.broker_emit_maxlen, persistent=persistent)

    def announce(self: Frame, type: str, payload: dict[str, Any]) -> None:
        """A native event of whatever started the run."""
        source, origin = self._requested_source(), self.origin
        if origin.http is not None:
            address = shown_address(origin.ip)
            if address is not None:
                source["ip"] = address
            if type == WEBHOOK:
                source["http"] = origin.http
        self._draft(type, source, payload, limit=self.settings.broker_emit_maxlen)

    def _draft(self: Frame, type: str, source: dict[str, Any], payload: dict[str, Any], *, limit: int, persistent: bool = True) -> None:
        payload = self.shown(payload)
        if "http" in source:
            source["http"] = self.shown(source["http"])
        self.run.draft(native(type, source, payload, limit=limit, persistent=persistent))

    def _requested_source(self: Frame) -> dict[str, Any]:
        """Native events of a request name who made it; those of whatever follows from its events do not."""
        source, origin = self.source(), self.origin
        if origin.http is not None and origin.identity.user_id is not None:
            source["userId"] = origin.identity.user_id
        return source

    def publish(self: Frame, event: str, payload: dict[str, Any], target: Any, options: Any) -> None:
        check_name(event)
        self.run.draft(custom(self.instance.prefix + event, self.source(), payload, None if target is UNDEFINED else target,
                              None if options is UNDEFINED else options, limit=self.settings.broker_emit_maxlen, chained=True))

    def emit(self: Frame, event: str, payload: dict[str, Any], target: Any, options: Any) -> Awaitable[dict[str, Any]]:
        self.publish(event, payload, target, options)
        accepting = self.run.flush_event()
        self.run.pause()                                   # now: the event may be accepted before anybody awaits what follows
        return self._accepted(*accepting)

    async def _accepted(self: Frame, committed: Future[int], live: LiveEvent) -> dict[str, Any]:
        """Whoever knows the event's id goes on before its listeners start: up to its next pause, where it may wait for them."""
        try:
            await durable(committed)
        finally:
            asyncio.get_running_loop().call_soon(self.run.proceed)
        return live.event

    def report(self: Frame, error: str, message: str, details: Any = None, *, prefixed: bool = False) -> None:
        payload = {"error": error, "message": message, **({"details": details} if details is not None else {})}
        self.native(self.instance.prefix + ERROR if prefixed else ERROR, payload)

    def fail(self: Frame, error: AutomationsError) -> None:
        """The one `error` event of a failed run. Its source names the automation that threw."""
        thrower = getattr(error, "frame", self)
        thrower.report(error.wire, error.message, error.details)

    def executed(self: Frame, error: AutomationsError | None, *, broke: bool = False) -> None:
        """`runtime.automations.executed`, once per automation; of those an error passes through, only the innermost tells."""
        signals = self.run.services.signals
        if error is not None:
            if getattr(error, "frame", None) is not None:
                return
            error.frame = self
            signals.failures += 1
        signals.automations += 1
        signals.instructions += self.automation.length
        now, value = self.clock.now(), self.value
        payload: dict[str, Any] = {"slug": self.automation.full_slug, "trigger": self.trigger, "payload": self._shown_arguments(),
                                   "output": None if value is UNDEFINED else value, "duration": now - self.started_at,
                                   "startedAt": iso(self.started_at), "break": broke, "status": "success"}
        if self.throttle is not None and self.throttle.waited_ms:
            payload["throttled"] = round(self.throttle.waited_ms)
        if error is not None:
            payload.update(status="error", output=None, error=error.body())
        source = self.source()
        if self.view.identity.user_id is not None:
            source["userId"] = self.view.identity.user_id
        self._draft(EXECUTED, source, payload, limit=self.settings.broker_emit_executed_automation_maxlen)

    def _shown_arguments(self: Frame) -> dict[str, Any]:
        shown = self.arguments
        if "$http" in shown:
            shown = {key: value for key, value in shown.items() if key != "$http"}
        headers = shown.get("headers")
        if type(headers) is dict and "authorization" in headers:
            shown = {**shown, "headers": {k: v for k, v in headers.items() if k != "authorization"}}
        redacted = self.automation.redacted
        return shown if redacted is None else redact_fields(redacted, shown)

    def hide(self: Frame, texts: set[str]) -> None:
        """From here on these texts appear in no native event of the run."""
        self.run.redactor.add(texts)

    def shown(self: Frame, value: Any) -> Any:
        """As native events may show it; for what is cut before it gets there, which could leave half a secret."""
        self.run.redactor.add(self.run.space.hidden_texts)
        return self.run.redactor.redact(value)

    def hide_arguments(self: Frame) -> None:
        """What this automation declares secret among its arguments."""
        if self.automation.secrets is not None:
            self.hide(collect(self.automation.secrets, self.arguments))

    # --- telemetry ----------------------------------------------------------------------------------

    @property
    def spans(self: Frame) -> Spans | None:
        return self.run.services.signals.spans

    # --- waiting --------------------------------------------------------------------------------------

    def wait_for(self: Frame, patterns: list[dict[str, Any]], timeout: float, at: At) -> Awaitable[dict[str, Any] | None]:
        try:
            compiled = tuple(compile_pattern(p, "" if p["event"] == EXECUTED else self.instance.prefix) for p in patterns)
        except (VariableNameError, ExpressionError) as error:
            raise type(error)(error.message, {"oneOf": patterns}) from None
        now, asked = self.clock.now(), {"oneOf": patterns, "timeout": timeout}
        expires_at = now + int(timeout * 1000)
        begun = self._begin_wait(asked, expires_at, at)
        if begun is not None:
            expires_at = begun.wait.expires_at
        left = max(0.0, (expires_at - now) / 1000)
        wait = PendingWait(begun.wait.id if begun else self.uuid(), compiled, asyncio.get_running_loop().create_future())
        self.native("runtime.waits.pending", {"id": wait.id, "expiresAt": iso(expires_at), "wait": asked}, persistent=False)
        self.space.waits.add(wait)
        self.run.waiting.append(expires_at)
        self.run.live_on()
        self.run.flush()
        return self._waited(wait, left, expires_at, begun)

    def _begin_wait(self: Frame, asked: dict[str, Any], expires_at: int, at: At) -> Begun | None:
        """The wait as it is stored: only that of a delivery is, nobody would start anything else again."""
        renewals = self.run.renewals(self.delivery_id)
        if renewals is None:
            return None
        begun = renewals.begin(self.workspace.id, self.run.correlation_id, self.automation.full_slug, at, asked=asked, expires_at=expires_at,
                               head=self.space.feed.head)
        if begun is not None and begun.since is None:
            self.run.fact(begun.wait)
        return begun

    async def _waited(self: Frame, wait: PendingWait, left: float, expires_at: int, begun: Begun | None) -> dict[str, Any] | None:
        timer = self.clock.call_later(left, lambda: wait.result.done() or wait.result.set_result(None))
        try:
            event = None
            if begun is not None and begun.since is not None:
                event = await missed(self.run.services.store, self.workspace.id, wait.patterns, since=begun.since, until=begun.wait.expires_at)
            if event is None:
                event = await self._arrived(wait, is_kept=begun is not None)
        finally:
            timer.cancel()
            self.space.waits.remove(wait)
            self.run.waiting.remove(expires_at)
        if event is not None:
            self.native("runtime.waits.fulfilled", {"id": wait.id, "event": event}, persistent=False)
        return event

    async def _arrived(self: Frame, wait: PendingWait, *, is_kept: bool) -> dict[str, Any] | None:
        live = await wait.result
        if live is None:
            return None
        if is_kept and not live.persistent:                 # nobody could find that event again: the next process begins anew
            self.run.fact(WaitEnded(wait.id))
        return live.event

    async def leave(self: Frame) -> None:
        committed = self.run.flush()
        if committed is not None:
            await durable(committed, is_told=not self.run.untold)

    async def rest(self: Frame) -> None:
        self.run.flush()
        await asyncio.sleep(0)

    def spend(self: Frame, instructions: int) -> bool:
        return self.run.spend(instructions)

    def hold(self: Frame, awaitable: Awaitable[Any]) -> Any:
        return self.run.hold(awaitable)

    # --- leaving the process ----------------------------------------------------------------------------

    def is_own_api(self: Frame, url: str) -> bool:
        base = self.settings.api_url.rstrip("/")
        return url == base or url.startswith((base + "/", base + "?"))

    def request_headers(self: Frame, url: str, has_authorization: bool) -> dict[str, str]:
        headers = {**trail_headers(), self.settings.correlation_id_header: self.run.correlation_id,
                   "User-Agent": self.settings.fetch_user_agent_header, "x-prismeai-workspace-id": self.workspace.id}
        if self.is_own_api(url) and not has_authorization:
            headers["Authorization"] = "Bearer " + self.workspace_token()
        return headers

    def workspace_token(self: Frame, key: str = "") -> str:
        """Of the user and session the run started with, even after a switch. `key` names an API key of the workspace to go with it."""
        origin = self.origin
        if key:
            origin = origin._replace(identity=replace(origin.identity, api_key=Presented(workspace_id=self.workspace.id, name=key)))
        return self.run.services.mint_token(origin, self.workspace.id, self.depth)

    def take(self: Frame, name: str, limit: int, window: float, consumer: str) -> dict[str, Any]:
        key = (self.workspace.id, self.instance.path, name, consumer)
        return self.run.services.windows.take(key, limit, window, self.clock.now())
