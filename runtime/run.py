"""The run actor: one per correlation id, the only one who changes what the run remembers.

Everything that one call or event set off happens in its run: parent and child automations, listeners of the events they emit. Its
facts (events, context changes) are buffered, and handed to the store before the run lets anybody else have the loop.
"""
from __future__ import annotations

import asyncio
import logging
from asyncio import Future, Task
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

from runtime.calls import NOBODY, Identity, Origin
from runtime.contexts import Cell
from runtime.envelope import Draft, LiveEvent
from runtime.errors import AutomationsError, Internal, OverBudget, TooBusy
from runtime.frame import Frame
from runtime.language.automation import Automation
from runtime.mailbox import Actor
from runtime.redaction import Redactor
from runtime.renewals import Renewals
from runtime.services import Services
from runtime.space import Space
from runtime.values import UNDEFINED
from runtime.view import View
from store.records import ContextKey, Delivered, Fact, Wait

_log = logging.getLogger("motorik.run")
_OWN_USER, _OWN_SESSION = (ContextKey("", name, "") for name in ("user", "session"))
"""Keys of documents that live and die with their run: they are never stored."""
_SLICE = 2000
"""Instructions between two looks at whether others wait for the loop: a millisecond or two."""


@dataclass(slots=True)
class Reply:
    """How the caller of an automation learns of its end: `ended` is done when the last facts are handed over."""

    value: Any = UNDEFINED
    error: AutomationsError | None = None
    committed: Future[int] | None = None
    ended: Future[None] | None = None
    is_over: bool = False

    def close(self) -> None:
        self.is_over = True
        if self.ended is not None and not self.ended.done():
            self.ended.set_result(None)


class Start(NamedTuple):
    """Run an automation in this run, with these variables."""

    automation: Automation
    variables: dict[str, Any]
    origin: Origin
    trigger: dict[str, Any]
    depth: int = 1
    delivery_id: str | None = None
    reply: Reply | None = None
    announce: tuple[tuple[str, dict[str, Any]], ...] = ()
    """Native events that precede the automation."""
    session: tuple[str, str | None] | None = None
    """Session and user id of the event that starts it, whose identity is still to be found."""
    earlier: tuple[Wait, ...] = ()
    """What it waited for when its delivery was started before."""


class Finished(NamedTuple):
    """A frame that something outside started has ended."""

    frame: Frame
    start: Start
    error: AutomationsError | None


class Interrupted(NamedTuple):
    """The process is stopping before a frame has ended: its caller is told, its delivery stays open."""

    start: Start


