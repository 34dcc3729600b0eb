"""The live feed of one workspace: who wants to hear of which events.

Subscriptions with equal conditions are one group, evaluated once per event; groups that name event types are found by the type.
"""
from __future__ import annotations

from collections import deque
from collections.abc import Callable

from runtime.clock import Clock
from runtime.envelope import LiveEvent
from store.query import All, Condition, Is, Predicate, predicate

Deliver = Callable[[LiveEvent], None]


class _Group:
    __slots__ = ("condition", "holds", "members", "types")

    def __init__(self, condition: Condition) -> None:
        self.condition = condition
        self.holds: Predicate = predicate(condition)
        self.members: dict[Subscription, Deliver] = {}
        self.types = _types(condition)


class Subscription:
    """Somebody's place in the feed."""

    __slots__ = ("_feed", "_group", "__weakref__")

    def __init__(self, feed: Feed, group: _Group) -> None:
        self._feed = feed
        self._group = group

    def close(self) -> None:
        """No event is delivered after this. Closing twice is fine."""
        self._feed._leave(self, self._group)


class Feed:
    """Events of one workspace, in the order of their positions, to everybody whose condition holds."""

    def __init__(self, clock: Clock, *, keep: int, keep_seconds: float) -> None:
        self.head = 0
        """Position of the last event published."""
        self._clock = clock
        self._keep_seconds = keep_seconds
        self._groups: dict[Condition, _Group] = {}
        self._by_type: dict[str, list[_Group]] = {}
        self._others: list[_Group] = []
        self._volatile: deque[tuple[float, LiveEvent]] = deque(maxlen=keep)

    def subscribe(self, condition: Condition, deliver: Deliver) -> Subscription:
        """`deliver` is called for each matching event, on the loop, after the event is durable."""
        group = self._groups.get(condition)
        if group is None:
            group = self._groups[condition] = _Group(condition)
            for listing in self._listings(group):
                listing.append(group)
        subscription = Subscription(self, group)
        group.members[subscription] = deliver
        return subscription

    def publish(self, live: LiveEvent) -> None:
        if live.persistent:
            self.head = live.position
        else:
            live.position = self.head
            self._volatile.append((self._clock.monotonic(), live))
        if not self._groups:
            return
        for group in (*self._by_type.get(live.type, ()), *self._others):
            if group.holds(live.event, live.body):
                for deliver in tuple(group.members.values()):
                    deliver(live)

    def volatile(self) -> list[LiveEvent]:
        """Recent events that were never stored; `position` is that of the stored event they came after."""
        oldest = self._clock.monotonic() - self._keep_seconds
        while self._volatile and self._volatile[0][0] < oldest:
            self._volatile.popleft()
        return [live for _, live in self._volatile]

    def _listings(self, group: _Group) -> list[list[_Group]]:
        if group.types is None:
            return [self._others]
        return [self._by_type.setdefault(type, []) for type in group.types]

    def _leave(self, subscription: Subscription, group: _Group) -> None:
        group.members.pop(subscription, None)
        if not group.members and self._groups.get(group.condition) is group:
            del self._groups[group.condition]
            for listing in self._listings(group):
                listing.remove(group)
            for type in group.types or ():
                if not self._by_type[type]:
                    del self._by_type[type]


def _types(condition: Condition) -> frozenset[str] | None:
    """The only event types that can meet the condition; None when any may."""
    match condition:
        case Is(("type",), values):
            return frozenset(values)
        case All(parts):
            found = [types for part in parts if (types := _types(part)) is not None]
            return frozenset.intersection(*found) if found else None
    return None
