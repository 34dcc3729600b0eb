"""One websocket: says hello, carries out what its client asks for, in order, and ends with a reason."""
from __future__ import annotations

import asyncio
import logging
from dataclasses import replace
from typing import Any, Protocol

from aiohttp import WSMsgType, web

from gateway.errors import invalid, known
from gateway.feed import frames, operations
from gateway.feed.acknowledgements import Acknowledgements
from gateway.feed.cursors import head
from gateway.feed.emits import Emits
from gateway.feed.operations import Emit, Flow, Hello, Operation, Ping, Subscribe, Unsubscribe, Update
from gateway.feed.outbox import Outbox
from gateway.feed.pace import Pace
from gateway.feed.resumption import Record, Resumption, Saved
from gateway.feed.subscriptions import Subscriptions
from gateway.rights import Rights
from runtime.calls import Identity, Presented
from runtime.errors import AutomationsError, TooMany, Unauthenticated

_log = logging.getLogger("motorik.sockets")

IDLE, CREDENTIALS, SLOW, PROTOCOL, REPLACED, TOO_MANY, INTERNAL = 4000, 4001, 4008, 4009, 4010, 4029, 1011
_RETRY_MS = {IDLE: 0, SLOW: 1000, TOO_MANY: 10_000, INTERNAL: 5000, 1012: 0}


class House(Protocol):
    """What all connections share."""

    gateway: Any
    resumption: Resumption
    acknowledgements: Acknowledgements

    async def identify(self, token: str) -> Identity:
        """Raises `Unauthenticated`."""

    def enter(self, connection: Connection) -> None:
        """The connection has an identity. Raises `TooMany` when its session has enough of them."""

    def leave(self, connection: Connection) -> None: ...
    def dropped(self, code: int) -> None: ...


