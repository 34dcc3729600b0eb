"""How often something was used lately: sliding windows, in memory, for the `rateLimit` instruction."""
from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field
from typing import Any

# Up to so many uses each is remembered by its own time; beyond, uses that fall into the same thousandth of the window
# share one mark. So a key never takes more than about a thousand marks, whatever its limit.
_EXACT_USES = 1000
_SWEEP_AT = 1000


@dataclass(slots=True)
class _Uses:
    """The uses of one key, as (milliseconds, how many), oldest first."""

    marks: deque[tuple[int, int]] = field(default_factory=deque)
    total: int = 0
    forgotten_at: int = 0
    """From then on nothing is left in the window."""

    def expire(self, before_ms: int) -> None:
        while self.marks and self.marks[0][0] <= before_ms:
            self.total -= self.marks.popleft()[1]

    def add(self, now_ms: int, grain_ms: int) -> None:
        self.total += 1
        if self.marks and now_ms - self.marks[-1][0] < grain_ms:
            at, uses = self.marks[-1]
            self.marks[-1] = at, uses + 1
        else:
            self.marks.append((now_ms, 1))

    def oldest(self, count: int) -> int:
        """When the last of the `count` oldest uses was."""
        at = 0
        for at, uses in self.marks:
            count -= uses
            if count <= 0:
                break
        return at


class SlidingWindow:
    """Counts uses by key. Holds at most `max_keys` of them: beyond that those not used for longest are forgotten."""

    def __init__(self, max_keys: int = 100_000) -> None:
        self._max_keys = max_keys
        self._sweep_at = min(_SWEEP_AT, max_keys)
        self._uses: dict[tuple[Any, ...], _Uses] = {}

    def take(self, key: tuple[Any, ...], limit: int, window_seconds: float, now_ms: int) -> dict[str, Any]:
        """`{ok, retryAfter, remaining, limit, window}`; a use that is refused does not count, `retryAfter` is in whole seconds."""
        window_ms = math.ceil(window_seconds * 1000)
        uses = self._uses.pop(key, None) or _Uses()
        uses.expire(now_ms - window_ms)
        is_ok, retry_after = uses.total < limit, 0
        if is_ok:
            uses.add(now_ms, 1 if limit <= _EXACT_USES else max(1, window_ms // _EXACT_USES))
            uses.forgotten_at = now_ms + window_ms
        else:
            taken_at = uses.oldest(uses.total - limit + 1) if limit > 0 else now_ms
            retry_after = math.ceil((taken_at + window_ms - now_ms) / 1000)
        if uses.marks:
            if len(self._uses) >= self._sweep_at:
                self._sweep(now_ms)
            self._uses[key] = uses  # at the end: the order of the map is that of the last use
        return {"ok": is_ok, "retryAfter": retry_after, "remaining": max(0, limit - uses.total), "limit": limit, "window": window_seconds}

    def _sweep(self, now_ms: int) -> None:
        """Forget the keys whose window is empty, and a quarter of them all if that leaves too many.

        The next sweep comes at twice what this one left, so that a use pays for it next to nothing.
        """
        self._uses = {key: uses for key, uses in self._uses.items() if uses.forgotten_at > now_ms}
        most = self._max_keys * 3 // 4
        for key in [*self._uses][:max(0, len(self._uses) - most)]:
            del self._uses[key]
        self._sweep_at = min(max(_SWEEP_AT, 2 * len(self._uses)), self._max_keys)
