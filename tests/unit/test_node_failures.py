"""Nodes that die, are cut off, or are taken for dead: nothing is lost, and nothing is done by two."""
from __future__ import annotations

import asyncio
import subprocess
import sys
from contextlib import AsyncExitStack
from random import Random
from typing import Any

import pytest
from kit import endpoint, listener, put
from nodes_kit import LEASE, Nodes, nodes

from runtime.calls import Origin
from runtime.errors import HeldElsewhere, TooBusy
from store.errors import Fenced
from store.query import EVERYTHING, Is
from store.records import Delivered, Member

COUNT = {"set": {"name": "global.count", "type": "add", "value": 1}}
WAIT = {"wait": {"oneOf": [{"event": "go"}], "timeout": 300}}
READ = endpoint(output="{{global.count}}")
WORK = {"work": listener("ordered", WAIT, COUNT, {"emit": {"event": "done"}}), "read": READ,
        "stay": endpoint(put("run.seen", 1), WAIT, COUNT, output="stayed"), "recall": endpoint(output="{{run.seen}}")}


async def count_of(house: Nodes, number: int, type: str) -> int:
    return len(await house[number].events(Is(("type",), (type,))))


async def test_what_a_dead_node_had_not_finished_is_done_once_by_another() -> None:
    async with nodes(WORK, count=3) as house:
        await house[1].emit("ordered")
        await house.settle()
        house.store(1).cut_off()
        await house.pass_time(2 * LEASE)
        await house[2].emit("go")
        await house.settle()
        assert await house[3].call("read") == 1
        assert await count_of(house, 3, "done") == 1
        assert await house.store(2).deliveries() == []


async def test_a_node_that_beats_is_left_alone() -> None:
    async with nodes(WORK, count=2) as house:
        await house[1].emit("ordered")
        await house.pass_time(3 * LEASE)
        assert len(house.cluster.living) == 2
        await house[2].emit("go")
        await house.settle()
        assert await house[2].call("read") == 1


async def test_a_run_is_free_when_its_node_is_dead_and_no_sooner() -> None:
    async with nodes(WORK) as house:
        running = asyncio.ensure_future(house[1].call("stay", origin=Origin("mine")))
        await house.settle()
        house.store(1).cut_off()
        await house.pass_time(LEASE / 2)
        with pytest.raises(HeldElsewhere):
            await house[2].call("recall", origin=Origin("mine", is_new=False))
        await house.pass_time(LEASE)
        assert await house[2].call("recall", origin=Origin("mine", is_new=False)) == 1
        house.store(1).heal()
        await house.pass_time(LEASE / 2)
        with pytest.raises(TooBusy):
            await running


async def test_a_node_taken_for_dead_writes_nothing_and_comes_back() -> None:
    async with nodes(WORK, count=2) as house:
        running = asyncio.ensure_future(house[1].call("stay"))
        await house[1].emit("ordered")
        await house.settle()
        house.store(1).cut_off()
        await house.pass_time(2 * LEASE)
        house.store(1).heal()
        with pytest.raises(Fenced):
            await house.store(1).commit([Delivered("any")])
        await house.pass_time(LEASE)
        with pytest.raises(TooBusy):
            await running
        await house[2].emit("go")
        await house.settle()
        assert await house[1].call("read") == 1
        assert await count_of(house, 1, "done") == 1
        assert len(house.cluster.living) == 2


async def test_a_node_that_learns_of_its_end_by_a_refused_write_comes_back_at_once() -> None:
    async with nodes(WORK) as house:
        await house.store(2).take_over(house[1].engine._node._membership.member.id)
        for _ in range(3):
            with pytest.raises(TooBusy):
                await house[1].call("read")
        await house.settle()
        assert await house[1].call("read") is not None


async def test_a_node_that_comes_back_knows_what_it_missed() -> None:
    async with nodes({"version": endpoint(output="one"), "join": endpoint({"joinUserTopic": {"topic": "news", "userIds": ["alice"]}})}) as house:
        heard: list[tuple[int, str]] = []
        house[1].engine.feed(house[1].id).subscribe(EVERYTHING, lambda live: heard.append((live.position, live.type)))
        house.store(1).cut_off()
        await house[2].emit("missed")
        await house[2].call("join")
        catalog = house[2].engine.catalog
        await catalog.update_automation(house[2].id, "version", endpoint(output="two"), Origin("edit"))
        made = await catalog.create({"name": "Other"}, "alice", Origin("make"))
        await house.pass_time(2 * LEASE)
        house.store(1).heal()
        await house.pass_time(LEASE)
        assert await house[1].call("version") == "two"
        assert house[1].engine.topics_of(house[1].id, "alice") == {"news"}
        assert house[1].engine.catalog.get(made.id) is not None
        await house[2].emit("later")
        await house.settle()
        assert [type for _, type in heard if type in ("missed", "later")] == ["missed", "later"]
        assert [position for position, _ in heard] == sorted({position for position, _ in heard})


