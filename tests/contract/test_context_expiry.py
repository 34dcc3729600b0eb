"""C14 of the contract of contexts, on every store: a life ends on time, never early, whatever is cleaned up when."""
from __future__ import annotations

import asyncio
from typing import Any

import pytest
from kit import ALICE, endpoint, listener, origin, put, sandbox

from runtime.calls import Identity, Origin, Response
from runtime.testing import HandClock
from store.protocol import Store
from store.records import ContextKey, Topic
from tests.contract.facts import documents


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


@pytest.mark.parametrize("context", ["global", "user"])
async def test_c14_global_and_user_never_end(store: Store, context: str) -> None:
    clock = HandClock()
    automations = {"main": endpoint(put(context + ".n", 1)), "look": endpoint(output="{{%s.n}}" % context)}
    forever = Identity("alice", "session-of-alice")
    async with sandbox(automations, on=store, clock=clock) as box:
        await box.call("main", identity=forever)
    clock.advance(100 * 365 * 86_400)
    await store.expire(clock.now())
    async with sandbox(automations, on=store, clock=clock) as box:
        assert await box.call("look", identity=forever) == 1


async def test_c14_the_context_of_a_login_ends_with_it_whatever_is_written_when(store: Store) -> None:
    clock = HandClock()
    who = Identity("alice", "session-of-alice", clock.now() + 10_000_000)
    automations = {"main": endpoint(put("session.n", 1, type="add")), "look": endpoint(output="[{{session.n}}]")}
    async with sandbox(automations, on=store, clock=clock) as box:
        await box.call("main", identity=who)
        clock.advance(9000)
        await box.call("main", identity=who)
        clock.advance(999)
        assert await box.call("look", identity=who) == "[2]"
    async with sandbox(automations, on=store, clock=clock) as box:
        assert await box.call("look", identity=who) == "[2]"
        clock.advance(1)
        assert await box.call("look", identity=who) == "[]"


# whatever is cleaned up when

LOOK = endpoint(put("session.id", "s"), output=["{{run.n}}", "{{session.n}}", "{{socket.n}}"])
WRITE = endpoint(put("session.id", "s"), *(put(f"{context}.n", "{{body}}") for context in ("run", "session", "socket")))


@pytest.mark.parametrize("is_cleaned", [False, True])
@pytest.mark.parametrize("is_restarted", [False, True])
@pytest.mark.parametrize(("seconds", "seen"), [
    (59.9, [1, 1, 1]), (60, [None, 1, 1]), (3599.9, [None, 1, 1]), (3600, [None, None, 1]), (21599.9, [None, None, 1]), (21600, [None] * 3)])
async def test_c14_each_life_ends_to_the_second_with_and_without_cleaning_and_restarts(
        store: Store, is_cleaned: bool, is_restarted: bool, seconds: float, seen: list[Any]) -> None:
    clock, who = HandClock(), origin("c", socket_id="tab")
    async with sandbox({"write": WRITE, "look": LOOK}, on=store, clock=clock) as box:
        await box.call("write", 1, origin=who)
        if not is_restarted:
            assert await after(clock, seconds, store if is_cleaned else None) is None
            assert await box.call("look", origin=who) == seen
            return
    async with sandbox({"write": WRITE, "look": LOOK}, on=store, clock=clock):
        await after(clock, seconds, store if is_cleaned else None)
    async with sandbox({"write": WRITE, "look": LOOK}, on=store, clock=clock) as box:
        assert await box.call("look", origin=who) == seen


async def after(clock: HandClock, seconds: float, cleaned: Store | None) -> None:
    """Let time pass, cleaning up on the way and at the end."""
    for part in (seconds / 2, seconds - seconds / 2):
        clock.advance(part)
        if cleaned is not None:
            await cleaned.expire(clock.now())


async def test_c14_what_is_expired_in_the_store_is_not_there_for_anybody_though_nothing_was_cleaned_up(store: Store) -> None:
    clock = HandClock()
    async with sandbox({"write": WRITE}, on=store, clock=clock) as box:
        await box.call("write", 1, origin=origin("c"))
        keys = [ContextKey(box.id, "run", "c"), ContextKey(box.id, "session", "s"), ContextKey(box.id, "socket", "c")]
    for seconds, present in ((59.9, [True, True, True]), (0.1, [False, True, True]), (3540, [False, False, True]), (18000, [False] * 3)):
        clock.advance(seconds)
        assert [document is not None for document in await documents(store, keys, clock.now())] == present


# the life of `run` while it goes on

