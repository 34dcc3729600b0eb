"""What a compiled instruction is, and what it may ask of the frame that runs it.

A step is a plain function of its frame. It returns None to go on, a `Break` to leave, or an awaitable of either when
it has to wait: so instructions that never wait cost no coroutine, and the same step may wait on one call and not on the next.
What a step must do before anybody else moves (register a wait, start a branch) it does before it returns.
"""
from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from runtime.values import UNDEFINED

if TYPE_CHECKING:
    from runtime.calls import Identity
    from runtime.clock import Clock
    from runtime.ids import Ids
    from runtime.outbound import Outbound
    from runtime.settings import RuntimeSettings
    from runtime.signals import Spans
    from runtime.throttles import Throttle

At = tuple[str | int, ...]
"""Place of an instruction in its automation: `("do", 0, "repeat", "do", 2)`."""


@dataclass(frozen=True, slots=True)
class Break:
    """Leave the loop (`repeat`), the automation, or every automation up to the root (`all`)."""

    scope: str = "automation"
    payload: Any = UNDEFINED
    is_from_callee: bool = False
    """An automation called here ended so: for its caller it is much like an error."""


Outcome = None | Break
Step = Callable[["Frame"], Outcome | Awaitable[Outcome]]
Store = Callable[["Frame", Any], None | Awaitable[None]]
"""Puts a result into the variable named by an instruction's `output`."""


class Frame(Protocol):
    """One invocation of an automation, as its steps see it. It is also the scope of their expressions."""

    locals: dict[str, Any]
    ahead: list[Any]
    """Values of an instruction that were computed before it started."""
    locale: str
    timezone: str
    throttle: Throttle | None
    """Where the workspace may work only so fast: what a step asks for its turn."""

    @property
    def settings(self) -> RuntimeSettings: ...
    @property
    def clock(self) -> Clock: ...
    @property
    def ids(self) -> Ids: ...
    @property
    def outbound(self) -> Outbound: ...
    @property
    def identity(self) -> Identity: ...

    @property
    def spans(self) -> Spans | None:
        """Whoever wants to know how long things take; None while nobody does."""

    def read(self, context: str, path: tuple) -> Any:
        """The value at `path` of a context, UNDEFINED when there is none."""

    def random(self) -> float: ...
    def uuid(self) -> str: ...

    def assign(self, path: tuple, op: str, value: Any) -> None | Awaitable[None]:
        """Write a variable, local or of a context. `value` is a copy nobody else holds. Only a switch of session waits."""

    def limit(self, path: tuple, seconds: float) -> None:
        """The variable that was just written disappears after so many seconds, unless it is set again before."""

    def borrow(self, name: str) -> None:
        """The local variable has its value in common with something else: copied before it is changed inside."""

    def call(self, slug: str, arguments: dict[str, Any]) -> Any:
        """Run another automation in this run: its value, a `Break` that leaves this one as well, or an awaitable of either."""

    def branch(self) -> Frame:
        """The same invocation seen from a parallel branch: same variables, own session."""

    def hold(self, awaitable: Awaitable[Any]) -> Any:
        """Make `awaitable` a task of the run."""

    def spend(self, instructions: int) -> bool:
        """Count work; True when it is time to let others have the loop. Raises `OverBudget`."""

    async def rest(self) -> None:
        """Let others have the loop."""

    async def leave(self) -> None:
        """Everything this run has done so far is durable afterwards; to be called before the outside may notice."""

    def publish(self, event: str, payload: dict[str, Any], target: Any, options: Any) -> None:
        """Buffer a custom event. Raises `InvalidEvent`."""

    async def emit(self, event: str, payload: dict[str, Any], target: Any, options: Any) -> dict[str, Any]:
        """Like `publish`, and the accepted event once it is durable."""

    def native(self, type: str, payload: dict[str, Any]) -> None:
        """Buffer a native event."""

    def report(self, error: str, message: str, details: Any = None, *, prefixed: bool = False) -> None:
        """Buffer an `error` event about something that does not stop the run; `prefixed` by the path of the app instance."""

    def hide(self, texts: set[str]) -> None:
        """From here on these texts appear in no native event of the run."""

    def shown(self, value: Any) -> Any:
        """As native events may show it; for what is cut before it gets there, which could leave half a secret."""

    def wait_for(self, patterns: list[dict[str, Any]], timeout: float, at: At) -> Awaitable[dict[str, Any] | None]:
        """Registered when this returns; the awaitable gives the first matching event, or None when time is up. `at` is the
        instruction that waits: a run that is started again goes on with the wait that it began there."""

    def request_headers(self, url: str, has_authorization: bool) -> dict[str, str]:
        """The headers every outgoing request carries: correlation id, workspace, and for the own API a short-lived token."""

    def is_own_api(self, url: str) -> bool: ...

    async def hidden(self, name: str) -> Hidden:
        """A document of the workspace and app instance that no expression can name: `name` says what for."""

    async def join_topic(self, topic: str, user_ids: list[str] | None, *, create: bool, join: bool) -> None: ...

    def take(self, name: str, limit: int, window: float, consumer: str) -> dict[str, Any]:
        """One more in the sliding window of `rateLimit`."""

    def workspace_token(self, key: str = "") -> str: ...


class Hidden(Protocol):
    """A document kept in the store for instructions such as `run`."""

    def read(self) -> dict[str, Any]: ...
    def change(self, op: str, path: tuple, value: Any = None) -> None: ...
