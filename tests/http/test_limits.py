"""Limits at the door: whose requests count, what is told of them, and that several nodes are no more generous than one."""
from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest
from aiohttp import DummyCookieJar
from aiohttp.test_utils import TestClient, TestServer
from door import KEYS, OWNER, House, house

from gateway.app import build
from gateway.config import Settings
from gateway.limits import Proxies, public
from gateway.tallies import Tallies
from runtime.calls import ADMIN, Origin
from runtime.ids import RandomIds
from runtime.language.loader import load
from runtime.testing import HandClock
from store.errors import Unavailable
from store.memory_cluster import MemoryCluster

BUSY = "{name: Busy, automations: {main: {when: {endpoint: true}, do: [], output: ok}}}"
ON = {"DISABLE_RATE_LIMIT": "", "TRUSTED_PROXIES": "127.0.0.1"}


def from_(address: str) -> dict[str, str]:
    return {"x-forwarded-for": address}


async def statuses(door: House, count: int, method: str, path: str, **more: Any) -> list[int]:
    return [(await door.request(method, path, **more))[0] for _ in range(count)]


async def test_every_answer_of_a_limited_route_tells_what_is_left() -> None:
    async with house(**ON) as door:
        seen = []
        for _ in range(11):
            status, answer, response = await door.request("POST", "/v2/login/anonymous", headers=from_("9.9.9.9"))
            seen.append((status, response.headers["X-RateLimit-Limit"], response.headers["X-RateLimit-Remaining"]))
            assert response.headers["X-RateLimit-Reset"] == "Thu, 01 Jan 2026 00:01:00 GMT"
        assert seen == [(200, "10", str(left)) for left in range(9, -1, -1)] + [(429, "10", "0")]
        assert (answer["error"], answer["details"], response.headers["Retry-After"]) == ("TooManyRequests", {"retryAfter": 60}, "60")


async def test_signups_are_rare_and_private_addresses_are_not_counted() -> None:
    async with house(**ON) as door:
        body = {"email": "not one", "password": "x"}
        assert await statuses(door, 3, "POST", "/v2/signup", json=body, headers=from_("9.9.9.9")) == [400, 429, 429]
        for address in ("10.1.2.3", "172.20.0.1", "192.168.3.4", "127.0.0.1", "::1", "fd00::1"):
            assert await statuses(door, 3, "POST", "/v2/signup", json=body, headers=from_(address)) == [400] * 3


async def test_by_default_nothing_else_is_limited() -> None:
    async with house(BUSY, **ON) as door:
        assert set(await statuses(door, 60, "POST", f"/v2/workspaces/{door.id}/webhooks/main", headers=from_("9.9.9.9"))) == {200}
        assert set(await statuses(door, 30, "GET", f"/v2/workspaces/{door.id}/events", headers=OWNER)) == {200}


async def test_the_strict_profile_limits_the_whole_table() -> None:
    async with house(BUSY, RATE_LIMITS_PROFILE="strict", **ON) as door:
        hook, events = f"/v2/workspaces/{door.id}/webhooks/main", f"/v2/workspaces/{door.id}/events"
        assert await statuses(door, 31, "POST", hook, headers=from_("9.9.9.9")) == [200] * 30 + [429]
        somebody = {**await door.as_somebody(), **from_("9.9.9.9")}
        assert await statuses(door, 31, "POST", hook, headers=somebody) == [200] * 30 + [429]
        assert await statuses(door, 21, "GET", events, headers=OWNER) == [200] * 20 + [429]
        assert await statuses(door, 4, "POST", "/v2/workspaces", json={"name": "Mine"}, headers=OWNER) == [200] * 3 + [429]
        document = {"data": "name: Mine", "headers": {**OWNER, "content-type": "application/yaml"}}
        assert await statuses(door, 4, "POST", "/v2/workspaces/import", **document) == [200] * 3 + [429]
        assert await statuses(door, 1, "POST", f"/v2/workspaces/{door.id}/import", **document) == [429]


async def test_a_workspace_has_a_limit_of_its_own_and_the_nearer_one_is_told() -> None:
    async with house(BUSY, RATE_LIMIT_WEBHOOKS_WORKSPACE="3", RATE_LIMIT_WEBHOOKS_USER="100", **ON) as door:
        left = []
        for _ in range(3):
            status, _, response = await door.call(headers=await door.as_somebody())
            left.append((status, response.headers["X-RateLimit-Limit"], response.headers["X-RateLimit-Remaining"]))
        assert left == [(200, "3", "2"), (200, "3", "1"), (200, "3", "0")]
        status, answer, _ = await door.call(headers=await door.as_somebody())
        assert (status, answer["details"]) == (429, {"retryAfter": 3600})


