"""The contract of events, E1 to E7, on every store: their order, who hears of them when, and what a restart does to that.

Through one node. What several nodes keep of it is in test_cluster.py.
"""
from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import pytest
from kit import ALICE, emit, endpoint, listener, of_type, origin, payloads, put, sandbox, steps

from runtime.calls import NewEvent
from runtime.envelope import LiveEvent
from runtime.testing import HandClock, Sandbox
from runtime.values import decode
from store.protocol import Store
from store.query import All, EventQuery, Is
from store.records import Event
from tests.contract.witness import Witness


async def stored(box: Sandbox, **query: Any) -> list[tuple[int, dict[str, Any]]]:
    """Positions and events, oldest first."""
    found = await box.engine.search(EventQuery(box.id, ascending=True, limit=1000, **query))
    return [(event.position, decode(event.body)) for event in found]


def hear(box: Sandbox) -> list[LiveEvent]:
    """What the feed tells from now on."""
    heard: list[LiveEvent] = []
    box.engine.feed(box.id).subscribe(All(()), heard.append)
    return heard


CHATTER = {"main": endpoint(emit("one", {"n": "{{body}}"}), {"all": [{"child": {}}, emit("two"), {"child": {}}, emit("three", output="e")]}, emit("four")),
           "child": steps(emit("child"), {"wait": {"oneOf": [{"event": "three"}], "timeout": 1}}, emit("woken")),
           "first": listener("one", emit("heard", {"by": "first"})), "second": listener("one", emit("heard", {"by": "second"}))}


async def chatter(box: Sandbox, count: int) -> None:
    running = [asyncio.create_task(box.call("main", n, origin=origin(f"c{n}", ALICE))) for n in range(count)]
    await asyncio.gather(*running)
    await box.settle()


# E1: one order of all events of a workspace

async def test_e1_positions_grow_with_acceptance_and_the_time_of_it_never_goes_back(store: Store) -> None:
    clock = HandClock()
    async with sandbox(CHATTER, on=store, clock=clock) as box:
        for seconds in (0, 5, -3, 1, -60, 0.5):
            clock.advance(seconds)
            await chatter(box, 2)
        events = await stored(box)
    positions, times = [position for position, _ in events], [event["createdAt"] for _, event in events]
    assert positions == sorted(set(positions))
    assert times == sorted(times)
    assert len({event["id"] for _, event in events}) == len(events)


async def test_e1_the_time_of_acceptance_does_not_go_back_over_a_restart_on_a_clock_that_did(store: Store) -> None:
    clock = HandClock()
    for seconds in (0, -90, 30):
        clock.advance(seconds)
        async with sandbox(CHATTER, on=store, clock=clock) as box:
            await chatter(box, 1)
            times = [event["createdAt"] for _, event in await stored(box)]
            assert times == sorted(times)


# E2, E3: the feed, the search and a replay tell the same

async def test_e2_the_events_of_a_run_come_in_one_order_in_the_feed_in_the_search_and_in_a_replay(store: Store) -> None:
    async with sandbox(CHATTER, on=store) as box:
        heard = hear(box)
        await chatter(box, 4)
        for n in range(4):
            where = Is(("source", "correlationId"), (f"c{n}",))
            found, replayed, cursor = await stored(box, where=where), [], 0
            while page := await box.engine.search(EventQuery(box.id, where, after=cursor, ascending=True, limit=3)):
                replayed += [decode(event.body)["id"] for event in page]
                cursor = page[-1].position
            live = [event.id for event in heard if event.event["source"]["correlationId"] == f"c{n}" and event.persistent]
            assert live == replayed == [event["id"] for _, event in found]
            assert Counter(event["type"] for _, event in found)["heard"] == 2


