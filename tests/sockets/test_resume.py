"""Lost connections that are taken up again."""
from __future__ import annotations

from typing import Any

from feed_house import House, Peer, house


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