async def test_a_number_that_is_given_holds_without_a_profile() -> None:
    async with house(RATE_LIMIT_CREATE_WORKSPACE="1", **ON) as door:
        assert await statuses(door, 2, "POST", "/v2/workspaces", json={"name": "Mine"}, headers=OWNER) == [200, 429]


async def test_an_address_is_believed_only_from_a_proxy_of_ours_however_it_is_written() -> None:
    ours, theirs = Proxies(("10.0.0.0/8",)), Proxies(())
    assert theirs.caller("10.0.0.1", "9.9.9.9") == "10.0.0.1"
    assert ours.caller("8.8.8.8", "9.9.9.9") == "8.8.8.8"
    assert ours.caller("10.0.0.1", "1.1.1.1, 9.9.9.9, 10.0.0.2") == "9.9.9.9"
    async with house(**ON) as door:
        lines = [("x-forwarded-for", "1.1.1.1"), ("x-forwarded-for", "9.9.9.9")]      # the second line is the proxy's own
        for _ in range(10):
            await door.request("POST", "/v2/login/anonymous", headers=lines)
        assert (await door.request("POST", "/v2/login/anonymous", headers=[("x-forwarded-for", "2.2.2.2"), lines[1]]))[0] == 429


@pytest.mark.parametrize(("address", "counted"), [
    ("9.9.9.9", "9.9.9.9"), ("203.0.113.7", "203.0.113.7"), ("10.0.0.1", None), ("::ffff:10.0.0.1", None), ("::ffff:9.9.9.9", "9.9.9.9"),
    ("2001:db8:1:2:3::4", "2001:db8:1:2::/64"), ("2001:db8:1:2:ffff::", "2001:db8:1:2::/64"), ("unknown", None), (None, None), ("", None)])
def test_who_is_counted_by_an_address(address: str | None, counted: str | None) -> None:
    assert public(address) == counted


@asynccontextmanager
async def nodes(count: int, **environment: str) -> AsyncIterator[tuple[MemoryCluster, HandClock, list[Any], str]]:
    """So many doors to one store, and a webhook behind each of them."""
    cluster, clock = MemoryCluster(), HandClock()
    settings = Settings.from_environment({"STORAGE_URL": "memory:", **ON, **environment})
    async with AsyncExitStack() as stack:
        clients, path = [], ""
        for _ in range(count):
            server = await build(settings, KEYS, clock=clock, ids=RandomIds(), store=cluster.node())
            await server.open()
            client = TestClient(TestServer(server.app), cookie_jar=DummyCookieJar())
            await client.start_server()
            stack.push_async_callback(server.stop)
            stack.push_async_callback(client.close)
            if not path:
                made = await server.gateway.engine.catalog.import_definition(load(BUSY), owner="admin", origin=Origin("first", ADMIN))
                path = f"/v2/workspaces/{made.workspace.id}/webhooks/main"
            clients.append(client)
        yield cluster, clock, clients, path


async def status(client: Any, path: str, **more: Any) -> int:
    async with client.post(path, headers=from_("9.9.9.9"), **more) as response:
        return int(response.status)


async def test_several_nodes_let_in_no_more_than_one() -> None:
    async with nodes(3) as (_, clock, clients, _):
        login = [await status(clients[n % 3], "/v2/login/anonymous") for n in range(12)]
        assert login == [200] * 10 + [429] * 2
        guess = {"json": {"email": "ada@example.org", "password": "a guess"}}
        assert sorted([await status(clients[n % 3], "/v2/login", **guess) for n in range(7)]) == [401] * 5 + [429] * 2
        clock.advance(60)
        assert await status(clients[1], "/v2/login/anonymous") == 200


async def test_nodes_that_are_asked_at_once_let_in_no_more_either_and_no_fewer() -> None:
    async with nodes(3) as (_, _, clients, _):
        answers = await asyncio.gather(*(status(clients[n % 3], "/v2/login/anonymous") for n in range(30)))
        assert sorted(answers) == [200] * 10 + [429] * 20


async def test_of_what_is_done_often_the_nodes_tell_each_other_a_moment_later() -> None:
    async with nodes(2, RATE_LIMIT_WEBHOOKS_USER="4") as (_, clock, [one, other], path):
        assert [await status(one, path) for _ in range(3)] == [200] * 3
        clock.advance(0.2)
        for _ in range(50):
            await asyncio.sleep(0)
        assert [await status(other, path) for _ in range(3)] == [200, 429, 429]
        clock.advance(60)
        assert await status(other, path) == 200


async def test_a_limit_that_cannot_be_checked_lets_nobody_in() -> None:
    class Gone:
        async def commit(self, facts: Any) -> int:
            raise Unavailable("gone")
    with pytest.raises(Unavailable):
        await Tallies(Gone(), HandClock(), "node").agree("whom", 1, 60_000)
