"""How many frames a client may send: so many a second, and some more at once."""
from __future__ import annotations

from runtime.clock import Clock


class Pace:
    __slots__ = ("_clock", "_rate", "_burst", "_left", "_at")

    def __init__(self, clock: Clock, *, rate: float, burst: float) -> None:
        self._clock = clock
        self._rate = rate
        self._burst = self._left = burst
        self._at = clock.monotonic()

    def admits(self) -> bool:
        """Count one frame; False when it is one too many."""
        now = self._clock.monotonic()
        self._left = min(self._burst, self._left + (now - self._at) * self._rate)
        self._at = now
        if self._left < 1:
            return False
        self._left -= 1
        return True
