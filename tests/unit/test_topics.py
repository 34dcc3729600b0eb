"""createUserTopic and joinUserTopic: who is a member, from when on, and what is told of it."""
from __future__ import annotations

from typing import Any

import pytest
from kit import ALICE, endpoint, payloads, sandbox

import store
from runtime.errors import AutomationsError
from runtime.testing import Sandbox


def instruction(word: str, **body: Any) -> dict[str, Any]:
    return endpoint({word: {"topic": "room", **body}})


def members(box: Sandbox) -> set[str]:
    return {user for user in ("alice", "bob", "carol") if "room" in box.engine.topics_of(box.id, user)}


async def test_creating_a_topic_that_is_there_changes_nothing() -> None:
    async with sandbox({"first": instruction("createUserTopic", userIds=["bob"]), "again": instruction("createUserTopic", userIds=["carol"])}) as box:
        await box.call("first")
        await box.call("again")
        assert members(box) == {"bob"}
        assert await payloads(box, "events.userTopics.created") == [{"topic": "room", "userIds": ["bob"]}]
        assert await payloads(box, "events.userTopics.joined") == []


async def test_who_joins_is_a_member_when_the_call_ends_and_after_a_restart() -> None:
    shared = await store.open("memory:")
    automations = {"main": instruction("joinUserTopic"), "others": instruction("joinUserTopic", userIds=["bob", "carol"])}
    async with sandbox(automations, on=shared) as box:
        await box.call("main", identity=ALICE)
        await box.call("others")
        assert members(box) == {"alice", "bob", "carol"}
        assert [p["user"] for p in await payloads(box, "events.userTopics.joined")] == [{"id": "alice"}, {"id": "bob"}, {"id": "carol"}]
    async with sandbox(automations, on=shared) as box:
        assert members(box) == {"alice", "bob", "carol"}


@pytest.mark.parametrize("body", [{}, {"userIds": []}, {"userIds": ["bob"], "create": False}, {"userIds": ["bob"], "topic": ""}])
async def test_a_join_without_a_user_or_a_topic_fails_and_makes_no_topic(body: dict[str, Any]) -> None:
    async with sandbox({"main": instruction("joinUserTopic", **body)}) as box:
        with pytest.raises(AutomationsError) as caught:
            await box.call("main")
        assert caught.value.wire == "PrismeError"
        assert await payloads(box, "events.userTopics.created") == []
