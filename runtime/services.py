"""What every run of this node works with, handed over in one piece by the engine."""
from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from runtime.calls import ADMIN, Identity, Origin
from runtime.clock import Clock
from runtime.contexts import Cells
from runtime.events import Bus
from runtime.ids import Ids
from runtime.outbound import Outbound
from runtime.ownership import Ownership
from runtime.permissions.decisions import role_of
from runtime.rates import SlidingWindow
from runtime.settings import RuntimeSettings
from runtime.signals import Signals
from runtime.throttles import Throttles
from runtime.values import decode
from runtime.workspace import Workspace
from store.protocol import Store

MintToken = Callable[[Origin, str, int], str]
"""(where the run comes from, workspace id, depth) → a short-lived token for calls to the own API."""

_ADMIN = replace(ADMIN, role="owner")


@dataclass(slots=True)
class Services:
    store: Store
    bus: Bus
    cells: Cells
    clock: Clock
    ids: Ids
    settings: RuntimeSettings
    outbound: Outbound
    windows: SlidingWindow
    mint_token: MintToken
    registry: Callable[[], dict[str, Any]]
    """`global.workspacesRegistry`: slug → {id, name}."""
    ownership: Ownership | None = None
    """Which runs are this node's; None where it is the only one."""
    signals: Signals = field(init=False)
    throttles: Throttles = field(init=False)

    def __post_init__(self) -> None:
        self.signals = self.bus.signals
        self.signals.gauges["leases_held"] = lambda: len(self.ownership or ())
        self.throttles = Throttles(self.settings, self.clock)

    async def identify(self, workspace: Workspace, session_id: str, user_id: str | None) -> Identity:
        """Who a session belongs to: the user of a known login; else the given user, or the session itself."""
        if session_id == ADMIN.session_id:
            return _ADMIN
        login = await self.store.session(session_id, self.clock.now())
        if login is None:
            return Identity(user_id or session_id, session_id, is_login=False)
        body = decode(login.body)
        identity = Identity(login.user_id, session_id, login.expires_at, body.get("email"), body.get("authData"))
        return replace(identity, role=role_of(workspace, identity))
