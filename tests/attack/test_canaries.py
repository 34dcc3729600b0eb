"""Secrets of every shape go through everything that can show something, and turn up nowhere but where they were sent."""
from __future__ import annotations

import asyncio
import json
import logging
from base64 import b64encode
from typing import Any
from urllib.parse import quote, quote_plus

import aiohttp
import pytest
from door import OWNER, House, house

from runtime.values import decode
from store.query import EventQuery

CANARIES = {
    "plain": "canary-of-the-plain-kind",
    "quoted": "canary \"q\" 'x' \\back\\\nline\ttab",
    "unicode": "canäry-🙂-秘密-ключ",
    "url": "canary a=b&c/d?e#f%41+g",
    "json": '{"canary": ["inside", "json"]}',
    "digits": "90817263544536271",
    "template": "canary {{body.token}} {% 1 + 1 %}",
    "long": "canary-" + "0123456789abcdef" * 40,
}

WORKSPACE = """
name: Aviary
config:
  schema: {password: {type: string, secret: true}, nested: {type: object, properties: {key: {secret: true}}}}
  value: {password: '{{secret.canary}}', host: h}
automations:
  main:
    when: {endpoint: true}
    arguments: &arguments
      body: {type: object, properties: {token: {type: string, secret: true}, deep: {secret: true},
             list: {type: array, items: {type: object, properties: {key: {secret: true}}}}}}
      query: {type: object, properties: {token: {secret: true}}}
    do:
      - set: {name: k, value: '{{secret.canary}}{{body.token}}'}
      - child: {data: {k: '{{body.token}}', '{{body.token}}': 1}, config: '{{config}}', all: ['{{secret.canary}}'], output: echoed}
      - set: {name: global.kept, value: '{{body.token}}'}
      - set: {name: session.kept, value: {k: '{{secret.canary}}'}}
      - set: {name: run.kept, value: '{{config.password}}'}
      - set: {name: config.nested.key, value: '{{body.token}}'}
      - repeat: {on: ['{{body.token}}', '{{config.nested.key}}'], do: [{child: {item: '{{item}}'}}]}
      - all: [{child: {text: 'a {{body.token}} b'}}, {child: {text: '{% base64({{body.token}}) %}'}}]
      - wait: {oneOf: [{event: never, filters: {payload.k: '{{body.token}}'}}], timeout: 0}
      - createUserTopic: {topic: 'topic {{body.token}}', userIds: ['{{secret.canary}}']}
      - try: {do: [{child.absent: {k: '{{body.token}}'}}], catch: [{child: {error: '{{$error}}'}}]}
      - try: {do: [{run: {module: crypto, function: '{{body.token}}'}}], catch: []}
      - emit: {event: harmless, payload: '{{body.token}}'}
      - fetch: {url: 'http://127.0.0.1:PORT/nowhere?q={{body.token}}', method: POST, query: {t: '{{secret.canary}}'},
                headers: {x-key: '{% base64({{body.token}}) %}', authorization: 'Bearer {% base64({{secret.canary}}) %}'}, body: {text: '{{body}}', more: '{{config}}'}}
      - set: {name: $workspace.x, value: '{{body.token}}'}
    output: {answer: '{{body.token}}'}
  child: {do: [], output: {all: '{{data}} {{text}} {{item}}', config: '{{config}}'}}
  expression: {when: {endpoint: true}, arguments: *arguments, do: [{set: {name: x, value: '{% {{body.token}} matches regex("(") %}'}}]}
  date: {when: {endpoint: true}, arguments: *arguments, do: [{set: {name: x, value: '{% date({{body.token}}).wrong %}'}}]}
  variable: {when: {endpoint: true}, arguments: *arguments, do: [{set: {name: '[{{body.token}}', value: 1}}]}
  name: {when: {endpoint: true}, arguments: *arguments, do: [{emit: {event: 'x {{body.token}} !', payload: {}}}]}
  event: {when: {endpoint: true}, arguments: *arguments, do: [{emit: {event: 'runtime.{{secret.canary}}', payload: {}}}]}
  unknown: {when: {endpoint: true}, arguments: *arguments, do: [{run: {module: crypto, function: '{{body.token}}', onError: throw}}]}
  network: {when: {endpoint: true}, arguments: *arguments, do: [{fetch: {url: 'http://127.0.0.1:1/{{body.token}}?x={{secret.canary}}'}}]}
  method: {when: {endpoint: true}, arguments: *arguments, do: [{fetch: {url: 'http://127.0.0.1:1/', method: '{{body.token}}'}}]}
  url: {when: {endpoint: true}, arguments: *arguments, do: [{fetch: {url: '{{body.token}}'}}]}
  validated:
    when: {endpoint: true}
    validateArguments: true
    arguments: {body: {type: object, properties: {token: {type: string, secret: true, pattern: '^x$'}}}}
    do: []
  strict:
    when: {endpoint: true}
    do: [{picky: {'{{secret.canary}}': 1, kind: '{{body.token}}'}}]
    arguments: *arguments
  picky: {validateArguments: true, arguments: {kind: {enum: [a, b]}}, do: []}
  stream:
    when: {endpoint: true}
    arguments: *arguments
    do: [{set: {name: $http, value: {chunk: {begun: true}}}}, {set: {name: '[{{body.token}}', value: 1}}]
  hourly: {when: {schedules: ['0 * * * *']}, do: [{child: {data: '{{config}} {{secret.canary}}'}}], output: '{{secret.canary}}'}
"""
FAILING = ("expression", "date", "variable", "name", "event", "unknown", "network", "method", "url", "validated", "strict", "stream")


