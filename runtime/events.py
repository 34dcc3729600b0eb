"""Acceptance of events: commit, then tell. Nobody hears of an event before the store has it.

Order of one batch: it is handed to the store (deliveries with their events, waits claimed), and once it is committed each
event, in turn, ends waits, starts automations and reaches the live feed.
"""
from __future__ import annotations

import asyncio
import logging
from asyncio import Future
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any

from runtime.calls import NewEvent, Origin
from runtime.clock import Clock, iso, milliseconds
from runtime.envelope import Draft, LiveEvent, custom, native, shown_address
from runtime.errors import InvalidEvent, TooBusy
from runtime.ids import Ids
from runtime.language.automation import Automation
from runtime.ownership import Ownership
from runtime.redaction import Redactor
from runtime.settings import RuntimeSettings
from runtime.signals import Signals
from runtime.space import Space
from runtime.triggers import TriggerIndex
from runtime.triggers.event import EventIndex
from runtime.values import decode
from runtime.waits import Waits
from store.errors import Fenced, StoreError
from store.protocol import Store
from store.query import EventQuery
from store.records import Change, Delivery, Event, Fact, Item, RunHeld, Tick, Topic, Volatile, Wait

_log = logging.getLogger("motorik.events")

Listener = tuple[Automation, str]
"""An automation to start, and the id of its delivery."""
Dispatch = Callable[[Space, LiveEvent, Sequence[Listener]], None]
_STATE = frozenset((Change, Delivery, Item, Tick, Topic, Wait))
"""Facts that a deleted workspace does not have any more; its events go on being stored."""
HOST = {"service": "runtime", "replica": "n1"}


