"""What one caller may read of one workspace, as of now: roles, rules and topics are looked up again whenever they can have changed.
And which events a caller may emit."""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from runtime.access import Reader, may_read
from runtime.calls import Identity, NewEvent, Origin
from runtime.errors import Forbidden
from runtime.native import EMIT_TOPIC
from runtime.permissions.decisions import CREATE, EVENTS, READ, decide, reader_of, who_is

_TOPICS = "user.topics"


class Rights:
    __slots__ = ("_auth", "_engine", "_identity", "_knows_topics", "_reader", "_revision", "_sees_context_updates", "_workspace", "_workspace_id")

    def __init__(self, gateway: Any, workspace_id: str, identity: Identity) -> None:
        self._engine = gateway.engine
        self._auth = gateway.auth
        self._sees_context_updates = gateway.settings.runtime.expose_context_updates
        self._workspace_id = workspace_id
        self._identity = identity
        self._workspace: Any = None
        self._revision = 0
        self._knows_topics = False
        self._reader = Reader(identity.user_id, identity.session_id)

    def reader(self) -> Reader:
        """The caller as the rules see one now. After the workspace is deleted the rights stay as they were."""
        workspace = self._engine.catalog.get(self._workspace_id)
        if workspace is None:
            return self._reader
        if workspace is not self._workspace or workspace.shares.revision != self._revision:
            self._look_again(workspace)
        elif self._knows_topics and self._topics() != self._reader.topics:
            self._look_again(workspace)
        return self._reader

    def reader_with_topics(self) -> Reader:
        """The same for a search: it needs the topics of the caller beforehand."""
        return self.reader()._replace(topics=self._topics())

    def allow(self, event: dict[str, Any]) -> bool:
        reader = self.reader()
        target = event.get("target")
        if target and "userTopic" in target:
            reader = reader._replace(topics=self._topics())
        return may_read(event, reader)

    def _look_again(self, workspace: Any) -> None:
        self._workspace, self._revision = workspace, workspace.shares.revision
        who = who_is(workspace, self._auth.member(workspace, self._identity), self._topics())
        rules = (*workspace.rules.concerning(READ, EVENTS), *who.key_rules)
        self._knows_topics = any(_TOPICS in rule.needs for rule in rules)
        self._reader = reader_of(workspace, who, sees_context_updates=self._sees_context_updates)

    def _topics(self) -> frozenset[str]:
        user_id = self._identity.user_id
        return self._engine.topics_of(self._workspace_id, user_id) if user_id else frozenset()


def require_emit(engine: Any, workspace: Any, events: Sequence[NewEvent], origin: Origin) -> None:
    """Everybody may emit, unless the rules of the workspace forbid it. `origin.identity` has the caller's role. Raises `Forbidden`."""
    identity = origin.identity
    if identity.api_key is None and not workspace.rules.concerning(CREATE, EVENTS):
        return
    who = who_is(workspace, identity, engine.topics_of(workspace.id, identity.user_id))
    source = {"workspaceId": workspace.id, "correlationId": origin.correlation_id, "serviceTopic": EMIT_TOPIC, "userId": identity.user_id,
              "sessionId": identity.session_id, "socketId": origin.socket_id, "ip": origin.ip}
    for event in events:
        fields = {"type": event.type, "payload": event.payload, "target": event.target, "options": event.options, "source": source}
        made = decide(workspace, who, CREATE, EVENTS, fields)
        if not made.is_allowed:
            raise Forbidden(made.reason or f"You may not emit {event.type}", {"event": event.type})
