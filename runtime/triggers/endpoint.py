"""URL triggers: an exact name first, then the first pattern declared that fits."""
from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import unquote

if TYPE_CHECKING:
    from runtime.language.automation import Automation

_PARAMETER = re.compile(r"(?:^|(?<=/))([:*])([A-Za-z_][A-Za-z0-9_-]*)")
_SLASH = "\0"
"""Stands for a slash that is part of a value."""
Found = tuple[list["Automation"], dict[str, str]]


class EndpointIndex:
    """Names of endpoints, with instance prefix, and the automations behind each in declaration order."""

    def __init__(self) -> None:
        self._exact: dict[str, list[Automation]] = {}
        self._patterns: dict[tuple[str, str], tuple[re.Pattern[str], list[str], list[Automation]]] = {}

    def add(self, endpoint: str, automation: Automation, prefix: str = "") -> None:
        endpoint = endpoint.strip("/")
        if not _PARAMETER.search(endpoint):
            self._exact.setdefault(prefix + endpoint, []).append(automation)
        elif (prefix, endpoint) in self._patterns:
            self._patterns[prefix, endpoint][2].append(automation)
        else:
            self._patterns[prefix, endpoint] = (*_compile(prefix, endpoint), [automation])

    def find(self, name: str, raw: str = "") -> Found | None:
        """The automations of an endpoint and the path parameters; None when nothing fits. `raw` is the name as it was in the
        URL, for names with an encoded slash: it stays inside its segment."""
        automations = self._exact.get(name)
        if automations is not None:
            return automations, {}
        if raw:
            name = "/".join([unquote(segment).replace("/", _SLASH) for segment in raw.split("/")])
        for pattern, names, automations in self._patterns.values():
            fits = pattern.fullmatch(name)
            if fits:
                return automations, {key: value.replace(_SLASH, "/") for key, value in zip(names, fits.groups())}
        return None

    def names(self) -> list[str]:
        return [*self._exact, *(prefix + endpoint for prefix, endpoint in self._patterns)]


def _compile(prefix: str, endpoint: str) -> tuple[re.Pattern[str], list[str]]:
    """The pattern and the names of its groups: `v1/users/:id` → one segment, `v1/files/*path` → one or more. A colon inside a
    segment is literal."""
    text, last, names = re.escape(prefix), 0, []
    for match in _PARAMETER.finditer(endpoint):
        text += re.escape(endpoint[last:match.start()]) + ("([^/]+)" if match[1] == ":" else "(.+)")
        last = match.end()
        names.append(match[2])
    return re.compile(text + re.escape(endpoint[last:]), re.DOTALL), names
