"""Limits at the door: so many requests of one kind in a while from one caller."""
from __future__ import annotations

import ipaddress
import math
from email.utils import formatdate
from functools import lru_cache

from gateway.config import Settings
from runtime.clock import Clock
from runtime.errors import TooMany

_MOST_KEYS = 50_000


class Limited(TooMany):
    """Refused by a limit; `headers` tell when to come back."""

    headers: dict[str, str]


class Door:
    """Counts requests in windows that open with the first one. Private addresses are not counted."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._windows: dict[tuple[str, str], tuple[int, int]] = {}
        self.limits_webhooks = bool(settings.rate_limit("webhooks_user") or settings.rate_limit("webhooks_workspace"))

    def admit(self, name: str, key: str | None, seconds: int = 60) -> dict[str, str]:
        """Headers that tell what is left of the limit `name` for `key`. Raises `Limited` when nothing is."""
        limit = self._settings.rate_limit(name)
        if limit is None or key is None:
            return {}
        now = self._clock.now()
        ends, used = self._windows.get((name, key), (0, 0))
        if ends <= now:
            ends, used = now + seconds * 1000, 0
            self._forget(now)
        headers = {"X-RateLimit-Limit": str(limit), "X-RateLimit-Remaining": str(max(0, limit - used - 1)),
                   "X-RateLimit-Reset": formatdate(ends / 1000, usegmt=True)}
        if used >= limit:
            wait = math.ceil((ends - now) / 1000)
            refused = Limited("Too many requests, try again later", {"retryAfter": wait})
            refused.headers = headers
            raise refused
        self._windows[name, key] = (ends, used + 1)
        return headers

    def _forget(self, now: int) -> None:
        """Keep the table small: drop what has ended, and everything when a flood leaves nothing else to drop."""
        if len(self._windows) < _MOST_KEYS:
            return
        self._windows = {key: window for key, window in self._windows.items() if window[0] > now}
        if len(self._windows) >= _MOST_KEYS:
            self._windows.clear()


@lru_cache(4096)
def public(address: str | None) -> str | None:
    """The address if it is one of the internet's, else None."""
    try:
        return address if address and not ipaddress.ip_address(address).is_private else None
    except ValueError:
        return None


class Proxies:
    """Whose X-Forwarded-For is believed."""

    def __init__(self, trusted: tuple[str, ...]) -> None:
        self._networks = tuple(ipaddress.ip_network(item, strict=False) for item in trusted)

    def caller(self, peer: str | None, forwarded: str | None) -> str | None:
        """The address of the caller: the last one that no proxy of ours has."""
        if not forwarded or not self._networks or not self._is_ours(peer):
            return peer
        for hop in reversed(forwarded.split(",")):
            peer = hop.strip()
            if not self._is_ours(peer):
                break
        return peer

    def _is_ours(self, address: str | None) -> bool:
        try:
            found = ipaddress.ip_address(address or "")
        except ValueError:
            return False
        return any(found in network for network in self._networks)
