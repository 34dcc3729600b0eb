"""What commits may conflict with, kept in memory: slugs, revisions, ticks, and who holds which run."""
from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from typing import Any

from store.embedded.definitions import TICKS_KEPT_MS
from store.errors import Conflict
from store.records import App, AppDeleted, Fact, Item, ItemEnded, RunHeld, RunLeft, Tick, Workspace, WorkspaceDeleted

_ABSENT = object()
Undo = list[tuple[dict[Any, Any], Any, Any]]


class Ledger:
    """Takes the facts of one batch after the other; one that conflicts leaves no trace."""

    def __init__(self) -> None:
        self.slugs: dict[str, str] = {}
        """Workspace slug → workspace id."""
        self.revisions: dict[str, tuple[int, str]] = {}
        """Workspace id → revision, slug."""
        self.apps: dict[str, str] = {}
        """App slug → workspace id."""
        self.ticks: dict[tuple[str, str], frozenset[int]] = {}
        self.firsts: dict[tuple[str, str], str] = {}
        """(collection, id) of items that came as the first → workspace id."""
        self.holders: dict[tuple[str, str], str] = {}
        """(workspace id, correlation id) → node id."""

    def take(self, facts: Iterable[Fact], node: str) -> Undo:
        """What `node` commits. The answer takes it back. Raises `Conflict`, and then has taken nothing."""
        undo: Undo = []
        try:
            for fact in facts:
                self._take(fact, node, undo)
        except Conflict:
            self.take_back(undo)
            raise
        return undo

    def hear(self, facts: Iterable[Fact], node: str) -> None:
        """What `node` has committed already. What is known is no conflict."""
        for fact in facts:
            with suppress(Conflict):
                self._take(fact, node, [])

    def take_back(self, undo: Undo) -> None:
        for table, key, before in reversed(undo):
            if before is _ABSENT:
                table.pop(key, None)
            else:
                table[key] = before

    def release(self, node: str) -> None:
        """The runs that a node held are free."""
        for key in [key for key, holder in self.holders.items() if holder == node]:
            del self.holders[key]

    def _take(self, fact: Fact, node: str, undo: Undo) -> None:
        match fact:
            case RunHeld():
                if self.holders.get(fact, node) != node:
                    raise Conflict(f"the run {fact.correlation_id} lives on another node")
                _put(self.holders, tuple(fact), node, undo)
            case RunLeft():
                _put(self.holders, tuple(fact), _ABSENT, undo)
            case Workspace():
                self._workspace(fact, undo)
            case WorkspaceDeleted(id):
                _, slug = self.revisions.get(id, (0, None))
                _put(self.revisions, id, _ABSENT, undo)
                _put(self.slugs, slug, _ABSENT, undo)
                for whose in [whose for whose in self.ticks if whose[0] == id]:
                    _put(self.ticks, whose, _ABSENT, undo)
                for item in [item for item, owner in self.firsts.items() if owner == id]:
                    _put(self.firsts, item, _ABSENT, undo)
            case App():
                if self.apps.get(fact.slug, fact.workspace_id) != fact.workspace_id:
                    raise Conflict(f"the slug {fact.slug!r} belongs to another workspace's app")
                _put(self.apps, fact.slug, fact.workspace_id, undo)
            case AppDeleted(slug):
                _put(self.apps, slug, _ABSENT, undo)
            case Item(is_first=True):
                if fact[:2] in self.firsts:
                    raise Conflict(f"{fact.id!r} is taken among the {fact.collection}")
                _put(self.firsts, fact[:2], fact.workspace_id, undo)
            case ItemEnded():
                _put(self.firsts, tuple(fact), _ABSENT, undo)
            case Tick():
                self._tick(fact, undo)

    def _workspace(self, fact: Workspace, undo: Undo) -> None:
        if self.slugs.get(fact.slug, fact.id) != fact.id:
            raise Conflict(f"the slug {fact.slug!r} belongs to another workspace")
        revision, slug = self.revisions.get(fact.id, (None, None))
        if revision is not None and fact.revision <= revision:
            raise Conflict(f"the workspace {fact.id} has been changed meanwhile, to revision {revision}")
        if slug not in (None, fact.slug):
            _put(self.slugs, slug, _ABSENT, undo)
        _put(self.slugs, fact.slug, fact.id, undo)
        _put(self.revisions, fact.id, (fact.revision, fact.slug), undo)

    def _tick(self, fact: Tick, undo: Undo) -> None:
        fired = self.ticks.get(fact[:2], frozenset())
        forgotten = max(fired | {fact.at}) - TICKS_KEPT_MS
        if fact.at in fired or fact.at <= forgotten:
            raise Conflict(f"{fact.automation} fired at {fact.at} before")
        _put(self.ticks, fact[:2], frozenset(at for at in fired | {fact.at} if at > forgotten), undo)


def _put(table: dict[Any, Any], key: Any, value: Any, undo: Undo) -> None:
    undo.append((table, key, table.get(key, _ABSENT)))
    if value is _ABSENT:
        table.pop(key, None)
    else:
        table[key] = value
