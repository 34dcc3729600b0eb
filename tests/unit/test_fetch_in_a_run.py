"""fetch and run inside a real run, with a store behind them."""
from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

import store
from runtime.calls import Identity
from runtime.errors import AutomationsError
from runtime.testing import Sandbox


async def pieces(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await response.prepare(request)
    for letter in "abc":
        await response.write(f'data: {{"t": "{letter}"}}\n\n'.encode())
    return response


async def mirror(request: web.Request) -> web.Response:
    status = int(request.query.get("status", 200))
    return web.json_response({"headers": {name.lower(): value for name, value in request.headers.items()}, "body": await request.text()}, status=status)


@pytest.fixture
async def base() -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_route("*", "/pieces", pieces)
    app.router.add_route("*", "/mirror", mirror)
    async with TestServer(app) as server:
        yield str(server.make_url("/"))[:-1]


async def result(steps: list[dict[str, Any]], output: Any, body: dict[str, Any]) -> tuple[Any, list[Any]]:
    workspace = {"automations": {"main": {"when": {"endpoint": True}, "do": steps, "output": output}}}
    async with Sandbox(workspace, store=await store.open("memory:")) as box:
        value = await box.call("main", body, identity=Identity("ada", "s1"))
        await box.settle()
        return value, [(event["type"], event["payload"]) for event in await box.events()]


async def test_a_stream_is_repeated_over(base: str) -> None:
    value, _ = await result([
        {"fetch": {"url": "{{body.base}}/pieces", "output": "r"}},
        {"repeat": {"on": "{{r.body}}", "do": [{"set": {"name": "out[]", "value": "{{item.chunk.data[0].t}}{{$index}}"}}]}}],
        {"s": "{{r.status}}", "out": "{{out}}"}, {"base": base})
    assert value == {"s": 200, "out": ["a0", "b1", "c2"]}


async def test_a_stream_becomes_events(base: str) -> None:
    value, events = await result([
        {"fetch": {"url": "{{body.base}}/pieces", "output": "r", "stream": {"event": "piece", "payload": {"tag": "T"}, "concatenate": {"path": "t"}}}}],
        {"s": "{{r.status}}"}, {"base": base})
    assert value == {"s": 200}
    assert [payload["concatenated"]["value"] for type, payload in events if type == "piece"] == ["a", "ab", "abc"]


async def test_a_failed_fetch_is_told_with_what_was_asked(base: str) -> None:
    value, events = await result([{"fetch": {"url": "{{body.base}}/mirror?status=404", "method": "post", "body": {"a": 1}, "output": "r"}}],
                                 "{{r.body}}", {"base": base})
    assert value == '{"a":1}'
    [failed] = [payload for type, payload in events if type == "runtime.fetch.failed"]
    assert failed["request"] == {"url": f"{base}/mirror?status=404", "method": "post", "body": {"a": 1}} and failed["response"]["status"] == 404


async def test_a_forbidden_address_stops_the_run() -> None:
    with pytest.raises(AutomationsError) as caught:
        await result([{"fetch": {"url": "http://169.254.169.254/latest/meta-data"}}], {}, {})
    assert caught.value.wire == "FetchError"


async def test_items_and_secrets_outlive_a_call(base: str) -> None:
    workspace = {"automations": {
        "keep": {"when": {"endpoint": True}, "do": [
            {"run": {"module": "collections", "function": "create", "parameters": {"collection": "c", "data": "{{body}}"}, "output": "item"}},
            {"run": {"module": "secrets", "function": "set", "parameters": {"name": "k", "value": "s3cret", "scope": "workspace"}}}],
            "output": "{{item._id}}"},
        "use": {"when": {"endpoint": True}, "do": [
            {"run": {"module": "collections", "function": "findMany", "parameters": {"collection": "c", "query": {"n": {"$gt": 1}}}, "output": "items"}},
            {"run": {"module": "secrets", "function": "get", "parameters": {"name": "k", "scope": "workspace"}, "output": "key"}},
            {"fetch": {"url": "{{body.base}}/mirror", "headers": {"x-key": "{{key}}"}, "output": "r"}}],
            "output": {"items": "{{items}}", "key": "{{key}}", "sent": "{{r.headers.x-key}}"}}}}
    async with Sandbox(workspace, store=await store.open("memory:")) as box:
        await box.call("keep", {"n": 1})
        id = await box.call("keep", {"n": 2})
        used = await box.call("use", {"base": base})
    assert used["items"] == [{"_id": id, "n": 2}] and used["sent"] == "s3cret" and used["key"].startswith("$secret:")
