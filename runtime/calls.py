"""What comes in from outside, and what goes back: the values that the gateway and the engine hand to each other."""
from __future__ import annotations

from collections.abc import Awaitable
from dataclasses import dataclass, field
from typing import Any, NamedTuple


class Presented(NamedTuple):
    """An API key as a call brings it: the key itself, or, from a run of the workspace, its name."""

    secret: str = ""
    workspace_id: str = ""
    name: str = ""


@dataclass(frozen=True, slots=True)
class Identity:
    """Who is calling. Without credentials there is neither a user nor a session."""

    user_id: str | None = None
    session_id: str | None = None
    session_expires_at: int | None = None
    """Milliseconds; None for a session that never ends."""
    email: str | None = None
    auth_data: dict[str, Any] | None = None
    role: str | None = None
    """In the workspace that is called: owner, editor, a custom one, or None for everybody else."""
    is_login: bool = True
    """False for a session that an automation chose by name."""
    api_key: Presented | None = field(default=None, repr=False)
    """What a workspace may allow beside, to whoever brings this key of it."""


NOBODY = Identity()
ADMIN = Identity(user_id="admin", session_id="at:admin", auth_data={})
"""The predefined owner: of every workspace, for ever."""


class Origin(NamedTuple):
    """Where a call or an event comes from; everything it sets off carries the same correlation id."""

    correlation_id: str
    identity: Identity = NOBODY
    ip: str | None = None
    socket_id: str | None = None
    http: dict[str, Any] | None = None
    """`{method, path, hostname, originalUrl, ip}` of the request, for the source of native events."""
    depth: int = 0
    """How many automations led here already; above 0 only for a call from an automation to its own server."""
    is_new: bool = True
    """Nobody used the correlation id before: there is no `run` context to look for."""
    source_workspace_id: str | None = None
    authenticated_workspace_id: str | None = None


class Response:
    """What `$http` controls. The gateway's subclass writes to the wire; this one keeps what it is told."""

    def __init__(self) -> None:
        self.status: int | None = None
        self.headers: dict[str, str] = {}
        self.streaming = False

    async def patiently(self, coming: Awaitable[None]) -> None:
        """Wait for what the run does, as long as the caller would. Raises `TimeoutError`; the run goes on all the same."""
        await coming

    async def write(self, data: bytes) -> None:
        """Send `data: <data>` and a blank line; the first call sends status and headers before it. Waits for a slow reader,
        does nothing once the reader is gone."""
        self.streaming = True

    async def keep_alive(self, seconds: float) -> None:
        """Start the stream and write `{"keepAlive": true}` every `seconds`; a second call replaces the first."""
        self.streaming = True


@dataclass(slots=True)
class Call:
    """A webhook call. `variables` are body, headers, method and query."""

    workspace_id: str
    endpoint: str
    """Decoded, without leading slash."""
    variables: dict[str, Any]
    origin: Origin
    response: Response
    raw_body: bytes = b""
    """As it was sent; automations that declare an argument `rawBody` get it as text."""
    raw_endpoint: str = ""
    """Not decoded; needed only where a slash is encoded."""


@dataclass(slots=True)
class NewEvent:
    """An event that somebody wants accepted."""

    type: str
    payload: Any = field(default_factory=dict)
    target: dict[str, Any] | None = None
    options: dict[str, Any] | None = None
    source: dict[str, Any] | None = None
    """What a native event is about, over what its origin says: `automationSlug`, `appInstanceFullSlug`, …"""
