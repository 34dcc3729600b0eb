"""Subscriptions over a websocket: who is told what, in which order, once."""
from __future__ import annotations

import asyncio

from feed_house import PATH, house


async def test_a_subscriber_hears_events_in_order_with_their_cursors():
    async with house() as h:
        peer = await h.join()
        made = [h.engine.happen(f"e{n}") for n in range(3)]
        for event in made:
            frame = await peer.hear("event")
            assert frame == {"op": "event", "ids": ["f"], "cursor": str(event.position), "event": event.event}


async def test_filters_choose_the_events():
    async with house() as h:
        peer = await h.join(filters={"types": ["a.*", "c"]})
        for name in ("a.one", "b.one", "c", "d"):
            h.engine.happen(name)
        assert await peer.hear_types(2) == ["a.one", "c"]
        await peer.quiet()


async def test_only_readable_events_are_delivered_and_members_see_natives():
    async with house() as h:
        alice, bob, owner = await h.join("alice"), await h.join("bob"), await h.join("owner")
        h.engine.happen("mine")
        h.engine.happen_natively("runtime.automations.executed")
        h.engine.happen_natively("runtime.contexts.updated")
        h.engine.happen("dm", target={"userId": "u-bob"})
        h.engine.happen("secret", target={"userId": "u-bob", "exclusive": True})
        assert await alice.hear_types(2) == ["mine", "dm"]
        assert await bob.hear_types(2) == ["dm", "secret"]
        assert await owner.hear_types(4) == ["mine", "runtime.automations.executed", "dm", "secret"]
        for peer in (alice, bob, owner):
            await peer.quiet()


async def test_a_topic_joined_later_reaches_sockets_that_are_open():
    async with house() as h:
        bob = await h.join("bob")
        h.engine.happen("said", {"n": 1}, target={"userTopic": "room"})
        h.engine.topics["room"] = {"u-bob"}
        h.engine.happen("said", {"n": 2}, target={"userTopic": "room"})
        assert (await bob.hear("event"))["event"]["payload"] == {"n": 2}
        await bob.quiet()


async def test_a_new_role_applies_to_sockets_that_are_open():
    async with house() as h:
        bob = await h.join("bob")
        h.engine.happen("before")
        h.engine.catalog["w1"] = type(h.engine.catalog["w1"])("w1", "one", "u-bob")
        h.engine.happen("after")
        assert await bob.hear_types(1) == ["after"]


async def test_several_matching_subscriptions_get_one_frame():
    async with house() as h:
        peer = await h.join(filters={"types": ["a"]})
        await peer.say("subscribe", id="g", filters={})
        await peer.say("subscribe", id="h", filters={"types": ["b"]})
        assert [(await peer.hear("subscribed"))["id"] for _ in range(2)] == ["g", "h"]
        h.engine.happen("a")
        h.engine.happen("c")
        assert sorted((await peer.hear("event"))["ids"]) == ["f", "g"]
        assert (await peer.hear("event"))["ids"] == ["g"]
        await peer.quiet()


async def test_filters_can_be_updated_and_subscriptions_ended():
    async with house() as h:
        peer = await h.join(filters={"types": ["a"]})
        await peer.say("update", id="f", filters={"types": ["b"], "odd": 1})
        assert (await peer.hear("subscribed"))["warnings"] == ['unknown filter "odd" is ignored']
        h.engine.happen("a")
        h.engine.happen("b")
        assert await peer.hear_types(1) == ["b"]
        await peer.say("unsubscribe", id="f")
        await peer.quiet()
        h.engine.happen("b")
        await peer.quiet()


async def test_updating_nothing_is_an_error_that_names_the_frame():
    async with house() as h:
        peer = await h.join()
        await peer.say("update", id="x", filters={})
        error = await peer.hear("error")
        assert (error["id"], error["error"]["error"]) == ("x", "RequestValidationError")


async def test_a_bad_filter_is_refused_and_the_old_one_stays():
    async with house() as h:
        peer = await h.join(filters={"types": ["a"]})
        await peer.say("update", id="f", filters={"payloadQuery": [{"payload.x": {"deep": 1}}]})
        error = await peer.hear("error")
        assert error["error"]["details"][0]["path"] == "payloadQuery[0].payload.x"
        h.engine.happen("a")
        assert await peer.hear_types(1) == ["a"]


async def test_other_sockets_of_the_session_are_spared():
    async with house() as h:
        tabs = [await h.connect() for _ in range(3)]
        mine = {"source.sessionId": "s-alice"}
        filters = [mine, mine, {**mine, "source.socketId": "*"}]
        ids = []
        for tab, wanted in zip(tabs, filters):
            await tab.say("subscribe", id="f", filters={"payloadQuery": [wanted]})
            ids.append((await tab.hear("welcome"))["socketId"])
            await tab.hear("subscribed")
        source = {"sessionId": "s-alice", "socketId": ids[0]}
        h.engine.happen("answer", source=source)
        h.engine.happen("all", source=source, target={"currentSocket": False})
        assert await tabs[0].hear_types(2) == ["answer", "all"]
        assert await tabs[1].hear_types(1) == ["all"]
        assert await tabs[2].hear_types(2) == ["answer", "all"]


