"""The events one websocket emits: accepted side by side, in the order they came, each answered once it is durable."""
from __future__ import annotations

import asyncio
import logging
from functools import partial
from typing import Any

from gateway.errors import Internal, known
from gateway.feed import frames
from gateway.feed.acknowledgements import Acknowledgements
from gateway.feed.cursors import behind
from gateway.feed.operations import Emit
from gateway.feed.outbox import Outbox
from runtime.calls import Identity, NewEvent, Origin
from runtime.errors import TooMany

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

    async def _accept(self, event: NewEvent, correlation_id: str | None) -> tuple[Any, str]:
        gateway = self._gateway
        is_new = correlation_id is None or gateway.settings.overwrite_correlation_id_header
        if correlation_id is None or is_new:
            correlation_id = gateway.ids.correlation_id(gateway.clock.now())
        workspace = gateway.engine.catalog.get(self._workspace_id)
        identity = gateway.auth.member(workspace, self._identity) if workspace is not None else self._identity
        origin = Origin(correlation_id, identity, self._ip, self._socket_id, is_new=is_new)
        [accepted] = await gateway.engine.accept(self._workspace_id, [event], origin)
        return accepted, correlation_id

    def _answer(self, id: str | None, is_repeated: bool, task: asyncio.Task[tuple[Any, str]]) -> None:
        self._waiting.discard(task)
        if task.cancelled():
            return
        if (failure := task.exception()) is not None:
            if known(failure) is None:
                _log.error("an emit in workspace %s failed", self._workspace_id, exc_info=failure)
            self._outbox.send_now(frames.error(known(failure) or Internal(), id))
            return
        accepted, correlation_id = task.result()
        named = {} if id is None else {"id": id}
        self._outbox.send_now(frames.frame("ack", **named, eventId=accepted.event["id"], cursor=str(behind(accepted)),
                                           correlationId=correlation_id, duplicate=is_repeated))
