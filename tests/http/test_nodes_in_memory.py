"""Several nodes in one process, on one content in memory, real HTTP between them."""
from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest
from aiohttp import ClientSession, WSMsgType
from door import KEYS, OWNER

from gateway import keys
from gateway.app import Server, build
from gateway.config import Settings
from runtime.ids import RandomIds
from runtime.testing import HandClock
from store.memory_cluster import MemoryCluster, MemoryNode

WORKSPACE = {
    "name": "Nodes", "slug": "nodes", "automations": {
        "hold": {"when": {"endpoint": True}, "do": [
            {"set": {"name": "run.held", "value": True}}, {"set": {"name": "$http", "value": {"chunk": {"n": 1}}}},
            {"wait": {"oneOf": [{"event": "go"}], "output": "got", "timeout": 60}},
            {"set": {"name": "$http", "value": {"chunk": "{{got.payload}}"}}}]},
        "look": {"when": {"endpoint": True}, "do": [], "output": {"held": "{{run.held}}", "who": "{{user.id}}"}}}}
JOB = {"x-correlation-id": "job-1"}


class Node:
    """`client` asks it, as the owner."""

    def __init__(self, server: Server, store: MemoryNode, client: ClientSession) -> None:
        self.server = server
        self.store = store
        self.client = client

    async def ask(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        async with self.client.request(method, path, json=body, headers=headers) as response:
            return response.status, await response.json()


@asynccontextmanager
async def nodes(count: int = 2) -> AsyncIterator[tuple[list[Node], str]]:
    """Nodes with a workspace that the first one made, and its path."""
    cluster, clock = MemoryCluster(), HandClock()
    async with AsyncExitStack() as stack:
        opened = [await stack.enter_async_context(_node(cluster.node(), clock)) for _ in range(count)]
        status, made = await opened[0].ask("POST", "/v2/workspaces/import", WORKSPACE)
        assert status == 200, made
        yield opened, f"/v2/workspaces/{made['workspace']['id']}"


@asynccontextmanager
async def _node(store: MemoryNode, clock: HandClock) -> AsyncIterator[Node]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    settings = Settings.from_environment({"PORT": str(port), "OVERWRITE_CORRELATION_ID_HEADER": "no", "SHUTDOWN_GRACE_SECONDS": "0",
                                          "API_URL": "http://localhost:1/v2"})
    server = await build(settings, KEYS, clock=clock, ids=RandomIds(), store=store)
    await server.open()
    await server.listen()
    try:
        async with ClientSession(f"http://127.0.0.1:{port}", headers=OWNER) as client:
            yield Node(server, store, client)
    finally:
        store.heal()
        await server.stop()


async def test_what_one_node_was_told_is_known_to_all() -> None:
    async with nodes() as ([one, other], path):
        assert (await other.ask("GET", path))[1]["name"] == "Nodes"
        other.store.deafen()
        assert (await one.ask("PATCH", path, {"name": "Renamed"}))[0] == 200
        assert (await other.ask("GET", path))[1]["name"] == "Renamed"
        _, login = await one.ask("POST", "/v2/login/anonymous", {})
        _, seen = await other.ask("POST", f"{path}/webhooks/look", {}, authorization=f"Bearer {login['token']}")
        assert seen["who"] == login["id"]


async def test_an_emit_of_a_socket_reaches_the_run_on_its_node_and_is_acknowledged() -> None:
    async with nodes() as ([one, other], path), other.client.ws_connect(f"{path}/events") as socket_, \
            one.client.post(f"{path}/webhooks/hold", headers=JOB) as stream:
        assert await stream.content.readuntil(b"\n\n") == b'data: {"n":1}\n\n'
        await socket_.send_json({"op": "emit", "id": "bad", "event": {"type": "runtime.go"}, "correlationId": "job-1"})
        await socket_.send_json({"op": "emit", "id": "vol", "event": {"type": "x", "options": {"persist": False}}, "correlationId": "job-1"})
        await socket_.send_json({"op": "emit", "id": "e", "event": {"type": "go", "payload": {"n": 2}}, "correlationId": "job-1"})
        answers = {}
        while len(answers) < 3:
            frame = await socket_.receive_json()
            if "id" in frame:
                answers[frame["id"]] = frame
        assert answers["bad"]["op"] == "error" and answers["bad"]["error"]["error"] == "InvalidEventError"
        assert answers["vol"]["op"] == "ack"
        assert (answers["e"]["op"], answers["e"]["correlationId"]) == ("ack", "job-1")
        assert await stream.read() == b'data: {"n":2}\n\n'
        _, found = await one.ask("GET", f"{path}/events?types=go")
        [event] = found["result"]["events"]
        assert event["id"] == answers["e"]["eventId"] and found["result"]["cursor"] == answers["e"]["cursor"]
        assert event["source"]["socketId"] and event["source"]["userId"] == "admin"


async def test_a_run_is_asked_for_where_it_lives_and_means_try_again_when_that_node_is_gone() -> None:
    async with nodes() as ([one, other], path), one.client.post(f"{path}/webhooks/hold", headers=JOB) as stream:
        await stream.content.readuntil(b"\n\n")
        assert (await other.ask("POST", f"{path}/webhooks/look", {}, **JOB))[1]["held"] is True
        assert (await other.ask("POST", f"{path}/test/look", {}, **JOB))[1]["held"] is True
        one.store.cut_off()                               # it still answers, and says that it cannot
        async with other.client.post(f"{path}/webhooks/look", headers=JOB) as response:
            assert response.status == 503 and response.headers["retry-after"]


async def test_a_node_that_is_cut_off_or_taken_for_dead_is_not_ready() -> None:
    async with nodes() as ([one, other], _):
        assert (await one.ask("GET", "/v2/readiness"))[0] == 200
        one.store.cut_off()
        status, told = await one.ask("GET", "/v2/readiness")
        assert status == 503 and told["checks"]["store"] == "failed"
        await other.store.take_over(one.store.id)
        one.store.heal()
        status, told = await one.ask("GET", "/v2/readiness")
        assert status == 503 and told["checks"] == {"store": "ok", "scheduler": "ok", "broker": "failed"}


async def test_nodes_agree_on_keys_and_the_environment_wins() -> None:
    cluster = MemoryCluster()
    one, other = cluster.node(), cluster.node()
    settings = Settings.from_environment({"STORAGE_URL": "mongodb://somewhere"})
    first, second = [await keys.agree(settings, RandomIds(), node) for node in (one, other)]
    assert first.made_admin_token and not second.made_admin_token
    assert first[:3] == second[:3] and first.passing == second.passing
    given = await keys.agree(Settings.from_environment({"ADMIN_TOKEN": "mine", "JWT_SECRET": "hush"}), RandomIds(), other)
    assert given.admin_token == "mine" and not given.made_admin_token and given.signing != first.signing


@pytest.mark.parametrize(("environment", "url"), [
    ({}, "http://127.0.0.1:8700"), ({"HOST": "localhost", "PORT": "1"}, "http://127.0.0.1:1"), ({"HOST": "::1"}, "http://[::1]:8700"),
    ({"HOST": "0.0.0.0"}, "http://box:8700"), ({"HOST": "10.1.2.3"}, "http://10.1.2.3:8700"), ({"NODE_URL": "https://a.b/"}, "https://a.b")])
def test_the_address_of_a_node_follows_from_where_it_listens(environment: dict[str, str], url: str) -> None:
    assert Settings.from_environment(environment).node_address("box") == url


async def test_a_session_that_ends_on_one_node_ends_on_all_and_closes_its_feeds() -> None:
    async with nodes() as ([one, other], path):
        _, login = await one.ask("POST", "/v2/login/anonymous", {})
        by_login = {"authorization": f"Bearer {login['token']}"}
        _, made = await one.ask("POST", "/v2/user/accessTokens", {"name": "program"}, **by_login)
        by_token = {"authorization": f"Bearer {made['token']}"}
        async with (other.client.ws_connect(f"{path}/events", headers=by_login) as feed,
                    other.client.ws_connect(f"{path}/events", headers=by_token) as programs):
            for socket_ in (feed, programs):
                await socket_.send_json({"op": "hello"})
                assert (await socket_.receive_json())["op"] == "welcome"
            assert (await one.ask("DELETE", f"/v2/user/accessTokens/{made['id']}", **by_login))[0] == 200
            assert (await one.ask("POST", "/v2/logout", **by_login))[0] == 200
            for socket_ in (feed, programs):
                while (message := await socket_.receive(timeout=3)).type is WSMsgType.TEXT:
                    pass
                assert message.data == 4001, message
        for headers in (by_login, by_token):
            assert (await other.ask("GET", "/v2/me", **headers))[0] == 401


async def test_an_address_that_is_signed_up_on_two_nodes_at_once_has_one_account() -> None:
    async with nodes() as ([one, other], _):
        account = {"email": "ada@example.org", "password": "correct horse"}
        answers = await asyncio.gather(*(node.ask("POST", "/v2/signup", account) for node in (one, other)))
        assert sorted(status for status, _ in answers) == [200, 400]
        made = next(user for status, user in answers if status == 200)
        for node in (one, other):
            status, login = await node.ask("POST", "/v2/login", account)
            assert (status, login["id"]) == (200, made["id"])
