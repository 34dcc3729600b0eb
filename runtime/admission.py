"""Who may start a run: so many at once on this node, so many of them for one workspace; the others wait for their turn."""
from __future__ import annotations

import asyncio
from asyncio import Future
from collections.abc import Callable
from typing import TYPE_CHECKING

from runtime.errors import TooBusy

if TYPE_CHECKING:
    from runtime.run import Reply

_MOST_WAITING, _MOST_WAITING_OF_ONE = 10_000, 5_000


class Admission:
    """First come, first served within a workspace; between workspaces the turns go round, so that nobody starves.

    Whenever there is room, everybody whose workspace has room is inside: only the leaving of somebody lets somebody in.
    """

    def __init__(self, most: int, most_of_one: int, *, on_empty: Callable[[], None]) -> None:
        """`on_empty` is called when the last one leaves after `close`."""
        self.inside = 0
        self.waiting = 0
        self._most = most
        self._most_of_one = most_of_one
        self._on_empty = on_empty
        self._inside_of: dict[str, int] = {}
        self._queues: dict[str, dict[Future[None], None]] = {}
        """By workspace; the one whose turn is next comes first."""
        self._is_closed = False

    def may_enter(self, workspace_id: str) -> bool:
        """Count a call in, if there is room; then `leave` must follow."""
        inside = self._inside_of.get(workspace_id, 0)
        if self.inside < self._most and inside < self._most_of_one and not self._is_closed:
            self.inside += 1
            self._inside_of[workspace_id] = inside + 1
            return True
        return False

    async def enter(self, workspace_id: str) -> None:
        """Wait for room; then `leave` must follow. Raises `TooBusy` when too many wait or the node is stopping."""
        if self.may_enter(workspace_id):
            return
        queue = self._queues.get(workspace_id)
        if self._is_closed:
            raise _stopping()
        if self.waiting >= _MOST_WAITING or queue is not None and len(queue) >= _MOST_WAITING_OF_ONE:
            raise TooBusy("Too many calls are waiting", {"retryAfter": 1})
        turn: Future[None] = asyncio.get_running_loop().create_future()
        if queue is None:
            queue = self._queues[workspace_id] = {}
        queue[turn] = None
        self.waiting += 1
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                if turn.exception() is None:
                    self.leave(workspace_id)
            else:
                self._remove(workspace_id, queue, turn)
            raise

    def leave(self, workspace_id: str) -> None:
        self.inside -= 1
        left = self._inside_of[workspace_id] - 1
        if left:
            self._inside_of[workspace_id] = left
        else:
            del self._inside_of[workspace_id]
        if self._queues:
            self._let_in()
        if not self.inside and self._is_closed:
            self._on_empty()

    def leave_after(self, workspace_id: str, reply: Reply | None) -> None:
        """Leave once what the reply is for has ended: a run that goes on without its caller keeps its place."""
        if reply is None or reply.is_over:
            self.leave(workspace_id)
        else:
            reply.ended = asyncio.get_running_loop().create_future()
            reply.ended.add_done_callback(lambda ended: self.leave(workspace_id))

    def close(self) -> None:
        """Nobody may come any more; those who wait still have their turns."""
        self._is_closed = True

    def turn_away(self) -> None:
        """Those who still wait are told that it is too late."""
        for queue in self._queues.values():
            for turn in queue:
                turn.set_exception(_stopping())
        self._queues.clear()
        self.waiting = 0

    def _let_in(self) -> None:
        """The first of the first workspace that has room; then it is the turn of all others."""
        for workspace_id, queue in self._queues.items():
            inside = self._inside_of.get(workspace_id, 0)
            if inside < self._most_of_one:
                turn = next(iter(queue))
                self._remove(workspace_id, queue, turn)
                if queue:
                    self._queues[workspace_id] = self._queues.pop(workspace_id)
                self.inside += 1
                self._inside_of[workspace_id] = inside + 1
                turn.set_result(None)
                return

    def _remove(self, workspace_id: str, queue: dict[Future[None], None], turn: Future[None]) -> None:
        del queue[turn]
        self.waiting -= 1
        if not queue:
            del self._queues[workspace_id]


def _stopping() -> TooBusy:
    return TooBusy("The server is stopping", {"retryAfter": 1})
