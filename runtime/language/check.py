"""All that is wrong with a document, at once: problems that refuse it, and warnings of what fails when it is reached."""
from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from runtime.catalog.slugs import is_slug, is_workspace_slug
from runtime.errors import InvalidSchedule
from runtime.language.advice import Advice
from runtime.language.callables import Callables, slug_of
from runtime.language.fields import check_fields
from runtime.language.habits import check_listened
from runtime.language.problems import Findings, Report, shown
from runtime.language.schema import AUTOMATION_SCHEMA, INSTRUCTION_SCHEMAS, WORKSPACE_SCHEMA
from runtime.language.shape import check_shape, is_sound
from runtime.language.source import Path, Source
from runtime.language.templates import check_templates
from runtime.triggers.schedule import parse_cron

_CRON_HINT = 'Write minute, hour, day of month, month and day of week, in UTC: "*/15 8-18 * * 1-5".'
_SLUG_HINT = "Use letters without accents, digits, blanks, dashes, underscores and slashes."
_WORKSPACE_NAME = re.compile(r"(?:[^\W_]|[ ,.'-]){2,60}")


def check_workspace(document: Source | Any, *, with_warnings: bool = True) -> Report:
    """A whole workspace: its sections and every automation in it. Without warnings it takes half the time."""
    findings = Findings(_source(document))
    data = findings.source.data
    if is_sound(findings) and check_shape(findings, data, WORKSPACE_SCHEMA, ()):
        _check_names(findings, data)
        _check_fields(findings, data.get("config"), "schema", ("config",))
        _check_fields(findings, data.get("secrets"), "schema", ("secrets",))
        advice = Advice(findings, Callables.of(data)) if with_warnings else None
        _Automations(findings, advice).check_all(data.get("automations"))
    return findings.report()


def check_automation(document: Source | Any, *, slug: str = "", automations: Iterable[str] | None = None,
                     imports: Iterable[str] = ()) -> Report:
    """One automation by itself. `automations` and `imports` are the names its workspace has; without the former
    an instruction that is not known may well be an automation, and only slips of known names are told."""
    findings = Findings(_source(document))
    data = findings.source.data
    if is_sound(findings) and check_shape(findings, data, AUTOMATION_SCHEMA, ()):
        own = slug_of(slug, data)
        names = [own, *(automations or ())]
        callables = Callables(names, imports=imports, is_complete=automations is not None)
        _Automations(findings, Advice(findings, callables)).check(data, own, ())
    return findings.report()


def _source(document: Source | Any) -> Source:
    return document if isinstance(document, Source) else Source.of(document)


def _check_names(findings: Findings, workspace: dict[str, Any]) -> None:
    name, slug = workspace.get("name"), workspace.get("slug")
    if isinstance(name, str) and not _WORKSPACE_NAME.fullmatch(name):
        findings.refuse("bad-name", ("name",), f"{shown(name)} cannot be the name of a workspace",
                        hint="Use 2 to 60 letters, digits, blanks, commas, dots, quotes (') and dashes.")
    if isinstance(slug, str) and not is_workspace_slug(slug):
        findings.refuse("bad-slug", ("slug",), f"{shown(slug)} cannot be the slug of a workspace",
                        hint="Use small letters, digits, dashes and slashes.")
    imports = workspace.get("imports")
    for instance in imports if isinstance(imports, dict) else ():
        if not is_slug(instance):
            findings.refuse("bad-slug", ("imports", instance), f"{shown(instance)} cannot be the name of an import",
                            hint=_SLUG_HINT, key=True)


def _check_fields(findings: Findings, section: Any, key: str, path: Path) -> None:
    if isinstance(section, dict) and isinstance(section.get(key), dict):
        check_fields(findings, section[key], (*path, key))


