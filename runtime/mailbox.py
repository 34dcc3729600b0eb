"""Actor: takes messages one at a time, in order, and never in the middle of another.

A message that finds the actor idle is handled at once, on the caller's stack: an actor costs no task and no queue hop until it has to
wait. Commands are bounded, because anybody may send them; facts about its own frames are not, because there are never more
of them than frames.
"""
from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable
from typing import Any

from runtime.errors import TooBusy

_log = logging.getLogger("motorik.actor")
MAX_COMMANDS = 10_000


class Actor:
    """Subclasses say what to do with a message in `receive`, which returns an awaitable if what follows must wait for it."""

    __slots__ = ("_commands", "_notes", "_busy", "_pauses")

    def __init__(self) -> None:
        self._commands: deque[Any] | None = None           # made when somebody has to wait: most actors never need them
        self._notes: deque[Any] | None = None
        self._busy = False
        self._pauses = 0

    def receive(self, message: Any) -> None | Awaitable[None]:
        raise NotImplementedError(type(self))

    def tell(self, command: Any) -> None:
        """Hand over a command. Raises `TooBusy` when too many wait already."""
        if not self._busy and not self._pauses:
            self._take(command)
            return
        if self._commands is None:
            self._commands = deque()
        if len(self._commands) >= MAX_COMMANDS:
            raise TooBusy("Too many messages wait for this run", {"retryAfter": 1})
        self._commands.append(command)

    def note(self, fact: Any) -> None:
        """Hand over a fact about one of its own frames."""
        if not self._busy:
            self._take(fact)
            return
        if self._notes is None:
            self._notes = deque()
        self._notes.append(fact)

    def pause(self) -> None:
        """Commands wait until `proceed` was called as often."""
        self._pauses += 1

    def proceed(self) -> None:
        self._pauses -= 1
        if not self._busy:
            self._take(self._next())

    def _take(self, message: Any) -> None:
        """Handle one message, then those that came up meanwhile."""
        self._busy = True
        while message is not None:
            try:
                pending = self.receive(message)
            except Exception:                             # an edge: whatever fails here is one message, not the actor
                _log.exception("a %s message failed", type(message).__name__)
                pending = None
            if pending is not None:
                asyncio.ensure_future(self._after(pending))
                return
            message = self._next()
        self._busy = False

    def _next(self) -> Any:
        """Facts come first; None when nothing may be taken."""
        if self._notes:
            return self._notes.popleft()
        return self._commands.popleft() if self._commands and not self._pauses else None

    async def _after(self, pending: Awaitable[None]) -> None:
        try:
            await pending
        except Exception:
            _log.exception("a message failed")
        finally:
            self._take(self._next())
