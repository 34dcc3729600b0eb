"""What an import is told: its result, and the warnings about what it could not have as it was written."""
from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from runtime.catalog.definitions import Revision
from runtime.language.problems import Problem
from runtime.language.source import Source
from runtime.workspace import FindApp, Workspace


@dataclass(frozen=True, slots=True)
class ImportResult:
    """What an import did. Parts are named like their files: `index`, `automations/main`, …"""

    workspace: Workspace
    is_new: bool
    imported: list[str]
    deleted: Sequence[str]
    warnings: list[dict[str, Any]]
    errors: list[dict[str, Any]] = field(default_factory=list)
    """Always empty: whatever is wrong refuses the whole import."""


def named(source: Source, revision: Revision) -> Source:
    """A document for a workspace that has a name already may do without one."""
    if type(source.data) is not dict or source.data.get("name") is not None:
        return source
    # At the end, where it does not disturb the places of what was read.
    rest = {key: value for key, value in source.data.items() if key != "name"}
    return replace(source, data={**rest, "name": revision.definition["name"]})


def taken_slug(source: Source) -> Problem:
    slug = source.data["slug"]
    return Problem("taken-slug", f'another workspace has the slug "{slug}", so this one gets another', ("slug",), source.at(("slug",)))


def not_loaded(source: Source, workspace: Workspace, find_app: FindApp) -> Iterator[Problem]:
    """Imports whose app is not there, or contains itself; everything else runs without them."""
    for slug, imported in (workspace.definition.get("imports") or {}).items():
        if slug in workspace.root.imports or imported.get("disabled") is True:
            continue
        app_slug, path = imported.get("appSlug") or "", ("imports", slug)
        is_there = find_app(app_slug, imported.get("appVersion")) is not None
        code, why = ("recursive-app", "contains itself") if is_there else ("unknown-app", "is not there")
        yield Problem(code, f'the app "{app_slug}" {why}, so this import is not loaded', path, source.at(path, True))
