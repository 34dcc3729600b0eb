"""`set session.id` and `set user.id`: whose documents a branch of execution goes on with, and who may not be switched to."""
from __future__ import annotations

import asyncio

import pytest
from kit import ALICE, BOB, emit, endpoint, listener, payloads, put, sandbox, steps

from runtime.calls import ADMIN, NOBODY
from runtime.errors import Forbidden, InvalidInstruction
from runtime.testing import Sandbox
from runtime.values import encode
from store.records import Session

WHO = {"user": "{{user.id}}", "session": "{{session.id}}", "role": "{{user.role}}"}
SWITCH = {"main": endpoint(put("session.id", "{{body.id}}"), output=WHO),
          "twice": endpoint(put("session.id", "{{body.first}}"), put("session.id", "{{body.id}}"), output=WHO)}


async def log_in(box: Sandbox, *sessions: Session) -> None:
    await box.store.commit(list(sessions))


async def test_switching_the_session_drops_what_was_and_loads_what_is_stored() -> None:
    async with sandbox({
        "main": endpoint(put("session.mine", 1), put("session.id", "{{body.id}}"), put("session.visits", 1, type="add"),
                         output={"mine": "{{session.mine}}", "visits": "{{session.visits}}", "user": "{{user.id}}", "id": "{{session.id}}"}),
    }) as box:
        assert await box.call("main", {"id": "s-1"}) == {"visits": 1, "user": "s-1", "id": "s-1"}
        assert await box.call("main", {"id": "s-1"}) == {"visits": 2, "user": "s-1", "id": "s-1"}
        assert await box.call("main", {"id": "s-2"}) == {"visits": 1, "user": "s-2", "id": "s-2"}


async def test_a_switch_in_a_callee_is_seen_by_its_caller_but_not_by_a_sibling_branch() -> None:
    async with sandbox({
        "main": endpoint({"switch": {}}, output="{{session.id}}"),
        "parallel": endpoint({"all": [{"switch": {}}, {"tell": {}}]}, output="{{run.told}}"),
        "switch": steps(put("session.id", "chosen")),
        "tell": steps({"wait": {"oneOf": [{"event": "never"}], "timeout": 1}}, put("run.told", "[{{session.id}}]")),
    }) as box:
        assert await box.call("main") == "chosen"
        running = asyncio.create_task(box.call("parallel"))
        await box.settle()
        box.clock.advance(1)
        assert await running == "[]"


@pytest.mark.parametrize("id", ["", None, 3, {"a": 1}, "x" * 257])
async def test_a_session_id_must_be_a_text_of_some_length(id: object) -> None:
    async with sandbox({"main": endpoint(put("session.id", "{{body.id}}"))}) as box:
        with pytest.raises(InvalidInstruction, match="Invalid set instruction"):
            await box.call("main", {"id": id})


async def test_a_known_login_is_switched_to_with_its_user() -> None:
    async with sandbox(SWITCH) as box:
        await log_in(box, Session(BOB.session_id, "bob", None, encode({"userId": "bob"})))
        for identity in (ALICE, BOB):
            assert await box.call("main", {"id": BOB.session_id}, identity=identity) == {"user": "bob", "session": BOB.session_id}


async def test_where_only_own_sessions_may_be_switched_to_those_of_others_are_forbidden_whatever_is_chosen_before() -> None:
    async with sandbox(SWITCH, session_switch="own") as box:
        await log_in(box, Session(BOB.session_id, "bob", None, encode({"userId": "bob"})), Session("second", "alice", None, b'{"userId":"alice"}'))
        for identity in (ALICE, NOBODY):
            with pytest.raises(Forbidden):
                await box.call("main", {"id": BOB.session_id}, identity=identity)
            with pytest.raises(Forbidden):
                await box.call("twice", {"first": "bob", "id": BOB.session_id}, identity=identity)
        assert await box.call("main", {"id": "chosen"}, identity=ALICE) == {"user": "chosen", "session": "chosen"}
        assert await box.call("twice", {"first": "chosen", "id": "second"}, identity=ALICE) == {"user": "alice", "session": "second"}


async def test_nobody_becomes_the_predefined_owner() -> None:
    async with sandbox(SWITCH) as box:
        for identity in (ALICE, NOBODY):
            with pytest.raises(Forbidden):
                await box.call("main", {"id": ADMIN.session_id}, identity=identity)
        assert await box.call("main", {"id": "admin"}) == {"user": "admin", "session": "admin"}
        assert await box.call("twice", {"first": "x", "id": ADMIN.session_id}, identity=ADMIN) == {"user": "admin", "session": "at:admin"}


async def test_what_the_predefined_owner_emits_is_heard_as_from_it_over_any_number_of_hops() -> None:
    async with sandbox({"first": listener("one", emit("two", WHO)), "second": listener("two", emit("three", WHO))}) as box:
        await box.emit("one", identity=ADMIN)
        await box.settle()
        assert await payloads(box, "two") == await payloads(box, "three") == [{"user": "admin", "session": "at:admin", "role": "owner"}]


async def test_setting_the_user_or_session_that_one_has_changes_nothing() -> None:
    async with sandbox({"main": endpoint(put("session.mine", 1), put("session.id", ALICE.session_id), put("user.id", "alice"),
                                         output={**WHO, "mine": "{{session.mine}}"}),
                        "other": endpoint(put("user.id", "carol"), output=WHO)}) as box:
        assert await box.call("main", identity=ALICE) == {"user": "alice", "session": ALICE.session_id, "mine": 1}
        assert await box.call("other", identity=ALICE) == {"user": "carol", "session": "carol"}
