"""One invocation of an automation: its local variables, whose contexts it sees, and what its steps may do."""
from __future__ import annotations

from collections.abc import Awaitable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from runtime.calls import Identity, Origin, Response
from runtime.contexts import Cell
from runtime.effects import Effects
from runtime.errors import AutomationsError, Forbidden, NotFound, TooManyCalls
from runtime.expressions import CONTEXTS
from runtime.fields import READERS
from runtime.instructions.step import Break, Outcome
from runtime.language.automation import Automation
from runtime.permissions.decisions import may_execute
from runtime.throttles import AUTOMATIONS, Throttle
from runtime.values import UNDEFINED, copy
from runtime.writing import Writing
from store.changes import Unapplicable, apply

if TYPE_CHECKING:
    from runtime.run import Run
    from runtime.view import View


_NOTHING: list[Any] = []
_LEFT = Break("all", is_from_callee=True)
"""How a callee that broke with scope `all` ends for its caller, which evaluates its own output."""


class Frame(Writing, Effects):
    """The scope of the automation's expressions and the door of its steps. See `runtime.instructions.step.Frame`."""

    __slots__ = ("run", "automation", "instance", "locals", "arguments", "view", "origin", "socket", "trigger", "depth", "delivery_id",
                 "value", "ahead", "throttle", "started_at", "settings", "clock", "locale", "timezone", "_borrowed", "_weight", "_source")

    def __init__(self, run: Run, automation: Automation, arguments: dict[str, Any], view: View, origin: Origin, socket: Cell,
                 trigger: dict[str, Any], depth: int, delivery_id: str | None = None) -> None:
        services = run.services
        settings = services.settings
        self.run = run
        self.automation = automation
        self.instance = automation.instance
        self.arguments = arguments
        self.locals = dict(arguments)
        self.view = view
        self.origin = origin
        self.socket = socket
        self.trigger = trigger
        self.depth = depth
        self.delivery_id = delivery_id
        self.value: Any = UNDEFINED
        self.ahead: list[Any] = _NOTHING
        self.throttle = None if run.limits is None else Throttle(run, run.limits)
        self.settings = settings
        self.clock = services.clock
        self.locale = settings.default_locale
        self.timezone = settings.default_timezone
        self.started_at = services.clock.now()
        self._borrowed = set(arguments)
        self._weight = 0
        self._source: dict[str, Any] | None = None

    # --- an invocation from beginning to end --------------------------------------------------------

    def begin(self, *, is_its_turn: bool = False) -> Any:
        """Run the automation: its value, a `Break` that goes on to the caller, or an awaitable of either."""
        if self.throttle is not None and not is_its_turn:
            turn = self.throttle.turn(AUTOMATIONS)
            if turn is not None:
                return self._after(turn)
        try:
            self._admit()
            spans = self.run.services.signals.spans
            outcome = self.automation.body(self) if spans is None else spans.around(
                "automation", {"automation": self.automation.full_slug}, partial(self.automation.body, self))
            if outcome is None or type(outcome) is Break:
                return self._finish(outcome)
        except AutomationsError as error:
            self.executed(error)
            raise
        except RecursionError:
            error = TooManyCalls("The automation nests too deeply", {"automation": self.automation.slug})
            self.executed(error)
            raise error from None
        return self._later(outcome)

    async def _later(self, pending: Awaitable[Outcome]) -> Any:
        try:
            return self._finish(await pending)
        except AutomationsError as error:
            self.executed(error)
            raise

    def _admit(self) -> None:
        automation, limit = self.automation, self.settings.maximum_successive_calls
        if automation.action and self.trigger["type"] != "schedule":
            self._authorize(automation)
        self.hide_arguments()
        if automation.validator is not None:
            automation.validator.check(self.arguments)
        if self.depth > limit + 1:
            raise TooManyCalls("Reached maximum number of nested calls", {"limit": limit})

    def _authorize(self, automation: Automation) -> None:
        """Only those run it whom the rules allow to, whoever calls it for them."""
        identity = self.view.identity
        if self.origin.identity.api_key is not None:
            identity = replace(identity, api_key=self.origin.identity.api_key)
        decision = may_execute(self.workspace, identity, automation, self.space.topics_of(identity.user_id))
        if not decision.is_allowed:
            raise Forbidden(decision.reason or f"You are not allowed to run {automation.full_slug}",
                            {"automation": automation.full_slug, "action": automation.action})

    def _finish(self, outcome: Outcome) -> Any:
        """Evaluate the output: as it is now, whatever its caller does before it looks. `break` with scope `all` also ends the caller."""
        if outcome is not None and outcome.payload is not UNDEFINED:
            self.value = outcome.payload
        else:
            output = self.automation.output
            self.value = {} if output is None else copy(output(self))
        self.executed(None, broke=outcome is not None)
        return _LEFT if outcome is not None and outcome.scope == "all" else self.value

    def call(self, slug: str, arguments: dict[str, Any]) -> Any:
        automation = self.instance.resolve(slug)
        if automation is None:
            raise NotFound("Automation not found", {"workspaceId": self.workspace.id, "automation": slug})
        trigger = {"type": "automation", "value": self.automation.full_slug}
        frame = Frame(self.run, automation, arguments, self.view, self.origin, self.socket, trigger, self.depth + 1, self.delivery_id)
        if self.run.spend(1):
            return frame._after(self.rest(), is_its_turn=False)
        return frame.begin()

    async def _after(self, pause: Awaitable[None], *, is_its_turn: bool = True) -> Any:
        await pause
        result = self.begin(is_its_turn=is_its_turn)
        return await result if hasattr(result, "__await__") else result

    def branch(self) -> Frame:
        frame = Frame.__new__(Frame)
        for name in Frame.__slots__:
            setattr(frame, name, getattr(self, name))
        frame.view = self.view.copy()
        return frame

    def scoped(self, variables: dict[str, Any]) -> None:
        """Give this branch its own value of a few variables; all others stay shared."""
        self.locals = Overlay(self.locals, variables)
        self._borrowed = self._borrowed.union(variables)

    # --- what expressions and steps read -------------------------------------------------------------

    @property
    def workspace(self) -> Any:
        return self.run.space.workspace

    @property
    def space(self) -> Any:
        return self.run.space

    @property
    def ids(self) -> Any:
        return self.run.services.ids

    @property
    def outbound(self) -> Any:
        return self.run.services.outbound

    @property
    def identity(self) -> Identity:
        return self.view.identity

    def read(self, context: str, path: tuple) -> Any:
        return READERS[context](self, path)

    def random(self) -> float:
        return self.run.services.ids.random()

    def uuid(self) -> str:
        return self.run.services.ids.uuid()

    # --- writing -----------------------------------------------------------------------------------

    def assign(self, path: tuple, op: str, value: Any) -> None | Awaitable[None]:
        root = path[0]
        if root in CONTEXTS:
            return self.write_context(root, path[1:], op, value)
        if len(path) == 1 and (op == "replace" or op == "delete"):
            if value is UNDEFINED or op == "delete":
                self.locals.pop(root, None)
            else:
                self.locals[str(root)] = value
        else:
            if root in self._borrowed:
                self._own(root)
            if value is UNDEFINED:
                op, value = ("delete", None) if op == "replace" else (op, None)
            apply(self.locals, op, path, value)
        if op != "delete":
            self.charge(value)
        return None

    def borrow(self, name: str) -> None:
        self._borrowed.add(name)

    def _own(self, root: Any) -> None:
        """Arguments are shared with the event that tells of them, items with their list: copied before the first change inside."""
        self._borrowed.discard(root)
        if isinstance(self.locals.get(root), Response):
            raise Unapplicable(f"{root} has no members of its own")
        if root in self.locals:
            self.locals[root] = copy(self.locals[root])


class Overlay(dict):
    """Local variables of one of several parallel iterations: a few of its own, the rest those of the automation."""

    def __init__(self, shared: dict[str, Any], own: dict[str, Any]) -> None:
        super().__init__(own)
        self._shared = shared

    def get(self, key: Any, default: Any = None) -> Any:
        return super().get(key, default) if key in super().keys() else self._shared.get(key, default)

    def __getitem__(self, key: Any) -> Any:
        return super().__getitem__(key) if key in super().keys() else self._shared[key]

    def __setitem__(self, key: Any, value: Any) -> None:
        if key in super().keys():
            super().__setitem__(key, value)
        else:
            self._shared[key] = value

    def __contains__(self, key: Any) -> bool:
        return key in super().keys() or key in self._shared

    def pop(self, key: Any, *default: Any) -> Any:
        return super().pop(key, *default) if key in super().keys() else self._shared.pop(key, *default)
