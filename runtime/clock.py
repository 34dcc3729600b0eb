"""The only place that reads the time."""
from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from datetime import datetime, timezone
from typing import Protocol


class Timer(Protocol):
    """Something that will happen unless it is cancelled."""

    def cancel(self) -> None: ...


class Clock(Protocol):
    """Wall time for facts, and a monotonic reading for durations and deadlines."""

    def now(self) -> int:
        """Milliseconds since 1970, UTC."""

    def monotonic(self) -> float:
        """Seconds that never go back."""

    def call_later(self, seconds: float, callback: Callable[[], object]) -> Timer:
        """Call `callback` on the running loop after `seconds`."""

    async def sleep(self, seconds: float) -> None: ...


class SystemClock:
    """The machine's own clock."""

    def now(self) -> int:
        return time.time_ns() // 1_000_000

    monotonic = staticmethod(time.monotonic)
    sleep = staticmethod(asyncio.sleep)

    def call_later(self, seconds: float, callback: Callable[[], object]) -> Timer:
        return asyncio.get_running_loop().call_later(seconds, callback)


def milliseconds(text: str) -> int:
    """`2025-11-22T16:30:00.123Z` → `1763829000123`."""
    return round(datetime.fromisoformat(text).timestamp() * 1000)


_second_text: tuple[int, str] = (-1, "")


def iso(milliseconds: int) -> str:
    """`1763829000123` → `2025-11-22T16:30:00.123Z`. The text of the current second is kept: most calls ask for it."""
    global _second_text
    second, fraction = divmod(milliseconds, 1000)
    if second != _second_text[0]:
        moment = datetime.fromtimestamp(second, timezone.utc)
        _second_text = (second, moment.strftime("%Y-%m-%dT%H:%M:%S."))
    return f"{_second_text[1]}{fraction:03d}Z"
