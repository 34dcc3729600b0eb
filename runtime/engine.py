"""The one facade of the runtime: call, test, emit, subscribe, search, start, stop."""
from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any

from runtime.calls import NOBODY, Call, NewEvent, Origin, Response
from runtime.catalog import Catalog
from runtime.clock import Clock, iso
from runtime.contexts import Cells
from runtime.departure import Departure
from runtime.envelope import LiveEvent
from runtime.errors import NotFound, Suspended, TooBusy
from runtime.events import Bus, Listener, durable
from runtime.feed import Feed
from runtime.firings import TRIGGERED, Fired, delivery_of, fired, is_told
from runtime.ids import Ids
from runtime.language.automation import Automation
from runtime.native import INTERACTION, WEBHOOK
from runtime.node import Node
from runtime.nodes import NodeIds
from runtime.outbound import Outbound
from runtime.ownership import Ownership
from runtime.planning import plan
from runtime.rates import SlidingWindow
from runtime.recovery import Recovery
from runtime.renewals import by_delivery
from runtime.run import Reply, Run, Start
from runtime.scheduler import Scheduler
from runtime.services import MintToken, Services
from runtime.settings import RuntimeSettings
from runtime.space import Space
from runtime.supervisor import Supervisor
from runtime.values import decode
from runtime.workspace import Workspace
from store.errors import Conflict, StoreError
from store.protocol import Store
from store.query import EventQuery
from store.records import Delivered, Delivery, Item, Member, StoredEvent, Tick, Wait, WaitEnded

_log = logging.getLogger("motorik.engine")


