"""Workspaces as files: what a folder holds is served, and served again when it changes."""
from __future__ import annotations

import asyncio
import logging
import os
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from runtime.calls import ADMIN, Origin
from runtime.catalog import Catalog, slugs
from runtime.catalog.archive import assemble, place_of
from runtime.catalog.definitions import kept_form, own, same
from runtime.clock import Clock
from runtime.errors import AutomationsError, InvalidAutomation
from runtime.ids import Ids
from runtime.language.check import check_workspace
from runtime.language.loader import load
from runtime.language.source import Path as Place
from runtime.language.source import Source
from store.errors import StoreError

_log = logging.getLogger("motorik.folder")
_SUFFIXES = (".yml", ".yaml")
_INDEX = ("index.yml", "index.yaml")
_SECTIONS = ("automations", "imports")
_LOOK_SECONDS = 0.5
_ID = re.compile(r"[A-Za-z0-9_-]{7}")


class Stamp(NamedTuple):
    """Tells whether a file is still the one that was read."""

    file: Path
    modified: int
    size: int


class Unreadable(Exception):
    """Files that are no YAML; `lines` say where and why, as those about other problems do."""

    def __init__(self, errors: list[InvalidAutomation]) -> None:
        self.lines = [_line(error) for error in errors]
        super().__init__("\n".join(self.lines))


Found = dict[Path, tuple[Stamp, ...]]
"""Where a workspace is (a file, or a folder with an index) → its files."""


def scan(root: Path) -> Found:
    """The workspaces of `root`: itself if it is one, else every file and every folder in it that may be one."""
    if root.is_file() or _index(root):
        return {root: tuple(_stamps(root))}
    entries = sorted(entry for entry in root.iterdir() if not entry.name.startswith("."))
    places = [entry for entry in entries if entry.suffix in _SUFFIXES and entry.is_file() or entry.is_dir() and _index(entry)]
    return {place: tuple(_stamps(place)) for place in places}


def read(place: Path) -> Source:
    """The whole workspace at `place`, with the name of its file or folder where it has none. Marks name the files.

    Raises `Unreadable`.
    """
    parts = _parts({(): place} if place.is_file() else _files(place))
    source = parts[()] if place.is_file() else assemble(str(place), parts)
    data = source.data
    if type(data) is not dict:
        return source
    stem = place.resolve().stem if place.is_file() else place.resolve().name
    # At the end, where they do not disturb the positions of what was read.
    named = {**data, **({} if data.get("name") else {"name": stem})}
    named |= {} if data.get("slug") else {"slug": slugs.for_workspace(stem, lambda slug: False)}
    return replace(source, data=named)


def is_workspace(data: Any) -> bool:
    """A document with automations or imports; other YAML files may lie beside it."""
    return type(data) is dict and any(section in data for section in _SECTIONS)


def problems(error: AutomationsError, source: Source) -> list[str]:
    """Everything that is wrong, a line each: file, line, column, code and sentence."""
    report = check_workspace(source, with_warnings=False)
    return [str(problem) for problem in report.problems] or [f"{source.name}: {error.message}"]


