"""Logins: who opened which session, until when, and who must hear that it ended."""
from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from runtime.clock import Clock
from runtime.errors import InvalidRequest
from runtime.ids import Ids
from runtime.values import decode, encode
from store.protocol import Store
from store.records import Fact, Session, SessionEnded

_REMEMBERED = 10_000
_FRESH_SECONDS = 5.0
"""A logout that this node was not told of is noticed after at most this long."""

Listener = Callable[[str], None]


class Sessions:
    """Login sessions, kept by the store and remembered for a few seconds."""

    def __init__(self, store: Store, clock: Clock, ids: Ids, *, max_age_seconds: float = 2_592_000) -> None:
        self._store = store
        self._clock = clock
        self._ids = ids
        self._max_age = max_age_seconds
        self._remembered: dict[str, tuple[float, Session]] = {}
        self._listeners: list[Listener] = []

    def on_end(self, listener: Listener) -> None:
        """`listener` is called with the id of every session that is logged out, on any node."""
        self._listeners.append(listener)

    async def open_anonymous(self, expires_after: float | None = None) -> Session:
        """A new user and its session, durable. `expires_after` seconds may shorten the life, never stretch it."""
        expires_at = self._end(expires_after)
        user_id = self._ids.uuid()
        user = {"userId": user_id, "firstName": f"anonymous-{user_id[:8]}",
                "authData": {"anonymous": {"expiresAt": expires_at} if expires_after else {}}}
        return await self.keep(Session(self._ids.uuid(), user_id, expires_at, encode(user)))

    async def open(self, user: Mapping[str, Any], expires_after: float | None = None) -> Session:
        """A session of somebody who is known, durable. `user` is what it will say about them, `userId` above all."""
        return await self.keep(Session(self._ids.uuid(), user["userId"], self._end(expires_after), encode(user)))

    async def keep(self, session: Session, *facts: Fact) -> Session:
        """Make it a login, and these facts with it."""
        await self._store.commit([session, *facts])
        self._remember(session)
        return session

    async def find(self, session_id: str) -> Session | None:
        """The session, unless it ended or was never a login."""
        remembered = self._remembered.get(session_id)
        if remembered is not None:
            until, session = remembered
            if self._clock.monotonic() < until and _lives(session, self._clock.now()):
                return session
            del self._remembered[session_id]
        found = await self._store.session(session_id, self._clock.now())
        if found is not None:
            self._remember(found)
        return found

    async def end(self, session_id: str, *facts: Fact) -> None:
        """Log out, and these facts with it: durable first, then everybody who listens hears of it."""
        await self._store.commit([SessionEnded(session_id), *facts])
        self.ended(session_id)

    def ended(self, session_id: str) -> None:
        """The session was logged out, here or on another node."""
        self._remembered.pop(session_id, None)
        for listener in tuple(self._listeners):
            listener(session_id)

    def _end(self, after: float | None) -> int:
        """When a session ends that is opened now."""
        if after is not None and not (type(after) in (int, float) and 0 < after < float("inf")):
            raise InvalidRequest("expiresAfter must be a number of seconds above 0",
                                 [{"path": "expiresAfter", "message": "must be a number of seconds above 0"}])
        return self._clock.now() + int(1000 * min(self._max_age, after or self._max_age))

    def _remember(self, session: Session) -> None:
        if len(self._remembered) >= _REMEMBERED:
            del self._remembered[next(iter(self._remembered))]
        self._remembered[session.id] = (self._clock.monotonic() + _FRESH_SECONDS, session)


def _lives(session: Session, now: int) -> bool:
    return session.expires_at is None or session.expires_at > now


def facts(session: Session) -> dict[str, Any]:
    """What a session says about its user: `userId`, `firstName`, `authData`, …"""
    return decode(session.body)