class Connection:
    """`identity` is None until `hello` brings a token."""

    def __init__(self, house: House, workspace_id: str, socket: web.WebSocketResponse, *, outbox: Outbox,
                 transport: asyncio.Transport, identity: Identity | None, ip: str | None) -> None:
        self.workspace_id = workspace_id
        self.identity = identity
        self._house = house
        self._gateway = house.gateway
        self._feed = house.gateway.engine.feed(workspace_id)
        self._settings = house.gateway.settings
        self._socket = socket
        self._transport = transport
        self._ip = ip
        self._outbox = outbox
        self._record: Record | None = None
        self._subscriptions: Subscriptions | None = None
        self._emits: Emits | None = None
        self._pace = Pace(self._gateway.clock, rate=self._settings.ws_rate_per_second, burst=self._settings.ws_rate_burst)
        self._seen = self._gateway.clock.monotonic()
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._ending: asyncio.Task[Any] | None = None
        self._is_over = False

    @property
    def session_id(self) -> str | None:
        return self.identity.session_id if self.identity else None

    @property
    def waiting(self) -> int:
        return self._outbox.waiting

    # --- life ----------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Until one of the two sides closes."""
        self._later("hello", self._settings.ws_hello_timeout, lambda: self.close(PROTOCOL, "no_hello"))
        self._later("beat", min(self._settings.ws_heartbeat_interval, self._settings.ws_idle_timeout), self._beat)
        try:
            while self._ending is None:
                message = await self._socket.receive()
                self._seen = self._gateway.clock.monotonic()
                if message.type is WSMsgType.TEXT:
                    await self._take(message.data)
                elif message.type is WSMsgType.PING:
                    self._outbox.send_now(frames.pong_control(message.data))
                elif message.type is WSMsgType.BINARY:
                    self.close(PROTOCOL, "binary_frame")
                elif message.type is not WSMsgType.PONG:
                    break
        except Exception as error:                       # the edge: one connection's fault never leaves it
            self._fail(error)
        finally:
            self._let_go()
            if self._ending is not None:
                await self._ending

    def close(self, code: int, reason: str, *last: bytes) -> None:
        """Say these last frames and goodbye, and end; subscriptions stay resumable."""
        if self._is_over:
            return
        self._house.dropped(code)
        farewell = list(last)
        if self._record is not None:
            cursor = self._outbox.written or head(self._feed)
            retry = {"retryAfterMs": _RETRY_MS[code]} if code in _RETRY_MS else {}
            farewell.append(frames.frame("bye", code=code, reason=reason, cursor=str(cursor), **retry))
        self._let_go(*farewell)
        self._ending = asyncio.create_task(self._end(code, reason))

    def replace(self) -> None:
        self.close(REPLACED, "replaced")

    def moved(self, *, is_stale: bool) -> tuple[Saved, ...] | None:
        """See `gateway.feed.resumption.Holder`."""
        subscriptions = self._subscriptions
        if subscriptions is None or self._transport.get_write_buffer_size() or not (subscriptions.has_moved() or is_stale):
            return None
        return subscriptions.places()

    def _save(self, record: Record, subscriptions: Subscriptions) -> None:
        """The subscriptions are others now. What the transport still holds may be lost with the process: it is not behind the client."""
        places = subscriptions.places()
        if self._transport.get_write_buffer_size():
            known = {one.id: one.cursor for one in record.subscriptions}
            places = tuple(one._replace(cursor=min(one.cursor, known.get(one.id, one.cursor))) for one in places)
        self._house.resumption.changed(record, places)

    async def _end(self, code: int, reason: str) -> None:
        await self._socket.close(code=code, message=reason.encode(), drain=False)
        # The peer has answered, or had its time to: what it has not read by now it never will.
        self._transport.abort()

    def _let_go(self, *farewell: bytes) -> None:
        """Once, and in one piece: remember how far everything was, then stop it."""
        if self._is_over:
            return
        self._is_over = True
        for timer in self._timers.values():
            timer.cancel()
        saved = self._subscriptions.close() if self._subscriptions else ()
        self._outbox.end(*farewell)
        if self._record is not None and self._record.holder is self:
            self._house.resumption.release(self._record, saved)
            self._house.leave(self)

    def _later(self, name: str, seconds: float, callback: Any) -> None:
        self._timers[name] = asyncio.get_running_loop().call_later(seconds, callback)

    def _beat(self) -> None:
        silent = self._gateway.clock.monotonic() - self._seen
        left = self._settings.ws_idle_timeout - silent
        if left <= 0:
            self.close(IDLE, "idle")
            return
        self._outbox.send_now(frames.PING)
        self._later("beat", max(0.001, min(self._settings.ws_heartbeat_interval, left)), self._beat)

    def overflow(self) -> None:
        self.close(SLOW, "slow_consumer")

    def _fail(self, error: BaseException) -> None:
        if known(error) is None:
            _log.error("a websocket of workspace %s failed", self.workspace_id, exc_info=error)
        self.close(INTERNAL, "internal_error")

    # --- frames --------------------------------------------------------------------------------------

    async def _take(self, text: bytes) -> None:
        if not self._pace.admits():
            self.close(TOO_MANY, "too_many_frames")
            return
        try:
            frame = operations.read(text)
        except operations.Unreadable:
            self.close(PROTOCOL, "not_json")
            return
        id = operations.frame_id(frame)
        try:
            await self._carry_out(operations.operation(frame))
        except AutomationsError as error:
            self._refuse(error, id)

    def _refuse(self, error: AutomationsError, id: str | None) -> None:
        said = frames.error(error, id)
        if self._record is not None:
            self._outbox.send_now(said)
            return
        code = CREDENTIALS if isinstance(error, Unauthenticated) else TOO_MANY if isinstance(error, TooMany) else PROTOCOL
        self.close(code, error.wire, said)

    async def _carry_out(self, asked: Operation) -> None:
        if isinstance(asked, Hello):
            await self._hello(asked)
            return
        if self._record is None:
            await self._hello(Hello(None, None))
        emits = self._emits
        if self._is_over or emits is None:
            return
        if isinstance(asked, Emit):
            emits.begin(asked)
            return
        # What comes after an emit happens after it, and its answer too.
        if await emits.settled():
            self._seen = self._gateway.clock.monotonic()
        await self._change(asked)

    async def _change(self, asked: Operation) -> None:
        subscriptions, record = self._subscriptions, self._record
        if self._is_over or subscriptions is None or record is None:
            return
        match asked:
            case Ping(t):
                self._outbox.send_now(frames.frame("pong", t=t))
            case Flow(credit):
                self._outbox.grant(credit)
            case Unsubscribe(id):
                subscriptions.drop(id)
                self._save(record, subscriptions)
            case Update(id, filters) if id in subscriptions:
                subscriptions.follow(id, filters, socket_id=record.socket_id)
                self._save(record, subscriptions)
            case Update():
                raise invalid(f'There is no subscription "{asked.id}"', "id")
            case Subscribe(id) if id not in subscriptions and len(subscriptions) >= self._settings.ws_max_subscriptions:
                self.close(TOO_MANY, "too_many_subscriptions")
            case Subscribe(id, filters, None):
                subscriptions.follow(id, filters, socket_id=record.socket_id)
                self._save(record, subscriptions)
            case Subscribe(id, filters, since, limit):
                await subscriptions.follow_since(id, filters, since, limit=limit, socket_id=record.socket_id)
                self._save(record, subscriptions)

    async def _hello(self, hello: Hello) -> None:
        """Settle who this is. Raises `Unauthenticated` without credentials."""
        if self._record is not None:
            raise invalid("hello was said already", "op")
        if self.identity is None:
            if hello.token is None:
                raise Unauthenticated("Missing authentication credentials")
            self.identity = await self._house.identify(hello.token)
        if hello.api_key is not None and self.identity.api_key is None:
            self.identity = replace(self.identity, api_key=Presented(hello.api_key))
        if self._is_over:
            return
        self._timers.pop("hello").cancel()
        self._expire_with(self.identity)
        owner = self.identity.session_id or self.identity.user_id or ""
        resumption = self._house.resumption
        record = await resumption.take(hello.resume, self.workspace_id, owner, holder=self) if hello.resume else None
        if self._is_over:
            if record is not None:
                resumption.release(record, record.subscriptions)
            return
        is_resumed = record is not None
        try:
            self._house.enter(self)
        except TooMany:
            if record is not None:
                resumption.release(record, record.subscriptions)
            raise
        record = self._record = record or resumption.issue(self.workspace_id, owner, self)
        rights = Rights(self._gateway, self.workspace_id, self.identity)
        self._subscriptions = Subscriptions(self._gateway, self.workspace_id, self._outbox, rights=rights, failed=self._replayed)
        self._emits = Emits(self._gateway, self.workspace_id, self.identity, owner=owner, socket_id=record.socket_id, ip=self._ip,
                            outbox=self._outbox, acknowledgements=self._house.acknowledgements)
        self._welcome(record, self.identity, is_resumed=is_resumed)
        if is_resumed:
            saved, away_since = record.subscriptions, record.closed_at
            record.closed_at = None
            await self._subscriptions.restore(saved, socket_id=record.socket_id, away_since=away_since)

    def _expire_with(self, identity: Identity) -> None:
        if identity.session_expires_at is not None:
            left = (identity.session_expires_at - self._gateway.clock.now()) / 1000
            self._later("session", max(0.0, left), lambda: self.close(CREDENTIALS, "session_expired"))

    def _welcome(self, record: Record, identity: Identity, *, is_resumed: bool) -> None:
        settings = self._settings
        self._outbox.send_now(frames.frame(
            "welcome", socketId=record.socket_id, sessionId=identity.session_id, userId=identity.user_id,
            resumeToken=record.token, resumed=is_resumed,
            heartbeat={"interval": int(settings.ws_heartbeat_interval * 1000), "timeout": int(settings.ws_idle_timeout * 1000)},
            limits={"maxFrame": settings.ws_max_frame_bytes, "queue": settings.ws_queue_max_frames,
                    "subscriptions": settings.ws_max_subscriptions}))

    def _replayed(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            self._fail(error)
