"""The only place that makes identifiers."""
from __future__ import annotations

import os
import random
import string
import uuid
from typing import Protocol

_URL_SAFE = string.ascii_letters + string.digits + "_-"


class Ids(Protocol):
    """A source of identifiers and of chance; tests hand in a counting one."""

    def correlation_id(self, now: int) -> str:
        """Sorts by time, so that an index on it grows at one end only."""

    def event_id(self, now: int) -> str:
        """`<milliseconds>-<counter>`; unique and increasing on this node."""

    def workspace_id(self) -> str:
        """Seven url-safe characters."""

    def token(self, size: int = 32) -> str:
        """A secret of `size` random bytes, as hexadecimal text."""

    def uuid(self) -> str: ...

    def random(self) -> float:
        """In [0, 1)."""


class RandomIds:
    """Identifiers nobody can guess, from the system's source of randomness."""

    def __init__(self) -> None:
        self._random = random.SystemRandom()
        self._last = (0, 0)
        self._pool = b""
        self._used = 0

    def correlation_id(self, now: int) -> str:
        return f"{now:012x}{self._bytes(10).hex()}"

    def _bytes(self, size: int) -> bytes:
        """Random bytes, fetched a few thousand at a time: each visit to the system gives the interpreter's lock away."""
        end = self._used + size
        if end > len(self._pool):
            self._pool, self._used, end = os.urandom(4096), 0, size
        taken = self._pool[self._used:end]
        self._used = end
        return taken

    def event_id(self, now: int) -> str:
        last, count = self._last
        count = count + 1 if now <= last else 0
        now = max(now, last)
        self._last = (now, count)
        return f"{now}-{count}"

    def workspace_id(self) -> str:
        return "".join(self._random.choices(_URL_SAFE, k=7))

    def token(self, size: int = 32) -> str:
        return f"{self._random.getrandbits(size * 8):0{size * 2}x}"

    def uuid(self) -> str:
        return str(uuid.UUID(bytes=self._bytes(16), version=4))

    def random(self) -> float:
        return random.random()
