"""Being one node of several: joining, showing that one lives, noticing who does not, and coming back after having been taken for dead."""
from __future__ import annotations

import asyncio
import logging
from asyncio import Future
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Any, NamedTuple

from runtime.clock import Clock
from runtime.errors import TooBusy
from runtime.ids import Ids
from runtime.neighbours import Neighbours
from runtime.nodes import is_gone, named
from store.errors import Fenced, StoreError
from store.protocol import Cluster
from store.records import Delivery, Member

_log = logging.getLogger("motorik.membership")
_BEATS = 3
"""In one lease; as many have to be missed."""
_NOBODY = ""
"""Everybody who left, or never joined."""
_PATIENCE_SECONDS = 2.0
"""How long a call waits for a store that this node has not reached for a whole lease."""

TakeOver = Callable[[Sequence[Delivery]], None]


class _Seen(NamedTuple):
    """The beat of another node: since when it is this one, and how often it was looked at since."""

    number: int
    since: float
    looks: int


class Membership:
    """This node's place among the others. `on_inherit` gets the deliveries a dead node left; `on_fenced` drops what this node
    must not go on with, and `on_back` reads again what it missed."""

    def __init__(self, cluster: Cluster, member: Member, neighbours: Neighbours, clock: Clock, ids: Ids, *, lease_seconds: float,
                 on_inherit: TakeOver, on_fenced: Callable[[], Awaitable[None]], on_back: Callable[[], Awaitable[None]]) -> None:
        self.member = member
        self._cluster = cluster
        self._neighbours = neighbours
        self._clock = clock
        self._ids = ids
        self._lease = lease_seconds
        self._on_inherit = on_inherit
        self._on_fenced = on_fenced
        self._on_back = on_back
        self._watched: dict[str, _Seen] = {}
        self._heard_of_store = clock.monotonic()
        self._waker: Future[None] | None = None
        self._is_fenced = False
        self._is_in = False
        self.live_nodes = 1
        """With this one, as of the last beat."""

    async def join(self) -> None:
        """Under a name of its own; what the others do is kept until `proceed`."""
        self._neighbours.pause()
        self.member = named(self.member, self._ids)
        await self._cluster.join(self.member, self._neighbours.hear)
        self._heard_of_store = self._clock.monotonic()
        self._is_fenced = False

    async def proceed(self, head: int) -> None:
        """Everything up to this position was read: hear what came later, and see who left something behind."""
        self._neighbours.proceed(head)
        self._is_in = True
        try:
            await self._take_over(_NOBODY)
        except StoreError as error:
            _log.warning("what nobody has finished stays for now: %s", error)
        await self.look()

    async def catch_up(self) -> None:
        """See everything that was acknowledged anywhere before. Raises `TooBusy` while this node cannot."""
        if not self._is_in:
            raise TooBusy("This node is joining the others", {"retryAfter": 1})
        is_late = self._clock.monotonic() - self._heard_of_store > self._lease
        try:
            await (_within(self._clock, _PATIENCE_SECONDS, self._cluster.catch_up()) if is_late else self._cluster.catch_up())
        except Fenced as error:
            self.fenced()
            raise TooBusy("This node has to join the others again", {"retryAfter": 1}) from error
        except (StoreError, TimeoutError) as error:
            raise TooBusy("The server cannot reach its store at the moment", {"retryAfter": 1}) from error
        await self._neighbours.settled()

    def fenced(self) -> None:
        """A write was refused because the others have gone on without this node: stop at once, and come back."""
        self._is_fenced, self._is_in = True, False
        self._wake()

    async def run(self) -> None:
        """Beat and watch until cancelled."""
        while True:
            await self._rest()
            await self.look()

    async def look(self) -> None:
        """One beat. A node whose number stood still for a lease, and for several looks, is dead; so is one whose process is gone."""
        try:
            if self._is_fenced:
                raise Fenced("a write was refused")
            beats = await self._cluster.beat()
            self._heard_of_store = self._clock.monotonic()
            self.live_nodes = 1 + len(beats)
            for id in list(self._silent(beats)):
                await self._take_over(id)
        except Fenced:
            await self._come_back()
        except StoreError as error:
            _log.warning("the other nodes cannot be seen: %s", error)

    async def leave(self) -> None:
        self._is_in = False
        try:
            await self._cluster.leave()
        except StoreError as error:
            _log.warning("the other nodes have to wait for the end of a lease: %s", error)

    def _silent(self, beats: dict[str, int]) -> Iterator[str]:
        """Nodes that are dead, and those that left: they may not have finished everything."""
        now = self._clock.monotonic()
        yield from self._watched.keys() - beats.keys()
        for id, number in beats.items():
            seen = self._watched.get(id)
            if seen is None or seen.number != number:
                seen = _Seen(number, now, 0)
            else:
                seen = seen._replace(looks=seen.looks + 1)
            self._watched[id] = seen
            # Looks are counted because after a sleep of this machine the clock alone would tell that everybody is dead.
            if seen.looks >= _BEATS and now - seen.since >= self._lease or is_gone(id, self.member.host):
                yield id

    async def _take_over(self, id: str) -> None:
        deliveries = await self._cluster.take_over(id)
        self._watched.pop(id, None)
        if id:
            _log.info("node %s is gone", id)
        if deliveries:
            _log.warning("%d deliveries that were not finished are started again here", len(deliveries))
            self._on_inherit(deliveries)

    async def _come_back(self) -> None:
        """Nothing this node had begun may go on: the others have started it again."""
        _log.error("node %s was taken for dead; it drops its runs and joins again", self.member.id)
        self._is_in = False
        await self._on_fenced()
        while not self._is_in:
            try:
                await self.join()
                await self._on_back()
                self._is_in = True
            except StoreError as error:
                _log.warning("joining again did not succeed: %s", error)
                await self._rest()

    async def _rest(self) -> None:
        """Until the next beat is due, or something happened."""
        waker = self._waker = asyncio.get_running_loop().create_future()
        timer = self._clock.call_later(self._lease / _BEATS, self._wake)
        if self._is_fenced and self._is_in:
            self._wake()
        try:
            await waker
        finally:
            timer.cancel()

    def _wake(self) -> None:
        if self._waker is not None and not self._waker.done():
            self._waker.set_result(None)


async def _within(clock: Clock, seconds: float, work: Awaitable[Any]) -> None:
    """Raises `TimeoutError`."""
    task = asyncio.ensure_future(work)
    late: list[bool] = []
    timer = clock.call_later(seconds, lambda: late.append(True) or task.cancel())
    try:
        await task
    except asyncio.CancelledError:
        if late:
            raise TimeoutError from None
        raise
    finally:
        timer.cancel()
