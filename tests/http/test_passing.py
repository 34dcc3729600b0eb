"""Two nodes, real HTTP between them: one holds every run, the other is asked for them."""
from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest
from aiohttp import ClientError, ClientResponse, ClientSession, web
from aiohttp.test_utils import TestServer
from door import KEYS, OWNER, House, house
from hypothesis import given
from hypothesis import strategies as st

from gateway.app import Server, build
from gateway.config import Settings
from gateway.passing import HEADER, Passing, Seal
from runtime.calls import ADMIN, Origin
from runtime.errors import HeldElsewhere
from runtime.language.loader import load
from runtime.testing import CountedIds, HandClock
from runtime.values import decode
from store.records import Member

HELD = """
name: Held
automations:
  tell:
    when: {endpoint: true}
    do: [{set: {name: $http, value: {status: 201, headers: {x-two: 'b'}}}}]
    output: {body: '{{body}}', headers: '{{headers}}', query: '{{query}}', method: '{{method}}', ip: '{{run.ip}}', id: '{{run.correlationId}}'}
  talk:
    when: {endpoint: true}
    do:
      - set: {name: $http, value: {chunk: {n: 1}}}
      - wait: {oneOf: [{event: go}]}
      - set: {name: $http, value: {chunk: {n: 2}}}
    output: {end: true}
  fails: {when: {endpoint: true}, do: [{missing: {}}]}
"""
PUBLIC = "203.0.113.9"


class Elsewhere:
    """The engine of a node that holds no run."""

    def __init__(self, engine: Any, url: str) -> None:
        self._engine = engine
        self.url = url

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)

    async def call(self, *arguments: Any) -> Any:
        raise HeldElsewhere(self.url)

    test = accept = call


@asynccontextmanager
async def asked(url: str, workspace: str = "wsasked", *, holders: list[Member] | None = None, **options: Any) -> AsyncIterator[ClientSession]:
    """The node that is asked, as a client with these options sees it; every run is held by the node at `url`, as long as
    the first of `holders` says so."""
    settings = Settings.from_environment({"STORAGE_URL": "memory:", "PORT": "0", "TRUSTED_PROXIES": "127.0.0.1"})
    gateway = (await build(settings, KEYS, clock=HandClock(), ids=CountedIds())).gateway
    passing = Passing(KEYS.passing, HandClock(), patience=None, owner=(lambda *run: holders[0] if holders else None) if holders else None)
    server = Server(replace(gateway, engine=Elsewhere(gateway.engine, url), passing=passing))
    await server.open()
    await gateway.engine.catalog.import_definition(load(HELD), owner="admin", origin=Origin("correlation-of-the-tests", ADMIN),
                                                   new_id=workspace)
    await server.listen()
    try:
        async with ClientSession(f"http://127.0.0.1:{server.port}", **options) as client:
            yield client
    finally:
        await server.stop()


@pytest.fixture
async def holder() -> AsyncIterator[House]:
    async with house(HELD) as opened:
        yield opened


@pytest.fixture
async def front(holder: House) -> AsyncIterator[ClientSession]:
    async with asked("http://{}:{}".format(*holder.address), holder.id) as client:
        yield client


def path(holder: House, endpoint: str) -> str:
    return f"/v2/workspaces/{holder.id}/webhooks/{endpoint}"


async def told(response: ClientResponse) -> tuple[int, dict[str, list[str]], bytes]:
    raw = await response.read()
    changing = ("date", "x-correlation-id", "content-length", "transfer-encoding")
    return response.status, {name.lower(): response.headers.getall(name) for name in response.headers if name.lower() not in changing}, raw


@pytest.mark.parametrize(("method", "endpoint", "more"), [
    ("POST", "tell?a=1&a=%2F", {"json": {"deep": [1, {"x": None}]}, "headers": {"x-mine": "m", "origin": "http://localhost:8700"}}),
    ("PUT", "tell", {"data": b"\x00\xff raw", "headers": {"content-type": "application/octet-stream"}}),
    ("POST", "tell", {"data": "a=1&b=2", "headers": {"content-type": "application/x-www-form-urlencoded", **OWNER}}),
    ("GET", "tell", {}), ("DELETE", "tell", {}), ("HEAD", "tell", {}),
    ("POST", "fails", {}), ("POST", "absent", {"json": {}})])
