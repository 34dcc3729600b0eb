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

    def native(self, type: str, instance_path: str = "") -> Sequence[Automation]:
        """The workspace's own listeners, and those of the instance that the event is about."""
        found = self._native.get(type, _NOBODY)
        if not found:
            return found
        return [a for a in found if not a.instance.prefix or _concerns(a.instance, type, instance_path)]


def _concerns(instance: Any, type: str, instance_path: str) -> bool:
    return type in ("apps.published", "apps.deleted") or instance.path == instance_path


def _once(automations: list[Any], automation: Any) -> None:
    if automation not in automations:
        automations.append(automation)
