"""The contract of contexts, C1 to C18, on every store: what automations and runs see of each other's writes."""
from __future__ import annotations

from typing import Any

import pytest
from kit import ALICE, BOB, emit, endpoint, listener, payloads, put, sandbox

from runtime.calls import NOBODY, Identity, NewEvent, Origin
from runtime.testing import HandClock
from store.protocol import Store


def origin(correlation_id: str, identity: Identity = NOBODY, **more: Any) -> Origin:
    """Of a call whose correlation id may have been used before."""
    return Origin(correlation_id, identity, is_new=False, **more)


# C14: expiry

async def test_c14_the_run_context_lives_on_for_its_time_after_the_last_automation_and_no_longer(store: Store) -> None:
    clock = HandClock()
    automations = {"main": endpoint(put("run.n", 1, type="add"), output="{{run.n}}"), "look": endpoint(output="[{{run.n}}]")}
    async with sandbox(automations, on=store, clock=clock) as box:
        assert await box.call("main", origin=origin("c")) == 1
        clock.advance(59)
        assert await box.call("look", origin=origin("c")) == "[1]"
        clock.advance(59)
        assert await box.call("look", origin=origin("c")) == "[1]"
        clock.advance(60)
        assert await box.call("look", origin=origin("c")) == "[]"


async def test_c14_a_restart_neither_shortens_nor_lengthens_the_life_of_the_run_context(store: Store) -> None:
    clock = HandClock()
    automations = {"main": endpoint(put("run.n", 1)), "look": endpoint(output="[{{run.n}}]")}
    for seconds, seen in ((59, "[1]"), (60, "[]")):
        async with sandbox(automations, on=store, clock=clock) as box:
            await box.call("main", origin=origin("c"))
        clock.advance(seconds)
        async with sandbox(automations, on=store, clock=clock) as box:
            assert await box.call("look", origin=origin("c")) == seen


async def test_c14_a_chosen_session_read_back_after_a_restart_ends_on_time(store: Store) -> None:
    clock = HandClock()
    automations = {"main": endpoint(put("session.id", "s"), put("session.n", 1)), "look": endpoint(put("session.id", "s"), output="[{{session.n}}]")}
    async with sandbox(automations, on=store, clock=clock) as box:
        await box.call("main")
    clock.advance(3599)
    async with sandbox(automations, on=store, clock=clock) as box:
        assert await box.call("look") == "[1]"
        clock.advance(1)
        assert await box.call("look") == "[]"


async def test_c14_nothing_of_an_ended_session_comes_again_when_it_is_written_anew(store: Store) -> None:
    clock = HandClock()
    automations = {"main": endpoint(put("session.id", "s"), put("session.{{body.key}}", 1), output="{{session}}")}
    async with sandbox(automations, on=store, clock=clock) as box:
        await box.call("main", {"key": "old"})
        clock.advance(3600)
        assert await box.call("main", {"key": "new"}) == {"id": "s", "new": 1}
    async with sandbox(automations, on=store, clock=clock) as box:
        assert await box.call("main", {"key": "newer"}) == {"id": "s", "new": 1, "newer": 1}


@pytest.mark.parametrize("who", [origin("c", socket_id="tab-1"), origin("c", ALICE), origin("c")])
async def test_c14_the_socket_context_ends_six_hours_after_its_last_write(store: Store, who: Origin) -> None:
    clock = HandClock()
    automations = {"main": endpoint(put("socket.n", 1, type="add"), output="{{socket.n}}"), "look": endpoint(output="[{{socket.n}}]")}
    async with sandbox(automations, on=store, clock=clock) as box:
        await box.call("main", origin=who)
        clock.advance(3 * 3600)
        assert await box.call("main", origin=who) == 2
    async with sandbox(automations, on=store, clock=clock) as box:
        clock.advance(6 * 3600 - 1)
        assert await box.call("look", origin=who) == "[2]"
        clock.advance(1)
        assert await box.call("look", origin=who) == "[]"


# C5: one copy for all of a run

async def test_c5_an_event_of_an_earlier_correlation_id_is_heard_with_what_its_run_left(store: Store) -> None:
    automations = {"main": endpoint(put("run.n", 1)), "hears": listener("go", emit("seen", {"n": "[{{run.n}}]"}))}
    async with sandbox(automations, on=store) as box:
        await box.call("main", origin=origin("c"))
    async with sandbox(automations, on=store) as box:
        for correlation_id in ("c", "other"):
            await box.engine.accept(box.id, [NewEvent("go"), NewEvent("unheard")], origin(correlation_id))
        await box.settle()
        assert await payloads(box, "seen") == [{"n": "[1]"}, {"n": "[]"}]


# C12: isolation

async def test_c12_callers_who_share_a_correlation_id_share_neither_user_nor_session_nor_socket(store: Store) -> None:
    automations = {"main": endpoint(*(put(f"{context}.k", "{{body}}") for context in ("user", "session", "socket"))),
                   "look": endpoint(output={context: f"{{{{{context}.k}}}}" for context in ("user", "session", "socket")})}
    async with sandbox(automations, on=store) as box:
        for who, value in ((origin("c", ALICE), "alice"), (origin("c", BOB), "bob"), (origin("c", ALICE, socket_id="tab-1"), "tab")):
            await box.call("main", value, origin=who)
        assert await box.call("look", origin=origin("c", BOB)) == {"user": "bob", "session": "bob", "socket": "bob"}
        assert await box.call("look", origin=origin("c", ALICE)) == {"user": "tab", "session": "tab", "socket": "alice"}
        assert await box.call("look", origin=origin("c")) == {}
