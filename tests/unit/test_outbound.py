from __future__ import annotations

import asyncio
import gzip
import socket
from collections.abc import AsyncIterator

import pytest
from aiohttp import web
from aiohttp.abc import AbstractResolver
from aiohttp.test_utils import TestServer

from runtime.errors import FetchFailed
from runtime.outbound import Outbound, Request, normal_url
from runtime.settings import RuntimeSettings


async def echo(request: web.Request) -> web.Response:
    return web.json_response({"method": request.method, "headers": dict(request.headers), "body": (await request.read()).decode(),
                              "query": request.query_string, "path": request.raw_path})


async def redirect(request: web.Request) -> web.Response:
    location = request.query["to"]
    return web.Response(status=int(request.query.get("status", 302)), headers={"Location": location})


async def rounds(request: web.Request) -> web.Response:
    left = int(request.match_info["left"])
    return web.Response(text="there") if left == 0 else web.Response(status=302, headers={"Location": f"/rounds/{left - 1}"})


async def large(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    for _ in range(200):
        await response.write(b"x" * 1000)
    return response


async def bomb(request: web.Request) -> web.Response:
    return web.Response(body=gzip.compress(b"0" * 5_000_000), headers={"Content-Encoding": "gzip"})


async def silent(request: web.Request) -> web.Response:
    await asyncio.Event().wait()
    raise AssertionError


async def flaky(request: web.Request) -> web.Response:
    request.app[CALLS].append(request.method)
    if len(request.app[CALLS]) <= int(request.query["fails"]):
        assert request.transport is not None
        request.transport.abort()
    return web.Response(text="at last")


async def busy(request: web.Request) -> web.Response:
    request.app[CALLS].append(request.method)
    if len(request.app[CALLS]) == 1:
        return web.json_response({"error": "TooManyRequests", "details": {"retryAfter": float(request.query["after"])}}, status=429)
    return web.Response(text="now")


async def events(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await response.prepare(request)
    for text in ("data: {\"n\"", ": 1}\n\nda", "ta: two\n\n"):
        await response.write(text.encode())
    if "break" in request.query:
        assert request.transport is not None
        request.transport.abort()
    if "hang" in request.query:
        await asyncio.Event().wait()
    return response


CALLS = web.AppKey("calls", list)


@pytest.fixture
async def server() -> AsyncIterator[TestServer]:
    app = web.Application()
    app[CALLS] = []
    app.router.add_route("*", "/echo", echo)
    app.router.add_route("*", "/v2/echo", echo)
    app.router.add_route("*", "/v2/redirect", redirect)
    app.router.add_route("*", "/redirect", redirect)
    app.router.add_get("/rounds/{left}", rounds)
    app.router.add_get("/large", large)
    app.router.add_get("/bomb", bomb)
    app.router.add_get("/silent", silent)
    app.router.add_route("*", "/flaky", flaky)
    app.router.add_get("/v2/busy", busy)
    app.router.add_get("/busy", busy)
    app.router.add_get("/events", events)
    server = TestServer(app)
    await server.start_server()
    yield server
    await server.close()


class Doors:
    """Makes doors that are closed after the test; remembers how long they slept."""

    def __init__(self) -> None:
        self.made: list[Outbound] = []
        self.slept: list[float] = []

    def open(self, resolver: AbstractResolver | None = None, **settings: object) -> Outbound:
        async def sleep(seconds: float) -> None:
            self.slept.append(seconds)
        options = {"fetch_allowed_hosts": ("127.0.0.1",), "fetch_timeout": 2.0, **settings}
        self.made.append(Outbound(RuntimeSettings(**options), resolver=resolver, sleep=sleep))
        return self.made[-1]


@pytest.fixture
async def doors() -> AsyncIterator[Doors]:
    doors = Doors()
    yield doors
    for door in doors.made:
        await door.close()


def get(url: object, headers: dict[str, str] | None = None) -> Request:
    return Request("get", str(url), headers or {})


async def failure(door: Outbound, request: Request) -> FetchFailed:
    with pytest.raises(FetchFailed) as caught:
        await door.request(request)
    return caught.value


async def test_a_reply_has_status_lower_case_headers_and_bytes(doors: Doors, server: TestServer) -> None:
    reply = await doors.open().request(Request("post", str(server.make_url("/echo?a=1")), {"X-One": "é"}, b"hello"))
    assert reply.status == 200
    assert reply.headers["content-type"] == reply.content_type == "application/json; charset=utf-8"
    assert b'"hello"' in reply.body and b'"POST"' in reply.body and b'"a=1"' in reply.body


async def test_cookies_of_one_reply_do_not_come_along_with_the_next_request(doors: Doors, server: TestServer) -> None:
    async def cookie(request: web.Request) -> web.Response:
        return web.json_response(dict(request.cookies), headers={"Set-Cookie": "session=secret"})
    app = web.Application()
    app.router.add_get("/", cookie)
    async with TestServer(app) as other:
        door = doors.open()
        await door.request(get(other.make_url("/")))
        assert (await door.request(get(other.make_url("/")))).body == b"{}"


async def test_redirects_are_followed_five_times(doors: Doors, server: TestServer) -> None:
    assert (await doors.open().request(get(server.make_url("/rounds/5")))).body == b"there"
    assert "more than 5" in (await failure(doors.open(), get(server.make_url("/rounds/6")))).message


@pytest.mark.parametrize("to", ["http://169.254.169.254/", "http://127.0.0.2/", "http://2130706433/", "file:///etc/passwd", "http://[::1]/"])
@pytest.mark.parametrize("path", ["/redirect", "/v2/redirect"])
async def test_every_redirect_is_checked_again(doors: Doors, server: TestServer, to: str, path: str) -> None:
    door = doors.open(api_url=str(server.make_url("/v2")))
    assert (await failure(door, get(server.make_url(path).with_query(to=to)))).wire == "FetchError"


@pytest.mark.parametrize(("status", "method", "expected", "body"), [
    (301, "POST", "GET", ""), (302, "POST", "GET", ""), (303, "PUT", "GET", ""), (307, "POST", "POST", "x"), (308, "PUT", "PUT", "x"),
    (302, "PUT", "PUT", "x")])
async def test_a_redirect_keeps_or_changes_the_method(doors: Doors, server: TestServer, status: int, method: str, expected: str, body: str) -> None:
    url = server.make_url("/redirect").with_query(to="/echo", status=status)
    reply = await doors.open().request(Request(method, str(url), {"Content-Type": "text/plain"}, b"x"))
    assert f'"method": "{expected}"'.encode() in reply.body and f'"body": "{body}"'.encode() in reply.body


async def test_credentials_do_not_follow_a_redirect_to_elsewhere(doors: Doors, server: TestServer) -> None:
    app = web.Application()
    app.router.add_get("/echo", echo)
    headers = {"Authorization": "Bearer key", "Cookie": "a=b", "X-Kept": "yes"}
    async with TestServer(app) as other:
        away = server.make_url("/redirect").with_query(to=str(other.make_url("/echo")))
        body = (await doors.open().request(get(away, headers))).body
        assert b"Bearer" not in body and b"a=b" not in body and b"X-Kept" in body
        body = (await doors.open().request(get(server.make_url("/redirect").with_query(to="/echo"), headers))).body
        assert b"Bearer key" in body


async def test_user_and_password_of_the_url_become_a_header_and_stay_out_of_errors(doors: Doors, server: TestServer) -> None:
    url = server.make_url("/echo?key=hidden").with_user("us:er").with_password("pass")
    assert b"Basic dXM6ZXI6cGFzcw==" in (await doors.open().request(get(url))).body
    error = await failure(doors.open(fetch_allowed_hosts=()), get(url))
    assert error.details == {"url": str(server.make_url("/echo"))}


@pytest.mark.parametrize(("name", "value"), [
    ("X-A", "b\r\nEvil: yes"), ("X-A", "b\nEvil: yes"), ("X-A", "b\rEvil"), ("X-A", "\0"), ("X-A\r\nEvil", "x"), ("X A", "x"), ("", "x"),
    ("X:A", "x"), ("X-É", "x")])
async def test_no_header_can_bring_another_one(doors: Doors, server: TestServer, name: str, value: str) -> None:
    assert "header" in (await failure(doors.open(), get(server.make_url("/echo"), {name: value}))).message


async def test_headers_of_the_connection_are_not_passed_on(doors: Doors, server: TestServer) -> None:
    sent = {"Host": "elsewhere", "Content-Length": "3", "Transfer-Encoding": "chunked", "Connection": "upgrade", "X-Mine": "1"}
    reply = await doors.open().request(Request("POST", str(server.make_url("/echo")), sent, b"four"))
    assert b"elsewhere" not in reply.body and b"chunked" not in reply.body and b'"four"' in reply.body and b"X-Mine" in reply.body


@pytest.mark.parametrize("path", ["/large", "/bomb"])
async def test_an_answer_that_is_too_large_is_refused(doors: Doors, server: TestServer, path: str) -> None:
    error = await failure(doors.open(fetch_max_bytes=100_000), get(server.make_url(path)))
    assert "larger than 100000 bytes" in error.message and error.details == {"url": str(server.make_url(path)), "limit": 100_000}


async def test_an_answer_that_does_not_come_is_given_up(doors: Doors, server: TestServer) -> None:
    assert "within 0.05 seconds" in (await failure(doors.open(fetch_timeout=0.05), get(server.make_url("/silent")))).message


async def test_a_reset_connection_is_tried_again(doors: Doors, server: TestServer) -> None:
    reply = await doors.open().request(Request("POST", str(server.make_url("/flaky?fails=2")), {}))
    assert reply.body == b"at last" and server.app[CALLS] == ["POST"] * 3


async def test_a_connection_that_is_always_reset_fails(doors: Doors, server: TestServer) -> None:
    error = await failure(doors.open(fetch_max_retries=1), Request("POST", str(server.make_url("/flaky?fails=9")), {}))
    assert "reset" in error.message and len(server.app[CALLS]) == 2


async def test_the_own_api_is_asked_again_when_it_says_so(doors: Doors, server: TestServer) -> None:
    door = doors.open(api_url=str(server.make_url("/v2")))
    assert (await door.request(get(server.make_url("/v2/busy?after=60")))).body == b"now"
    assert doors.slept == [60]


@pytest.mark.parametrize("path", ["/v2/busy?after=61", "/busy?after=1", "/v2/busy?after=-1", "/v2/busy?after=nan"])
async def test_others_and_long_waits_are_not_waited_for(doors: Doors, server: TestServer, path: str) -> None:
    door = doors.open(api_url=str(server.make_url("/v2")))
    assert (await door.request(get(server.make_url(path)))).status == 429
    assert doors.slept == []


async def test_the_own_api_is_allowed_wherever_it_is_and_its_neighbours_are_not(doors: Doors, server: TestServer) -> None:
    door = doors.open(fetch_allowed_hosts=(), api_url=str(server.make_url("/v2")))
    assert (await door.request(get(server.make_url("/v2/echo")))).status == 200
    for path in ("/echo", "/v2x/echo", "/v2/../echo", "/v2/%2e%2e/echo"):
        assert "refused" in (await failure(door, get(str(server.make_url("/"))[:-1] + path))).message


async def test_the_own_api_may_be_reached_from_inside(doors: Doors, server: TestServer) -> None:
    door = doors.open(fetch_allowed_hosts=(), api_url="https://public.example/v2", internal_api_url=str(server.make_url("/v2/")))
    assert b'"path": "/v2/echo?a=%20b"' in (await door.request(get("https://public.example/v2/echo?a=%20b"))).body


@pytest.mark.parametrize(("url", "expected"), [
    ("http://a.test/v2", True), ("http://a.test:80/v2/x", True), ("http://a.test/v2?x=1", True), ("http://A.test/v2/", True),
    ("http://a.test/v22", False), ("https://a.test/v2", False), ("http://a.test:81/v2", False), ("http://a.test@b.test/v2", False),
    ("http://a.test.b/v2", False), ("", False), ("nonsense", False), ("http://[::", False)])
async def test_what_lies_under_the_api_url_is_the_own_api(doors: Doors, url: str, expected: bool) -> None:
    assert doors.open(api_url="http://a.test/v2").is_own_api(url) is expected


class TwoFaced(AbstractResolver):
    """A harmless address first, a forbidden one from then on."""

    def __init__(self, addresses: list[str]) -> None:
        self.addresses = addresses

    async def resolve(self, host: str, port: int = 0, family: int = 0) -> list[dict]:
        address = self.addresses.pop(0)
        return [{"hostname": host, "host": address, "port": port, "family": socket.AF_INET, "proto": 0, "flags": 0}]

    async def close(self) -> None:
        pass


async def test_the_connection_goes_to_the_address_that_was_checked(doors: Doors, server: TestServer) -> None:
    resolver = TwoFaced(["127.0.0.1", "127.0.0.2"])
    door = doors.open(resolver, fetch_allowed_hosts=("127.0.0.1",))
    reply = await door.request(get(f"http://rebinding.test:{server.port}/echo"))
    assert reply.status == 200 and resolver.addresses == ["127.0.0.2"]


async def test_a_name_that_does_not_exist_says_so(doors: Doors) -> None:
    class Nobody(TwoFaced):
        async def resolve(self, host: str, port: int = 0, family: int = 0) -> list[dict]:
            raise OSError("no such name")
    error = await failure(doors.open(Nobody([])), get("http://nobody.test/?key=hidden"))
    assert "nobody.test could not be resolved" in error.message and "hidden" not in str(error.details)


async def test_a_port_nobody_listens_on_says_so(doors: Doors) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        error = await failure(doors.open(), get(f"http://127.0.0.1:{unused.getsockname()[1]}/"))
    assert "could not be connected to" in error.message


async def test_what_stands_for_the_url_is_all_an_error_shows(doors: Doors) -> None:
    error = await failure(doors.open(), Request("GET", "http://127.0.0.2/s3cret", {}, shown="http://127.0.0.2/$secret"))
    assert error.details == {"url": "http://127.0.0.2/$secret"}


async def test_an_event_stream_is_read_while_it_arrives(doors: Doors, server: TestServer) -> None:
    reply = await doors.open().request(get(server.make_url("/events")))
    items = [item async for item in reply.body]
    assert items == [{"index": 0, "chunk": {"data": [{"n": 1}]}}, {"index": 1, "chunk": {"data": ["two"]}}]


async def test_a_stream_that_breaks_off_or_falls_silent_fails(doors: Doors, server: TestServer) -> None:
    for query, word in (("break", "broke off"), ("hang", "silent")):
        reply = await doors.open(fetch_timeout=0.1).request(get(server.make_url(f"/events?{query}")))
        with pytest.raises(FetchFailed, match=word):
            async for _ in reply.body:
                pass


async def test_a_stream_may_be_closed_before_its_end(doors: Doors, server: TestServer) -> None:
    reply = await doors.open().request(get(server.make_url("/events?hang")))
    async for _ in reply.body:
        await reply.body.close()
        await reply.body.close()


def test_the_normal_form_of_a_url() -> None:
    assert normal_url("HTTP://Example.com:80/a%3Ab c?x=%20#top") == "http://example.com/a:b%20c?x=%20"
