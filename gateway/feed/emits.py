"""The events one websocket emits: accepted side by side, in the order they came, each answered once it is durable."""
from __future__ import annotations

import asyncio
import logging
from functools import partial
from typing import Any

from gateway.errors import Internal, known
from gateway.feed import frames
from gateway.feed.acknowledgements import Acknowledgements
from gateway.feed.cursors import Cursor, behind, head, position_of
from gateway.feed.operations import Emit
from gateway.feed.outbox import Outbox
from gateway.rights import require_emit
from runtime.calls import Identity, NewEvent, Origin
from runtime.errors import AutomationsError, HeldElsewhere, TooMany
from runtime.values import decode, encode

_log = logging.getLogger("motorik.sockets")
_MOST_WAITING = 1000


class Emits:
    __slots__ = ("_acknowledgements", "_gateway", "_identity", "_ip", "_outbox", "_owner", "_socket_id", "_waiting", "_workspace_id")

    def __init__(self, gateway: Any, workspace_id: str, identity: Identity, *, owner: str, socket_id: str, ip: str | None,
                 outbox: Outbox, acknowledgements: Acknowledgements) -> None:
        self._gateway = gateway
        self._workspace_id = workspace_id
        self._identity = identity
        self._owner = owner
        self._socket_id = socket_id
        self._ip = ip
        self._outbox = outbox
        self._acknowledgements = acknowledgements
        self._waiting: set[asyncio.Task[Any]] = set()

    def begin(self, asked: Emit) -> None:
        """Raises `TooMany` while too many emits wait."""
        if len(self._waiting) >= _MOST_WAITING:
            raise TooMany("Too many emits are waiting", {"retryAfter": 1})
        task, is_repeated = self._acknowledgements.once(
            self._workspace_id, self._owner, asked.key, accept=partial(self._accept, asked.event, asked.correlation_id))
        self._waiting.add(task)
        task.add_done_callback(partial(self._answer, asked.id, is_repeated))

    async def settled(self) -> bool:
        """Wait until every emit so far is answered; whether that took any time."""
        if not self._waiting:
            return False
        await asyncio.wait(self._waiting)
        return True

    async def _accept(self, event: NewEvent, correlation_id: str | None) -> tuple[str, Cursor, str]:
        """The id of the event, the place behind it, and the run it is of."""
        gateway = self._gateway
        is_new = correlation_id is None or gateway.settings.overwrite_correlation_id_header
        if correlation_id is None or is_new:
            correlation_id = gateway.ids.correlation_id(gateway.clock.now())
        workspace = gateway.engine.catalog.get(self._workspace_id)
        identity = gateway.auth.member(workspace, self._identity) if workspace is not None else self._identity
        origin = Origin(correlation_id, identity, self._ip, self._socket_id, is_new=is_new)
        if workspace is not None:
            require_emit(gateway.engine, workspace, [event], origin)
        try:
            [accepted] = await gateway.engine.accept(self._workspace_id, [event], origin)
        except HeldElsewhere as held:
            return *await self._pass_on(event, origin, held.url), correlation_id
        return accepted.event["id"], behind(accepted), correlation_id

    async def _pass_on(self, event: NewEvent, origin: Origin, url: str) -> tuple[str, Cursor]:
        """Let the node that holds the run accept the event, as the caller's own."""
        gateway, workspace_id = self._gateway, self._workspace_id
        token = gateway.auth.mint_internal(origin, workspace_id, origin.depth)
        body = {name: value for name in ("type", "payload", "target", "options") if (value := getattr(event, name)) is not None}
        status, raw = await gateway.passing.post(
            url, f"/v2/workspaces/{workspace_id}/events", encode({"events": [body]}),
            {"authorization": f"Bearer {token}", "content-type": "application/json"}, caller=self._ip)
        answer = decode(raw)
        if status != 200:
            raise AutomationsError(answer["message"], answer.get("details"), wire=answer["error"])
        event_id = answer[0]["id"]
        if event.options and event.options.get("persist") is False:
            return event_id, head(gateway.engine.feed(workspace_id))
        return event_id, Cursor(await position_of(gateway.engine, workspace_id, event_id))

    def _answer(self, id: str | None, is_repeated: bool, task: asyncio.Task[tuple[str, Cursor, str]]) -> None:
        self._waiting.discard(task)
        if task.cancelled():
            return
        if (failure := task.exception()) is not None:
            if known(failure) is None:
                _log.error("an emit in workspace %s failed", self._workspace_id, exc_info=failure)
            self._outbox.send_now(frames.error(known(failure) or Internal(), id))
            return
        event_id, place, correlation_id = task.result()
        named = {} if id is None else {"id": id}
        self._outbox.send_now(frames.frame("ack", **named, eventId=event_id, cursor=str(place),
                                           correlationId=correlation_id, duplicate=is_repeated))
