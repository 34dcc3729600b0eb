"""What single instructions are known to be written wrongly for, beyond the types of their parameters."""
from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from runtime.language.problems import Findings, shown
from runtime.language.shape import has_kind
from runtime.language.source import Path
from runtime.language.suggest import Names, did_you_mean
from runtime.language.templates import check_templates, is_template
from runtime.native import CONTEXTS_UPDATED, EXECUTED, LISTENABLE, NAME, is_native_name

_READ_ONLY = {
    "global": frozenset(("workspaceId", "workspaceName", "apiUrl", "studioUrl", "pagesUrl", "pagesHost", "endpoints",
                         "workspacesRegistry")),
    "user": frozenset(("email", "authData", "role")),
    "run": frozenset(("correlationId", "depth", "date", "trigger", "automationSlug", "socketId", "appSlug", "appInstanceSlug",
                      "appInstanceFullSlug", "parentAppSlug", "authenticatedWorkspaceId", "ip", "sourceWorkspaceId"))}
"""Fields that the server computes again whatever is written to them."""

_PARTS = re.compile(r"[^.\[\]'\"]+")
_BAD_PATH = re.compile(r"^[.\[]|\.\.|\.$|^\s*$")
_NEGATIVE = re.compile(r"(?:\[\s*|\.)(-\d+)\s*(?:\]|\.|$)")
_natives = Names(LISTENABLE)


def check_variable(findings: Findings, name: Any, path: Path) -> None:
    """The name of a variable that is written."""
    if not isinstance(name, str):
        return
    if is_template(name):
        check_templates(findings, name, path)
        return
    parts = _PARTS.findall(name)
    if _BAD_PATH.search(name) or not parts:
        findings.warn("bad-variable", path, f"{shown(name)} is not the name of a variable",
                      hint="Write a path such as answer or session.cart[0].")
    elif parts[0] == "$workspace":
        findings.warn("read-only", path, "$workspace cannot be written: this has no effect", hint="Write to global to share a value.")
    elif len(parts) > 1 and parts[1] in _READ_ONLY.get(parts[0], ()):
        findings.warn("read-only", path, f'"{parts[0]}.{parts[1]}" is computed by the server: writing it has no effect',
                      hint=f"Use another name below {parts[0]}.")
    elif found := _NEGATIVE.search(name):
        findings.warn("negative-index", path, f"indexes do not count from the end: {found[1]} names a member of that name",
                      hint="Append with list[], or compute the index first.")


def check_listened(findings: Findings, event: str, path: Path, *, is_wait: bool = False) -> None:
    """An event in `when.events`, or one that a wait names."""
    if not event or NAME.fullmatch(event) is None:
        findings.warn("bad-event-name", path, f"no event can have the name {shown(event)}",
                      hint="Names have letters, digits, blanks, dots, underscores and dashes, and match exactly.")
    elif is_native_name(event) and event not in LISTENABLE and not (is_wait and event == EXECUTED):
        hint = "Wait for it instead: wait: {oneOf: [{event: " + EXECUTED + "}]}." if event == EXECUTED else did_you_mean(event, _natives)
        reason = " it would listen to itself" if event in (EXECUTED, CONTEXTS_UPDATED) else " the server tells nobody about it"
        findings.warn("deaf-event", path, f'"{event}" cannot be listened to:{reason}', hint=hint)


def check_event_name(findings: Findings, event: str, path: Path) -> None:
    """An event that an emit names."""
    if NAME.fullmatch(event) is None:
        bad = sorted(set(re.findall(r"[^a-zA-Z0-9 ._-]", event)))[:5]
        reason = f" because of {' '.join(bad)}" if bad else ""
        findings.warn("bad-event-name", path, f"{shown(event)} cannot be the name of an event{reason}",
                      hint="Use letters, digits, blanks, dots, underscores and dashes.")
    elif is_native_name(event):
        findings.warn("reserved-event", path, f'"{event}" is a name of the server\'s own events: this fails',
                      hint="Use a name that does not begin like one of them.")


def _emit(findings: Findings, body: dict[str, Any], path: Path) -> None:
    event = body.get("event")
    if isinstance(event, str) and not is_template(event):
        check_event_name(findings, event, (*path, "event"))


def _wait(findings: Findings, body: dict[str, Any], path: Path) -> None:
    awaited = body.get("oneOf")
    if awaited == []:
        findings.warn("endless-wait", (*path, "oneOf"), "no event is named: this only waits for its timeout",
                      hint="Add an item: - event: some.event.", key=True)
    for index, item in enumerate(awaited if isinstance(awaited, list) else ()):
        event = item.get("event") if isinstance(item, dict) else None
        if isinstance(event, str) and not is_template(event):
            check_listened(findings, event, (*path, "oneOf", index, "event"), is_wait=True)


def _repeat(findings: Findings, body: dict[str, Any], path: Path) -> None:
    if "on" not in body and body.get("until") is None:
        findings.warn("endless-repeat", path, 'neither "on" nor "until" says how often to repeat',
                      hint="Add on: '{{list}}', or until: 10.", key=True)


def _fetch(findings: Findings, body: dict[str, Any], path: Path) -> None:
    method = body.get("method", "get")
    if body.get("body") is not None and isinstance(method, str) and method.lower() == "get":
        findings.warn("unsent-body", (*path, "body"), "a get request has no body: this is not sent",
                      hint="Add method: post, or write it as query.", key=True)
    if body.get("url") == "":
        findings.warn("bad-parameter", (*path, "url"), "an empty url fails", hint="Write the address, with https://.")


def _set(findings: Findings, body: dict[str, Any], path: Path) -> None:
    value = body.get("value")
    if body.get("type") == "add" and not has_kind(value, "number") and not is_template(value):
        findings.warn("bad-parameter", (*path, "value"), f"type: add needs a number, not {shown(value)}",
                      hint="Write a number, without quotes.", key="value" not in body)


HABITS: dict[str, Callable[[Findings, dict[str, Any], Path], None]] = {
    "emit": _emit, "fetch": _fetch, "repeat": _repeat, "set": _set, "wait": _wait}
