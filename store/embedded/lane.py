"""A thread that takes whatever is waiting as one group of jobs and wakes the event loop once for all their answers."""
from __future__ import annotations

import threading
from asyncio import AbstractEventLoop, Event, Future
from collections.abc import Callable, Sequence
from queue import SimpleQueue
from typing import Any

from store.errors import Unavailable

Work = Callable[[Sequence[Any]], Sequence[Any]]
"""Does the jobs of a group; an answer that is an exception is raised at the one who waits for it."""


_REST_SECONDS = 0.002
"""Between two groups under load: those whose answers just left join the next one, so there are half as many of them."""


class Lane:
    """One group is under way at a time; the jobs that arrive meanwhile are the next one.

    The loop hands groups over by itself, so nothing here needs a lock, and a busy loop makes groups larger. `after` is
    called in the loop between two groups, while the thread rests.
    """

    def __init__(self, name: str, loop: AbstractEventLoop, work: Work, *,
                 after: Callable[[], None] | None = None) -> None:
        self._loop = loop
        self._work = work
        self._after = after
        self._waiting: list[tuple[Any, Future[Any]]] = []
        self._is_busy = False
        self._is_closed = False
        self._idle = Event()
        self._idle.set()
        self._groups: SimpleQueue[list[tuple[Any, Future[Any]]] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._serve, name=name, daemon=True)
        self._thread.start()

    def submit(self, job: Any) -> Future[Any]:
        """The answer to `job`, which takes its turn whether somebody still waits for it or not."""
        future = self._loop.create_future()
        if self._is_closed:
            future.set_exception(Unavailable("the store is closed"))
            return future
        self._waiting.append((job, future))
        if not self._is_busy:
            self._is_busy = True
            self._idle.clear()
            self._loop.call_soon(self._hand_over)      # not at once: the rest of this turn of the loop comes along
        return future

    async def close(self) -> None:
        """Finish what was submitted, then end the thread."""
        self._is_closed = True
        await self._idle.wait()
        if self._thread.is_alive():
            self._groups.put(None)
            self._thread.join()

    def _hand_over(self) -> None:
        group, self._waiting = self._waiting, []
        self._groups.put(group)

    def _serve(self) -> None:
        while (group := self._groups.get()) is not None:
            try:
                answers = self._work([job for job, _ in group])
            except Exception as failure:  # noqa: BLE001 - the edge of the thread: those who wait must hear of it
                answers = [failure] * len(group)
            try:
                self._loop.call_soon_threadsafe(self._settle, group, answers)
            except RuntimeError:                       # the loop is gone, and with it everybody who waits
                return

    def _settle(self, group: list[tuple[Any, Future[Any]]], answers: Sequence[Any]) -> None:
        for (_, future), answer in zip(group, answers, strict=True):
            if future.done():                          # cancelled
                continue
            if isinstance(answer, Exception):
                future.set_exception(answer)
            else:
                future.set_result(answer)
        if self._after is not None:
            self._after()
        if self._waiting:
            self._loop.call_later(_REST_SECONDS, self._hand_over)
        else:
            self._is_busy = False
            self._idle.set()