class Bus:
    """The one way events come into being on this node."""

    def __init__(self, store: Store, clock: Clock, ids: Ids, settings: RuntimeSettings, ownership: Ownership | None = None) -> None:
        """`ownership` is there where several nodes share the store: they hear of volatile events, too, and of whose runs are whose."""
        self._store = store
        self._ownership = ownership
        self._clock = clock
        self._ids = ids
        self._settings = settings
        self._last = 0
        self.spaces: dict[str, Space] = {}
        self.signals = Signals()
        """The numbers of this node; whatever has the bus can count."""
        self.dispatch: Dispatch = lambda space, live, listeners: None
        """Starts the automations that listen; the engine puts itself here."""
        self.on_lost: Callable[[Space, Sequence[Fact], StoreError], None] = lambda space, batch, failure: None
        """Called when a batch of a run could not be committed: what memory holds of its workspace is ahead of the store."""
        self.on_left: Callable[[Iterable[str]], None] = lambda ids: None
        """Called with the ids of deliveries that nobody carries out now."""
        self.on_fenced: Callable[[], None] = lambda: None
        """Called when a batch was refused because this node was taken for dead."""
        self.catch_up: Callable[[], Awaitable[None]] | None = None
        """See what other nodes have committed; None where there are none."""

    async def go_on(self) -> None:
        """Accept nothing at a time before that of what is stored, wherever the clock stands after a restart."""
        for id in tuple(self.spaces):
            for newest in await self._store.events(EventQuery(id, limit=1)):
                self._last = max(self._last, milliseconds(decode(newest.body)["createdAt"]))

    def hand_over(self, space: Space, drafts: Sequence[Draft], facts: Sequence[Fact],
                  on_commit: Callable[[], None] | None = None, *, triggers: TriggerIndex | None = None,
                  on_told: Callable[[BaseException | None], None] | None = None) -> tuple[Future[int], list[LiveEvent]]:
        """Give one batch to the store. What it causes happens when the future is done, before anybody who awaits it goes on:
        `on_commit` is called first, if it was committed, and `on_told` last in any case. Only runs want to be told."""
        now = self._last = max(self._clock.now(), self._last)
        created_at = iso(now) if drafts else ""
        batch = list(facts)
        index = (triggers or space.workspace.triggers).events
        workspace_id = space.id
        accepted = [self._accept(workspace_id, space.waits, index, draft, now, created_at, batch) for draft in drafts]
        if self._ownership is not None:
            self._own(workspace_id, accepted, batch)
        if space.is_gone:
            batch = [fact for fact in batch if type(fact) not in _STATE]
        future = space.last_batch = self._store.commit(batch) if batch else _settled()
        began = self._clock.monotonic()
        self.signals.commits_waiting += 1
        future.add_done_callback(lambda done: self._committed(space, accepted, done, on_commit, on_told, batch, began))
        return future, accepted

    async def accept(self, workspace: Any, events: Sequence[NewEvent], origin: Origin, *, native: bool = True,
                     facts: Sequence[Fact] = (), on_commit: Callable[[], None] | None = None) -> list[LiveEvent]:
        """Accept events that no run made, with other facts, in one batch; everything it sets off has begun when this returns.
        Listeners are those of `workspace`, the snapshot that `on_commit` puts in place. Raises `InvalidEvent` for the
        first event that cannot be, and then accepts none."""
        space = self.spaces.get(workspace.id) or Space(workspace, self._clock, self._settings)
        redactor = Redactor(self._hidden_texts(workspace)) if native else None
        drafts = [self._draft(workspace, event, origin, redactor) for event in events]
        future, live = self.hand_over(space, drafts, facts, on_commit, triggers=workspace.triggers)
        await durable(future)
        return live

    def _hidden_texts(self, workspace: Any) -> frozenset[str]:
        """What is hidden before the change that is told of, and after it."""
        space = self.spaces.get(workspace.id)
        texts: frozenset[str] = workspace.hidden_texts
        return texts if space is None else texts | space.hidden_texts

    def _draft(self, workspace: Any, event: NewEvent, origin: Origin, redactor: Redactor | None) -> Draft:
        """A native event has a redactor."""
        identity = origin.identity
        source: dict[str, Any] = {"workspaceId": workspace.id, "correlationId": origin.correlation_id, "host": HOST}
        for name, value in (("userId", identity.user_id), ("sessionId", identity.session_id), ("socketId", origin.socket_id),
                            ("ip", shown_address(origin.ip)), ("http", origin.http)):
            if value is not None:
                source[name] = value
        if origin.depth:
            source["automationDepth"] = origin.depth
        limit = self._settings.broker_emit_maxlen
        if redactor is not None and "http" in source:
            source["http"] = redactor.redact(source["http"])
        if redactor is not None:
            return native(event.type, {**source, **(event.source or {})}, redactor.redact(event.payload), limit=limit)
        if not isinstance(event.payload, dict):
            raise InvalidEvent("Event payload must be an object", {"event": event.type})
        source.pop("http", None)
        return custom(event.type, source, event.payload, event.target, event.options, limit=limit, chained=False)

    def _accept(self, workspace_id: str, waits: Waits, triggers: EventIndex, draft: Draft, now: int, created_at: str,
                batch: list[Fact]) -> LiveEvent:
        """Give the event its id, and put it and its deliveries into the batch."""
        id = self._ids.event_id(now)
        source, type = draft.source, draft.type
        body = draft.accepted(id, created_at)
        live = LiveEvent(id, draft, body)
        if draft.persistent:
            rules = self._settings.preprocessing_rules_filepath
            stored = body if rules is None else rules.stored(type, body)
            batch.append(Event(workspace_id, id, type, now, source["correlationId"], source.get("sessionId"), stored))
        elif self._ownership is not None:
            batch.append(Volatile(workspace_id, body))
        if waits:
            live.waits, cancelled = waits.claim(live)
            if cancelled:
                return live
        automations = triggers.native(type, source) if draft.native else triggers.custom(type)
        if automations:
            live.listeners = listeners = []
            for automation in automations:
                delivery = f"{id}:{automation.full_slug}"
                batch.append(Delivery(delivery, workspace_id, id, automation.full_slug, now, body))
                listeners.append((automation, delivery))
        return live

    def _own(self, workspace_id: str, accepted: list[LiveEvent], batch: list[Fact]) -> None:
        """Automations that this batch starts run here."""
        for live in accepted:
            if live.listeners:
                batch[:0] = self._ownership.take((workspace_id, live.draft.source["correlationId"]))

    def _committed(self, space: Space, accepted: list[LiveEvent], done: Future[int], on_commit: Callable[[], None] | None,
                   on_told: Callable[[BaseException | None], None] | None, batch: Sequence[Fact], began: float) -> None:
        signals, failure = self.signals, done.exception()
        signals.commits_waiting -= 1
        if failure is not None:
            signals.commits_failed += 1
            if self._ownership is not None:
                self._ownership.disown(tuple(fact) for fact in batch if type(fact) is RunHeld)
                if isinstance(failure, Fenced):
                    self.on_fenced()
            _log.error("a batch of workspace %s was not committed: %s", space.id, failure)
            for live in accepted:
                for wait in live.waits:
                    space.waits.add(wait)
            if on_told is not None:
                self.on_lost(space, batch, failure)
        else:
            signals.events += len(accepted)
            signals.commit_seconds.observe(self._clock.monotonic() - began)
            if on_commit is not None:
                on_commit()
                space = self.spaces.get(space.id, space)
            self._tell(space, accepted, done.result())
        if on_told is not None:
            on_told(failure)

    def _tell(self, space: Space, accepted: list[LiveEvent], position: int) -> None:
        publish = space.feed.publish
        for live in accepted:
            if live.persistent:
                live.position = position
                position += 1
            for wait in live.waits:
                if not wait.result.done():
                    wait.result.set_result(live)
            if live.listeners:
                self.dispatch(space, live, live.listeners)
            publish(live)


async def durable(committed: Future[int], *, is_told: bool = False) -> None:
    """Wait for a batch and what it sets off, unless that `is_told` already. Being cancelled cancels the wait, never the batch.
    Raises `TooBusy` when it was not written."""
    if not is_told:                                         # not `committed.done()`: what it sets off comes a moment later
        waiter = committed.get_loop().create_future()       # of our own: the future is shared, cancelling it would reach others
        committed.add_done_callback(lambda done: waiter.done() or waiter.set_result(None))
        await waiter
    try:
        committed.result()
    except StoreError as error:
        raise TooBusy("The server cannot store anything at the moment", {"reason": type(error).__name__, "retryAfter": 1}) from error


def _settled() -> Future[int]:
    """For a batch of volatile events alone: there is nothing to write."""
    future: Future[int] = asyncio.get_running_loop().create_future()
    future.set_result(0)
    return future
