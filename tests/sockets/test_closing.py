"""How connections begin and end: credentials, limits, heartbeats, close codes."""
from __future__ import annotations

import asyncio
from dataclasses import replace

import aiohttp
import pytest
from feed_house import ALICE, PATH, WS, house


async def test_without_credentials_the_first_frame_closes():
    async with house() as h:
        for first in ("hello", "subscribe"):
            peer = await h.connect(None)
            await peer.say(first, id="f")
            assert (await peer.hear("error"))["error"]["error"] == "AuthenticationError"
            assert await peer.closed() == 4001


async def test_hello_may_bring_the_token():
    async with house() as h:
        peer = await h.connect(None)
        await peer.say("hello", token="alice")
        assert (await peer.hear("welcome"))["userId"] == "u-alice"
        peer = await h.connect(None)
        await peer.say("hello", token="nobody")
        await peer.hear("error")
        assert await peer.closed() == 4001


async def test_a_bad_token_is_refused_before_the_upgrade():
    async with house() as h:
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await h.connect("nobody")
        assert refused.value.status == 401
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await h.connect("alice", path="/v2/workspaces/none/events")
        assert refused.value.status == 404


async def test_a_browser_puts_the_token_among_the_subprotocols_and_does_not_get_it_back():
    async with house() as h:
        peer = await h.connect(None, protocols=("prismeai.events.v1", "bearer.alice"))
        assert peer.socket.protocol == "prismeai.events.v1"
        await peer.say("subscribe", id="f")
        assert (await peer.hear("welcome"))["userId"] == "u-alice"


async def test_a_cookie_counts_for_our_own_pages_only():
    async with house(cors_additional_allowed_origins=("https://friend.example",)) as h:
        for origin, is_home in ((None, True), ("https://friend.example", True), ("https://evil.example", False)):
            headers = {"Cookie": "access-token=alice", **({"Origin": origin} if origin else {})}
            if is_home:
                peer = await h.connect(None, headers=headers)
                await peer.say("hello")
                await peer.hear("welcome")
            else:
                with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
                    await h.connect(None, headers=headers)
                assert refused.value.status == 403


async def test_a_token_in_the_query_is_taken_only_where_that_is_allowed():
    async with house() as h:
        peer = await h.connect(None, path=PATH + "?access_token=alice")
        await peer.say("hello")
        assert (await peer.hear())["op"] == "error"
    async with house(ws_allow_query_token=True) as h:
        peer = await h.connect(None, path=PATH + "?access_token=alice")
        await peer.say("hello")
        await peer.hear("welcome")


async def test_who_says_nothing_is_closed():
    async with house(ws_hello_timeout=0.01) as h:
        for who in (None, "alice"):
            assert await (await h.connect(who)).closed() == 4009


async def test_what_is_not_a_json_object_is_a_protocol_error():
    async with house() as h:
        for text in ("nonsense", "[1]", "\ud7ff{"):
            peer = await h.join()
            await peer.socket.send_str(text)
            assert (await peer.hear("bye"))["code"] == 4009
            assert await peer.closed() == 4009
        peer = await h.join()
        await peer.socket.send_bytes(b"{}")
        assert await peer.closed() == 4009


async def test_a_frame_of_the_largest_size_is_taken_and_one_more_byte_closes():
    async with house(ws_max_frame_bytes=1000) as h:
        peer = await h.join()
        await peer.socket.send_str('{"op":"ping","t":1}'.ljust(1000))
        await peer.hear("pong")
        await peer.socket.send_str('{"op":"ping","t":1}'.ljust(1001))
        assert await peer.closed() == 1009


async def test_too_many_frames_close():
    async with house(ws_rate_per_second=1, ws_rate_burst=5) as h:
        peer = await h.connect()
        for _ in range(7):
            await peer.say("ping")
        assert await peer.closed() == 4029


async def test_too_many_subscriptions_close():
    async with house(ws_max_subscriptions=2) as h:
        peer = await h.join()
        await peer.say("subscribe", id="f")
        await peer.say("subscribe", id="g")
        await peer.say("subscribe", id="h")
        assert await peer.closed() == 4029


