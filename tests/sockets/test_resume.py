"""Lost connections that are taken up again."""
from __future__ import annotations

import asyncio
from typing import Any

import pytest
from feed_house import WS, House, Peer, house

from gateway.feed.cursors import Cursor
from gateway.feed.resumption import Record, Resumption, Saved
from runtime.testing import CountedIds, HandClock
from store.memory import MemoryStore
from store.records import Item


async def _welcomed(h: House, who: str = "alice", **hello: Any) -> tuple[Peer, dict[str, Any]]:
    peer = await h.connect(who)
    await peer.say("hello", **hello)
    return peer, await peer.hear("welcome")


async def test_a_resumed_connection_keeps_its_socket_id_and_misses_nothing():
    async with house() as h:
        peer, welcome = await _welcomed(h)
        assert welcome["resumed"] is False and len(welcome["socketId"]) >= 24
        await peer.say("subscribe", id="f", filters={"types": ["n"]})
        await peer.hear("subscribed")
        h.engine.happen("n", {"i": 1})
        await peer.hear("event")
        await peer.vanish()
        await h.gone()
        h.engine.happen("other")
        h.engine.happen("n", {"i": 2})
        peer, again = await _welcomed(h, resume=welcome["resumeToken"])
        assert again["resumed"] is True and again["socketId"] == welcome["socketId"]
        assert (await peer.hear("subscribed"))["id"] == "f"
        missed = await peer.hear("event")
        assert missed["event"]["payload"] == {"i": 2} and missed["replay"] is True
        await peer.hear("caught_up")
        h.engine.happen("n", {"i": 3})
        assert (await peer.hear("event"))["event"]["payload"] == {"i": 3}
        await peer.quiet()


async def test_unstored_events_heard_before_are_not_heard_again():
    async with house() as h:
        peer, welcome = await _welcomed(h)
        await peer.say("subscribe", id="f")
        await peer.hear("subscribed")
        h.engine.happen("v", {"i": 1}, persist=False)
        await peer.hear("event")
        await peer.vanish()
        await h.gone()
        h.engine.happen("v", {"i": 2}, persist=False)
        peer, _ = await _welcomed(h, resume=welcome["resumeToken"])
        await peer.hear("subscribed")
        assert (await peer.hear("event"))["event"]["payload"] == {"i": 2}
        await peer.hear("caught_up")


async def test_a_connection_that_is_still_open_is_replaced():
    async with house() as h:
        old, welcome = await _welcomed(h)
        await old.say("subscribe", id="f")
        await old.hear("subscribed")
        new, again = await _welcomed(h, resume=welcome["resumeToken"])
        assert again["socketId"] == welcome["socketId"] and again["resumed"] is True
        assert (await old.hear("bye"))["code"] == 4010
        assert await old.closed() == 4010
        await new.hear("subscribed")
        await new.hear("caught_up")
        h.engine.happen("n")
        assert await new.hear_types(1) == ["n"]


async def test_a_token_can_be_used_more_than_once():
    async with house() as h:
        peer, welcome = await _welcomed(h)
        for _ in range(3):
            await peer.socket.close()
            await h.gone()
            peer, again = await _welcomed(h, resume=welcome["resumeToken"])
            assert again["resumed"] is True


async def test_another_session_gets_an_identity_of_its_own():
    async with house() as h:
        peer, welcome = await _welcomed(h)
        await peer.socket.close()
        for who, token in (("bob", welcome["resumeToken"]), ("alice", "unknown")):
            _, other = await _welcomed(h, who, resume=token)
            assert other["resumed"] is False and other["socketId"] != welcome["socketId"]


async def test_a_record_that_is_too_old_is_not_resumed():
    async with house(ws_resume_ttl=0) as h:
        peer, welcome = await _welcomed(h)
        await peer.socket.close()
        await h.gone()
        _, other = await _welcomed(h, resume=welcome["resumeToken"])
        assert other["resumed"] is False


