"""Passwords: hashed slowly, away from the loop, a few at a time."""
from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from functools import cached_property
from typing import Any, TypeVar

from runtime.errors import TooBusy

T = TypeVar("T")

_AT_ONCE = 2
"""Each takes 64 MiB and a core for as long as it lasts."""
_MOST_WAITING = 40


class Passwords:
    """Argon2id with the library's own parameters; what was hashed with older ones is told apart."""

    def __init__(self, pattern: str) -> None:
        self._pattern = re.compile(pattern, re.DOTALL)
        self._turns = asyncio.Semaphore(_AT_ONCE)
        self._waiting = 0

    def accepts(self, password: str) -> bool:
        """Whether it may become one."""
        return self._pattern.search(password) is not None

    async def hash(self, password: str) -> str:
        return await self._slowly(lambda: self._hasher.hash(_bytes(password)))

    async def match(self, kept: str | None, password: str) -> bool:
        """Whether `kept` is a hash of the password. Without one it takes as long to say no."""
        from argon2.exceptions import InvalidHashError, VerificationError
        if kept is None:
            await self.hash(password)
            return False
        try:
            return await self._slowly(lambda: self._hasher.verify(kept, _bytes(password)))
        except (VerificationError, InvalidHashError):
            return False

    def is_outdated(self, kept: str) -> bool:
        return self._hasher.check_needs_rehash(kept)

    async def _slowly(self, work: Callable[[], T]) -> T:
        if self._waiting >= _MOST_WAITING:
            raise TooBusy("Too many passwords are being checked, try again", {"retryAfter": 1})
        self._waiting += 1
        try:
            async with self._turns:
                return await asyncio.to_thread(work)
        finally:
            self._waiting -= 1

    @cached_property
    def _hasher(self) -> Any:
        """The library is imported when the first password comes: many servers have no accounts."""
        from argon2 import PasswordHasher
        return PasswordHasher()


def _bytes(password: str) -> bytes:
    return password.encode("utf-8", "surrogatepass")