class _Automations:
    """Checks automations one by one, and remembers what must not occur twice."""

    __slots__ = ("_findings", "_advice", "_slugs", "_endpoints")

    def __init__(self, findings: Findings, advice: Advice | None) -> None:
        """Without advice it looks for what refuses the document alone."""
        self._findings = findings
        self._advice = advice
        self._slugs: dict[str, Path] = {}
        self._endpoints: dict[str, Path] = {}

    def check_all(self, automations: Any) -> None:
        for key, automation in automations.items() if isinstance(automations, dict) else ():
            if isinstance(automation, dict):
                self.check(automation, slug_of(key, automation), ("automations", key))

    def check(self, automation: dict[str, Any], slug: str, path: Path) -> None:
        """An automation whose shape has been looked at."""
        self._check_slug(automation, slug, path)
        self._check_name(automation.get("name"), (*path, "name"))
        when = automation.get("when")
        if isinstance(when, dict):
            self._check_endpoint(when.get("endpoint"), automation, slug, (*path, "when", "endpoint"))
            self._check_events(when.get("events"), (*path, "when", "events"))
            self._check_schedules(when.get("schedules"), (*path, "when", "schedules"))
        _check_fields(self._findings, automation, "arguments", path)
        if self._advice is not None:
            if isinstance(automation.get("do"), list):
                self._advice.instructions(automation["do"], (*path, "do"))
            check_templates(self._findings, automation.get("output"), (*path, "output"))

    def _check_slug(self, automation: dict[str, Any], slug: str, path: Path) -> None:
        is_written = bool(automation.get("slug"))
        place = (*path, "slug") if is_written else path
        if not path and not is_written:
            return
        if not is_slug(slug):
            self._findings.refuse("bad-slug", place, f"{shown(slug)} cannot be the slug of an automation",
                                  hint=_SLUG_HINT, key=not is_written)
        elif slug in self._slugs:
            first = self._findings.source.at(self._slugs[slug], key=True)
            self._findings.refuse("duplicate-slug", place, f'"{slug}" is the slug of another automation as well ({first})',
                                  hint="Give one of them another slug.", key=not is_written)
        elif slug in INSTRUCTION_SCHEMAS:
            self._findings.warn("shadowed", place, f'calling "{slug}" runs the instruction of that name, never this automation',
                                hint="Choose another slug.", key=not is_written)
        self._slugs.setdefault(slug, path)

    def _check_name(self, name: Any, path: Path) -> None:
        for language, label in name.items() if isinstance(name, dict) else ():
            if not isinstance(label, str):
                self._findings.refuse("bad-shape", (*path, language), f'"{language}" of a name must be a text, not {shown(label)}',
                                      hint=f"Write name: {{{language}: …}}.")

    def _check_endpoint(self, endpoint: Any, automation: dict[str, Any], slug: str, path: Path) -> None:
        name = slug if endpoint is True else endpoint
        if not isinstance(name, str) or not name or automation.get("disabled") is True:
            if name == "":
                self._findings.warn("bad-endpoint", path, "an empty endpoint publishes nothing", hint="Write true, or a name.")
            return
        if name in ("yes", "no", "on", "off"):
            self._findings.warn("bad-endpoint", path, f'"{name}" is a text here: the address ends with /{name}',
                                hint="Write true or false.")
        elif name in self._endpoints:
            first = self._findings.source.at(self._endpoints[name])
            self._findings.warn("duplicate-endpoint", path, f'the endpoint "{name}" is also that of another automation ({first}): '
                                "both run, the first one answers", hint="Give one of them another endpoint.")
        self._endpoints.setdefault(name, path)

    def _check_events(self, events: Any, path: Path) -> None:
        for index, event in enumerate(events if isinstance(events, list) else ()):
            if isinstance(event, str):
                check_listened(self._findings, event, (*path, index))

    def _check_schedules(self, schedules: Any, path: Path) -> None:
        for index, schedule in enumerate(schedules if isinstance(schedules, list) else ()):
            if isinstance(schedule, str):
                try:
                    parse_cron(schedule)
                except InvalidSchedule as error:
                    reason = error.details["reason"] if isinstance(error.details, dict) else error.message
                    self._findings.refuse("bad-cron", (*path, index), f"{shown(schedule)} is no schedule: {reason}", hint=_CRON_HINT)
