"""URL triggers: an exact name first, then the first pattern declared that fits."""
from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import unquote

if TYPE_CHECKING:
    from runtime.language.automation import Automation

_PARAMETER = re.compile(r"(?:^|(?<=/))([:*])([A-Za-z_][A-Za-z0-9_-]*)")
Found = tuple[list["Automation"], dict[str, str]]


class EndpointIndex:
    """Names of endpoints, with instance prefix, and the automations behind each in declaration order."""

    def __init__(self) -> None:
        self._exact: dict[str, list[Automation]] = {}
        self._patterns: dict[str, tuple[re.Pattern[str], list[Automation]]] = {}

    def add(self, name: str, automation: Automation) -> None:
        name = name.strip("/")
        if not _PARAMETER.search(name):
            self._exact.setdefault(name, []).append(automation)
        elif name in self._patterns:
            self._patterns[name][1].append(automation)
        else:
            self._patterns[name] = (_compile(name), [automation])

    def find(self, name: str, raw: str | None = None) -> Found | None:
        """The automations of an endpoint and the path parameters; None when nothing fits. `raw` is the name before
        URL-decoding, so that an encoded slash stays inside its segment."""
        automations = self._exact.get(name)
        if automations is not None:
            return automations, {}
        for pattern, automations in self._patterns.values():
            fits = pattern.fullmatch(raw or name)
            if fits:
                values = fits.groupdict()
                return automations, {k[2:]: unquote(v) if raw else v for k, v in values.items()}
        return None

    def names(self) -> list[str]:
        return [*self._exact, *self._patterns]


def _compile(name: str) -> re.Pattern[str]:
    """`v1/users/:id` → one segment, `v1/files/*path` → one or more. A colon inside a segment is literal."""
    text, last = "", 0
    for match in _PARAMETER.finditer(name):
        group = f"p_{match[2]}".replace("-", "_")
        text += re.escape(name[last:match.start()]) + (f"(?P<{group}>[^/]+)" if match[1] == ":" else f"(?P<{group}>.+)")
        last = match.end()
    return re.compile(text + re.escape(name[last:]))
