"""createUserTopic and joinUserTopic: who may read events targeted at a topic."""
from __future__ import annotations

from collections.abc import Awaitable
from typing import Any

from runtime.errors import AutomationsError
from runtime.instructions.body import as_map
from runtime.instructions.step import At, Frame, Outcome, Step
from runtime.values import UNDEFINED


def build_create(body: Any, at: At, c: Any) -> Step:
    return _build("createUserTopic", body, c, join=False)


def build_join(body: Any, at: At, c: Any) -> Step:
    return _build("joinUserTopic", body, c, join=True)


def _build(word: str, body: Any, c: Any, *, join: bool) -> Step:
    body = as_map(word, body)
    topic, users, create, store = c.value(body.get("topic")), c.value(body.get("userIds")), c.value(body.get("create", True)), c.output(body)

    def run(frame: Frame) -> Outcome | Awaitable[Outcome]:
        name, members = topic(frame), users(frame)
        if not isinstance(name, str) or not name:
            raise AutomationsError(f"{word} needs a topic")
        if members is not None and members is not UNDEFINED:
            members = [m for m in (members if isinstance(members, list) else [members]) if isinstance(m, str) and m]
        return joined(frame, name, members or None, create(frame) is not False)

    async def joined(frame: Frame, name: str, members: list[str] | None, may_create: bool) -> None:
        await frame.join_topic(name, members, create=may_create, join=join)
        storing = store(frame, {"topic": name})
        if storing is not None:
            await storing
    return run
