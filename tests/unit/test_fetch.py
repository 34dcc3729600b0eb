from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from runtime.errors import AutomationsError, FetchFailed, InvalidInstruction
from runtime.expressions import compile_value
from runtime.instructions import fetch
from runtime.instructions.pace import paced
from runtime.modules import secrets
from runtime.modules.around import Around
from runtime.outbound import Outbound
from runtime.outbound.streams import EventStream
from runtime.settings import RuntimeSettings
from runtime.testing import CountedIds, HandClock
from store.changes import apply


class Compiler:
    """As much of a compiler as one instruction needs."""

    def value(self, written: Any) -> Any:
        return compile_value(written)

    def output(self, body: dict[str, Any]) -> Any:
        def store(frame: Frame, value: Any) -> None:
            if "output" in body:
                frame.locals[body["output"]] = value
        return store


class Documents:
    def __init__(self) -> None:
        self.document: dict[str, Any] = {}

    def read(self) -> dict[str, Any]:
        return self.document

    def change(self, op: str, path: tuple, value: Any = None) -> None:
        apply(self.document, op, path, value)


class Frame:
    """A frame that writes down what it is asked."""

    def __init__(self, outbound: Outbound, variables: dict[str, Any]) -> None:
        self.locals = variables
        self.outbound = outbound
        self.clock = HandClock(1_440_938_160_000)
        self.ids = CountedIds()
        self.identity = SimpleNamespace(user_id="ada")
        self.locale, self.timezone = "en", "UTC"
        self.documents = Documents()
        self.told: list[tuple[Any, ...]] = []
        self.hidden_texts: set[str] = set()
        self.throttle = None

    def hide(self, texts: set[str]) -> None:
        self.hidden_texts |= texts

    def shown(self, value: Any) -> Any:
        return value

    def read(self, context: str, path: tuple) -> Any:
        return None

    async def leave(self) -> None:
        self.told.append(("leave",))

    def request_headers(self, url: str, has_authorization: bool) -> dict[str, str]:
        own = {"Authorization": "Bearer own"} if self.is_own_api(url) and not has_authorization else {}
        return {"x-correlation-id": "c1", "User-Agent": "Prisme.ai Workspaces", "x-prismeai-workspace-id": "ws", **own}

    def is_own_api(self, url: str) -> bool:
        return self.outbound.is_own_api(url)

    def workspace_token(self, key: str = "") -> str:
        return f"workspace-token{key and f' with {key}'}"

    def native(self, type: str, payload: dict[str, Any]) -> None:
        self.told.append((type, payload))

    async def emit(self, event: str, payload: dict[str, Any], target: Any, options: Any) -> dict[str, Any]:
        self.told.append((event, payload, target, options))
        return {}

    async def hidden(self, name: str) -> Documents:
        assert name == "secrets"
        return self.documents

    @property
    def events(self) -> list[Any]:
        return [fact for fact in self.told if fact != ("leave",)]


async def echo(request: web.Request) -> web.Response:
    return web.json_response({"method": request.method, "query": request.rel_url.raw_query_string, "body": (await request.read()).decode("latin1"),
                              "headers": {name.lower(): value for name, value in request.headers.items()}})


async def answer(request: web.Request) -> web.Response:
    body = base64.b64decode(request.query.get("b64", ""))
    return web.Response(body=body, status=int(request.query.get("status", 200)), headers={"Content-Type": request.query["type"], "X-Ray": "1"})


