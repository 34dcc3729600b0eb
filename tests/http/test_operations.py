"""What an operator meets: numbers, lines, traces. They tell what happens and never what is said."""
from __future__ import annotations

import io
import json
import logging
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from door import KEYS, OWNER, House, house
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from gateway import keys, logs
from gateway.cli import main
from gateway.config import Settings
from gateway.tracing import carried_on, spans
from runtime.testing import CountedIds

_TRACE, _SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
_PARENT = f"00-{_TRACE}-{_SPAN}-01"
_WORKSPACE = """
name: House
automations:
  main: {when: {endpoint: true}, do: [{emit: {event: said, payload: '{{body}}'}}], output: '{{body.text}}'}
  hears: {when: {events: [said]}, do: [{set: {name: a, value: 1}}]}
  fails: {when: {endpoint: true}, do: [{nothing: {text: '{{body.text}}'}}]}
  echo: {when: {endpoint: true}, do: [], output: '{{headers.traceparent}}'}
  asks:
    when: {endpoint: true}
    do: [{fetch: {url: '{{body.url}}', output: told}}]
    output: '{{told}}'
"""
_CANARY = "canary-5c1d8a"


@pytest.fixture
def written() -> Iterator[io.StringIO]:
    """The log of a server, as it is written."""
    root, ours = logging.getLogger(), logging.getLogger("motorik")
    before = root.handlers[:], root.level, ours.level
    stream = io.StringIO()
    logs.configure("json", "debug", stream)
    yield stream
    root.handlers[:], root.level = before[0], before[1]
    root.setLevel(before[1])
    ours.setLevel(before[2])


async def _metrics(opened: House) -> str:
    status, body, _ = await opened.request("GET", "/metrics", headers=OWNER)
    assert status == 200
    return body.decode()


def _number(text: str, sample: str) -> float:
    found = re.search(rf"^{re.escape(sample)} (\S+)$", text, re.M)
    assert found, sample
    return float(found[1])


async def test_what_happens_is_counted() -> None:
    async with house(_WORKSPACE) as opened:
        for _ in range(3):
            await opened.call(json={"text": "hello"})
        await opened.call("fails", json={})
        await opened.request("GET", "/nowhere/at/all")
        text = await _metrics(opened)
    route = 'route="/v2/workspaces/{workspace}/webhooks/{endpoint}"'
    assert _number(text, f'motorik_http_requests_total{{method="POST",{route},status="200"}}') == 3
    assert _number(text, 'motorik_http_requests_total{method="GET",route="(none)",status="404"}') == 1
    assert _number(text, "motorik_runs_total") == 4
    assert _number(text, "motorik_automations_total") == 7
    assert _number(text, "motorik_automations_failed_total") == 1
    assert _number(text, "motorik_run_seconds_count") == 7
    assert _number(text, "motorik_instructions_total") == 7
    assert _number(text, "motorik_events_total") >= 10
    assert _number(text, "motorik_store_commit_seconds_count") >= 4
    assert _number(text, "motorik_store_commits_waiting") == 0
    assert _number(text, "motorik_leases_held") == 0
    assert _number(text, "motorik_runs_open") == 0


async def test_open_and_dropped_sockets_are_counted() -> None:
    async with house(_WORKSPACE) as opened:
        async with opened.socket() as socket:
            await socket.send_str("{}")                      # no hello: the server hangs up
            while (await socket.receive()).data is not None and not socket.closed:
                pass
        text = await _metrics(opened)
    assert _number(text, "motorik_sockets_open") == 0
    assert _number(text, 'motorik_sockets_dropped_total{reason="protocol"}') == 1


async def test_a_throttled_workspace_is_named_and_the_others_end_somewhere() -> None:
    async with house(_WORKSPACE) as opened:
        signals = opened.gateway.engine.signals
        for number in range(1500):
            signals.throttled(f"w{number}", 2.5)
        text = await _metrics(opened)
    assert _number(text, 'motorik_throttled_milliseconds_total{workspace="w0"}') == 2.5
    assert _number(text, 'motorik_throttled_milliseconds_total{workspace="(others)"}') == 500 * 2.5


async def test_no_label_has_values_that_callers_make_up() -> None:
    async with house(_WORKSPACE) as opened:
        for number in range(50):
            await opened.request(f"MADE{number}", f"/v2/workspaces/made{number}/webhooks/up{number}")
            await opened.request("GET", f"/v2/made/{number}")
        assert "made" not in (await _metrics(opened)).lower()
        assert len(opened.gateway.requests.answered) <= 3