@pytest.mark.parametrize("hang", [False, True])
async def test_a_node_that_cannot_reach_the_store_says_so_and_recovers(hang: bool) -> None:
    async with nodes(WORK) as house:
        await house[1].call("read")
        house.store(1).cut_off(hang=hang)
        await house.pass_time(LEASE + 1)
        asked = asyncio.ensure_future(house[1].call("read"))
        await house.pass_time(3)
        with pytest.raises(TooBusy):
            await asked
        house.store(1).heal()
        await house.pass_time(LEASE)
        await house[1].call("read")


async def test_a_node_whose_process_is_gone_is_replaced_at_once() -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    async with AsyncExitStack() as exits:
        house = Nodes(WORK, {})
        await house.add(exits, pid=ended.pid)
        await house[1].emit("ordered")
        await house.settle()
        house.store(1).cut_off()
        await house.add(exits)
        await house.settle()
        await house[2].emit("go")
        await house.settle()
        assert await house[2].call("read") == 1


async def test_what_a_node_that_left_had_not_finished_is_done_by_those_that_stay() -> None:
    async with nodes(WORK) as house:
        await house[1].emit("ordered")
        await house.settle()
        await house[1].engine.stop(0)
        await house.pass_time(LEASE)
        await house[2].emit("go")
        await house.settle()
        assert await house[2].call("read") == 1


async def test_what_everybody_left_behind_is_done_by_the_next_who_comes() -> None:
    house: Any = Nodes(WORK, {})
    async with AsyncExitStack() as exits:
        await house.add(exits)
        await house[1].emit("ordered")
        await house.settle()
    async with AsyncExitStack() as exits:
        await house.add(exits)
        await house.settle()
        await house[2].emit("go")
        await house.settle()
        assert await house[2].call("read") == 1


async def test_a_delivery_waits_for_a_run_that_a_call_has_made_live_elsewhere() -> None:
    async with nodes(WORK, count=3) as house:
        await house[1].emit("ordered")
        correlation_id = house[1].correlation_id
        await house.settle()
        house.store(1).cut_off()
        await house.store(3).take_over("")
        house.cluster.bury(house[1].engine._node._membership.member.id)
        staying = asyncio.ensure_future(house[3].call("stay", origin=Origin(correlation_id, is_new=False)))
        await house.pass_time(LEASE)
        await house[3].emit("go")
        await staying
        await house.pass_time(70)
        await house[3].emit("go")
        await house.pass_time(5)
        assert await house[2].call("read") == 2
        assert await count_of(house, 2, "done") == 1


def test_a_member_is_named_after_its_process() -> None:
    from runtime.nodes import is_gone, named
    from runtime.testing import CountedIds
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    ids = CountedIds()
    gone, unknown = named(Member("", "", "here", ended.pid), ids), named(Member("", "", "here", 0), ids)
    assert is_gone(gone.id, "here") and not is_gone(gone.id, "there") and not is_gone(unknown.id, "here")
    assert not is_gone("a name of another make", "here")


@pytest.mark.parametrize("seed", range(8))
async def test_whatever_fails_each_accepted_event_is_counted_exactly_once(seed: int) -> None:
    """Nodes are cut off and come back at random while events are accepted; the count is written in the batch that ends the delivery."""
    chance = Random(seed)
    counting = {"count": listener("ordered", {"wait": {"oneOf": [{"event": "never"}], "timeout": 2}}, COUNT), "read": READ}
    async with nodes(counting, count=3) as house:
        accepted, cut = 0, set[int]()
        for _ in range(40):
            number = chance.randint(1, 3)
            match chance.randint(0, 9):
                case 0 if len(cut) < 2 and number not in cut:
                    house.store(number).cut_off(hang=chance.random() < 0.5)
                    cut.add(number)
                case 1 | 2 if number in cut:
                    house.store(number).heal()
                    cut.discard(number)
                case 3:
                    house.store(number).deafen()
                case 4:
                    house.store(number).listen()
                case 5:
                    await house.pass_time(chance.choice((1, 3, LEASE)))
                case _ if number not in cut:
                    try:
                        await house[number].emit("ordered")
                        accepted += 1
                    except TooBusy:
                        pass                               # not yet back: nothing was accepted
        for number in cut:
            house.store(number).heal()
        for number in (1, 2, 3):
            house.store(number).listen()
        await house.pass_time(4 * LEASE)
        assert await house.store(1).deliveries() == []
        assert [await house[number].call("read") for number in (1, 2, 3)] == [accepted] * 3
        assert len(house.cluster.living) == 3