async def test_the_answer_is_the_one_of_the_node_that_holds_the_run(
        holder: House, front: ClientSession, method: str, endpoint: str, more: dict[str, Any]) -> None:
    more["headers"] = {**more.get("headers", {}), "host": "api.example.org", "x-forwarded-for": PUBLIC, "user-agent": "tests"}
    async with front.request(method, path(holder, endpoint), **more) as response:
        status, headers, raw = await told(response)
    async with ClientSession() as session, session.request(
            method, "http://{}:{}".format(*holder.address) + path(holder, endpoint), **more) as response:
        expected_status, expected_headers, expected_raw = await told(response)
    assert (status, headers) == (expected_status, expected_headers)
    answer, expected = (decode(each) if each else {} for each in (raw, expected_raw))
    if "ip" in answer:
        assert (answer.pop("ip"), expected.pop("ip")) == (PUBLIC, "127.0.0.1")      # only the first node trusts the proxy
        assert answer.pop("id") != expected.pop("id")
    assert answer == expected


async def test_tests_and_events_are_passed_on_after_the_caller_was_looked_at(holder: House, front: ClientSession) -> None:
    for target, body in (("test/tell", {"payload": {"body": 1}}), ("events", {"events": [{"type": "a", "payload": {"n": 1}}]})):
        async with front.post(f"/v2/workspaces/{holder.id}/{target}", json=body, headers=OWNER) as response:
            assert response.status in (200, 201), await response.text()
    async with front.post(f"/v2/workspaces/{holder.id}/test/tell", json={}) as response:
        assert response.status == 401
    _, found, _ = await holder.request("GET", f"/v2/workspaces/{holder.id}/events?types=a", headers=OWNER)
    [event] = found["result"]["events"]
    assert (event["payload"], event["source"]["userId"]) == ({"n": 1}, "admin")


async def test_a_stream_arrives_chunk_by_chunk(holder: House, front: ClientSession) -> None:
    async with front.post(path(holder, "talk")) as response:
        assert response.headers["content-type"] == "text/event-stream"
        assert await response.content.readuntil(b"\n\n") == b'data: {"n":1}\n\n'
        status, _, _ = await holder.request("POST", f"/v2/workspaces/{holder.id}/events", json={"events": [{"type": "go"}]}, headers=OWNER)
        assert status == 200
        assert await response.read() == b'data: {"n":2}\n\ndata: {"end":true}\n\n'


async def test_nobody_outside_can_pass_for_a_node(holder: House, front: ClientSession) -> None:
    forged = f"{HandClock().now()} 198.51.100.1 {'0' * 64}"
    async with front.post(path(holder, "tell"), json={}, headers={HEADER: forged, "x-forwarded-for": PUBLIC}) as response:
        answer = await response.json()
    assert answer["ip"] == PUBLIC and HEADER not in answer["headers"]
    status, answer, _ = await holder.call("tell", json={}, headers={HEADER: forged})
    assert status == 201 and answer["ip"] == "127.0.0.1" and HEADER not in answer["headers"]


