"""Limits at the door: so many requests of one kind in a while from one caller, whichever nodes they come to."""
from __future__ import annotations

import hashlib
import ipaddress
import math
from email.utils import formatdate
from functools import lru_cache

from aiohttp import web

from gateway.config import Settings
from gateway.tallies import Tallies
from runtime.clock import Clock
from runtime.errors import TooMany

LIMIT_HEADERS = web.RequestKey("limit_headers", dict[str, str])
"""What the answer to a request tells of the limit that it is nearest to."""

_MOST_KEYS = 50_000
_PRIVATE = tuple(ipaddress.ip_network(network) for network in (
    "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "127.0.0.0/8", "169.254.0.0/16", "::1/128", "fe80::/10", "fc00::/7"))
_HOUSEHOLD_BITS = 64
"""What one subscriber gets of IPv6; counting single addresses would count nobody."""


class Limited(TooMany):
    """Refused by a limit; `headers` tell when to come back."""

    headers: dict[str, str]


class Door:
    """Counts requests in windows that open with the first one. `tallies` are for one node among several."""

    def __init__(self, settings: Settings, clock: Clock, tallies: Tallies | None = None) -> None:
        self._settings = settings
        self._clock = clock
        self._tallies = tallies
        self._windows: dict[str, tuple[int, int]] = {}
        self.limits_webhooks = bool(settings.rate_limit("webhooks_user") or settings.rate_limit("webhooks_workspace"))

    def admit(self, name: str, key: str | None, seconds: int = 60, *, request: web.Request | None = None) -> dict[str, str]:
        """For what is done often: other nodes hear of it a moment later. Count it against the limit `name` for `key`; without a key
        there is none. Headers that tell what is left, which the answer to `request` will have. Raises `Limited`."""
        limit = self._settings.rate_limit(name)
        if limit is None or key is None:
            return {}
        whom, used, others, ends = self._count(name, key, limit, seconds)
        if self._tallies is not None and used + others <= limit:
            self._tallies.tell(whom, used, ends)
        return self._judge(limit, used + others, ends, request)

    async def enter(self, request: web.Request, name: str, key: str | None, seconds: int = 60) -> None:
        """For what is done seldom: the same, and however many nodes are asked at once, they let in no more together."""
        limit = self._settings.rate_limit(name)
        if limit is None or key is None:
            return
        whom, used, others, ends = self._count(name, key, limit, seconds)
        total = used + others
        if self._tallies is not None and total <= limit:
            total = await self._tallies.agree(whom, used, ends)
        self._judge(limit, total, ends, request)

    def _count(self, name: str, key: str, limit: int, seconds: int) -> tuple[str, int, int, int]:
        """Who, how often with this time here and elsewhere, and until when. What is refused is not kept."""
        now = self._clock.now()
        whom = f"{name} {key}" if self._tallies is None else _digest(f"{name} {key}")
        others, others_end = self._tallies.elsewhere(whom) if self._tallies is not None else (0, 0)
        ends, used = self._windows.get(whom, (0, 0))
        if ends <= now:
            ends, used = others_end or now + seconds * 1000, 0
            self._forget(now)
        if used + others < limit:
            self._windows[whom] = (ends, used + 1)
        return whom, used + 1, others, ends

    def _judge(self, limit: int, total: int, ends: int, request: web.Request | None) -> dict[str, str]:
        headers = {"X-RateLimit-Limit": str(limit), "X-RateLimit-Remaining": str(max(0, limit - total)),
                   "X-RateLimit-Reset": formatdate(ends / 1000, usegmt=True)}
        if total > limit:
            refused = Limited("Too many requests, try again later", {"retryAfter": math.ceil((ends - self._clock.now()) / 1000)})
            refused.headers = headers
            raise refused
        if request is not None:
            before = request.get(LIMIT_HEADERS)
            if before is None or limit - total < int(before["X-RateLimit-Remaining"]):
                request[LIMIT_HEADERS] = headers
        return headers

    async def close(self) -> None:
        if self._tallies is not None:
            await self._tallies.close()

    def _forget(self, now: int) -> None:
        """Keep the table small: drop what has ended, and everything when a flood leaves nothing else to drop."""
        if len(self._windows) < _MOST_KEYS:
            return
        self._windows = {key: window for key, window in self._windows.items() if window[0] > now}
        if len(self._windows) >= _MOST_KEYS:
            self._windows.clear()


def _digest(text: str) -> str:
    """Addresses of people are nobody's business in the store."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]


@lru_cache(4096)
def public(address: str | None) -> str | None:
    """What a caller without a name is counted by: the address if it is one of the internet's, of IPv6 its network; else None."""
    try:
        found = ipaddress.ip_address(address or "")
    except ValueError:
        return None
    found = getattr(found, "ipv4_mapped", None) or found
    if any(found in network for network in _PRIVATE):
        return None
    return str(found) if found.version == 4 else str(ipaddress.ip_network((found, _HOUSEHOLD_BITS), strict=False))


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