async def test_e3_no_event_is_shown_before_it_is_durable_nor_twice_nor_with_a_gap_before_it(store: Store) -> None:
    witness = Witness(store)
    async with sandbox(CHATTER, on=witness) as box:
        before = await store.head()
        box.engine.feed(box.id).subscribe(All(()), lambda live: live.persistent and witness.leaves((live.position, live.id)))
        await chatter(box, 4)
        durable: set[str] = set()
        shown: list[tuple[int, str]] = []
        for kind, entry in witness.record:
            if kind == "durable":
                durable |= {fact.id for fact in entry if isinstance(fact, Event)}
            else:
                assert entry[1] in durable
                shown.append(entry)
        assert shown == [(position, event["id"]) for position, event in await stored(box, after=before)]


async def test_e3_from_wherever_a_reader_stops_the_store_and_then_the_feed_go_on_without_gap_or_repetition(store: Store) -> None:
    async with sandbox(CHATTER, on=Witness(store)) as box:
        running = asyncio.create_task(chatter(box, 4))
        whole, joined = hear(box), []
        while not running.done():
            await asyncio.sleep(0)
            if len(whole) > 4 * len(joined) and whole[-1].persistent:
                heard, cursor = hear(box), whole[-1].position
                joined.append((cursor, await stored(box, after=cursor), heard))
        await running
        everything = await stored(box)
        for cursor, replayed, heard in joined:
            last = replayed[-1][0] if replayed else cursor
            seen = [position for position, _ in replayed] + [live.position for live in heard if live.persistent and live.position > last]
            assert seen == [position for position, _ in everything if position > cursor]


# E4: the order of starts

async def test_e4_the_listeners_of_an_event_start_as_they_are_declared_and_may_overlap(store: Store) -> None:
    hold = {"wait": {"oneOf": [{"event": "go"}], "timeout": 5}}
    names = ["zebra", "ant", "moth", "bee"]
    async with sandbox({name: listener("start", put("run.begun[]", name), hold, put("run.ended[]", name), emit("done", {"begun": "{{run.begun}}"})) for name in names},
                       on=store) as box:
        await box.engine.accept(box.id, [NewEvent("start")], origin("c"))
        while len(await store.waits()) < 4:
            await asyncio.sleep(0)
        await box.emit("go")
        await box.settle()
        assert await payloads(box, "done") == [{"begun": names}] * 4


async def test_e4_events_of_one_run_start_their_listeners_in_the_order_of_the_events(store: Store) -> None:
    async with sandbox({"main": endpoint({"repeat": {"until": 10, "do": [emit("step", {"n": "{{item}}"})]}}),
                        "hears": listener("step", put("global.begun[]", "{{payload.n}}"), emit("echo", {"n": "{{payload.n}}"})),
                        "echoes": listener("echo", put("global.echoed[]", "{{payload.n}}")), "look": endpoint(output=["{{global.begun}}", "{{global.echoed}}"])},
                       on=Witness(store)) as box:
        await box.call("main", origin=origin("c"))
        await box.engine.accept(box.id, [NewEvent("step", {"n": n}) for n in range(10, 20)], origin("c"))
        await box.settle()
        assert await box.call("look") == [list(range(20))] * 2


# E5: deliveries over a crash

@pytest.mark.parametrize("cut_after", range(0, 24, 3))
async def test_e5_every_listener_of_an_accepted_event_ends_once_whenever_the_process_does(store: Store, cut_after: int) -> None:
    automations = {"one": listener("start", put("global.tries[]", "{{payload.n}}"), emit("next", {"n": "{{payload.n}}"}, output="e"), put("global.n", 1, type="add")),
                   "two": listener("start", {"wait": {"oneOf": [{"event": "next", "filters": {"payload.n": "{{payload.n}}"}}], "timeout": 5}}),
                   "three": listener("next", put("global.m", 1, type="add"))}
    async with sandbox(automations, on=store):
        pass
    witness, clock = Witness(store, cut_after=cut_after), HandClock()
    box = Sandbox({"name": "Sandbox", "automations": automations}, store=witness, clock=clock)
    await box.__aenter__()
    emitting = [asyncio.create_task(box.engine.accept(box.id, [NewEvent("start", {"n": n})], origin(f"c{n}"))) for n in range(3)]
    while not witness.is_cut and (not all(task.done() for task in emitting) or await store.deliveries()):
        clock.advance(0.1)                                 # some waits begin too late for their event, and end by their timeout
        await asyncio.sleep(0)
    for task in emitting:
        task.cancel()
    await asyncio.gather(*emitting, return_exceptions=True)
    await box.__aexit__()
    clock.advance(0.001)
    async with sandbox(automations, on=store, clock=clock) as box:
        while await store.deliveries():
            clock.advance(0.1)
            await asyncio.sleep(0)
        await box.settle()
        ended = Counter((event["payload"]["slug"], event["payload"]["trigger"]["id"]) for event in await of_type(box, "runtime.automations.executed"))
        wanted = {(slug, event["id"]) for slug, type in (("one", "start"), ("two", "start"), ("three", "next")) for event in await of_type(box, type)}
        assert ended == dict.fromkeys(wanted, 1)
        assert await store.deliveries() == []