async def test_an_emit_is_acknowledged_and_carries_the_socket():
    async with house() as h:
        peer = await h.connect()
        await peer.say("hello")
        welcome = await peer.hear("welcome")
        await peer.say("emit", id="c1", event={"type": "e", "payload": {"x": 1}}, correlationId="theirs")
        ack = await peer.hear("ack")
        [origin] = h.engine.origins
        assert origin.socket_id == welcome["socketId"] and origin.identity.user_id == "u-alice"
        assert ack == {"op": "ack", "id": "c1", "eventId": h.engine.stored[0][1]["id"], "cursor": "1",
                       "correlationId": origin.correlation_id, "duplicate": False}
        assert ack["correlationId"] != "theirs"


async def test_a_trusted_correlation_id_is_kept():
    async with house(overwrite_correlation_id_header=False) as h:
        peer = await h.connect()
        await peer.say("emit", id="c1", event={"type": "e"}, correlationId="theirs")
        await peer.hear("welcome")
        assert (await peer.hear("ack"))["correlationId"] == "theirs"


async def test_the_same_key_of_the_same_session_is_one_event():
    async with house() as h:
        first, second, bob = await h.connect(), await h.connect(), await h.connect("bob")
        for peer in (first, second, bob):
            await peer.say("hello")
            await peer.hear("welcome")
            await peer.say("emit", id="c", event={"type": "e"}, key="k")
        acks = [await peer.hear("ack") for peer in (first, second, bob)]
        assert acks[0]["eventId"] == acks[1]["eventId"] != acks[2]["eventId"]
        assert [ack["duplicate"] for ack in acks] == [False, True, False]
        assert len(h.engine.stored) == 2


async def test_a_failed_emit_says_why_and_its_key_can_be_used_again():
    async with house() as h:
        peer = await h.join()
        await peer.say("emit", id="c", event={"type": "bad/name"}, key="k")
        error = await peer.hear("error")
        assert (error["id"], error["error"]["error"]) == ("c", "InvalidEventError")
        await peer.say("emit", id="d", event={"type": "good"}, key="k")
        assert {(await peer.hear())["op"] for _ in range(2)} == {"ack", "event"}


async def test_an_emit_of_the_wrong_shape_is_refused():
    async with house() as h:
        peer = await h.join()
        await peer.say("emit", id="c", event={"type": "e", "payload": [1]})
        error = (await peer.hear("error"))["error"]
        assert error["error"] == "RequestValidationError"
        assert error["details"] == [{"path": "event.payload", "message": "should be an object"}]


async def test_a_pong_comes_after_what_was_asked_before():
    async with house() as h:
        peer = await h.join(filters={"types": ["none"]})
        h.engine.accepting.clear()
        await peer.say("emit", id="c", event={"type": "e"})
        await peer.say("ping", t=1)
        while not h.engine.origins:
            await asyncio.sleep(0)
        h.engine.accepting.set()
        assert [(await peer.hear())["op"] for _ in range(2)] == ["ack", "pong"]


async def test_credit_holds_events_back_and_answers_pass():
    async with house() as h:
        peer = await h.join()
        await peer.say("flow", credit=2)
        await peer.quiet()
        for n in range(5):
            h.engine.happen("e", {"n": n})
        assert await peer.hear_types(2) == ["e", "e"]
        await peer.quiet()
        await peer.say("flow", credit=3)
        assert await peer.hear_types(3) == ["e", "e", "e"]


async def test_unknown_operations_leave_the_connection_open():
    async with house() as h:
        peer = await h.join()
        await peer.say("dance")
        assert (await peer.hear("error"))["error"]["error"] == "UnknownOperation"
        await peer.quiet()


async def test_the_feed_as_server_sent_events():
    async with house() as h:
        first = h.engine.happen("old")
        headers = {"Authorization": "Bearer alice", "Accept": "text/event-stream", "Last-Event-ID": "0"}
        async with h.client.get(PATH, headers=headers, params={"type": "*d"}) as answer:
            assert answer.headers["Content-Type"].startswith("text/event-stream")
            assert await answer.content.readuntil(b"\n\n") == b":\n\n"
            assert await answer.content.readuntil(b"\n\n") == b"id: 1\nevent: old\ndata: %b\n\n" % first.body
            h.engine.happen("new")
            second = h.engine.happen("bold")
            assert await answer.content.readuntil(b"\n\n") == b"id: 3\nevent: bold\ndata: %b\n\n" % second.body
            h.gateway.sessions.end("s-alice")
            assert await answer.content.read() == b""


async def test_a_stream_needs_credentials():
    async with house() as h:
        async with h.client.get(PATH, headers={"Accept": "text/event-stream"}) as answer:
            assert answer.status == 401
