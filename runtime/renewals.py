"""Waits that outlive the process: those of a delivery are kept until its automation has ended, and go on when it starts again.

The automation starts from its beginning, so the waits that were fulfilled are met again, too. Each is looked for from where it began: what
fulfilled it then fulfils it now, and so does what was accepted while nobody listened.
"""
from __future__ import annotations

from collections.abc import Iterable, Sequence
from hashlib import sha256
from typing import Any, NamedTuple

from runtime.instructions.step import At
from runtime.values import decode, encode
from runtime.waits import Pattern
from store.protocol import Store
from store.query import EventQuery, Is
from store.records import Wait, WaitEnded

_MOST = 1000
"""Waits kept for one delivery; those of an endless loop beyond that begin anew."""
_PAGE = 200


class Begun(NamedTuple):
    """A wait that was begun at some time: now, or by the process before. `since` is the position then, None for now."""

    wait: Wait
    since: int | None


class Renewals:
    """The waits of one delivery, in this process and in those before. A wait is the one of before when the same instruction asks for
    the same, as many times in."""

    __slots__ = ("_delivery_id", "_kept", "_times")

    def __init__(self, delivery_id: str, earlier: Iterable[Wait] = ()) -> None:
        self._delivery_id = delivery_id
        self._kept = {wait.id: wait for wait in earlier}
        self._times: dict[bytes, int] = {}

    def begin(self, workspace_id: str, correlation_id: str, slug: str, at: At, *, asked: dict[str, Any], expires_at: int, head: int) -> Begun | None:
        """None when too many are kept already."""
        asking = sha256(encode([slug, at, asked["oneOf"]])).digest()
        times = self._times[asking] = self._times.get(asking, 0) + 1
        id = f"{self._delivery_id}:{asking[:12].hex()}:{times}"
        earlier = self._kept.get(id)
        if earlier is not None:
            return Begun(earlier, decode(earlier.body)["since"])
        if len(self._kept) >= _MOST:
            return None
        body = encode({**asked, "delivery": self._delivery_id, "since": head})
        self._kept[id] = wait = Wait(id, workspace_id, correlation_id, expires_at, body)
        return Begun(wait, None)

    def end(self) -> list[WaitEnded]:
        """The delivery is done."""
        return [WaitEnded(id) for id in self._kept]


def by_delivery(waits: Iterable[Wait]) -> dict[str, tuple[Wait, ...]]:
    """Stored waits and whose they are; an empty text for those that nobody will renew."""
    found: dict[str, tuple[Wait, ...]] = {}
    for wait in waits:
        delivery = decode(wait.body).get("delivery") or ""
        found[delivery] = (*found.get(delivery, ()), wait)
    return found


async def missed(store: Store, workspace_id: str, patterns: Sequence[Pattern], *, since: int, until: int) -> dict[str, Any] | None:
    """The first stored event behind the position `since`, accepted before the time `until`, that fits one of `patterns`."""
    where = Is(("type",), tuple({pattern.event for pattern in patterns}))
    while True:
        page = await store.events(EventQuery(workspace_id, where, after=since, before_time=until, ascending=True, limit=_PAGE))
        for stored in page:
            event = decode(stored.body)
            if any(pattern.event == event["type"] and pattern.holds(event) for pattern in patterns):
                return event
        if len(page) < _PAGE:
            return None
        since = page[-1].position