def forms(canary: str) -> set[str]:
    """How a text may be written; of base64 what does not depend on the neighbours."""
    raw = canary.encode()
    inner = {b64encode(b"\0" * before + raw).decode()[(0, 2, 3)[before]:(before + len(raw)) * 8 // 6] for before in range(3)}
    return {canary, json.dumps(canary)[1:-1], json.dumps(canary, ensure_ascii=False)[1:-1], repr(canary)[1:-1], quote(canary), quote(canary, safe=""),
            quote_plus(canary), *inner, *(text.replace("+", "-").replace("/", "_") for text in inner)}


def texts(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [text for key, member in value.items() for text in (key, *texts(member))]
    if isinstance(value, list):
        return [text for member in value for text in texts(member)]
    return [value] if isinstance(value, str) else []


def assert_clean(what: str, written: Any, canary: str) -> None:
    found = [written.decode(errors="replace")] if isinstance(written, bytes) else texts(written)
    for text in found:
        assert not any(form in text for form in forms(canary)), (what, text[:600])
        if len(canary) > 100:
            assert canary[:60] not in text, (what, text[:600])


async def serve(at: House, canary: str, *, place: str) -> tuple[str, dict[str, Any]]:
    """The token that a caller sends, and the body around it: the canary, or something else where it comes from elsewhere."""
    path = f"/v2/workspaces/{at.id}"
    if place == "secret":
        status, _, _ = await at.request("PATCH", path + "/security/secrets", json={"canary": {"value": canary}}, headers=OWNER)
        assert status == 200
        return "nothing", {"token": "nothing"}
    return canary, {"token": canary, "deep": {"a": [canary, 5]}, "list": [{"key": canary}]}


async def in_time(at: House, request: Any) -> Any:
    """Time passes while it is answered."""
    async with asyncio.timeout(10):
        answered = asyncio.ensure_future(request)
        while not answered.done():
            await asyncio.wait([answered], timeout=0.005)
            at.clock.advance(0.1)
        return await answered


async def heard(socket: Any) -> str | None:
    try:
        frame = await socket.receive(0.05)
    except TimeoutError:
        return None
    assert frame.type is aiohttp.WSMsgType.TEXT
    return frame.data


@pytest.mark.parametrize("place", ["argument", "secret"])
@pytest.mark.parametrize("kind", CANARIES)
async def test_a_canary_turns_up_nowhere(kind: str, place: str, caplog: pytest.LogCaptureFixture) -> None:
    canary = CANARIES[kind]
    caplog.set_level(logging.DEBUG)
    async with house("{name: Empty, automations: {}}", EXPOSE_CONTEXT_UPDATES="yes") as at:
        await at.load(WORKSPACE.replace("PORT", str(at.address[1])))
        async with at.socket() as socket:
            await socket.send_json({"op": "subscribe", "id": "all", "filters": {}})
            token, body = await serve(at, canary, place=place)
            status, answer, _ = await in_time(at, at.call("main", json=body, params={"token": token}))
            assert (status, answer) == (200, {"answer": token})
            for endpoint in FAILING:
                status, answer, _ = await in_time(at, at.call(endpoint, json=body, params={"token": token}))
                assert_clean(f"answer of {endpoint}", answer, canary)
                test = at.request("POST", f"/v2/workspaces/{at.id}/test/{endpoint}", json={"payload": {"body": body}}, headers=OWNER)
                status, answer, _ = await in_time(at, test)
                assert_clean(f"test of {endpoint}", answer, canary)
            at.clock.advance(3600)
            await in_time(at, asyncio.sleep(0.02))
            for path in ("/export", "/export?format=zip", "", "/automations", "/config", "/security/secrets"):
                _, answer, _ = await at.request("GET", f"/v2/workspaces/{at.id}{path}", headers=OWNER)
                assert_clean(path, answer, canary)
            for path in ("/metrics", "/openapi.json"):
                _, answer, _ = await at.request("GET", path, headers=OWNER)
                assert_clean(path, answer, canary)
            frames = 0
            while (frame := await heard(socket)) is not None:
                frames += "runtime." in frame
                assert_clean("frame", json.loads(frame), canary)
            assert frames > 20
        rows = await at.gateway.store.events(EventQuery(at.id, ascending=True, limit=10_000))
        events = [decode(row.body) for row in rows]
        for event in events:
            assert_clean(event["type"], event, canary)
        seen = {event["type"] for event in events}
        assert {"runtime.automations.executed", "runtime.webhooks.triggered", "error", "runtime.fetch.failed", "events.userTopics.created",
                "runtime.schedules.triggered"} <= seen, seen
        assert any("REDACTED" in text for event in events for text in texts(event))
    for record in (record for record in caplog.records if record.name != "aiohttp.access"):      # the server of the tests
        assert_clean("log", [record.getMessage(), *([str(record.exc_info[1])] if record.exc_info else [])], canary)


async def test_secret_fields_of_a_config_stay_out_of_the_events_that_tell_of_it() -> None:
    schema = {"password": {"type": "string", "secret": True}}
    async with house() as at:
        path = f"/v2/workspaces/{at.id}"
        for password in ("first-canary", "second-canary"):
            status, _, _ = await at.request("PATCH", path, json={"config": {"schema": schema, "value": {"password": password}}}, headers=OWNER)
            assert status == 200
        await at.request("PATCH", path + "/config", json={"value": {"password": "third-canary"}}, headers=OWNER)
        await at.request("PATCH", path, json={"config": {"value": {}}}, headers=OWNER)
        rows = await at.gateway.store.events(EventQuery(at.id, ascending=True, limit=1000))
        told = [decode(row.body) for row in rows]
        assert {"workspaces.configured", "workspaces.updated"} <= {event["type"] for event in told}
        assert not any("canary" in text for event in told for text in texts(event))


async def test_what_a_run_sets_in_a_secret_field_of_the_config_is_hidden_in_runs_of_others() -> None:
    text = """
name: Tokens
config: {schema: {token: {secret: true}}, value: {token: first-canary}}
automations:
  renew: {when: {endpoint: true}, arguments: {body: {type: object}}, do: [{set: {name: config.token, value: '{{body.parts[0]}}{{body.parts[1]}}'}}]}
  read: {when: {endpoint: true}, do: [], output: {t: '{{config.token}}'}}
"""
    async with house(text) as at:
        assert (await at.call("read"))[1] == {"t": "first-canary"}
        await at.call("renew", json={"parts": ["second", "-canary"]})
        assert (await at.call("read"))[1] == {"t": "second-canary"}
        rows = await at.gateway.store.events(EventQuery(at.id, ascending=True, limit=1000))
        outputs = [event["payload"]["output"] for row in rows if (event := decode(row.body))["type"] == "runtime.automations.executed"]
        assert outputs == [{"t": "REDACTED"}, {}, {"t": "REDACTED"}]
