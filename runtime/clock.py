"""The only place that reads the time."""
from __future__ import annotations

import time
from datetime import datetime, timezone
from typing import Protocol


class Clock(Protocol):
    """Wall time for facts, and a monotonic reading for durations and deadlines."""

    def now(self) -> int:
        """Milliseconds since 1970, UTC."""

    def monotonic(self) -> float:
        """Seconds that never go back."""


class SystemClock:
    """The machine's own clock."""

    def now(self) -> int:
        return time.time_ns() // 1_000_000

    monotonic = staticmethod(time.monotonic)


_second_text: tuple[int, str] = (-1, "")


def iso(milliseconds: int) -> str:
    """`1763829000123` → `2025-11-22T16:30:00.123Z`. The text of the current second is kept: most calls ask for it."""
    global _second_text
    second, fraction = divmod(milliseconds, 1000)
    if second != _second_text[0]:
        moment = datetime.fromtimestamp(second, timezone.utc)
        _second_text = (second, moment.strftime("%Y-%m-%dT%H:%M:%S."))
    return f"{_second_text[1]}{fraction:03d}Z"