@asynccontextmanager
async def owner(handler: Callable[[web.Request], Awaitable[web.StreamResponse]]) -> AsyncIterator[str]:
    """A node of which only the door is real."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handler)
    async with TestServer(app) as server:
        yield str(server.make_url("")).rstrip("/")


async def test_what_was_passed_on_is_not_passed_on_again() -> None:
    asked_for = []

    async def back(request: web.Request) -> web.StreamResponse:
        asked_for.append(request.headers)
        headers = {HEADER: request.headers[HEADER]}
        async with ClientSession() as session, session.post(f"http://{request.host}{request.path}", headers=headers) as response:
            return web.Response(status=response.status, body=await response.read(), headers=response.headers)

    async with owner(back) as url, asked(url) as front, front.post("/v2/workspaces/w/webhooks/x") as response:
        assert (response.status, (await response.json())["error"]) == (503, "ServiceUnavailable")
        assert len(asked_for) == 1


async def test_a_node_that_cannot_be_reached_means_try_again() -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        async with asked(f"http://127.0.0.1:{nobody.getsockname()[1]}") as front, front.post("/v2/workspaces/w/webhooks/x") as response:
            assert response.status == 503 and int(response.headers["retry-after"]) > 0


async def test_nobody_waits_for_a_node_that_hangs_longer_than_until_it_is_taken_for_dead() -> None:
    holders: list[Member] = []

    async def hangs(request: web.Request) -> web.StreamResponse:
        holders.clear()
        await asyncio.Event().wait()
        return web.Response()

    async with owner(hangs) as url:
        holders.append(Member("n", url, "host", 1))
        async with asked(url, holders=holders) as front, front.post("/v2/workspaces/w/webhooks/x") as response:
            assert response.status == 503 and response.headers["retry-after"]


async def test_headers_and_a_packed_body_come_through_as_they_are() -> None:
    async def packed(request: web.Request) -> web.StreamResponse:
        response = web.Response(body=b"not really gzip", headers={"content-encoding": "gzip", "content-type": "text/plain"}, status=299, reason="Fine")
        response.headers.add("set-cookie", "a=1")
        response.headers.add("set-cookie", "b=2")
        return response

    async with owner(packed) as url, asked(url, auto_decompress=False) as front, front.get("/v2/workspaces/w/webhooks/x") as response:
        assert (response.status, response.reason, await response.read()) == (299, "Fine", b"not really gzip")
        assert response.headers.getall("set-cookie") == ["a=1", "b=2"]


async def test_an_answer_that_breaks_off_breaks_off() -> None:
    async def breaks(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"data: 1\n\n")
        assert request.transport is not None
        request.transport.abort()
        return response

    async with owner(breaks) as url, asked(url) as front, front.post("/v2/workspaces/w/webhooks/x") as response:
        assert response.status == 200
        with pytest.raises(ClientError):
            await response.read()


async def test_the_connection_to_the_other_node_ends_with_that_of_the_caller() -> None:
    ended = asyncio.Event()

    async def silent(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"data: 1\n\n")
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()                                   # the server of the tests cancels whom nobody listens to
        return response

    async with owner(silent) as url, asked(url) as front:
        response = await front.post("/v2/workspaces/w/webhooks/x")
        await response.content.readany()
        response.close()
        async with asyncio.timeout(5):
            await ended.wait()


SEAL = Seal(b"k" * 32, HandClock())
texts = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=20)


@given(texts.filter(lambda text: text != "-"), texts, texts, texts, texts)
def test_a_seal_is_good_for_one_request_only(caller: str, method: str, path: str, other_method: str, other_path: str) -> None:
    made = SEAL.make(caller, method, path)
    assert SEAL.caller(made, method, path) == caller
    assert SEAL.caller(SEAL.make(None, method, path), method, path) == ""
    if (method, path) != (other_method, other_path):
        assert SEAL.caller(made, other_method, other_path) is None
    assert Seal(b"other", HandClock()).caller(made, method, path) is None
    assert SEAL.caller(f"{made}0", method, path) is None and SEAL.caller(made.replace(caller, "x" + caller, 1), method, path) is None
    assert SEAL.caller("", method, path) is None and SEAL.caller(caller, method, path) is None


def test_a_seal_is_good_for_a_minute() -> None:
    clock = HandClock()
    seal = Seal(b"k", clock)
    made = seal.make("10.0.0.1", "GET", "/")
    clock.advance(60)
    assert seal.caller(made, "GET", "/") == "10.0.0.1"
    clock.advance(0.001)
    assert seal.caller(made, "GET", "/") is None