async def test_a_subscription_lost_during_its_replay_goes_on_there():
    async with house() as h:
        for n in range(4):
            h.engine.happen("n", {"n": n})
        peer, welcome = await _welcomed(h)
        await peer.say("flow", credit=2)
        await peer.say("subscribe", id="f", since="0")
        await peer.hear("subscribed")
        await peer.hear_types(2)
        await peer.vanish()
        await h.gone()
        peer, _ = await _welcomed(h, resume=welcome["resumeToken"])
        await peer.hear("subscribed")
        seen = {0, 1}
        while (frame := await peer.hear())["op"] == "event":
            seen.add(frame["event"]["payload"]["n"])
        assert frame["op"] == "caught_up" and seen == {0, 1, 2, 3}


async def test_events_that_waited_unwritten_come_after_the_resume():
    async with house() as h:
        peer, welcome = await _welcomed(h)
        await peer.say("flow", credit=1)
        await peer.say("subscribe", id="f")
        await peer.hear("subscribed")
        for n in range(3):
            h.engine.happen("n", {"n": n})
        await peer.hear_types(1)
        await peer.vanish()
        await h.gone()
        peer, _ = await _welcomed(h, resume=welcome["resumeToken"])
        await peer.hear("subscribed")
        assert [(await peer.hear("event"))["event"]["payload"]["n"] for _ in range(2)] == [1, 2]
        await peer.hear("caught_up")


async def test_a_new_node_on_the_same_store_goes_on_where_a_killed_one_was():
    async with house() as killed:
        peer, welcome = await _welcomed(killed)
        await peer.say("subscribe", id="f", filters={"types": ["n"]})
        await peer.say("subscribe", id="g", filters={"types": ["m"]})
        await peer.hear("subscribed")
        await peer.hear("subscribed")
        killed.engine.happen("n", {"i": 1})
        await peer.hear("event")
        async with house(beside=killed) as h:
            h.engine.happen("n", {"i": 2})
            h.engine.happen("m", {"i": 3})
            peer, again = await _welcomed(h, resume=welcome["resumeToken"])
            assert again["resumed"] is True and again["socketId"] == welcome["socketId"] and again["resumeToken"] == welcome["resumeToken"]
            heard = [await peer.hear() for _ in range(9)]
            assert sorted(f["id"] for f in heard if f["op"] == "caught_up") == ["f", "g"]
            assert {f["reason"] for f in heard if f["op"] == "gap"} == {"volatile"}
            events = {(*f["ids"], f["event"]["payload"]["i"]) for f in heard if f["op"] == "event"}
            assert events == {("f", 1), ("f", 2), ("g", 3)}       # the first one was seen before: it came after the last save
            h.engine.happen("m", {"i": 4})
            assert (await peer.hear("event"))["event"]["payload"] == {"i": 4}


async def test_after_a_graceful_stop_nothing_comes_twice():
    async with house() as before:
        peer, welcome = await _welcomed(before)
        await peer.say("subscribe", id="f", filters={"types": ["n"]})
        await peer.hear("subscribed")
        before.engine.happen("n", {"i": 1})
        await peer.hear("event")
        await before.feeds.drain()
        async with house(beside=before) as h:
            h.engine.happen("n", {"i": 2})
            peer, again = await _welcomed(h, resume=welcome["resumeToken"])
            assert again["resumed"] is True
            heard = [await peer.hear() for _ in range(4)]
            assert [f["event"]["payload"]["i"] for f in heard if f["op"] == "event"] == [2]


async def test_a_connection_of_another_node_is_replaced_when_that_node_hears_of_it():
    async with house() as one, house(beside=one) as other:
        old, welcome = await _welcomed(one)
        _, again = await _welcomed(other, resume=welcome["resumeToken"])
        assert again["resumed"] is True
        [written] = one.gateway.store._items.values()
        one.engine.hear_record(written)
        assert (await old.hear("bye"))["code"] == 4010 and await old.closed() == 4010
        await one.gone()
        assert list(one.gateway.store._items.values()) == [written] and len(other.feeds) == 1


async def test_a_store_knows_no_token():
    async with house() as h:
        _, welcome = await _welcomed(h)
        [record] = h.gateway.store._items.values()
        assert welcome["resumeToken"] not in repr(record) and record.workspace_id == WS


class Held:
    """A connection with one subscription, somewhere."""

    def __init__(self) -> None:
        self.position = 0
        self.is_replaced = False
        self.record: Record | None = None

    def moved(self, *, is_stale: bool) -> tuple[Saved, ...] | None:
        return (Saved("f", {}, Cursor(self.position)),)

    def replace(self) -> None:
        self.is_replaced = True