async def test_a_node_whose_scheduler_has_died_is_not_ready() -> None:
    async with house() as opened:
        assert (await opened.request("GET", "/v2/readiness"))[0] == 200
        opened.gateway.engine.signals.gauges["scheduler_running"] = lambda: False
        status, body, _ = await opened.request("GET", "/v2/readiness")
    assert (status, body["checks"]) == (503, {"store": "ok", "scheduler": "failed", "broker": "ok"})


@pytest.mark.parametrize(("method", "path"), [("GET", "/metrics"), ("PUT", "/sys/logging")])
async def test_operators_show_the_owners_token_or_the_internal_key(method: str, path: str, written: io.StringIO) -> None:
    async with house() as opened:
        async def asked(headers: dict[str, str]) -> int:
            return (await opened.request(method, path, headers=headers, json={"level": "info"} if method == "PUT" else None))[0]
        assert await asked({}) == 401
        assert await asked(await opened.as_somebody()) == 403
        assert await asked({"authorization": "Bearer wrong"}) == 401
        assert await asked({"authorization": f"Bearer {KEYS.internal}"}) == 200
        assert await asked(OWNER) == 200


def test_the_internal_key_is_made_once_and_kept(tmp_path: Path) -> None:
    settings = Settings.from_environment({"STORAGE_URL": f"file:{tmp_path}"})
    first, second = (keys.load(settings, CountedIds()).internal for _ in range(2))
    assert first == second != ""
    assert keys.load(replace(settings, internal_api_key="of-the-operator"), CountedIds()).internal == "of-the-operator"
    assert (tmp_path / "internal-api-key").stat().st_mode & 0o777 == 0o600


async def test_the_level_is_the_servers_own_and_libraries_stay_quiet(written: io.StringIO) -> None:
    async with house() as opened:
        status, _, _ = await opened.request("PUT", "/sys/logging", headers=OWNER, json={"level": "error"})
        assert status == 200 and logging.getLogger("motorik").level == logging.ERROR
        await opened.request("PUT", "/sys/logging", headers=OWNER, json={"level": "debug"})
        assert logging.getLogger("motorik.run").isEnabledFor(logging.DEBUG)
        assert not logging.getLogger("pymongo.command").isEnabledFor(logging.INFO)
        for nonsense in ("loud", ["debug"], {}, None):
            status, body, _ = await opened.request("PUT", "/sys/logging", headers=OWNER, json={"level": nonsense})
            assert (status, body["error"]) == (400, "RequestValidationError")


async def test_a_line_says_whose_request_it_is_about(written: io.StringIO) -> None:
    async with house(_WORKSPACE, LOG_REQUESTS="yes") as opened:
        _, _, answer = await opened.call(json={"text": "hello"}, headers={"traceparent": _PARENT})
        line = json.loads(written.getvalue().splitlines()[-1])
    assert line["correlationId"] == answer.headers["x-correlation-id"]
    assert (line["workspaceId"], line["traceId"], line["status"]) == (opened.id, _TRACE, 200)
    assert (line["route"], line["level"]) == ("/v2/workspaces/{workspace}/webhooks/{endpoint}", "info")


async def test_a_busy_minute_leaves_no_word_of_anybody_in_metrics_and_log(written: io.StringIO) -> None:
    async with house(_WORKSPACE, LOG_REQUESTS="yes") as opened:
        somebody = await opened.as_somebody()
        for headers in (OWNER, somebody, {"authorization": f"Bearer at:{_CANARY}"}, {"x-prismeai-api-key": _CANARY},
                        {"cookie": f"access-token={_CANARY}"}):
            for endpoint in ("main", "fails", "echo", _CANARY):
                await opened.call(endpoint, json={"text": _CANARY, "password": _CANARY, "email": f"{_CANARY}@example.org"}, headers=headers)
            await opened.call(data=f'{{"{_CANARY}"', headers={"content-type": "application/json", **headers})
            await opened.request("GET", f"/v2/workspaces/{opened.id}/events?text={_CANARY}&payload.x={_CANARY}", headers=headers)
            await opened.request("DELETE", f"/v2/user/accessTokens/at:{_CANARY}", headers=headers)
            await opened.request("GET", f"/v2/workspaces/{_CANARY}@example.org", headers=headers)
            await opened.request("GET", f"/{_CANARY}", headers=headers)
        try:
            raise ValueError(_CANARY)
        except ValueError:
            logging.getLogger("motorik.gateway").exception("a request failed")
        told = written.getvalue() + await _metrics(opened)
    assert "a request failed" in told and "ValueError" in told
    for word in (_CANARY, OWNER["authorization"][7:], somebody["authorization"][7:], KEYS.internal):
        assert word not in told


