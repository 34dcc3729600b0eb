"""What lives as long as a workspace does on this node, across its revisions: feed, waits, topics, shared contexts."""
from __future__ import annotations

import asyncio
from asyncio import Future

from runtime.clock import Clock
from runtime.contexts import Cell, Cells
from runtime.envelope import LiveEvent, told
from runtime.feed import Feed
from runtime.redaction import collect
from runtime.settings import RuntimeSettings
from runtime.throttles import Limits
from runtime.values import copy
from runtime.waits import Waits
from runtime.workspace import Instance, Workspace
from store.protocol import Store
from store.query import EventQuery
from store.records import Change, ContextKey

_PAGE = 500


class Space:
    """One workspace on this node. `workspace` is the snapshot that new runs use."""

    def __init__(self, workspace: Workspace, clock: Clock, settings: RuntimeSettings, *, head: int = 0) -> None:
        """`head` is the position of the last event that was stored before."""
        self.id = workspace.id
        self.workspace = workspace
        self.feed = Feed(clock, keep=settings.ws_volatile_events, keep_seconds=settings.ws_volatile_seconds)
        self.feed.head = head
        self.waits = Waits()
        self.topics: dict[str, set[str]] = {}
        self.global_cell: Cell | None = None
        self._cells: Cells | None = None
        self._overlays: dict[str, Cell] = {}
        self.last_batch: Future[int] | None = None
        """What was handed to the store last: when that is done, everything before it is."""
        self.queued = 0
        """Events whose automations start as soon as it is open."""
        self.limits: Limits | None = None
        """How fast its runs may work; see `runtime.throttles`."""
        self._hidden: frozenset[str] | None = None
        self.is_gone = False
        """Its workspace is deleted: the last runs tell what they do, and leave nothing else."""
        self._openings = 0
        self._outdated: set[str] = set()
        """Instances whose definition changed while what runs had set in their `config` was loaded."""

    @property
    def is_open(self) -> bool:
        """What every run of the workspace reads is here, and nothing newer is known to exist."""
        return self.global_cell is not None and not (self._cells.stale and self._is_stale())

    def _is_stale(self) -> bool:
        return any(key.workspace_id == self.id and key.context in ("global", "config") for key in self._cells.stale)

    async def open(self, cells: Cells, now: int) -> None:
        """Load what every run of the workspace reads: `global`, and what runs have set in `config`."""
        if self.global_cell is not None:
            await cells.renew(now)
            return
        self._cells = cells
        self._openings += 1
        try:
            await self._load(cells, now)
        finally:
            self._openings -= 1

    async def _load(self, cells: Cells, now: int) -> None:
        if self.last_batch is not None and not self.last_batch.done():
            await asyncio.wait([self.last_batch])            # of runs that were broken off: what they wrote must be seen
        paths = list(self.workspace.instances)
        global_cell, *overlays = await cells.load([ContextKey(self.id, "global", ""), *map(self._config_key, paths)], now)
        if self.global_cell is not None:
            return                                       # somebody else was faster
        for path, overlay in zip(paths, overlays):
            self._overlays[path] = overlay
            if path in self._outdated:
                overlay.write("replace", (), {}, None)
        self._outdated.clear()
        for path, instance in self.workspace.instances.items():
            self._overlays.setdefault(path, cells.fresh(self._config_key(path)))
            self._hold_config(instance)
        self.global_cell = global_cell

    def replace(self, workspace: Workspace) -> list[Change]:
        """Go on with a new revision. What runs have set in a `config` whose definition changed is dropped; the changes to commit,
        by the node that made the revision."""
        changes, before, self.workspace = [], self.workspace, workspace
        self._hidden = None
        for path, instance in workspace.instances.items():
            old = before.instances.get(path)
            is_outdated = old is None or old.declared != instance.declared
            if self.global_cell is None:
                if is_outdated:                          # nobody has looked yet whether there is anything to drop
                    if self._openings:
                        self._outdated.add(path)
                    changes.append(Cell(self._config_key(path)).write("replace", (), {}, None))
                continue
            overlay = self._overlays.setdefault(path, self._cells.fresh(self._config_key(path)))
            if is_outdated and overlay.document:
                changes.append(overlay.write("replace", (), {}, None))
            self._hold_config(instance)
        return changes

    def set_config(self, instance: Instance, key: str) -> Change:
        """Make the present value of one root key of an instance's config outlive the run and the process."""
        overlay, document, self._hidden = self._overlays[instance.path], instance.config_cell.document, None
        if key in document:
            change = overlay.write("replace", (key,), copy(document[key]), None)
        else:
            if key in instance.config:
                document[key] = copy(instance.config[key])
            change = overlay.write("delete", (key,), None, None)
        present = self.workspace.instances.get(instance.path)
        if present is not None and present is not instance:
            self._hold_config(present)                   # the run began with an earlier revision
        return change

    def renewed(self, path: str) -> None:
        """What runs have set in the config of this instance was read again."""
        instance = self.workspace.instances.get(path)
        if instance is not None and path in self._overlays:
            ends = instance.config_cell.ends
            self._hold_config(instance)
            instance.config_cell.ends = ends

    def _hold_config(self, instance: Instance) -> None:
        overlay, self._hidden = self._overlays[instance.path], None
        instance.config_cell = Cell(overlay.key, {**copy(instance.config), **copy(overlay.document)})

    def _config_key(self, path: str) -> ContextKey:
        return ContextKey(self.id, "config", path)

    async def publish_missed(self, store: Store, head: int) -> None:
        """Tell the feed of what was stored, up to the position `head`, while nothing could be heard."""
        while self.feed.head < head:
            page = await store.events(EventQuery(self.id, after=self.feed.head, before=head + 1, ascending=True, limit=_PAGE))
            for stored in page:
                self.tell(told(stored.body, stored.position))
            if len(page) < _PAGE:
                self.feed.head = head

    @property
    def hidden_texts(self) -> frozenset[str]:
        """What no native event may show now: that of the workspace, and what runs have set where its config is secret."""
        if self._hidden is None:
            found = self.workspace.hidden_texts
            for instance in self.workspace.instances.values():
                if instance.secret_fields:
                    found |= collect(instance.secret_fields, instance.config_cell.document)
            self._hidden = found
        return self._hidden

    def close(self) -> None:
        """Forget what was loaded; it is read again before the next run."""
        self.global_cell = None

    def tell(self, live: LiveEvent) -> None:
        """Of an event that was accepted elsewhere: it ends waits and goes out live."""
        if self.waits:
            for wait in self.waits.claim(live)[0]:
                if not wait.result.done():
                    wait.result.set_result(live)
        self.feed.publish(live)

    def join(self, topic: str, user_id: str) -> None:
        """An empty `user_id` declares the topic alone."""
        members = self.topics.setdefault(topic, set())
        if user_id:
            members.add(user_id)

    def part(self, topic: str, user_id: str) -> None:
        """Take back a `join` that was not stored."""
        if user_id:
            self.topics.get(topic, set()).discard(user_id)
        else:
            self.topics.pop(topic, None)

    def topics_of(self, user_id: str | None) -> frozenset[str]:
        return frozenset(topic for topic, members in self.topics.items() if user_id in members)