async def test_a_session_has_only_so_many_connections():
    async with house(ws_max_connections_per_session=1) as h:
        first = await h.join()
        second = await h.connect()
        await second.say("hello")
        assert (await second.hear("error"))["error"]["error"] == "TooManyRequests"
        assert await second.closed() == 4029
        await first.quiet()
        await h.join("bob")


async def test_the_server_pings_and_a_peer_that_answers_stays():
    async with house(ws_heartbeat_interval=0.01, ws_idle_timeout=0.2) as h:
        peer = await h.connect(autoping=False)
        await peer.say("hello")
        await peer.hear("welcome")
        for _ in range(5):
            message = await peer.socket.receive(timeout=3)
            assert message.type is aiohttp.WSMsgType.PING
            await peer.socket.pong(message.data)
        await peer.socket.ping(b"mine")
        while (message := await peer.socket.receive(timeout=3)).type is aiohttp.WSMsgType.PING:
            pass
        assert (message.type, bytes(message.data)) == (aiohttp.WSMsgType.PONG, b"mine")


async def test_a_silent_peer_is_closed():
    async with house(ws_heartbeat_interval=0.01, ws_idle_timeout=0.03) as h:
        peer = await h.connect(autoping=False)
        await peer.say("hello")
        await peer.hear("welcome")
        while (message := await peer.socket.receive(timeout=3)).type is aiohttp.WSMsgType.PING:
            pass
        assert '"code":4000' in message.data
        assert await peer.closed() == 4000


async def test_the_end_of_the_session_closes_its_sockets():
    async with house() as h:
        alice, bob = await h.join("alice"), await h.join("bob")
        h.gateway.sessions.end("s-alice")
        assert await alice.closed() == 4001
        await bob.quiet()


async def test_a_session_that_expires_closes_its_sockets():
    async with house() as h:
        h.gateway.auth.people = {"guest": replace(ALICE, session_expires_at=h.gateway.clock.now() + 30)}
        peer = await h.join("guest")
        assert await peer.closed() == 4001


async def test_a_deleted_workspace_shows_its_last_events_before_it_closes():
    async with house() as h:
        peer = await h.join()
        h.engine.delete_workspace()
        h.engine.happen("farewell")
        assert await peer.hear_types(1) == ["farewell"]
        h.feeds.end_workspace(WS)
        assert (await peer.hear("bye"))["code"] == 4004
        assert await peer.closed() == 4004


async def test_draining_says_goodbye_and_takes_no_more():
    async with house() as h:
        peer = await h.join()
        draining = asyncio.ensure_future(h.feeds.drain())
        bye = await peer.hear("bye")
        assert bye == {"op": "bye", "code": 1012, "reason": "draining", "cursor": "0", "retryAfterMs": 0}
        assert await peer.closed() == 1012
        await draining
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await h.connect()
        assert refused.value.status == 503


async def test_a_slow_consumer_is_dropped_and_resumes_without_loss():
    async with house(ws_queue_max_frames=4) as h:
        peer = await h.connect()
        await peer.say("hello")
        token = (await peer.hear("welcome"))["resumeToken"]
        await peer.say("flow", credit=1)
        await peer.say("subscribe", id="f")
        await peer.hear("subscribed")
        for n in range(7):
            h.engine.happen("n", {"n": n})
            await asyncio.sleep(0)
        first = await peer.hear("event")
        bye = await peer.hear("bye")
        assert (bye["code"], bye["reason"], bye["cursor"]) == (4008, "slow_consumer", first["cursor"])
        assert await peer.closed() == 4008
        peer = await h.connect()
        await peer.say("hello", resume=token)
        await peer.hear("welcome")
        await peer.hear("subscribed")
        assert [(await peer.hear("event"))["event"]["payload"]["n"] for _ in range(6)] == [1, 2, 3, 4, 5, 6]
        await peer.hear("caught_up")


async def test_the_bound_in_bytes_holds_too():
    async with house(ws_queue_max_bytes=10_000) as h:
        peer = await h.join()
        for _ in range(3):
            h.engine.happen("n", {"text": "x" * 4000})
        assert await peer.closed() == 4008