def test_text_lines_say_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    record = logging.LogRecord("motorik.run", logging.WARNING, "", 0, "%d deliveries wait", (3,), None)
    assert logs.Text().format(record).endswith("WARNING motorik.run: 3 deliveries wait")
    assert json.loads(logs.Json().format(record))["message"] == "3 deliveries wait"


@pytest.mark.parametrize("parent", ["", "00", _PARENT.upper(), _PARENT[:-1], _PARENT.replace(_TRACE, "0" * 32), _PARENT.replace(_SPAN, "0" * 16),
                                    "ff" + _PARENT[2:], _PARENT + "\n", _PARENT + "-more"])
def test_a_traceparent_that_makes_no_sense_is_dropped(parent: str) -> None:
    assert carried_on(parent, "a=b") == ("", "")


def test_a_tracestate_that_makes_no_sense_is_dropped_alone() -> None:
    assert carried_on(_PARENT, "a=1") == (_PARENT, "a=1")
    assert carried_on(_PARENT, "a=\x00") == carried_on(_PARENT, "a" * 513) == (_PARENT, "")


async def test_a_trace_goes_on_in_what_an_automation_fetches() -> None:
    async with house(_WORKSPACE) as opened:
        url = "http://{}:{}/v2/workspaces/{}/webhooks/echo".format(*opened.address, opened.id)
        assert (await opened.call("asks", json={"url": url}, headers={"traceparent": _PARENT}))[1] == _PARENT.encode()
        assert (await opened.call("asks", json={"url": url}))[1] == {}


async def test_spans_nest_as_things_happen_and_hold_no_values() -> None:
    exporter = InMemorySpanExporter()
    async with house(_WORKSPACE) as opened:
        opened.gateway.engine.signals.spans = spans(exporter)
        url = "http://{}:{}/v2/workspaces/{}/webhooks/echo".format(*opened.address, opened.id)
        _, told, _ = await opened.call("asks", json={"url": url}, headers={"traceparent": _PARENT})
        await opened.call("main", json={"text": _CANARY}, headers={"traceparent": _PARENT})
        await opened.call("fails", json={"text": _CANARY}, headers={"traceparent": _PARENT})
    made = {span.context.span_id: span for span in exporter.get_finished_spans()}
    assert {f"{span.context.trace_id:032x}" for span in made.values()} == {_TRACE}
    [fetch] = [span for span in made.values() if span.name == "fetch"]
    assert told.decode() == f"00-{_TRACE}-{fetch.context.span_id:016x}-01"
    ways = {"/".join(_way(span, made)) for span in made.values()}
    assert {"run", "run/automation", "run/automation/fetch", "run/automation/emit"} <= ways
    assert _CANARY not in "".join(span.to_json() for span in made.values())


def _way(span, made) -> list[str]:
    parent = made.get(span.parent.span_id) if span.parent else None
    return [*(_way(parent, made) if parent and parent.name != "fetch" else []), span.name]


def test_settings_can_be_read_by_programs_and_hide_their_secrets(capsys: pytest.CaptureFixture[str]) -> None:
    environment = {"ADMIN_TOKEN": _CANARY, "JWT_SECRET": _CANARY, "INTERNAL_API_KEY": _CANARY, "LOG_FORMAT": "json",
                   "STORAGE_URL": f"mongodb://me:{_CANARY}@example.org/motorik"}
    assert main(["config", "--json"], environment) == 0
    out = capsys.readouterr().out
    described = {setting["name"]: setting for setting in json.loads(out)}
    assert described["LOG_FORMAT"] == {"name": "LOG_FORMAT", "value": "json", "origin": "environment",
                                       "meaning": "how the log is written: lines for eyes, or one JSON object a line"}
    assert described["INTERNAL_API_KEY"]["value"] == "***" and _CANARY not in out
    assert main(["config"], environment) == 0
    assert _CANARY not in capsys.readouterr().out