def wait(seconds: float, *events: str) -> dict[str, Any]:
    return {"wait": {"oneOf": [{"event": event} for event in events or ("never",)], "timeout": seconds}}


@pytest.mark.parametrize("branches", [
    [[wait(1000)], []], [[wait(1000)], [wait(10)]], [[wait(10)], [wait(1000)]], [[wait(1000)], [put("run.late", 1)]],
    [[wait(1000)], [wait(10), put("run.late", 1)]], [[wait(1000)], [wait(10), wait(10), wait(10)]], [[wait(500), wait(500)], []]])
async def test_c14_a_wait_keeps_the_run_context_whatever_other_branches_do_meanwhile(store: Store, branches: list[list[Any]]) -> None:
    """The process ends while the automation waits: what its next try finds of `run` is what the first one left."""
    clock = HandClock()
    automations = {"main": listener("start", put("run.tries", 1, type="add"), {"all": [{"repeat": {"on": [0], "do": branch}} for branch in branches]},
                                    put("global.tries", "{{run.tries}}")),
                   "look": endpoint(output="{{global.tries}}")}
    async with sandbox(automations, on=store, clock=clock) as box:
        await box.emit("start")
        await steps_of(clock, 900, store)
    async with sandbox(automations, on=store, clock=clock) as box:
        await steps_of(clock, 1100, store)
        await box.settle()
        assert await box.call("look") == 2


async def steps_of(clock: HandClock, seconds: int, store: Store) -> None:
    """Let time pass in which waits end and the store is cleaned up."""
    await calm(store)
    for _ in range(0, seconds, 50):
        clock.advance(50)
        await calm(store)
        await store.expire(clock.now())


async def calm(store: Store) -> None:
    """What goes on has come to where it waits; unlike `settle`, for automations whose deliveries stay open meanwhile."""
    quiet, before = 0, None
    while quiet < 3:
        await store.commit([Topic("nowhere", "calm", "")])     # what was handed over before is written then
        for _ in range(5):
            await asyncio.sleep(0)
        now = (await store.head(), await store.waits())
        quiet, before = quiet + 1 if now == before else 0, now


class SlowReader(Response):
    """Takes each chunk of a stream when it likes to."""

    def __init__(self) -> None:
        super().__init__()
        self.takes = asyncio.Event()

    async def write(self, data: bytes) -> None:
        await self.takes.wait()


CHUNK = put("$http", {"chunk": 1})


async def test_c14_a_run_that_takes_longer_than_its_context_would_live_keeps_all_of_it(store: Store) -> None:
    """Nothing said how long it would take; the store has taken the context for over meanwhile."""
    clock = HandClock()
    automations = {"main": endpoint(put("run.early", 1), put("run.short", 1, lifespan=280), CHUNK, put("run.late", 2)),
                   "quiet": endpoint(put("run.early", 1), put("run.late", 2), put("run.short", 1, lifespan=280), CHUNK),
                   "look": endpoint(output=["{{run.early}}", "{{run.late}}", "{{run.short}}"])}
    for name in ("main", "quiet"):
        async with sandbox(automations, on=store, clock=clock) as box:
            reader = SlowReader()
            running = asyncio.create_task(box.call(name, origin=origin(name), response=reader))
            await steps_of(clock, 250, store)
            reader.takes.set()
            await running
        clock.advance(29)
        async with sandbox(automations, on=store, clock=clock) as box:
            assert await box.call("look", origin=origin(name)) == [1, 2, 1]
            clock.advance(1)
            assert await box.call("look", origin=origin(name)) == [1, 2, None]


async def test_c14_the_run_context_ends_a_minute_after_the_last_of_its_automations_and_not_of_the_first(store: Store) -> None:
    clock = HandClock()
    automations = {"main": endpoint(put("run.n", 1)), "long": endpoint(wait(1000, "go")), "look": endpoint(output="[{{run.n}}]")}
    async with sandbox(automations, on=store, clock=clock) as box:
        running = asyncio.create_task(box.call("long", origin=origin("c")))
        await box.settle()
        await box.call("main", origin=origin("c"))
        clock.advance(300)
        await store.expire(clock.now())
        assert await box.call("look", origin=origin("c")) == "[1]"
        await box.emit("go")
        await running
    clock.advance(59.9)
    async with sandbox(automations, on=store, clock=clock) as box:
        assert await box.call("look", origin=origin("c")) == "[1]"
    clock.advance(60)
    async with sandbox(automations, on=store, clock=clock) as box:
        assert await box.call("look", origin=origin("c")) == "[]"