# E6: waits and the events they wait for

async def test_e6_a_wait_that_began_before_an_event_was_accepted_sees_it_however_close_they_are(store: Store) -> None:
    wait = {"wait": {"oneOf": [{"event": "answer", "filters": {"payload.n": "{{body}}"}}], "timeout": 5, "output": "w"}}
    async with sandbox({"both": endpoint({"all": [wait, emit("answer", {"n": "{{body}}"})]}, output="{{w.payload.n}}"),
                        "wait": endpoint(wait, output="{{w.payload.n}}"),
                        "asks": endpoint({"all": [wait, {"child": {"n": "{{body}}"}}]}, output="{{w.payload.n}}"),
                        "child": steps(emit("question", {"n": "{{n}}"}, output="e")), "hears": listener("question", emit("answer", {"n": "{{payload.n}}"}))},
                       on=Witness(store)) as box:
        assert await asyncio.gather(*(box.call(name, n) for n, name in enumerate(["both", "asks"] * 5))) == list(range(10))
        for turns in range(12):
            waiting = asyncio.create_task(box.call("wait", 100 + turns))
            for _ in range(turns + 1):
                await asyncio.sleep(0)
            await box.emit("answer", {"n": 100 + turns})
            assert await asyncio.wait_for(waiting, 5) == 100 + turns


# E7: events that are not kept

async def test_e7_an_event_that_is_not_kept_is_heard_live_and_by_listeners_and_never_found(store: Store) -> None:
    async with sandbox({"main": endpoint(emit("kept", {"n": 1}), emit("passing", {"n": 2}, options={"persist": False}), emit("kept", {"n": 3})),
                        "hears": listener("passing", put("global.heard[]", "{{payload.n}}")), "look": endpoint(output="{{global.heard}}")}, on=store) as box:
        heard = hear(box)
        await box.call("main")
        await box.engine.accept(box.id, [NewEvent("passing", {"n": 4}, options={"persist": False})], origin("c"))
        await box.settle()
        assert [(live.type, live.event["payload"]["n"]) for live in heard if live.type in ("kept", "passing")] == [
            ("kept", 1), ("passing", 2), ("kept", 3), ("passing", 4)]
        assert await box.call("look") == [2, 4]
        assert await of_type(box, "passing") == []
        assert [live.event["payload"]["n"] for live in box.engine.feed(box.id).volatile() if live.type == "passing"] == [2, 4]
        box.clock.advance(61)
        assert box.engine.feed(box.id).volatile() == []
    async with sandbox({}, on=store) as box:
        assert box.engine.feed(box.id).volatile() == [] and await of_type(box, "passing") == []


async def test_e7_only_so_many_events_that_are_not_kept_are_remembered(store: Store) -> None:
    async with sandbox({}, on=store, ws_volatile_events=3) as box:
        await box.engine.accept(box.id, [NewEvent("passing", {"n": n}, options={"persist": False}) for n in range(5)], origin("c"))
        assert [live.event["payload"]["n"] for live in box.engine.feed(box.id).volatile()] == [2, 3, 4]
