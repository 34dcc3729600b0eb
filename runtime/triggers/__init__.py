"""Why a run starts: the index of one workspace. A look-up costs what it finds, never what exists."""
from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from runtime.triggers.endpoint import EndpointIndex
from runtime.triggers.event import EventIndex

if TYPE_CHECKING:
    from runtime.workspace import Instance


class TriggerIndex:
    """Endpoint and event triggers of a workspace and of all its app instances."""

    def __init__(self, instances: Iterable[Instance]) -> None:
        self.endpoints = EndpointIndex()
        self.events = EventIndex()
        for instance in instances:
            for automation in instance.automations.values():
                if automation.endpoint:
                    self.endpoints.add(automation.endpoint, automation, instance.prefix)
                for event in automation.events:
                    self.events.add(event, automation)