class Engine:
    """One node: it starts automations for everything that triggers them, and tells of what happens."""

    def __init__(self, *, store: Store, clock: Clock, ids: Ids, settings: RuntimeSettings, outbound: Outbound, mint_token: MintToken,
                 member: Member | None = None) -> None:
        """`member` is this node as others reach it, where several share the store."""
        ownership = None
        if store.cluster is not None:
            ids, ownership = NodeIds(ids), Ownership(store, store.cluster)
        self.store = store
        self.clock = clock
        self.ids = ids
        self.settings = settings
        bus = Bus(store, clock, ids, settings, ownership)
        self.catalog = Catalog(store, clock, ids, settings, bus)
        self._services = Services(store, bus, Cells(store), clock, ids, settings, outbound, SlidingWindow(), mint_token, self._registry,
                                  ownership)
        self._supervisor = Supervisor(self._services)
        self._recovery = Recovery(self._services, self._supervisor, self._start_again)
        self._scheduler = Scheduler(clock, fire=self._fire, settings=settings)
        self._spaces = bus.spaces
        self._head = 0
        self._departure = Departure(self._services, self._supervisor, self.catalog)
        self._tasks: set[asyncio.Task[Any]] = set()
        bus.dispatch = self._dispatch
        self._bus = bus
        self.signals = bus.signals
        self.signals.gauges["scheduler_running"] = lambda: self._scheduler.is_running
        self.catalog.on_change(self._changed)
        self.catalog.before_delete = self._ready
        self._node = None
        if store.cluster is not None:
            self._node = Node(store.cluster, member or Member("", "", "", 0), self._services, self.catalog, self._supervisor,
                              start_again=self._start_again, on_drop=self._recovery.forget)

    # --- life ----------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Load the workspaces, start again what was not finished, plan the schedules."""
        if self._node is not None:
            await self._node.join()
        self._head = await self.store.head()
        ticks = {(tick.workspace_id, tick.automation): tick.at for tick in await self.store.ticks()}
        await self.catalog.load()
        for workspace in self.catalog.all():
            self._adopt(workspace, ticks)
        for topic in await self.store.topics():
            space = self._spaces.get(topic.workspace_id)
            if space is not None:
                space.join(topic.topic, topic.user_id)
        await self._bus.go_on()
        if self._node is not None:
            await self._node.begin(self._head)             # whatever is left belongs to nodes that may still be running it
        else:
            await self._redeliver()
        self._hold(self._scheduler.run())

    async def stop(self, grace_seconds: float, *, last: Callable[[], Awaitable[None]] | None = None) -> None:
        """Start nothing more, let what runs end, within the grace period. `last` is awaited before this node leaves the others."""
        await self._scheduler.stop()
        await self._supervisor.drain(grace_seconds)
        await self._recovery.stop()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if last is not None:
            await last()
        if self._node is not None:
            await self._node.stop()
        await self._services.outbound.close()

    async def catch_up(self) -> None:
        """See everything that was acknowledged on any node before. Raises `TooBusy` while that cannot be."""
        if self._node is not None:
            await self._node.catch_up()

    def on_session_end(self, listener: Callable[[str], None]) -> None:
        """`listener` is called with the id of every session that was logged out on another node."""
        if self._node is not None:
            self._node.neighbours.on_session_end(listener)

    def on_item(self, listener: Callable[[Item], None]) -> None:
        """`listener` is called with what another node has written about a connection."""
        if self._node is not None:
            self._node.neighbours.on_item(listener)

    # --- calls from outside ----------------------------------------------------------------------------

    async def call(self, call: Call) -> Any:
        """Run what a URL triggers; the output of the first automation behind it, UNDEFINED possible.

        Every fact of the run is durable when this returns or raises. Cancelling the call does not stop the run.
        """
        space = await self._ready_to_run(call.workspace_id)
        found = space.workspace.triggers.endpoints.find(call.endpoint, call.raw_endpoint)
        if found is None:
            raise NotFound(f"Did not find any matching trigger for endpoint {call.endpoint}",
                           {"workspaceId": call.workspace_id, "endpoint": call.endpoint})
        automations, parameters = found

        def begin(run: Run) -> Reply:
            return [self._start_webhook(run, automation, call, parameters, first=index == 0) for index, automation in enumerate(automations)][0]
        return await self._admitted(space, call.origin, call.response, begin)

    def _start_webhook(self, run: Run, automation: Automation, call: Call, parameters: dict[str, str], *, first: bool) -> Reply:
        variables = call.variables
        method, slug, endpoint = variables.get("method"), automation.full_slug, automation.instance.prefix + (automation.endpoint or "")
        shown = {"workspaceId": run.space.id, "automationSlug": slug, "method": method}
        request = {"method": method, "url": (call.origin.http or {}).get("originalUrl"), "query": variables.get("query")}
        announce = ((WEBHOOK, {**shown, "request": request, "response": shown}),
                    (INTERACTION, self._interaction(automation, {"type": "endpoint", "value": endpoint}, call.origin)))
        arguments = {**variables, "pathParams": parameters} if parameters else dict(variables)
        if first:
            arguments["$http"] = call.response
        if "rawBody" in (automation.document.get("arguments") or ()):
            arguments["rawBody"] = call.raw_body.decode("utf-8", "replace")
        return self._begin(run, Start(automation, arguments, call.origin, {"type": "endpoint", "value": endpoint}, call.origin.depth + 1,
                                      reply=Reply(), announce=announce))

    async def test(self, workspace_id: str, slug: str, payload: dict[str, Any], origin: Origin, response: Response | None = None) -> Any:
        """Run any automation of a workspace by its slug, endpoint or not; its output."""
        space = await self._ready_to_run(workspace_id)
        automation = space.workspace.automation(slug)
        if automation is None:
            raise NotFound("Automation not found", {"workspaceId": workspace_id, "automation": slug})
        trigger = {"type": "automation", "value": slug}
        arguments = {**payload, "$http": response} if response is not None else dict(payload)
        announce = ((INTERACTION, self._interaction(automation, trigger, origin)),)
        start = Start(automation, arguments, origin, trigger, reply=Reply(), announce=announce)
        return await self._admitted(space, origin, response or Response(), lambda run: self._begin(run, start))

    async def _admitted(self, space: Space, origin: Origin, response: Response, begin: Callable[[Run], Reply]) -> Any:
        """What `begin` starts, when there is room for it. A call from an automation to its own server never queues behind the run
        that waits for it."""
        admission, counts, reply = self._supervisor.admission, not origin.depth, None
        if counts and not admission.may_enter(space.id):
            await response.patiently(admission.enter(space.id))
        try:
            run = await self._run(space, origin)
            reply = begin(run)
            return await self._answer(run, reply, response)
        finally:
            if counts:
                admission.leave_after(space.id, reply)

    def _begin(self, run: Run, start: Start) -> Reply:
        run.tell(start)
        return start.reply

    async def _answer(self, run: Run, reply: Reply, response: Response) -> Any:
        """Wait until the automation has ended and everything it did is durable."""
        if not reply.is_over:
            reply.ended = asyncio.get_running_loop().create_future()
            await response.patiently(reply.ended)
        value = reply.value
        if reply.committed is not None:
            await durable(reply.committed)
        if run.has_lost:                                   # the last batch may have been written, one before it was not
            raise TooBusy("The server cannot store anything at the moment", {"retryAfter": 1})
        error = reply.error
        if error is None:
            return value
        error.message, error.details = run.redactor.redact(error.message), run.redactor.redact(error.details)
        raise error

    # --- events --------------------------------------------------------------------------------------

    async def accept(self, workspace_id: str, events: Sequence[NewEvent], origin: Origin) -> list[LiveEvent]:
        """Accept custom events from outside, all or none; they are durable when this returns."""
        space = await self._ready(workspace_id)
        if origin.is_new:
            return await self._bus.accept(space.workspace, events, origin, native=False)
        run = await self._supervisor.resume(space, origin.correlation_id)
        try:
            return await self._bus.accept(space.workspace, events, origin, native=False)
        finally:
            self._supervisor.let_go(run)

    async def search(self, query: EventQuery) -> list[StoredEvent]:
        return await self.store.events(query)

    def feed(self, workspace_id: str) -> Feed:
        """The live events of a workspace. Raises `NotFound`."""
        return self._space(workspace_id).feed

    def topics_of(self, workspace_id: str, user_id: str | None) -> frozenset[str]:
        space = self._spaces.get(workspace_id)
        return space.topics_of(user_id) if space and space.topics and user_id else frozenset()

    def on_workspace_deleted(self, callback: Callable[[str], None]) -> None:
        self._departure.on_gone.append(callback)

    def _dispatch(self, space: Space, live: LiveEvent, listeners: Sequence[Listener]) -> None:
        """Start the automations that listen to a committed event, in the order they were declared."""
        announces = not live.draft.chained and live.type != INTERACTION
        if space.is_open and not space.queued:
            self._deliver(space, live.id, live.type, live.body, live.draft.source, listeners, announces=announces)
        else:
            self._hold(self._open_and_deliver(space, live, listeners, announces))

    async def _open_and_deliver(self, space: Space, live: LiveEvent, listeners: Sequence[Listener], announces: bool) -> None:
        name = self._node and self._node.name
        space.queued += 1
        try:
            await space.open(self._services.cells, self.clock.now())
        except StoreError:
            self._bus.on_left([delivery for _, delivery in listeners])
            raise
        finally:
            space.queued -= 1
        if name != (self._node and self._node.name):
            return                                         # taken for dead meanwhile: others have started them
        self._deliver(space, live.id, live.type, live.body, live.draft.source, listeners, announces=announces)

    def _deliver(self, space: Space, event_id: str, type: str, body: bytes, source: dict[str, Any], listeners: Sequence[Listener],
                 *, announces: bool, earlier: tuple[Wait, ...] = ()) -> None:
        correlation_id = source["correlationId"]
        run = self._supervisor.start(space, correlation_id)
        origin = Origin(correlation_id, NOBODY, socket_id=source.get("socketId"), depth=source.get("automationDepth", 0))
        session_id = source.get("sessionId")
        trigger = {"type": "event", "value": type, "id": event_id}
        for automation, delivery in listeners:
            event = decode(body)
            variables = {"payload": event["payload"], "source": event["source"], "id": event_id}
            announce = ((INTERACTION, self._interaction(automation, trigger, origin)),) if announces else ()
            run.tell(Start(automation, variables, origin, trigger, origin.depth + 1, delivery_id=delivery, announce=announce,
                           session=(session_id, source.get("userId")) if session_id else None, earlier=earlier))

    async def _redeliver(self) -> None:
        """Deliveries that were committed and not finished when the process ended are started again; waits of all others end."""
        waits = by_delivery(await self.store.waits())      # read first: a delivery ends together with its waits
        for delivery in await self.store.deliveries():
            await self._start_again(delivery, waits.pop(delivery.id, ()))
        left = [WaitEnded(wait.id) for ended in waits.values() for wait in ended]
        if left:
            await self.store.commit(left)

    async def _start_again(self, delivery: Delivery, earlier: tuple[Wait, ...]) -> None:
        """`earlier` is what the delivery waited for before."""
        space = self._spaces.get(delivery.workspace_id)
        automation = space.workspace.automation(delivery.automation) if space else None
        if space is None or automation is None:
            await self.store.commit([Delivered(delivery.id), *(WaitEnded(wait.id) for wait in earlier)])
            return
        await self._ready(space.id)
        tick = fired(delivery)
        if tick is not None:
            run = await self._supervisor.resume(space, tick.correlation_id)
            announces = not await is_told(self.store, space.id, tick.correlation_id)
            run.tell(self._firing(automation, tick, delivery.id, announces=announces)._replace(earlier=earlier))
            return
        event = decode(delivery.body)
        await self._supervisor.resume(space, event["source"]["correlationId"])
        self._deliver(space, event["id"], event["type"], delivery.body, event["source"], [(automation, delivery.id)], announces=False,
                      earlier=earlier)

    # --- schedules -----------------------------------------------------------------------------------

    async def _fire(self, workspace_id: str, slug: str, cron: str, at: int) -> None:
        """One firing: the tick is taken first, so that it happens once however many nodes want it."""
        space = await self._ready(workspace_id)
        automation = space.workspace.automation(slug)
        if automation is None:
            return
        tick = Fired(cron, self.ids.correlation_id(self.clock.now()))
        delivery = delivery_of(workspace_id, slug, cron, at, correlation_id=tick.correlation_id)
        try:
            await self.store.commit([Tick(workspace_id, slug, at), delivery])
        except Conflict:
            return
        run = self._supervisor.start(space, tick.correlation_id)
        reply = self._begin(run, self._firing(automation, tick, delivery.id, announces=True))
        if not reply.is_over:
            reply.ended = asyncio.get_running_loop().create_future()
            await reply.ended

    def _firing(self, automation: Automation, tick: Fired, delivery_id: str, *, announces: bool) -> Start:
        origin, trigger = Origin(tick.correlation_id), {"type": "schedule", "value": tick.cron}
        interaction = self._interaction(automation, trigger, origin)
        triggered = {"workspaceId": interaction["workspaceId"], "automationSlug": automation.full_slug, "schedule": tick.cron, **interaction}
        announce = ((TRIGGERED, triggered), (INTERACTION, interaction)) if announces else ()
        return Start(automation, {}, origin, trigger, delivery_id=delivery_id, reply=Reply(), announce=announce)

    # --- workspaces ----------------------------------------------------------------------------------

    def _changed(self, old: Workspace | None, new: Workspace | None) -> None:
        """A revision was committed, or a workspace deleted; called before anybody hears of it."""
        if new is not None:
            self._adopt(new)
        elif old is not None:
            self._scheduler.forget(old.id)
            space = self._spaces.pop(old.id, None)
            if space is not None:
                space.is_gone = True
                self._hold(self._departure.see_off(space))

    def _adopt(self, workspace: Workspace, ticks: dict[tuple[str, str], int] | None = None) -> None:
        """Go on with this revision. `ticks` are the last firings, given after a downtime."""
        space = self._spaces.get(workspace.id)
        before = space.workspace if space else None
        if space is None:
            self._spaces[workspace.id] = Space(workspace, self.clock, self.settings, head=self._head)
        else:
            changes = space.replace(workspace)
            if changes and not self.catalog.is_hearing:
                self.store.commit(changes)
        plan(self._scheduler, self.catalog, before, workspace, ticks)

    def _registry(self) -> dict[str, Any]:
        return {w.slug: {"id": w.id, "name": w.name} for w in self.catalog.all() if w.definition.get("registerWorkspace")}

    def _space(self, workspace_id: str) -> Space:
        space = self._spaces.get(workspace_id)
        if space is None:
            raise NotFound("Workspace not found", {"workspaceId": workspace_id})
        return space

    async def _ready(self, workspace_id: str) -> Space:
        """The workspace with what its runs read loaded."""
        if self._node is not None:
            await self._node.catch_up()
        space = self._space(workspace_id)
        if not space.is_open:
            await space.open(self._services.cells, self.clock.now())
        return space

    async def _ready_to_run(self, workspace_id: str) -> Space:
        """The same for those who call. Raises `Suspended`."""
        space = await self._ready(workspace_id)
        if space.workspace.is_suspended:
            raise Suspended("This workspace is suspended", {"workspaceId": workspace_id})
        return space

    # --- runs ----------------------------------------------------------------------------------------

    def _hold(self, coroutine: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _run(self, space: Space, origin: Origin) -> Run:
        if origin.depth or not origin.is_new:
            return await self._supervisor.resume(space, origin.correlation_id)
        return self._supervisor.start(space, origin.correlation_id)

    def _interaction(self, automation: Automation, trigger: dict[str, Any], origin: Origin) -> dict[str, Any]:
        shown = {"workspaceId": automation.instance.workspace_id, "automation": automation.full_slug, "trigger": trigger,
                 "startedAt": iso(self.clock.now())}
        if automation.instance.path:
            shown["trigger"] = {**trigger, "appInstanceSlug": automation.instance.path}
        if origin.source_workspace_id:
            shown["sourceWorkspaceId"] = origin.source_workspace_id
        return shown