class Run(Actor):
    """Frames wait for the run; the run never waits for a frame."""

    __slots__ = ("services", "space", "correlation_id", "cell", "limits", "redactor", "open", "_drafts", "_facts", "_views", "_nobody",
                 "_sockets", "_tasks", "_slice", "_spent", "_bury", "rev", "_last_commit", "untold", "is_resumed", "is_abandoned", "waiting",
                 "has_lost", "_deliveries")

    def __init__(self, services: Services, space: Space, correlation_id: str, cell: Cell, bury: Callable[[Run], None]) -> None:
        super().__init__()
        self.services = services
        self.space = space
        self.correlation_id = correlation_id
        self.limits = services.throttles.of(space)
        self.cell = cell
        self.redactor = Redactor(space.hidden_texts)
        self.open = 0
        self.rev = 0
        self._drafts: list[Draft] = []
        self._facts: list[Fact] = []
        self._views: dict[str, View] = {}
        self._nobody: View | None = None
        self._sockets: dict[ContextKey, Cell] = {}
        self._tasks: set[Task[Any]] = set()
        self.waiting: list[int] = []
        """When the waits of its frames end, at the latest."""
        self._slice = _SLICE
        self._spent = 0
        self._bury = bury
        self._last_commit: Future[int] | None = None
        self.has_lost = False
        """A batch of this run was not written."""
        self.untold = 0
        """Batches that were handed over and of which not everybody has heard."""
        self._deliveries: dict[str, Renewals] = {}
        """Those whose automation has not ended."""
        self.is_resumed = False
        """There may have been a run of this correlation id before, which left something."""
        self.is_abandoned = False

    # --- messages ---------------------------------------------------------------------------------

    def receive(self, message: Any) -> None | Awaitable[None]:
        match message:
            case Start():
                if message.delivery_id is not None:
                    self._deliveries[message.delivery_id] = Renewals(message.delivery_id, message.earlier)
                view = self._views.get(message.session[0]) if message.session else self.view_of(message.origin.identity)
                if view is not None:
                    origin = message.origin if message.session is None else message.origin._replace(identity=view.identity)
                    socket = self.socket_of(origin)
                    if socket is not None:
                        return self._open_frame(message, origin, view, socket)
                return self._load_then_open(message)
            case Finished():
                return self._close_frame(message)
            case Interrupted():
                return self._interrupt(message.start)
        raise TypeError(f"a run does not understand {message!r}")

    async def _load_then_open(self, start: Start) -> None:
        self.open += 1
        try:
            origin = start.origin
            if start.session is not None:
                origin = origin._replace(identity=await self.services.identify(self.space.workspace, *start.session))
            view = await self.load_view(origin.identity)
            socket = await self.load_socket(origin)
        except BaseException:
            self._give_up(start, TooBusy("The contexts of the run cannot be read at the moment", {"retryAfter": 1}))
            self.open -= 1
            if start.delivery_id is not None and not self.is_abandoned:
                del self._deliveries[start.delivery_id]
                self.services.bus.on_left([start.delivery_id])
            self._rest_in_peace()
            raise
        self.open -= 1
        self._open_frame(start, origin, view, socket)

    def _give_up(self, start: Start, error: AutomationsError) -> None:
        if start.reply is not None:
            start.reply.error = error
            start.reply.close()

    def _open_frame(self, start: Start, origin: Origin, view: View, socket: Cell) -> None:
        if self.is_abandoned:
            self._give_up(start, _gone())
            return
        self.open += 1
        frame = Frame(self, start.automation, start.variables, view.copy(), origin, socket, start.trigger, start.depth, start.delivery_id)
        self.redactor.add(frame.instance.home.hidden_texts)
        frame.hide_arguments()
        for type, payload in start.announce:
            frame.announce(type, payload)
        try:
            spans = self.services.signals.spans
            pending = frame.begin() if spans is None else spans.around("run", {"trigger": start.trigger["type"]}, frame.begin)
        except AutomationsError as error:
            self.note(Finished(frame, start, error))
            return
        except Exception:                                 # an edge: one frame fails, its run and its neighbours go on
            self.note(Finished(frame, start, self._fault()))
            return
        if hasattr(pending, "__await__"):
            self.hold(self._carry_on(frame, start, pending))
        else:
            self.note(Finished(frame, start, None))

    async def _carry_on(self, frame: Frame, start: Start, pending: Awaitable[Any]) -> None:
        error: AutomationsError | None = None
        try:
            await pending
        except AutomationsError as failure:
            error = failure
        except Exception:
            error = self._fault()
        except asyncio.CancelledError:
            self.note(Interrupted(start))
            raise
        self.note(Finished(frame, start, error))

    def _fault(self) -> AutomationsError:
        _log.exception("an automation of workspace %s failed by a fault of the server", self.space.id)
        return Internal()

    def _close_frame(self, finished: Finished) -> None:
        """The run's last facts and the end of its delivery are one batch."""
        start, error = finished.start, finished.error
        self.open -= 1
        self.services.signals.run_seconds.observe((self.services.clock.now() - finished.frame.started_at) / 1000)
        if error is not None:
            finished.frame.executed(error)
            finished.frame.fail(error)
        if start.delivery_id is not None:
            self._facts.append(Delivered(start.delivery_id))
            renewals = self._deliveries.pop(start.delivery_id, None)
            self._facts += renewals.end() if renewals is not None else ()
        if not self.open:
            self.live_on()
        committed = self.flush()
        if self.is_abandoned:
            error = _gone()
        if start.reply is not None:
            start.reply.value, start.reply.error, start.reply.committed = finished.frame.value, error, committed
            start.reply.close()
        self._rest_in_peace()

    def _interrupt(self, start: Start) -> None:
        self.open -= 1
        self._give_up(start, _gone() if self.is_abandoned else TooBusy("The server is stopping", {"retryAfter": 1}))
        self.flush()

    def abandon(self) -> None:
        """This run may not write any more: nothing that is done from now on is told to anybody."""
        self.is_abandoned = True
        self._drafts, self._facts = [], []

    async def cancel(self) -> None:
        """Stop whatever waits, and hand over what it leaves. Deliveries that did not end are started again by the next process."""
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def unfinished(self) -> list[str]:
        """The deliveries that were begun here, or wait for their turn, and have not ended."""
        waiting = [command.delivery_id for command in self._commands or () if command.delivery_id is not None]
        return [*self._deliveries, *waiting]

    def renewals(self, delivery_id: str | None) -> Renewals | None:
        """The waits of a delivery; None without one, and for what goes on after the automation that it started has ended."""
        return self._deliveries.get(delivery_id) if delivery_id is not None else None

    # --- facts ------------------------------------------------------------------------------------

    def draft(self, draft: Draft) -> None:
        self._drafts.append(draft)

    def fact(self, fact: Fact) -> None:
        self._facts.append(fact)

    def live_on(self) -> None:
        """What `run` holds lives as long as something waits in the run, and then its usual time."""
        if self.cell.document:
            now = self.services.clock.now()
            end = max(now, *self.waiting) if self.waiting else now
            self.cell.outlive(now)
            self._facts.append(self.cell.write("merge", (), {}, end + int(self.services.settings.context_run_expire_time * 1000)))

    def flush(self) -> Future[int] | None:
        """Hand over what is buffered. The future of the last batch, None when the run has written nothing yet."""
        if self._drafts or self._facts:
            if self.is_abandoned:
                self._drafts, self._facts = [], []
            else:
                self._hand_over()
        return self._last_commit

    def flush_event(self) -> tuple[Future[int], LiveEvent]:
        """Hand over what is buffered, the last event of which the caller wants to see accepted."""
        live = self._hand_over()
        return self._last_commit, live[-1]

    def _hand_over(self) -> list[LiveEvent]:
        drafts, facts = self._drafts, self._facts
        self._drafts, self._facts = [], []
        if self.is_abandoned:
            raise _gone()
        ownership = self.services.ownership
        if ownership is not None and (self.open or self._tasks or self._commands):
            facts[:0] = ownership.take((self.space.id, self.correlation_id))
        self.untold += 1
        self._last_commit, live = self.services.bus.hand_over(self.space, drafts, facts, on_told=self._told)
        return live

    # --- whose contexts ---------------------------------------------------------------------------

    def view_of(self, identity: Identity) -> View | None:
        """The documents of this identity, if this node holds them; the same ones for everybody in this run."""
        if identity.session_id is None:
            if self._nobody is None:
                self._nobody = View(NOBODY, Cell(_OWN_USER, persistent=False), Cell(_OWN_SESSION, persistent=False))
            return self._nobody
        view = self._views.get(identity.session_id)
        if view is None:
            cells = [self.services.cells.find(key) for key in self._identity_keys(identity)]
            if cells[0] is None or cells[1] is None:
                return None
            view = self._views[identity.session_id] = View(identity, *cells)
        return view

    async def load_view(self, identity: Identity) -> View:
        """The same, read from the store when it must be."""
        view = self.view_of(identity)
        if view is None:
            user, session = await self.services.cells.load(self._identity_keys(identity), self.services.clock.now())
            view = self._views[identity.session_id] = View(identity, user, session)
        return view

    def _identity_keys(self, identity: Identity) -> list[ContextKey]:
        return [ContextKey(self.space.id, "user", identity.user_id or identity.session_id or ""),
                ContextKey(self.space.id, "session", identity.session_id or "")]

    def socket_of(self, origin: Origin) -> Cell | None:
        """The `socket` of a connection, else of a session, a user, or this run, if this node holds it."""
        key = self._socket_key(origin)
        cell = self._sockets.get(key)
        if cell is None:
            is_new = key.key == self.correlation_id and not self.is_resumed
            cell = Cell(key) if is_new else self.services.cells.find(key)
            if cell is not None:
                self._sockets[key] = cell
        return cell

    async def load_socket(self, origin: Origin) -> Cell:
        """The same, read from the store when it must be."""
        cell = self.socket_of(origin)
        if cell is None:
            key = self._socket_key(origin)
            [cell] = await self.services.cells.load([key], self.services.clock.now())
            self._sockets[key] = cell
        return cell

    def _socket_key(self, origin: Origin) -> ContextKey:
        name = origin.socket_id or origin.identity.session_id or origin.identity.user_id or self.correlation_id
        return ContextKey(self.space.id, "socket", name)

    # --- time and tasks ---------------------------------------------------------------------------

    def spend(self, instructions: int) -> bool:
        self.services.signals.instructions += instructions
        self._slice -= instructions
        if self._slice > 0:
            return False
        self._spent += _SLICE - self._slice
        self._slice = _SLICE
        limit = self.services.settings.run_max_instructions
        if self._spent > limit:
            raise OverBudget(f"The run took more than {limit} instructions", {"limit": limit, "setting": "RUN_MAX_INSTRUCTIONS"})
        return True

    def hold(self, awaitable: Awaitable[Any]) -> Task[Any]:
        """Make it a task of this run: cancelled with it, and the run lives until it ends."""
        self.flush()
        task = asyncio.ensure_future(awaitable)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()                               # whoever awaits it has it; a branch left behind is no news
        self.flush()
        self._rest_in_peace()

    def _told(self, failure: BaseException | None) -> None:
        """A batch was committed and everybody it concerns has heard of it, or it was not."""
        self.untold -= 1
        self.has_lost = self.has_lost or failure is not None
        self._rest_in_peace()

    @property
    def is_over(self) -> bool:
        """Nothing runs, and nothing it did can start anything any more."""
        return not (self.open or self.untold or self._tasks or self._commands)

    def _rest_in_peace(self) -> None:
        if self.is_over:
            self._bury(self)


def _gone() -> TooBusy:
    return TooBusy("The run was broken off: what it went on from was lost", {"retryAfter": 1})
