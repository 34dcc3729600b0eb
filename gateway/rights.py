"""What one caller may read of one workspace, as of now: roles and topics are looked up again whenever they can have changed."""
from __future__ import annotations

from typing import Any

from runtime.access import Reader, may_read
from runtime.calls import Identity


class Rights:
    __slots__ = ("_engine", "_auth", "_workspace_id", "_identity", "_workspace", "_reader", "_sees_context_updates")

    def __init__(self, gateway: Any, workspace_id: str, identity: Identity) -> None:
        self._engine = gateway.engine
        self._auth = gateway.auth
        self._sees_context_updates = gateway.settings.runtime.expose_context_updates
        self._workspace_id = workspace_id
        self._identity = identity
        self._workspace: Any = None
        self._reader = Reader(identity.user_id, identity.session_id)

    def reader(self) -> Reader:
        """The caller as the rules see one now. After the workspace is deleted the rights stay as they were."""
        workspace = self._engine.catalog.get(self._workspace_id)
        if workspace is not None and workspace is not self._workspace:
            self._workspace = workspace
            self._reader = self._reader._replace(
                role=self._auth.role_in(workspace, self._identity), sees_context_updates=self._sees_context_updates)
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

    def _topics(self) -> frozenset[str]:
        user_id = self._identity.user_id
        return self._engine.topics_of(self._workspace_id, user_id) if user_id else frozenset()
