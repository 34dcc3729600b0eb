"""Event triggers: one dictionary look-up by the exact name."""
from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from runtime.native import HEARD_BY_INSTANCES, LISTENABLE, is_native_name

if TYPE_CHECKING:
    from runtime.language.automation import Automation

_NOBODY: Sequence[Any] = ()


class EventIndex:
    """Event name → automations, in declaration order. Custom and native events are kept apart, so that nobody who forges
    a name starts what only the server may start."""

    def __init__(self) -> None:
        self._custom: dict[str, list[Automation]] = {}
        self._native: dict[str, list[Automation]] = {}

    def add(self, event: str, automation: Automation) -> None:
        instance = automation.instance
        if is_native_name(event):
            if event in LISTENABLE and (not instance.prefix or event in HEARD_BY_INSTANCES):
                _once(self._native.setdefault(event, []), automation)
        else:
            _once(self._custom.setdefault(instance.prefix + event, []), automation)

    def custom(self, type: str) -> Sequence[Automation]:
        return self._custom.get(type, _NOBODY)

    def native(self, type: str, source: dict[str, Any]) -> Sequence[Automation]:
        """The workspace's own listeners, and those of the instances that the event is about."""
        found = self._native.get(type, _NOBODY)
        if not found:
            return found
        return [a for a in found if not a.instance.prefix or _concerns(a.instance, type, source)]


def _concerns(instance: Any, type: str, source: dict[str, Any]) -> bool:
    """Its own life; and that of its app, or of the app or workspace around it."""
    if type not in ("apps.published", "apps.deleted"):
        return bool(instance.path == source.get("appInstanceFullSlug", ""))
    app_slug = source.get("appSlug")                     # None in the workspace that is the app
    return instance.parent.app_slug == app_slug or app_slug is not None and instance.app_slug == app_slug


def _once(automations: list[Any], automation: Any) -> None:
    if automation not in automations:
        automations.append(automation)
