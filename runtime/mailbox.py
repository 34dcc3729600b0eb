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
        self._commands: deque[Any] = deque()
        self._notes: deque[Any] = deque()
        self._busy = False
        self._pauses = 0

    def receive(self, message: Any) -> None | Awaitable[None]:
        raise NotImplementedError(type(self))

    def tell(self, command: Any) -> None:
        """Hand over a command. Raises `TooBusy` when too many wait already."""
        if self._busy or self._pauses:
            if len(self._commands) >= MAX_COMMANDS:
                raise TooBusy("Too many messages wait for this run", {"retryAfter": 1})
            self._commands.append(command)
            return
        self._commands.append(command)
        self._pump()

    def note(self, fact: Any) -> None:
        """Hand over a fact about one of its own frames."""
        self._notes.append(fact)
        if not self._busy:
            self._pump()

    def pause(self) -> None:
        """Commands wait until `proceed` was called as often."""
        self._pauses += 1

    def proceed(self) -> None:
        self._pauses -= 1
        if not self._busy:
            self._pump()

    def _pump(self) -> None:
        self._busy = True
        notes, commands = self._notes, self._commands
        while notes or commands and not self._pauses:
            message = notes.popleft() if notes else commands.popleft()
            try:
                pending = self.receive(message)
            except Exception:                             # an edge: whatever fails here is one message, not the actor
                _log.exception("a %s message failed", type(message).__name__)
                continue
            if pending is not None:
                asyncio.ensure_future(self._after(pending))
                return
        self._busy = False

    async def _after(self, pending: Awaitable[None]) -> None:
        try:
            await pending
        except Exception:
            _log.exception("a message failed")
        finally:
            self._pump()
