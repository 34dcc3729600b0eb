"""From the past to the present: no gap, no duplicate, and a word about what is missing."""
from __future__ import annotations

import asyncio
from typing import Any

from feed_house import PATH, House, Peer, house
from hypothesis import given, settings
from hypothesis import strategies as st


async def _replayed(peer: Peer) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Event frames up to `caught_up`, and that frame."""
    frames = []
    while (frame := await peer.hear())["op"] == "event":
        assert frame["replay"] is True
        frames.append(frame)
    assert frame["op"] == "caught_up", frame
    return frames, frame


def _numbers(frames: list[dict[str, Any]]) -> list[int]:
    return [frame["event"]["payload"]["n"] for frame in frames]


async def _ask(h: House, since: Any, **subscription: Any) -> Peer:
    peer = await h.connect()
    await peer.say("subscribe", id="f", since=since, **subscription)
    await peer.hear("welcome")
    return peer


async def test_replay_begins_behind_the_cursor_and_goes_over_to_live():
    async with house() as h:
        made = [h.engine.happen("n", {"n": n}) for n in range(4)]
        peer = await _ask(h, str(made[1].position))
        assert (await peer.hear("subscribed"))["cursor"] == "2"
        frames, caught_up = await _replayed(peer)
        assert _numbers(frames) == [2, 3]
        assert caught_up == {"op": "caught_up", "id": "f", "cursor": "4", "truncated": False}
        h.engine.happen("n", {"n": 4})
        live = await peer.hear("event")
        assert live["event"]["payload"] == {"n": 4} and "replay" not in live


async def test_since_may_be_an_event_id_or_a_date():
    async with house() as h:
        made = [h.engine.happen("n", {"n": n}) for n in range(3)]
        for since, expected in ((made[0].id, [1, 2]), ("2020-01-01T00:00:00Z", [0, 1, 2]), ("2100-01-01", []), (1, [1, 2])):
            peer = await _ask(h, since)
            await peer.hear("subscribed")
            assert _numbers((await _replayed(peer))[0]) == expected


async def test_the_replay_obeys_filters_and_read_rules():
    async with house() as h:
        h.engine.happen("n", {"n": 0})
        h.engine.happen("n", {"n": 1}, source={"sessionId": "s-bob"})
        h.engine.happen("m", {"n": 2})
        h.engine.happen("n", {"n": 3}, source={"sessionId": "s-bob"}, target={"userTopic": "room"})
        h.engine.topics["room"] = {"u-alice"}
        peer = await _ask(h, "0", filters={"types": ["n"]})
        await peer.hear("subscribed")
        assert _numbers((await _replayed(peer))[0]) == [0, 3]


async def test_a_limit_cuts_the_replay_off_and_names_the_gap():
    async with house() as h:
        for n in range(5):
            h.engine.happen("n", {"n": n})
        peer = await _ask(h, "0", limit=3)
        await peer.hear("subscribed")
        assert [await _n(peer) for _ in range(3)] == [0, 1, 2]
        assert await peer.hear() == {"op": "gap", "id": "f", "reason": "replay_limit", "from": "3", "to": "5"}
        assert (await peer.hear("caught_up"))["truncated"] is True
        h.engine.happen("n", {"n": 5})
        assert await _n(peer) == 5


async def test_a_limit_that_suffices_is_no_gap():
    async with house() as h:
        for n in range(3):
            h.engine.happen("n", {"n": n})
        peer = await _ask(h, "0", limit=3)
        await peer.hear("subscribed")
        frames, caught_up = await _replayed(peer)
        assert _numbers(frames) == [0, 1, 2] and caught_up["truncated"] is False


async def test_an_expired_or_unknown_place_is_a_gap_and_begins_at_the_oldest_event():
    async with house() as h:
        for n in range(4):
            h.engine.happen("n", {"n": n})
        h.engine.forget_before(3)
        for since in ("1", "999", "1700000000000-0"):
            peer = await _ask(h, since)
            await peer.hear("subscribed")
            assert await peer.hear() == {"op": "gap", "id": "f", "reason": "retention", "from": since, "to": "2"}
            assert _numbers((await _replayed(peer))[0]) == [2, 3]


async def test_unstored_events_are_replayed_from_memory_in_their_place():
    async with house() as h:
        h.engine.happen("n", {"n": 0})
        seen = h.engine.happen("n", {"n": 1}, persist=False)
        h.engine.happen("n", {"n": 2}, persist=False)
        h.engine.happen("n", {"n": 3})
        h.engine.happen("n", {"n": 4}, persist=False)
        peer = await _ask(h, "0")
        await peer.hear("subscribed")
        frames, _ = await _replayed(peer)
        assert _numbers(frames) == [0, 1, 2, 3, 4]
        cursor = frames[1]["cursor"]
        assert frames[1]["event"]["id"] == seen.id
        peer = await _ask(h, cursor)
        await peer.hear("subscribed")
        assert _numbers((await _replayed(peer))[0]) == [2, 3, 4]


async def test_unstored_events_that_left_the_memory_are_a_gap():
    async with house(ws_volatile_events=2) as h:
        h.engine.happen("n", {"n": 0})
        for n in (1, 2, 3):
            h.engine.happen("n", {"n": n}, persist=False)
        h.engine.happen("n", {"n": 4})
        peer = await _ask(h, "1")
        await peer.hear("subscribed")
        assert (await peer.hear("gap"))["reason"] == "volatile"
        assert _numbers((await _replayed(peer))[0]) == [2, 3, 4]


async def test_a_durable_event_the_feed_has_yet_to_tell_comes_once():
    async with house() as h:
        h.engine.happen("n", {"n": 0})
        late = h.engine.happen("n", {"n": 1}, told=False)
        peer = await _ask(h, "0")
        await peer.hear("subscribed")
        assert _numbers((await _replayed(peer))[0]) == [0, 1]
        h.engine.tell(late)
        h.engine.happen("n", {"n": 2})
        assert await _n(peer) == 2


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3), st.booleans()), max_size=12), st.integers(0, 6), st.integers(0, 400))
def test_replay_and_live_together_are_every_event_once_and_in_order(bursts, before, since):
    async def scene() -> None:
        async with house() as h:
            total = 0

            def happen(count: int, persist: bool = True) -> None:
                nonlocal total
                for _ in range(count):
                    h.engine.happen("n", {"n": total}, persist=persist)
                    total += 1

            happen(before)
            start = min(since, before)
            left = list(bursts)
            h.engine.during_search = lambda: happen(*left.pop()) if left else None
            peer = await _ask(h, str(start))
            while left:
                await asyncio.sleep(0)
                if not left or not h.engine.stored:
                    break
                happen(*left.pop())
            h.engine.during_search = lambda: None
            await peer.say("ping", t=1)
            heard, ops = [], set()
            happen(1)
            while total - 1 not in heard:
                frame = await peer.hear()
                ops.add(frame["op"])
                if frame["op"] == "event":
                    heard.append(frame["event"]["payload"]["n"])
            assert heard == list(range(start, total))
            assert "gap" not in ops

    asyncio.run(scene())


async def test_a_feed_that_never_rests_is_caught_up_with():
    async with house() as h:
        count = 300
        for n in range(count):
            h.engine.happen("n", {"n": n})
        n = iter(range(count, 10_000))
        h.engine.during_search = lambda: h.engine.happen("n", {"n": next(n)})
        peer = await _ask(h, "0")
        await peer.hear("subscribed")
        frames, caught_up = await _replayed(peer)
        assert caught_up["truncated"] is False
        numbers = _numbers(frames)
        assert numbers == list(range(len(numbers))) and len(numbers) >= count
        h.engine.during_search = lambda: None
        h.engine.happen("n", {"n": -1})
        live = []
        while not live or live[-1] != -1:
            live.append(await _n(peer))
        assert live[:-1] == list(range(len(numbers), len(numbers) + len(live) - 1))


async def test_a_replay_says_what_other_sockets_of_the_session_set_off():
    async with house() as h:
        h.engine.happen("n", {"n": 0}, source={"sessionId": "s-alice", "socketId": "gone"})
        peer = await _ask(h, "0", filters={"payloadQuery": {"source.sessionId": "s-alice"}})
        await peer.hear("subscribed")
        assert _numbers((await _replayed(peer))[0]) == [0]
        h.engine.happen("n", {"n": 1}, source={"sessionId": "s-alice", "socketId": "other"})
        await peer.quiet()


async def test_replayed_frames_wait_for_credit():
    async with house() as h:
        for n in range(3):
            h.engine.happen("n", {"n": n})
        peer = await h.connect()
        await peer.say("flow", credit=2)
        await peer.hear("welcome")
        await peer.say("subscribe", id="f", since="0")
        await peer.hear("subscribed")
        assert [await _n(peer) for _ in range(2)] == [0, 1]
        await peer.quiet()
        await peer.say("flow", credit=1)
        assert await _n(peer) == 2
        await peer.hear("caught_up")


async def test_an_update_during_a_replay_goes_on_with_the_new_filters():
    async with house() as h:
        for n in range(3):
            h.engine.happen("n", {"n": n})
            h.engine.happen("m", {"n": n})
        peer = await h.connect()
        await peer.say("flow", credit=1)
        await peer.hear("welcome")
        await peer.say("subscribe", id="f", since="0", filters={"types": ["n"]})
        await peer.hear("subscribed")
        assert await _n(peer) == 0
        await peer.say("update", id="f", filters={"types": ["m"]})
        await peer.hear("subscribed")
        await peer.say("flow", credit=100)
        assert [frame["event"]["type"] for frame in (await _replayed(peer))[0]] == ["m", "m", "m"]


async def test_a_cursor_is_a_bound_of_the_search():
    async with house() as h:
        made = [h.engine.happen("n", {"n": n}) for n in range(4)]
        for bounds, expected in (({"afterId": "2"}, [2, 3]), ({"beforeId": made[2].id}, [0, 1])):
            answer = await h.client.get(PATH, headers={"Authorization": "Bearer alice"}, params={"sort": "asc", **bounds})
            assert [e["payload"]["n"] for e in (await answer.json())["result"]["events"]] == expected


async def _n(peer: Peer) -> int:
    return (await peer.hear("event"))["event"]["payload"]["n"]
