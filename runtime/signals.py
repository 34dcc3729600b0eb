"""What a node tells about itself while it works: plain numbers to be read at any time, whose request it is at, and where its time goes.

Counting is an addition where something happens; whoever wants the numbers comes and reads them. Nothing here is a fact: it is never
stored, and ends with the process.
"""
from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from typing import Any, Protocol

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
_MOST_WORKSPACES = 1000
OTHERS = "(others)"
"""Stands for the workspaces beyond the first thousand: what is counted for each of them must end somewhere."""


class Histogram:
    """How many durations, in seconds, were at most so long; the last count is of the longer ones."""

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: tuple[float, ...] = _SECONDS) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def observe(self, seconds: float) -> None:
        self.counts[bisect_left(self.bounds, seconds)] += 1
        self.total += seconds


class Spans(Protocol):
    """Somebody who wants to know what happens inside what, and how long it takes."""

    def around(self, name: str, attributes: Mapping[str, str], work: Callable[[], Any]) -> Any:
        """The result of `work`; when that is an awaitable, one that gives the same and belongs to the span."""


class Signals:
    """The numbers of one node. They only grow; `gauges` are asked when somebody wants to know."""

    __slots__ = ("runs", "automations", "failures", "instructions", "events", "run_seconds", "commit_seconds", "commits_failed",
                 "commits_waiting", "throttled_ms", "gauges", "spans")

    def __init__(self) -> None:
        self.runs = self.automations = self.failures = self.instructions = self.events = 0
        self.commits_failed = self.commits_waiting = 0
        self.run_seconds = Histogram()
        self.commit_seconds = Histogram()
        self.throttled_ms: dict[str, float] = {}
        """By workspace."""
        self.gauges: dict[str, Callable[[], float]] = {}
        self.spans: Spans | None = None
        """None while nobody wants to know, which costs nothing."""

    def throttled(self, workspace_id: str, milliseconds: float) -> None:
        """A run of this workspace was slowed down."""
        known = self.throttled_ms
        name = workspace_id if workspace_id in known or len(known) < _MOST_WORKSPACES else OTHERS
        known[name] = known.get(name, 0.0) + milliseconds


class Trail:
    """The request that whatever happens now goes back to."""

    __slots__ = ("correlation_id", "workspace_id", "route", "traceparent", "tracestate")

    def __init__(self, correlation_id: str, workspace_id: str | None = None, route: str = "", traceparent: str = "",
                 tracestate: str = "") -> None:
        self.correlation_id = correlation_id
        self.workspace_id = workspace_id
        self.route = route
        self.traceparent = traceparent
        """As the caller sent it, or as the span that was begun here says it; empty when nobody traces."""
        self.tracestate = tracestate

    def within(self, traceparent: str) -> Trail:
        """The same request, seen from a span of its own."""
        return Trail(self.correlation_id, self.workspace_id, self.route, traceparent, self.tracestate)

    def headers(self) -> dict[str, str]:
        """What a request that follows from this one has to carry on."""
        if not self.traceparent:
            return {}
        carried = {"traceparent": self.traceparent}
        if self.tracestate:
            carried["tracestate"] = self.tracestate
        return carried


TRAIL: ContextVar[Trail | None] = ContextVar("trail", default=None)
"""Follows tasks and callbacks from the request to whatever it sets off, the listeners of its events included."""


def trail_headers() -> dict[str, str]:
    """What the request at hand wants carried on to others; nothing where there is none."""
    trail = TRAIL.get()
    return trail.headers() if trail is not None else {}


def goes_on_as(correlation_id: str) -> None:
    """The request at hand belongs to an earlier run."""
    trail = TRAIL.get()
    if trail is not None:
        trail.correlation_id = correlation_id
