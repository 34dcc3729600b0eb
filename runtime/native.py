"""Names of the events that the server itself makes: which can be listened to, and which nobody else may use."""
from __future__ import annotations

import re

EXECUTED = "runtime.automations.executed"
CONTEXTS_UPDATED = "runtime.contexts.updated"
WEBHOOK = "runtime.webhooks.triggered"
INTERACTION = "runtime.interactions.triggered"
ERROR = "error"
EMIT_TOPIC = "topic:runtime:emit"
"""`source.serviceTopic` of every custom event; that of a native event is its own type."""

LISTENABLE = frozenset((
    "workspaces.configured", "workspaces.apps.configured", "workspaces.apps.installed", "workspaces.apps.uninstalled",
    "workspaces.deleted", "apps.published", "apps.deleted", "runtime.fetch.failed", "runtime.webhooks.triggered",
    "runtime.schedules.triggered", "runtime.automations.scheduled", "runtime.interactions.triggered",
    "workspaces.pages.permissions.shared", "workspaces.pages.permissions.deleted", "workspaces.versions.published",
    "workspaces.versions.rollback", "workspaces.versions.deleted", "workspaces.imported", "workspaces.duplicated",
    "workspaces.automations.created", "workspaces.automations.updated", "workspaces.automations.deleted"))

HEARD_BY_INSTANCES = frozenset((
    "workspaces.apps.installed", "workspaces.apps.configured", "workspaces.apps.uninstalled", "apps.published", "apps.deleted"))

_RESERVED_PREFIXES = ("runtime.", "workspaces.", "gateway.", "apikeys.", "events.")
_RESERVED_NAMES = frozenset(("apps.published", "apps.deleted"))
NAME = re.compile(r"[a-zA-Z0-9 ._-]+")


def is_native_name(type: str) -> bool:
    """True for names that only the server may give to an event."""
    return type.startswith(_RESERVED_PREFIXES) or type in _RESERVED_NAMES
