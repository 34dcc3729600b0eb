"""What lives as long as a workspace does on this node, across its revisions: feed, waits, topics, shared contexts."""
from __future__ import annotations

from runtime.clock import Clock
from runtime.contexts import Cell, Cells
from runtime.feed import Feed
from runtime.settings import RuntimeSettings
from runtime.values import copy
from runtime.waits import Waits
from runtime.workspace import Instance, Workspace
from store.records import Change, ContextKey


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
        self._overlays: dict[str, Cell] = {}

    async def open(self, cells: Cells, now: int) -> None:
        """Load what every run of the workspace reads: `global`, and what runs have set in `config`."""
        instances = list(self.workspace.instances.values())
        keys = [ContextKey(self.id, "global", ""), *(self._config_key(instance.path) for instance in instances)]
        global_cell, *overlays = await cells.load(keys, now)
        for instance, overlay in zip(instances, overlays):
            self._overlays[instance.path] = overlay
            self._hold_config(instance)
        self.global_cell = global_cell

    def replace(self, workspace: Workspace) -> list[Change]:
        """Go on with a new revision. What runs have set in a `config` whose definition changed is dropped; the changes to commit."""
        changes, before, self.workspace = [], self.workspace, workspace
        if self.global_cell is None:
            return changes
        for path, instance in workspace.instances.items():
            old, overlay = before.instances.get(path), self._overlays.get(path)
            if overlay is None:
                overlay = self._overlays[path] = Cell(self._config_key(path))
            elif (old is None or old.config != instance.config) and overlay.document:
                changes.append(overlay.write("replace", (), {}, None))
            self._hold_config(instance)
        return changes

    def set_config(self, instance: Instance, key: str) -> Change:
        """Make the present value of one root key of an instance's config outlive the run and the process."""
        value, overlay = instance.config_cell.document.get(key), self._overlays[instance.path]
        if value is None:
            if key in instance.config:
                instance.config_cell.document[key] = copy(instance.config[key])
            return overlay.write("delete", (key,), None, None)
        return overlay.write("replace", (key,), copy(value), None)

    def _hold_config(self, instance: Instance) -> None:
        overlay = self._overlays[instance.path]
        instance.config_cell = Cell(overlay.key, {**copy(instance.config), **copy(overlay.document)})

    def _config_key(self, path: str) -> ContextKey:
        return ContextKey(self.id, "config", path)

    def close(self) -> None:
        """Forget what was loaded; it is read again before the next run."""
        self.global_cell = None

    def topics_of(self, user_id: str | None) -> frozenset[str]:
        return frozenset(topic for topic, members in self.topics.items() if user_id in members)
