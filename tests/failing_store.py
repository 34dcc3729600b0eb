"""A store in memory that fails when it is told to: at its n-th call, or from then on until it is mended."""
from __future__ import annotations

import asyncio
from asyncio import Future
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from functools import wraps
from typing import Any

from store.errors import StoreError
from store.protocol import Store
from store.records import Fact

_NEVER = 1 << 30
_UNTOUCHED = ("close", "head", "ping", "cluster")
_TURNS = 4


class FailingStore:
    """Counts commits and reads alike. A `late` one answers commits some turns of the loop later, in their order, as a disk does."""

    def __init__(self, inner: Store, *, late: bool = False) -> None:
        self.inner = inner
        self.calls = 0
        self._late = late
        self._waiting: deque[tuple[Sequence[Fact], StoreError | None, Future[int]]] = deque()
        self.mend()

    def fail(self, at: int, error: StoreError, *, until_mended: bool = False, reads: bool = True) -> None:
        """Counting begins anew. Without `reads` they neither fail nor count."""
        self.calls = 0
        self._reads = reads
        self._first, self._last = at, _NEVER if until_mended else at
        self._error = error

    def mend(self) -> None:
        self._first = self._last = _NEVER
        self._error: StoreError = StoreError("never")
        self._reads = True

    @property
    def is_quiet(self) -> bool:
        return not self._waiting

    def _failure(self) -> StoreError | None:
        self.calls += 1
        return self._error if self._first <= self.calls <= self._last else None

    def commit(self, facts: Sequence[Fact]) -> Future[int]:
        failure, future = self._failure(), asyncio.get_running_loop().create_future()
        self._waiting.append((tuple(facts), failure, future))
        self._after(_TURNS) if self._late else self._settle()
        return future

    def _after(self, turns: int) -> None:
        asyncio.get_running_loop().call_soon(*((self._after, turns - 1) if turns else (self._settle,)))

    def _settle(self) -> None:
        facts, failure, future = self._waiting.popleft()
        if failure is not None:
            outcome: Any = failure
        else:
            written = self.inner.commit(facts)
            outcome = written.exception() or written.result()
        if future.done():                                  # cancelled
            return
        future.set_exception(outcome) if isinstance(outcome, StoreError) else future.set_result(outcome)

    def __getattr__(self, name: str) -> Any:
        found = getattr(self.inner, name)
        return found if name in _UNTOUCHED else self._counted(found)

    def _counted(self, read: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        @wraps(read)
        async def counted(*arguments: Any, **named: Any) -> Any:
            failure = self._failure() if self._reads else None
            if self._late:
                await asyncio.sleep(0)
            if failure is not None:
                raise failure
            return await read(*arguments, **named)
        return counted