class Folder:
    """Keeps the catalog in step with a folder. What a file says wins over what was stored; a broken file changes nothing."""

    def __init__(self, root: Path, catalog: Catalog, clock: Clock, ids: Ids) -> None:
        self._root = root
        self._catalog = catalog
        self._clock = clock
        self._ids = ids
        self._seen: Found = {}
        self._places: dict[str, Path] = {}
        """Workspace id → the place that defines it."""

    async def watch(self) -> None:
        """Look for changes until cancelled."""
        while True:
            await self._clock.sleep(_LOOK_SECONDS)
            await self.refresh()

    async def refresh(self) -> None:
        """Load what is new or changed since the last time."""
        try:
            found = await asyncio.to_thread(scan, self._root)
        except OSError as error:
            _log.warning("%s cannot be read: %s", self._root, error)
            return
        before, self._seen = self._seen, found
        for place, stamps in found.items():
            if before.get(place) != stamps:
                await self._take(place, is_new=place not in before)
        for place in before.keys() - found.keys():
            self._places = {id: other for id, other in self._places.items() if other != place}
            _log.warning("%s is gone; the workspace stays as it was", place)

    async def _take(self, place: Path, *, is_new: bool) -> None:
        try:
            source = await asyncio.to_thread(read, place)
        except (Unreadable, OSError) as error:
            _log.error("%s", error)
            return
        try:
            if not is_workspace(source.data) and place.is_file():
                _log.info("%s has neither automations nor imports: no workspace, left alone", place)
                return
            slug = await self._import(place, source)
        except InvalidAutomation as error:
            for line in problems(error, source):
                _log.error("%s", line)
        except (AutomationsError, StoreError) as error:
            _log.error("%s: %s", place, error)
        else:
            if slug is not None and not is_new:
                _log.info("%s: workspace %s is reloaded", place, slug)

    async def _import(self, place: Path, source: Source) -> str | None:
        """Bring the catalog to what the file says; the slug of a workspace that changed."""
        data = source.data if type(source.data) is dict else {}
        id, wanted = self._id(data), data.get("id")
        if self._places.get(id or "", place) != place:
            _log.error("%s: %s is the same workspace; this file is left alone", place, self._places[id or ""])
            return None
        if id is not None and self._is_current(id, data):
            self._places[id] = place
            return None
        origin = Origin(self._ids.correlation_id(self._clock.now()), ADMIN)
        new_id = wanted if type(wanted) is str and _ID.fullmatch(wanted) else None
        result = await self._catalog.import_definition(source, owner=str(ADMIN.user_id), origin=origin, id=id, new_id=new_id)
        self._places[result.workspace.id] = place
        return result.workspace.slug

    def _id(self, data: dict[str, Any]) -> str | None:
        """The workspace this document is about: the one with its id, else the one with its slug."""
        wanted, slug = data.get("id"), data.get("slug")
        if type(wanted) is str and self._catalog.get(wanted) is not None:
            return wanted
        known = self._catalog.by_slug(slug) if type(slug) is str else None
        return known.id if known is not None else None

    def _is_current(self, id: str, data: dict[str, Any]) -> bool:
        """Whether the catalog has exactly this already, as after a restart."""
        try:
            stored, wanted = self._catalog.revision(id).definition, kept_form(own(data))
        except (AutomationsError, TypeError, ValueError, AttributeError):
            return False                                     # malformed: the import will say how
        return same({**wanted, "id": id}, stored)


def _index(folder: Path) -> Path | None:
    return next((folder / name for name in _INDEX if (folder / name).is_file()), None)


def _stamps(place: Path) -> Iterator[Stamp]:
    for file in [place] if place.is_file() else _files(place).values():
        status = file.stat()
        yield Stamp(file, status.st_mtime_ns, status.st_size)


def _files(folder: Path) -> dict[Place, Path]:
    """The files of a workspace that is a folder by what they hold, index first, as in an archive."""
    found = (Path(root, name) for root, _, names in os.walk(folder) for name in names)
    placed = ((place_of(file.relative_to(folder).as_posix()), file) for file in found)
    return dict(sorted((place, file) for place, file in placed if place is not None))


def _parts(files: dict[Place, Path]) -> dict[Place, Source]:
    parts: dict[Place, Source] = {}
    broken: list[InvalidAutomation] = []
    for place, file in files.items():
        try:
            parts[place] = load(file.read_bytes(), name=str(file))
        except InvalidAutomation as error:
            broken.append(error)
    if broken:
        raise Unreadable(broken)
    return parts


def _line(error: InvalidAutomation) -> str:
    [problem] = error.details
    hint = f" {error.hint}" if error.hint else ""
    return f"{error.where}: {problem['code']}: {problem['message']}.{hint}"
