"""What a process left unfinished, the next one on the same store does: deliveries, ticks, and what they waited for."""
from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest
from kit import ALICE, emit, endpoint, listener, of_type, payloads, put, sandbox, steps

import store
from runtime.calls import Origin
from runtime.clock import iso
from runtime.firings import delivery_of
from runtime.testing import HandClock, Sandbox
from runtime.values import encode
from store.errors import Unavailable
from store.protocol import Store
from store.records import Event, Fact, Wait

AT_0314 = 1_772_334_840_000
"""2026-03-01T03:14:00Z"""


async def rest() -> None:
    """Until whatever can go on has come to a wait."""
    for _ in range(60):
        await asyncio.sleep(0)


class Line:
    """The way to a store, until it is cut: nothing is written after that."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.is_cut = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def commit(self, facts: Sequence[Fact]) -> asyncio.Future[int]:
        if not self.is_cut:
            return self._store.commit(facts)
        failed = asyncio.get_running_loop().create_future()
        failed.set_exception(Unavailable("killed"))
        return failed


@asynccontextmanager
async def killed(automations: dict[str, Any], shared: Store) -> AsyncIterator[Sandbox]:
    """A process that ends without a word, when all it can do is wait."""
    line = Line(shared)
    async with sandbox(automations, on=line, clock=HandClock(AT_0314)) as box:
        yield box
        await rest()
        line.is_cut = True


async def arrive(shared: Store, box: Sandbox, type: str, payload: dict[str, Any], *, seconds: float) -> None:
    """An event that another node accepts so long after the beginning."""
    now = AT_0314 + int(seconds * 1000)
    body = encode({"id": f"{now}-x", "type": type, "createdAt": iso(now), "source": {"correlationId": "c"}, "payload": payload})
    await shared.commit([Event(box.id, f"{now}-x", type, now, "c", None, body)])


def waiting(*more: Any, event: str = "answer", timeout: float = 30, **pattern: Any) -> dict[str, Any]:
    wait = {"wait": {"oneOf": [{"event": event, **pattern}], "timeout": timeout, "output": "got"}}
    return listener("go", wait, *more, emit("ended", {"got": "{{got.payload.n}}"}))


async def test_a_called_automation_knows_the_delivery_that_began_it_all_and_a_redelivery_is_the_same() -> None:
    shared = await store.open("memory:")
    automations = {"hears": listener("go", {"below": {}}, {"wait": {"oneOf": [{"event": "never"}], "timeout": 5}}),
                   "below": steps(emit("ran", {"delivery": "{{run.deliveryId}}"})),
                   "called": endpoint(output={"delivery": "{{run.deliveryId}}"})}
    async with killed(automations, shared) as box:
        event = await box.emit("go")
        await rest()
        assert await box.call("called") == {}
    async with sandbox(automations, on=shared, clock=HandClock(AT_0314)) as box:
        await rest()
        assert await payloads(box, "ran") == [{"delivery": f"{event['id']}:hears"}] * 2


async def test_a_tick_whose_run_was_killed_is_run_again_and_told_once() -> None:
    shared = await store.open("memory:")
    job = {"job": {"when": {"schedules": ["* * * * *"]}, "do": [
        emit("ran", {"trigger": "{{run.trigger}}", "delivery": "{{run.deliveryId}}"}), {"wait": {"oneOf": [{"event": "answer"}], "timeout": 600}}, emit("ended")]}}
    async with killed(job, shared) as box:
        await rest()
        box.clock.advance(60)
    async with sandbox(job, on=shared, clock=HandClock(AT_0314 + 61_000)) as box:
        await rest()
        ran = await of_type(box, "ran")
        expected = {"trigger": {"type": "schedule", "value": "* * * * *"}, "delivery": f"{box.id}:job:{AT_0314 + 60_000}"}
        assert [event["payload"] for event in ran] == [expected] * 2
        assert len({event["source"]["correlationId"] for event in ran}) == 1
        assert len(await of_type(box, "runtime.schedules.triggered")) == len(await of_type(box, "runtime.interactions.triggered")) == 1
        await box.emit("answer")
        await box.settle()
        assert len(await of_type(box, "ended")) == 1 and await shared.waits() == []
    async with sandbox(job, on=shared, clock=HandClock(AT_0314 + 62_000)) as box:
        await rest()
        assert len(await of_type(box, "ran")) == 2


async def test_a_tick_whose_node_died_before_it_said_anything_is_told_by_the_next() -> None:
    shared = await store.open("memory:")
    job = {"job": {"when": {"schedules": ["* * * * *"]}, "do": [emit("ran")]}}
    async with killed(job, shared) as box:
        pass
    await shared.commit([delivery_of(box.id, "job", "* * * * *", AT_0314 + 60_000, correlation_id="c9")])
    async with sandbox(job, on=shared, clock=HandClock(AT_0314 + 60_500)) as box:
        await box.settle()
        assert [e["source"]["correlationId"] for e in await of_type(box, "runtime.schedules.triggered", "ran")][:2] == ["c9", "c9"]
        assert await shared.deliveries() == []


async def test_a_wait_goes_on_after_a_kill_with_the_time_it_had_left() -> None:
    shared, automations = await store.open("memory:"), {"hears": waiting()}
    async with killed(automations, shared) as box:
        await box.emit("go")
    [before] = await shared.waits()
    async with sandbox(automations, on=shared, clock=HandClock(AT_0314 + 20_000)) as box:
        await rest()
        assert await shared.waits() == [before]
        box.clock.advance(9.9)
        await rest()
        assert await payloads(box, "ended") == []
        box.clock.advance(0.2)
        await box.settle()
        assert await payloads(box, "ended") == [{}] and await shared.waits() == []


async def test_a_renewed_wait_hears_what_comes() -> None:
    shared, automations = await store.open("memory:"), {"hears": waiting(filters={"payload.n": {"$gt": 1}})}
    async with sandbox(automations, on=shared, clock=HandClock(AT_0314)) as box:
        await box.emit("go")
        await rest()
    assert len(await shared.waits()) == 1                 # a graceful stop ends no wait either
    async with sandbox(automations, on=shared, clock=HandClock(AT_0314 + 1000)) as box:
        await rest()
        for n in (1, 2, 3):
            await box.emit("answer", {"n": n})
        await box.settle()
        assert await payloads(box, "ended") == [{"got": 2}]


async def test_what_came_while_nobody_listened_fulfils_the_wait_even_after_its_time() -> None:
    shared, automations = await store.open("memory:"), {"hears": waiting(filters={"payload.n": {"$gt": 1}})}
    async with killed(automations, shared) as box:
        await box.emit("answer", {"n": 7})                # before the wait
        await box.emit("go")
    for n in (1, 2, 3):
        await arrive(shared, box, "answer", {"n": n}, seconds=n)
    for seconds in (100, 200):
        async with sandbox(automations, on=shared, clock=HandClock(AT_0314 + seconds * 1000)) as box:
            await box.settle()
            assert await payloads(box, "ended") == [{"got": 2}]


async def test_what_comes_after_the_time_of_a_wait_is_too_late_for_it() -> None:
    shared, automations = await store.open("memory:"), {"hears": waiting()}
    async with killed(automations, shared) as box:
        await box.emit("go")
    await arrive(shared, box, "answer", {"n": 1}, seconds=31)
    async with sandbox(automations, on=shared, clock=HandClock(AT_0314 + 32_000)) as box:
        await rest()
        box.clock.advance(0)
        await box.settle()
        assert await payloads(box, "ended") == [{}]


async def test_waits_that_were_fulfilled_before_the_kill_are_fulfilled_by_the_same_events() -> None:
    shared = await store.open("memory:")
    wait = {"wait": {"oneOf": [{"event": "answer"}], "timeout": 30, "output": "got"}}
    automations = {"hears": listener("go", {"repeat": {"on": [1, 2, 3], "do": [wait, put("seen", "{{seen}}{{got.payload.n}}")]}},
                                     emit("ended", {"seen": "{{seen}}"}))}
    async with killed(automations, shared) as box:
        await box.emit("go")
        for n in (1, 2):
            await rest()
            await box.emit("answer", {"n": n})
    async with sandbox(automations, on=shared, clock=HandClock(AT_0314 + 1000)) as box:
        await rest()
        await box.emit("answer", {"n": 3})
        await box.settle()
        assert await payloads(box, "ended") == [{"seen": "123"}]
        assert await shared.waits() == []


async def test_waits_of_parallel_branches_are_told_apart_by_what_they_ask_for() -> None:
    shared = await store.open("memory:")
    wait = {"wait": {"oneOf": [{"event": "answer", "filters": {"payload.to": "{{item}}"}}], "timeout": 30, "output": "got"}}
    automations = {"hears": listener("go", {"repeat": {"on": ["a", "b"], "batch": {"size": 2}, "do": [wait, emit("one", {"to": "{{item}}", "n": "{{got.payload.n}}"})]}})}
    async with killed(automations, shared) as box:
        await box.emit("go")
    assert len(await shared.waits()) == 2
    await arrive(shared, box, "answer", {"to": "b", "n": 2}, seconds=1)
    await arrive(shared, box, "answer", {"to": "a", "n": 1}, seconds=2)
    async with sandbox(automations, on=shared, clock=HandClock(AT_0314 + 3000)) as box:
        await box.settle()
        assert sorted(p["n"] for p in await payloads(box, "one")) == [1, 2]


async def test_an_event_that_was_not_stored_leaves_the_wait_to_begin_anew() -> None:
    shared = await store.open("memory:")
    automations = {"hears": waiting({"wait": {"oneOf": [{"event": "more"}], "timeout": 30}}), "say": endpoint(emit("answer", {"n": 1}, options={"persist": False}))}
    async with killed(automations, shared) as box:
        await box.emit("go")
        await rest()
        await box.call("say")
        await rest()
        assert len(await shared.waits()) == 1
    async with sandbox(automations, on=shared, clock=HandClock(AT_0314 + 100_000)) as box:
        await rest()
        await box.emit("answer", {"n": 2})
        box.clock.advance(0)
        await box.settle()
        assert await payloads(box, "ended") == [{"got": 2}]


@pytest.mark.parametrize("body", [b'{"oneOf":[],"timeout":5}', b'{"oneOf":[],"timeout":5,"delivery":"gone","since":3}'])
async def test_a_wait_that_nobody_will_renew_ends_at_the_next_start(body: bytes) -> None:
    shared = await store.open("memory:")
    await shared.commit([Wait("w", "ws", "c1", AT_0314, body)])
    async with sandbox({}, on=shared):
        assert await shared.waits() == []


async def test_a_call_that_waits_leaves_nothing_behind() -> None:
    shared = await store.open("memory:")
    automations = {"main": endpoint({"wait": {"oneOf": [{"event": "never"}]}})}
    async with killed(automations, shared) as box:
        task = asyncio.create_task(box.call("main", origin=Origin("c1")))
    assert await shared.waits() == []
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_the_waits_of_an_automation_that_is_gone_end_with_its_delivery() -> None:
    shared = await store.open("memory:")
    async with killed({"hears": waiting()}, shared) as box:
        await box.emit("go")
        await rest()
        await box.engine.catalog.delete_automation(box.id, "hears", Origin("c1", ALICE))
    async with sandbox({}, on=shared):
        assert await shared.waits() == await shared.deliveries() == []