class Counting(MemoryStore):
    def __init__(self) -> None:
        super().__init__()
        self.batches: list[list[Any]] = []

    def commit(self, facts: Any) -> Any:
        self.batches.append(list(facts))
        return super().commit(facts)


def _resumption(store: MemoryStore, clock: HandClock, ids: CountedIds | None = None) -> Resumption:
    return Resumption(store, clock, ids or CountedIds(), ttl_seconds=43_200, most_per_session=3)


async def _second(clock: HandClock, seconds: float = 1) -> None:
    for _ in range(5):
        await asyncio.sleep(0)
    clock.advance(seconds)
    for _ in range(5):
        await asyncio.sleep(0)


async def test_once_a_second_what_has_moved_is_written_in_one_batch_and_nothing_else_is():
    store, clock = Counting(), HandClock()
    resumption = _resumption(store, clock)
    holders = [Held() for _ in range(1200)]
    for holder in holders:
        resumption.changed(resumption.issue(WS, "s", holder), (Saved("f", {}, Cursor(0)),))
    await _second(clock)
    assert [len(batch) for batch in store.batches] == [1200]
    for holder in holders[:700]:
        holder.position = 7
    await _second(clock)
    await _second(clock)
    assert [len(batch) for batch in store.batches] == [1200, 700]
    await _second(clock, 3600)
    assert len(store.batches[2]) == 1200                    # long before they would expire


async def test_an_open_connection_does_not_expire_and_a_closed_one_does():
    store, clock, ids = MemoryStore(), HandClock(), CountedIds()
    resumption, holder = _resumption(store, clock, ids), Held()
    record = resumption.issue(WS, "s", holder)
    for _ in range(30):
        await _second(clock, 3600)
    assert await store.expire(clock.now()) == 0
    resumption.release(record, (Saved("f", {"types": ["n"]}, Cursor(3, "v")),))
    await _second(clock, 43_199)
    taken = await _resumption(store, clock, ids).take(record.token, WS, "s", holder=Held())
    assert taken is not None and taken.subscriptions == (Saved("f", {"types": ["n"]}, Cursor(3, "v")),) and taken.turn == 1
    resumption.release(resumption.issue(WS, "s", holder), ())
    await _second(clock, 2 * 43_200)
    assert await store.expire(clock.now()) == 1


async def test_a_session_leaves_so_many_closed_connections_and_no_more():
    store, clock = MemoryStore(), HandClock()
    resumption = _resumption(store, clock)
    records = [resumption.issue(WS, "s", Held()) for _ in range(5)]
    for record in records:
        resumption.release(record, ())
    await _second(clock)
    taken = [await resumption.take(record.token, WS, "s", holder=Held()) for record in records]
    assert [one is not None for one in taken] == [False, False, True, True, True]


@pytest.mark.parametrize("late", [False, True])
async def test_of_two_nodes_that_hold_a_connection_the_last_one_to_take_it_keeps_it(late: bool):
    store, clock, ids = MemoryStore(), HandClock(), CountedIds()
    here, there = _resumption(store, clock, ids), _resumption(store, clock, ids)
    old, new = Held(), Held()
    record = here.issue(WS, "s", old)
    await _second(clock)
    stale = await store.item("feed", record.id, clock.now())
    assert stale is not None
    await there.take(record.token, WS, "s", holder=new)
    await _second(clock)
    if late:
        await store.commit([stale])
        there.hear(stale)
        await _second(clock)
    written = await store.item("feed", record.id, clock.now())
    assert isinstance(written, Item)
    here.hear(written)
    assert (old.is_replaced, new.is_replaced) == (True, False)
    here.release(record, ())
    await _second(clock)
    assert await store.item("feed", record.id, clock.now()) == written


async def test_a_store_that_fails_is_written_to_again_and_refuses_nobody():
    store, clock = Counting(), HandClock()
    resumption, holder = _resumption(store, clock), Held()
    store._is_closed = True
    record = resumption.issue(WS, "s", holder)
    await _second(clock)
    assert await resumption.take("unknown", WS, "s", holder=Held()) is None
    store._is_closed = False
    await _second(clock)
    await _second(clock)
    assert await store.item("feed", record.id, clock.now()) is not None
