"""Whose `user` and `session` a branch of execution sees."""
from __future__ import annotations

from runtime.calls import Identity
from runtime.contexts import Cell


class View:
    """The identity of a branch and its two documents. Callee and caller share one, so a switch of session is seen by both;
    a parallel branch works on a copy."""

    __slots__ = ("identity", "user", "session")

    def __init__(self, identity: Identity, user: Cell, session: Cell) -> None:
        self.identity = identity
        self.user = user
        self.session = session

    def copy(self) -> View:
        return View(self.identity, self.user, self.session)

    def session_end(self, now: int, unauthenticated_seconds: float) -> int | None:
        """When a session document that is written now ends: with its login, or some time after this write."""
        identity = self.identity
        if identity.session_id is None:
            return None
        if identity.is_login:
            return identity.session_expires_at
        return now + int(unauthenticated_seconds * 1000)