async def sse(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await response.prepare(request)
    for word in ("Hel", "lo"):
        await response.write(f'data: {{"d": {{"t": "{word}"}}}}\n\n'.encode())
    return response


@pytest.fixture
async def server() -> AsyncIterator[TestServer]:
    app = web.Application()
    for prefix in ("", "/v2"):
        app.router.add_route("*", prefix + "/echo", echo)
        app.router.add_route("*", prefix + "/answer", answer)
        app.router.add_route("*", prefix + "/sse", sse)
    server = TestServer(app)
    await server.start_server()
    yield server
    await server.close()


@pytest.fixture
async def frame(server: TestServer) -> AsyncIterator[Frame]:
    outbound = Outbound(RuntimeSettings(api_url=str(server.make_url("/v2")), fetch_allowed_hosts=("127.0.0.1",), fetch_timeout=2))
    yield Frame(outbound, {"base": str(server.make_url("/"))[:-1]})
    await outbound.close()


async def run(frame: Frame, **body: Any) -> Any:
    """What `fetch` puts into its output."""
    await fetch.build({**body, "output": "out"}, ("do", 0), Compiler())(frame)
    return frame.locals.get("out")


async def test_a_get_is_the_default_and_the_query_joins_that_of_the_url(frame: Frame) -> None:
    seen = await run(frame, url="{{base}}/echo?a=0#top", query={"b": "x y", "l": ["1", 2], "n": None, "t": True, "plus": "+&="})
    assert seen["method"] == "GET" and seen["query"] == "a=0&b=x%20y&l=1&l=2&t=true&plus=%2B%26%3D"


async def test_the_run_is_durable_before_anything_is_sent(frame: Frame) -> None:
    await run(frame, url="{{base}}/echo")
    assert frame.told == [("leave",)]


async def test_identifying_headers_always_go_along(frame: Frame) -> None:
    headers = (await run(frame, url="{{base}}/echo", headers={"X-Correlation-ID": "forged", "user-agent": "mine"}))["headers"]
    assert headers["x-correlation-id"] == "c1" and headers["x-prismeai-workspace-id"] == "ws"
    assert headers["user-agent"] == "mine" and "authorization" not in headers
    assert (await run(frame, url="{{base}}/echo"))["headers"]["user-agent"] == "Prisme.ai Workspaces"


async def test_the_own_api_gets_a_token_unless_there_is_one(frame: Frame) -> None:
    assert (await run(frame, url="{{base}}/v2/echo"))["headers"]["authorization"] == "Bearer own"
    assert (await run(frame, url="{{base}}/v2/echo", headers={"AUTHORIZATION": "mine"}))["headers"]["authorization"] == "mine"


async def test_a_body_is_not_sent_with_get(frame: Frame) -> None:
    seen = await run(frame, url="{{base}}/echo", method="Get", body={"a": 1})
    assert seen["body"] == "" and "content-type" not in seen["headers"]


@pytest.mark.parametrize(("body", "content_type", "sent", "sent_type"), [
    ({"n": 5, "l": [1]}, None, '{"n":5,"l":[1]}', "application/json"),
    ([1, "é"], None, '[1,"\u00c3\u00a9"]', "application/json"),
    ("plain {", None, "plain {", "application/json"),
    ("<x/>", "text/xml", "<x/>", "text/xml"),
    ({"a": "x y", "b": "&", "l": [1, 2], "no": None}, "application/x-www-form-urlencoded", "a=x+y&b=%26&l=1&l=2", "application/x-www-form-urlencoded"),
    ("a=1", "application/x-www-form-urlencoded", "a=1", "application/x-www-form-urlencoded"),
    (0, None, "0", "application/json"),
    ("", None, "", None),
    (None, None, "", None),
])
async def test_a_body_is_written_by_its_content_type(frame: Frame, body: Any, content_type: str | None, sent: str, sent_type: str | None) -> None:
    headers = {"Content-Type": content_type} if content_type else {}
    seen = await run(frame, url="{{base}}/echo", method="post", headers=headers, body=body)
    assert seen["method"] == "POST" and seen["body"] == sent and seen["headers"].get("content-type") == sent_type


async def test_multipart_parts_are_text_files_or_bytes(frame: Frame) -> None:
    seen = await run(frame, url="{{base}}/echo", method="post", headers={"Content-Type": "multipart/form-data"}, multipart=[
        {"fieldname": "plain", "value": "no base64!"}, {"fieldname": "yes", "value": "true"}, {"fieldname": "word", "value": "SGVsbG8="},
        {"fieldname": "list", "value": [72, 105]}, {"fieldname": "map", "value": {"a": 1}},
        {"fieldname": 'na"me\r\n', "value": "x y", "filename": "a.txt\r\nX: y", "contentType": "text/plain\r\nX: y"}])
    boundary = seen["headers"]["content-type"].removeprefix("multipart/form-data; boundary=")
    parts = seen["body"].split(f"--{boundary}")
    assert [part.partition("\r\n\r\n")[2].rstrip("\r\n") for part in parts[1:-1]] == [
        "no base64!", "true", "Hello", "Hi", '{"a":1}', "x y"]
    assert parts[-1] == "--\r\n"
    assert 'name="na%22me%0D%0A"; filename="a.txt%0D%0AX: y"\r\nContent-Type: text/plain%0D%0AX: y\r\n\r\n' in parts[-2]


def url_of(kind: str, body: bytes, **query: Any) -> dict[str, Any]:
    return {"url": "{{base}}/answer", "query": {"type": kind, "b64": base64.b64encode(body).decode(), **query}}


@pytest.mark.parametrize(("kind", "body", "value"), [
    ("application/json", b'{"a": [1]}', {"a": [1]}), ("application/problem+json; charset=utf-8", b"[]", []),
    ("application/json", b"{broken", "{broken"), ("application/json", b"", ""),
    ("text/html; charset=utf-8", "é".encode(), "é"), ("text/plain; charset=latin1", b"\xe9", "é"), ("text/plain; charset=nonsense", b"a", "a"),
    ("x-thing/unknown", b"text", "text"), ("application/pdf", b"%PDF", b"%PDF"), ("image/png", b"\x89", b"\x89"), ("audio/mpeg", b"\0", b"\0"),
])
async def test_an_answer_is_read_by_its_content_type(frame: Frame, kind: str, body: bytes, value: Any) -> None:
    assert await run(frame, **url_of(kind, body)) == value


async def test_an_answer_comes_in_the_form_asked_for(frame: Frame) -> None:
    asked = url_of("text/plain; charset=utf-8", b"hey", status=201)
    detailed = await run(frame, **asked, outputMode="detailed_response")
    assert detailed["status"] == 201 and detailed["headers"]["x-ray"] == "1" and detailed["body"] == "hey"
    assert await run(frame, **asked, outputMode="data_url") == "data:text/plain;base64,aGV5"
    assert await run(frame, **asked, outputMode="base64") == "aGV5"
    assert await run(frame, **asked, outputMode="body") == "hey"


async def test_a_failing_status_is_no_error_but_an_event(frame: Frame) -> None:
    asked = {**url_of("application/json", b'{"why": "bad"}', status=422), "method": "post", "body": {"x": 1}, "headers": {"Authorization": "hidden"}}
    assert await run(frame, **asked) == {"why": "bad"}
    [(type, payload)] = frame.events
    assert type == "runtime.fetch.failed"
    assert payload["response"]["status"] == 422 and payload["response"]["body"] == {"why": "bad"}
    assert payload["response"]["headers"]["x-ray"] == "1"
    request = payload["request"]
    assert request["method"] == "post" and request["body"] == {"x": 1} and "output" not in request
    assert request["url"] == frame.locals["base"] + "/answer" and request["headers"] == {"Authorization": "REDACTED"}


async def test_failures_can_be_kept_quiet(frame: Frame) -> None:
    await run(frame, **url_of("text/plain", b"no", status=500), emitErrors=False)
    assert frame.events == []


async def test_a_large_failure_is_told_in_part(frame: Frame, server: TestServer) -> None:
    await run(frame, **url_of("text/plain", b"x" * 1000, status=500), method="post", body="y" * 200_000)
    [(_, payload)] = frame.events
    assert len(payload["request"]["body"]) < 30_000 and payload["response"]["body"] == "x" * 1000


@pytest.mark.parametrize("body", [{"url": "{{nothing}}"}, {"url": ""}, {}])
async def test_an_empty_url_is_said_so(frame: Frame, body: dict[str, Any]) -> None:
    with pytest.raises(InvalidInstruction, match="Invalid fetch instruction : empty url"):
        await run(frame, **body)


@pytest.mark.parametrize("body", [
    {"url": ["x"]}, {"method": "CONNECT"}, {"method": "GET /x HTTP/1.1\r\n"}, {"multipart": "x", "method": "post"}, {"multipart": [{}], "method": "post"},
    {"auth": {"awsv4": {"accessKeyId": "a"}}}])
async def test_parameters_that_cannot_work_are_refused_before_anything_is_sent(frame: Frame, body: dict[str, Any]) -> None:
    with pytest.raises(InvalidInstruction):
        await run(frame, **{"url": "{{base}}/echo", **body})
    assert frame.told == []


async def test_a_network_failure_raises(frame: Frame) -> None:
    with pytest.raises(FetchFailed):
        await run(frame, url="http://169.254.169.254/latest")


async def test_a_stream_is_left_to_a_repeat(frame: Frame) -> None:
    output = await run(frame, url="{{base}}/sse", stream={"concatenate": {"path": "d.t"}})
    assert output["status"] == 200 and output["stream"] is True and output["headers"]["content-type"] == "text/event-stream"
    assert isinstance(output["body"], EventStream)
    assert [item async for item in output["body"]] == [
        {"index": 0, "chunk": {"data": [{"d": {"t": "Hel"}}]}, "concatenated": {"value": "Hel"}},
        {"index": 1, "chunk": {"data": [{"d": {"t": "lo"}}]}, "concatenated": {"value": "Hello"}}]


async def test_a_stream_can_be_emitted_item_by_item(frame: Frame) -> None:
    output = await run(frame, url="{{base}}/sse", stream={
        "event": "piece", "payload": {"tag": "T"}, "target": {"userTopic": "t"}, "options": {"persist": False}, "endChunk": {"done": True}})
    assert output == {"status": 200, "headers": output["headers"], "stream": True}
    assert [payload["chunk"] for _, payload, *_ in frame.events] == [{"data": [{"d": {"t": "Hel"}}]}, {"data": [{"d": {"t": "lo"}}]}, {"done": True}]
    assert all(fact[0] == "piece" and fact[1]["additionalPayload"] == {"tag": "T"} for fact in frame.events)
    assert all(fact[2:] == ({"userTopic": "t"}, {"persist": False}) for fact in frame.events)
    assert [payload["index"] for _, payload, *_ in frame.events] == [0, 1, 2]


async def test_a_slow_pace_joins_what_comes_too_early() -> None:
    gate = asyncio.Event()

    async def pieces() -> AsyncIterator[bytes]:
        yield b"data: a\n\n"
        yield b"data: b\n\ndata: c\n\n"
        await gate.wait()
        yield b"data: d\n\n"

    async def close() -> None:
        pass
    clock = HandClock()
    items = paced(EventStream(pieces(), close), 1.0, clock)
    assert (await anext(items))["chunk"]["data"] == ["a"]
    joined = asyncio.ensure_future(anext(items))
    for _ in range(20):
        await asyncio.sleep(0)
    assert not joined.done()
    clock.advance(1.0)
    assert (await joined)["chunk"]["data"] == ["b", "c"]
    gate.set()
    assert [item["chunk"]["data"] async for item in items] == [["d"]]


async def test_a_named_key_goes_along_to_the_own_api_alone(frame: Frame) -> None:
    more = {"prismeaiApiKey": {"name": "machine"}}
    assert (await run(frame, url="{{base}}/v2/echo", **more))["headers"]["authorization"] == "Bearer workspace-token with machine"
    assert "authorization" not in (await run(frame, url="{{base}}/echo", **more))["headers"]
    assert (await run(frame, url="{{base}}/v2/echo", headers={"authorization": "mine"}, **more))["headers"]["authorization"] == "mine"


async def test_user_and_password_are_sent_as_basic_authorization(frame: Frame) -> None:
    seen = await run(frame, url="{{base}}/v2/echo", auth={"basic": {"user": "ada", "password": "pw"}})
    assert seen["headers"]["authorization"] == "Basic YWRhOnB3"


async def test_the_workspace_token_goes_to_the_own_api_alone(frame: Frame) -> None:
    auth = {"prismeai": {"forwardWorkspaceAuth": True}}
    assert (await run(frame, url="{{base}}/v2/echo", auth=auth))["headers"]["authorization"] == "Bearer workspace-token"
    assert "authorization" not in (await run(frame, url="{{base}}/echo", auth=auth))["headers"]


async def test_a_request_can_be_signed(frame: Frame) -> None:
    auth = {"awsv4": {"accessKeyId": "AKIDEXAMPLE", "secretAccessKey": "key", "service": "s3", "region": "us-east-1"}}
    headers = (await run(frame, url="{{base}}/echo", method="put", body="x", auth=auth, query={"a": "x y"}))["headers"]
    assert headers["authorization"].startswith("AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/s3/aws4_request, ")
    assert headers["x-amz-date"] == "20150830T123600Z" and len(headers["x-amz-content-sha256"]) == 64


async def test_a_secret_is_revealed_to_the_receiver_alone(frame: Frame) -> None:
    around = Around(frame.ids, frame.clock, "ada", frame.documents)
    reference = secrets.set_secret({"name": "key", "value": "s3cret-value", "scope": "user"}, around)
    frame.locals["key"] = reference
    seen = await run(frame, url="{{base}}/echo", method="post", query={"q": "{{key}}"}, headers={"X-Key": "a {{key}} b"}, body={"k": ["{{key}}"]})
    assert seen["headers"]["x-key"] == "a s3cret-value b" and seen["query"] == "q=s3cret-value" and seen["body"] == '{"k":["s3cret-value"]}'
    await run(frame, **url_of("text/plain", b"echo s3cret-value", status=500, key="{{key}}"))
    [(_, payload)] = frame.events
    assert "s3cret-value" not in str(payload) and payload["response"]["body"] == "echo REDACTED" and payload["request"]["query"]["key"] == reference


@pytest.mark.parametrize("foreign", [True, False])
async def test_an_unknown_secret_stops_the_request(frame: Frame, foreign: bool) -> None:
    around = Around(frame.ids, frame.clock, "bob", frame.documents)
    frame.locals["key"] = secrets.set_secret({"name": "k", "value": "v"}, around) if foreign else "$secret:" + "0" * 48
    with pytest.raises(FetchFailed, match="unknown or has expired"):
        await run(frame, url="{{base}}/echo", headers={"X": "{{key}}"})
    assert frame.told == []


async def test_a_secret_in_the_url_stays_out_of_errors(frame: Frame) -> None:
    around = Around(frame.ids, frame.clock, "ada", frame.documents)
    frame.locals["key"] = secrets.set_secret({"name": "k", "value": "s3cret"}, around)
    with pytest.raises(AutomationsError) as caught:
        await run(frame, url="http://169.254.169.254/{{key}}")
    assert "s3cret" not in str(caught.value.body())
