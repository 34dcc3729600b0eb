"""How the secrets of a workspace change: like an edit, alone and whole, together with the event that tells of it."""
from __future__ import annotations

from collections.abc import Callable

from runtime.calls import NewEvent, Origin
from runtime.catalog.editing import Editing
from runtime.errors import TooBusy
from runtime.secrets import Secrets, changed_names
from store.errors import Conflict

_MOST_TRIES = 20
"""Of one change, while other nodes change the same secrets."""

SecretsEdit = Callable[[Secrets], Secrets]


class SecretEdits:
    """Runs that are accepted after a change read the new secrets."""

    def __init__(self, catalog: Editing) -> None:
        self._catalog = catalog
        self._bus = catalog._bus

    async def change(self, id: str, edit: SecretsEdit, origin: Origin) -> Secrets:
        """All secrets after the edit. Names are told, values never. Raises `NoKey`."""
        self._catalog.require(id)
        changed: Secrets = await self._catalog.alone(id, lambda: self._change(id, edit, origin))
        return changed

    async def _change(self, id: str, edit: SecretsEdit, origin: Origin) -> Secrets:
        for _ in range(_MOST_TRIES):
            before = self._catalog.secrets.of(id)
            after = edit(before)
            if after == before:
                return before
            try:
                return await self._commit(id, before, after, origin)
            except TooBusy as error:
                if self._bus.catch_up is None or not isinstance(error.__cause__, Conflict):
                    raise
                await self._bus.catch_up()                   # another node was faster: the edit is done again, on what it left
        raise TooBusy("Too many change these secrets at the same time", {"retryAfter": 1})

    async def _commit(self, id: str, before: Secrets, after: Secrets, origin: Origin) -> Secrets:
        workspace, (kept, ended) = self._catalog.require(id), self._catalog.secrets.next(id, after)
        told = NewEvent("workspaces.secrets.updated", changed_names(before, after))
        await self._bus.accept(workspace, [told], origin, facts=[kept, *ended], on_commit=lambda: self._catalog.put_secrets(kept))
        return after
