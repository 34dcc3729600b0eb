"""The part of a frame that writes contexts: whose document, for how long, how large, and the switch of session."""
from __future__ import annotations

from collections.abc import Awaitable
from typing import TYPE_CHECKING, Any
from weakref import ref

from runtime.calls import ADMIN, Identity
from runtime.contexts import Cell
from runtime.errors import ContextTooLarge, Forbidden, InvalidInstruction
from runtime.expressions import CONTEXTS, follow
from runtime.native import CONTEXTS_UPDATED
from runtime.values import UNDEFINED, copy, decode, encode
from store.records import Change, ContextKey, Topic

if TYPE_CHECKING:
    from runtime.frame import Frame
    from runtime.instructions.step import Hidden

_SWITCHES = (("session", ("id",)), ("user", ("id",)))
_UNCHARGED = 4096


class Writing:
    """Mixed into `Frame`."""

    __slots__ = ("__weakref__",)
    """A local variable with a lifespan keeps no frame alive."""

    def write_context(self: Frame, context: str, path: tuple, op: str, value: Any) -> None | Awaitable[None]:
        if context == "$workspace":
            self.report("InvalidInstructionError", "$workspace cannot be written", {"variable": ".".join(map(str, (context, *path)))})
            return None
        if (context, path) in _SWITCHES and op == "replace":
            return self._switch(context, value)
        if value is UNDEFINED:
            op, value = ("delete", None) if op == "replace" else (op, None)
        cell = self._cell(context)
        if cell.ends is not None:
            cell.current(self.clock.now())
        change = cell.write(op, path, value, self._end_of(context), self.settings.context_max_sizes.get(context))
        if context == "config":
            self._keep_config(path)
        elif cell.persistent:
            self.run.fact(change)
        if cell.ends is not None and op in ("replace", "delete"):
            self._keep_ends(context, cell, cell.release(path))
        self._tell_written(change)
        if cell.outgrown:
            cell.outgrown = False
            self.report("ContextTooLargeError", f"The {context} context exceeds its limit", {"context": context})
        return None

    def limit(self: Frame, path: tuple, seconds: float) -> None:
        """The variable disappears after so many seconds, unless it is set again before."""
        if path[0] in CONTEXTS:
            cell = self._cell(path[0])
            self._keep_ends(path[0], cell, [cell.limit(path[1:], self.clock.now() + int(seconds * 1000))])
            return
        frame, value = ref(self), self._local(path)

        def end() -> None:
            alive = frame()
            if alive is not None and alive._local(path) is value:
                alive.assign(path, "delete", None)
        self.clock.call_later(seconds, end)

    def _local(self: Frame, path: tuple) -> Any:
        return follow(self.locals.get(path[0], UNDEFINED), path[1:])

    def _keep_ends(self: Frame, context: str, cell: Cell, changes: list[Change]) -> None:
        """The ends of members of `config` are those of this process alone."""
        if cell.persistent and context != "config":
            for change in changes:
                self.run.fact(change)

    def _cell(self: Frame, context: str) -> Cell:
        match context:
            case "global":
                return self.space.global_cell
            case "user":
                return self.view.user
            case "session":
                self.view.session.live(self.clock.now())
                return self.view.session
            case "run":
                self.run.cell.outlive(self.clock.now())
                return self.run.cell
            case "socket":
                self.socket.live(self.clock.now())
                return self.socket
        return self.instance.config_cell

    def _end_of(self: Frame, context: str) -> int | None:
        """When the document ends that is written now."""
        now, settings = self.clock.now(), self.settings
        match context:
            case "session":
                return self.view.session_end(now, settings.context_unauthenticated_session_expire_time)
            case "run":
                usual = now + int(settings.fetch_timeout * 1000)
                return max(usual, *self.run.waiting, usual) + int(settings.context_run_expire_time * 1000)
            case "socket":
                return now + int(settings.context_socket_expire_time * 1000)
        return None

    def _keep_config(self: Frame, path: tuple) -> None:
        document = self.instance.config_cell.document
        for key in [str(path[0])] if path else list(document):
            self.run.fact(self.space.set_config(self.instance, key))

    def _tell_written(self: Frame, change: Change) -> None:
        """`runtime.contexts.updated`: nobody may read it by default, so it is made only where an operator wants it."""
        self.run.rev += 1
        if self.settings.expose_context_updates:
            context, path = change.cell.context, ".".join(map(str, decode(change.path)))
            update = {"type": change.op, "context": context, "path": path, "fullPath": f"{context}.{path}".rstrip("."), "value": decode(change.value)}
            self.native(CONTEXTS_UPDATED, {"updateId": self.uuid(), "rev": self.run.rev, "updates": [update]}, persistent=False)

    # --- the session --------------------------------------------------------------------------------

    def _switch(self: Frame, context: str, id: Any) -> None | Awaitable[None]:
        """Go on as another session: its documents replace those of the present one for this branch of execution."""
        if not isinstance(id, str) or not id or len(id) > 256:
            raise InvalidInstruction("Invalid set instruction", {"variable": f"{context}.id", "value": None if id is UNDEFINED else id})
        identity = self.view.identity
        if id == (identity.session_id if context == "session" else identity.user_id):
            return None
        return self._switched(id)

    async def _switched(self: Frame, id: str) -> None:
        self.run.flush()
        services = self.run.services
        identity = await services.identify(self.workspace, id, None)
        if identity.is_login and (self.settings.session_switch == "own" or id == ADMIN.session_id) and not self._is_own(identity):
            raise Forbidden("This session belongs to another user", {"sessionId": id})
        view = await self.run.load_view(identity)
        self.view.identity, self.view.user, self.view.session = view.identity, view.user, view.session

    def _is_own(self: Frame, identity: Identity) -> bool:
        """Whether the run was started by this very user; what was switched to since then proves nothing."""
        own = self.origin.identity
        return own.is_login and own.user_id == identity.user_id

    # --- memory -------------------------------------------------------------------------------------

    def charge(self: Frame, value: Any) -> None:
        """Count what local variables take. They are measured exactly only when the sum of what was written could be too much."""
        kind = type(value)
        if kind is str:
            size = len(value)
            if size < _UNCHARGED:
                size = 64
        elif kind is list or kind is dict:
            size = 64 if not value else len(encode(value)) if len(value) > 16 else 1024
        else:
            size = 16
        self._weight += size
        limit = self.settings.context_max_sizes["local"]
        if self._weight <= limit:
            return
        self._weight = sum(len(encode(v)) for k, v in self.locals.items() if k != "$http")
        if self._weight > 2 * limit:
            raise ContextTooLarge(f"Local variables would exceed {2 * limit} bytes", {"context": "local", "size": self._weight, "limit": limit})

    # --- documents besides the contexts ---------------------------------------------------------------

    async def hidden(self: Frame, name: str) -> Hidden:
        key = ContextKey(self.workspace.id, "hidden", f"{name}:{self.instance.path}")
        self.run.flush()
        [cell] = await self.run.services.cells.load([key], self.clock.now())
        return _HiddenDocument(self, cell)

    async def join_topic(self: Frame, topic: str, user_ids: list[str] | None, *, create: bool, join: bool) -> None:
        topics = self.space.topics
        users = user_ids or ([self.view.identity.user_id] if join and self.view.identity.user_id else [])
        if join and not users:
            raise InvalidInstruction("joinUserTopic needs a user", {"topic": topic}, wire="PrismeError")
        if topic in topics:
            if not join:
                return                                   # there is nothing to create
        elif not create:
            raise InvalidInstruction(f"Topic {topic!r} does not exist", {"topic": topic}, wire="PrismeError")
        else:
            topics[topic] = set()
            self.run.fact(Topic(self.workspace.id, topic, ""))
            self.native("events.userTopics.created", {"topic": topic, **({"userIds": user_ids} if user_ids else {})})
        for user in users:
            if user not in topics[topic]:
                topics[topic].add(user)
                self.run.fact(Topic(self.workspace.id, topic, user))
            if join:
                self.native("events.userTopics.joined", {"topic": topic, "user": {"id": user}})
        await self.leave()


class _HiddenDocument:
    """See `runtime.instructions.step.Hidden`."""

    __slots__ = ("_frame", "_cell")

    def __init__(self, frame: Frame, cell: Cell) -> None:
        self._frame = frame
        self._cell = cell

    def read(self) -> dict[str, Any]:
        return self._cell.document

    def change(self, op: str, path: tuple, value: Any = None) -> None:
        self._frame.run.fact(self._cell.write(op, path, copy(value), None, 10_000_000))
