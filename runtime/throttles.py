"""How fast the runs of a workspace may work: what comes too fast waits for its turn, and never fails.

Each workspace has a bucket of tokens for each kind of thing that has a rate. Whoever takes a token that is not there yet waits until it
is, in the order of asking; the buckets of other workspaces know nothing of it.
"""
from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, NamedTuple

from runtime.clock import Clock
from runtime.secrets import RATES
from runtime.settings import RuntimeSettings

if TYPE_CHECKING:
    from runtime.run import Run
    from runtime.space import Space
    from runtime.workspace import Workspace

AUTOMATIONS, EMITS, FETCHS, REPEATS = KINDS = ("automations", "emits", "fetchs", "repeats")

_log = logging.getLogger("motorik.throttles")
_COUNTED_MS, _LOGGED_MS = 1, 10
_YES = frozenset(("true", "yes", "y", "1"))


class Rate(NamedTuple):
    """So many a second, and so many at once after a rest."""

    per_second: float
    burst: float


class Bucket:
    """The tokens of one kind. It starts full, and owes those that are waited for."""

    __slots__ = ("_tokens", "_at")

    def __init__(self) -> None:
        self._tokens = float("inf")
        self._at = 0.0

    def take(self, rate: Rate, now: float) -> float:
        """Take one token; the seconds until it is there."""
        tokens = min(rate.burst, self._tokens + (now - self._at) * rate.per_second)
        self._tokens, self._at = tokens - 1, now
        return 0.0 if tokens >= 1 else (1 - tokens) / rate.per_second

    def give_back(self) -> None:
        """Somebody who waited for a token does not want it any more."""
        self._tokens += 1


class Limits:
    """The rates of one revision of a workspace, and the buckets, which outlive it."""

    __slots__ = ("workspace", "rates", "buckets", "clock")

    def __init__(self, workspace: Workspace, rates: Mapping[str, Rate], buckets: dict[str, Bucket], clock: Clock) -> None:
        self.workspace = workspace
        self.rates = rates
        self.buckets = buckets
        self.clock = clock


class Throttles:
    """The limits of every workspace on this node."""

    def __init__(self, settings: RuntimeSettings, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._rates = {kind: Rate(getattr(settings, f"rate_limit_{kind}"), getattr(settings, f"rate_limit_{kind}_burst")) for kind in KINDS}
        self.live_nodes: Callable[[], int] = lambda: 1

    def of(self, space: Space) -> Limits | None:
        """What holds for runs that start now; None when they may do as they please, as they nearly always may."""
        limits = space.limits
        if limits is None or limits.workspace is not space.workspace:
            buckets = limits.buckets if limits else {kind: Bucket() for kind in KINDS}
            limits = space.limits = Limits(space.workspace, self._of_revision(space.workspace), buckets, self._clock)
        return limits if limits.rates else None

    def share(self, rate: Rate) -> Rate:
        """The part of a rate that is this node's."""
        nodes = self.live_nodes() if self._settings.rate_limit_scope == "cluster" else 1
        return rate if nodes <= 1 else Rate(rate.per_second / nodes, max(1.0, rate.burst / nodes))

    def _of_revision(self, workspace: Workspace) -> dict[str, Rate]:
        secrets = workspace.secrets
        if self._settings.rate_limit_disabled or str(secrets.get(RATES + "disabled", "")).lower() in _YES:
            return {}
        rates = {kind: Rate(_given(secrets, kind, rate.per_second), max(1.0, _given(secrets, kind + "_burst", rate.burst)))
                 for kind, rate in self._rates.items()}
        return {kind: rate for kind, rate in rates.items() if rate.per_second}


def _given(secrets: Mapping[str, str], name: str, otherwise: float) -> float:
    """The number that a secret of the workspace says instead; one that cannot be read says nothing."""
    try:
        number = float(secrets.get(RATES + name, otherwise))
    except ValueError:
        return otherwise
    return number if 0 <= number < float("inf") else otherwise


class Throttle:
    """What slows one invocation of an automation down, its branches included, and for how long it has."""

    __slots__ = ("waited_ms", "_run", "_limits")

    def __init__(self, run: Run, limits: Limits) -> None:
        self.waited_ms = 0.0
        self._run = run
        self._limits = limits

    def turn(self, kind: str) -> Awaitable[None] | None:
        """The place in the queue is taken now; None when it is at the front. Whoever asks awaits what it gets."""
        rate = self._limits.rates.get(kind)
        if rate is None:
            return None
        bucket = self._limits.buckets[kind]
        seconds = bucket.take(self._run.services.throttles.share(rate), self._limits.clock.monotonic())
        return self._wait(kind, bucket, seconds) if seconds else None

    async def _wait(self, kind: str, bucket: Bucket, seconds: float) -> None:
        clock = self._limits.clock
        self._run.flush()
        began = clock.monotonic()
        try:
            await clock.sleep(seconds)
        except asyncio.CancelledError:
            bucket.give_back()
            raise
        waited = (clock.monotonic() - began) * 1000
        if waited > _COUNTED_MS:
            self.waited_ms += waited
            self._run.services.signals.throttled(self._run.space.id, waited)
        if waited > _LOGGED_MS:
            _log.debug("workspace %s waited %d ms for its %s", self._run.space.id, waited, kind)
