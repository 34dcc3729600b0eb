"""Runs that work too fast are slowed down: by their own workspace's rates, in the order of asking, and never refused."""
from __future__ import annotations

import asyncio
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from hypothesis import given, settings
from hypothesis import strategies as st
from kit import ALICE, emit, endpoint, of_type, origin, put, sandbox, steps

import store as stores
from gateway.config import Settings
from runtime.calls import Call, Origin, Response
from runtime.settings import RuntimeSettings
from runtime.testing import HandClock, Sandbox
from runtime.throttles import KINDS, Bucket, Rate, Throttles

FIVE = {"repeat": {"on": [1, 2, 3, 4, 5], "do": [emit("t", {"i": "{{item}}"})]}}


async def wound(box: Sandbox, pending: asyncio.Future[Any] | Any, *, step: float = 0.05, most: float = 60) -> Any:
    """The outcome of `pending`, and the seconds of the hand clock that passed until it was there."""
    task, began = asyncio.ensure_future(pending), box.clock.monotonic()
    while not task.done():
        for _ in range(30):
            await asyncio.sleep(0)
        if not task.done():
            assert box.clock.monotonic() - began < most
            box.clock.advance(step)
    return task.result(), box.clock.monotonic() - began


async def executed(box: Sandbox, slug: str = "main") -> list[dict[str, Any]]:
    return [event["payload"] for event in await of_type(box, "runtime.automations.executed") if event["payload"]["slug"] == slug]


async def test_emits_beyond_the_burst_come_at_the_rate_and_are_told_as_time_waited() -> None:
    async with sandbox({"main": endpoint(FIVE, output="done")}, rate_limit_emits=10, rate_limit_emits_burst=2) as box:
        output, seconds = await wound(box, box.call("main"))
        assert output == "done" and seconds == pytest.approx(0.35, abs=0.06)
        assert [event["payload"]["i"] for event in await of_type(box, "t")] == [1, 2, 3, 4, 5]
        [told] = await executed(box)
        assert told["throttled"] == pytest.approx(300, abs=50) and told["duration"] >= told["throttled"]


CASES = {
    "automations": {"main": endpoint({"repeat": {"on": [1, 2, 3, 4, 5], "do": [{"sub": {}}]}}, output="done"), "sub": steps(output="{{config}}")},
    "emits": {"main": endpoint(*[emit("t", output="x")] * 6, output="done")},
    "repeats": {"main": endpoint({"repeat": {"on": [1, 2, 3], "do": [put("n", "{{item}}")]}}, {"repeat": {"until": 3, "do": []}}, output="done")},
}


@pytest.mark.parametrize("kind", ["automations", "emits", "repeats"])
async def test_every_kind_has_a_rate_of_its_own(kind: str) -> None:
    async with sandbox(CASES[kind], **{f"rate_limit_{kind}": 10, f"rate_limit_{kind}_burst": 2}) as box:
        output, seconds = await wound(box, box.call("main"))
        assert output == "done" and seconds == pytest.approx(0.45, abs=0.06)
        assert sum(payload.get("throttled", 0) for payload in [*await executed(box), *await executed(box, "sub")]) == pytest.approx(400, abs=60)
    others = {f"rate_limit_{other}": 1 for other in KINDS if other != kind}
    async with sandbox({"main": endpoint(output="done")}, **others) as box:
        assert (await wound(box, box.call("main")))[1] == 0


async def test_fetches_are_slowed_and_so_are_the_events_of_their_streams() -> None:
    async def pieces(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        for letter in "abcd":
            await response.write(f"data: {letter}\n\n".encode())
        return response
    app = web.Application()
    app.router.add_get("/", pieces)
    async with TestServer(app) as server:
        url = str(server.make_url("/"))
        fetches = [{"fetch": {"url": url, "outputMode": "base64", "output": "x"}}] * 3
        async with sandbox({"main": endpoint(*fetches)}, rate_limit_fetchs=10, rate_limit_fetchs_burst=1) as box:
            await wound(box, box.call("main"), step=0.01)
            assert (await executed(box))[0]["throttled"] == pytest.approx(200, abs=30)
        streamed = {"fetch": {"url": url, "stream": {"event": "t"}}}
        async with sandbox({"main": endpoint(streamed)}, rate_limit_emits=10, rate_limit_emits_burst=1) as box:
            await wound(box, box.call("main"), step=0.01)
            assert (await executed(box))[0]["throttled"] == pytest.approx(300, abs=30)


async def test_iterations_side_by_side_and_of_a_late_loop_are_slowed_too() -> None:
    side_by_side = {"repeat": {"on": [1, 2, 3, 4], "batch": {"size": 4}, "do": [emit("t", {"i": "{{item}}"})]}}
    late = {"repeat": {"on": [1, 2, 3, 4], "do": [emit("u", {"i": "{{item}}", "n": "{{$index}}"}, output="sent")]}}
    async with sandbox({"a": endpoint(side_by_side), "b": endpoint(late)}, rate_limit_repeats=10, rate_limit_repeats_burst=1) as box:
        assert (await wound(box, box.call("a")))[1] == pytest.approx(0.3, abs=0.06)
        assert (await wound(box, box.call("b")))[1] == pytest.approx(0.4, abs=0.06)
        assert [event["payload"]["i"] for event in await of_type(box, "t")] == [1, 2, 3, 4]
        assert [event["payload"] for event in await of_type(box, "u")] == [{"i": i, "n": i - 1} for i in (1, 2, 3, 4)]


async def test_a_loop_that_ends_by_what_its_body_does_ends_there_when_it_is_slowed() -> None:
    loop = {"repeat": {"until": "{% {{n}} >= 3 %}", "do": [put("n", "{% {{n}} + 1 %}")]}}
    async with sandbox({"main": endpoint(put("n", 0), loop, output="{{n}}")}, rate_limit_repeats=10, rate_limit_repeats_burst=1) as box:
        assert (await wound(box, box.call("main")))[0] == 3


async def test_nothing_is_told_of_waiting_where_nobody_waited() -> None:
    async with sandbox({"main": endpoint(FIVE)}, rate_limit_emits=10, rate_limit_emits_burst=50) as box:
        await box.call("main")
        assert "throttled" not in (await executed(box))[0]
    async with sandbox({"main": endpoint(FIVE)}, rate_limit_emits=10, rate_limit_emits_burst=1, rate_limit_disabled=True) as box:
        await box.call("main")
        assert "throttled" not in (await executed(box))[0]


async def test_runs_of_a_workspace_take_turns_as_they_asked_and_others_do_not_wait() -> None:
    async with sandbox({"main": endpoint(FIVE)}, rate_limit_emits=10, rate_limit_emits_burst=1) as box:
        slow = [asyncio.ensure_future(box.engine.call(_call(box.id, f"c{number}"))) for number in range(3)]
        for _ in range(20):
            await asyncio.sleep(0)
        other = await box.engine.catalog.import_definition({"name": "Other", "automations": {"main": endpoint(emit("t"), output="at once")}},
                                                           owner="admin", origin=origin("import"))
        call = _call(other.workspace.id, "elsewhere")
        assert await box.engine.call(call) == "at once" and not any(one.done() for one in slow)
        await wound(box, asyncio.gather(*slow))
        asked = [event["source"]["correlationId"] for event in await of_type(box, "t")]
        assert asked[0] == "c0" and sorted(asked) == sorted(["c0", "c1", "c2"] * 5)
        assert all(asked[i:i + 3] == ["c0", "c1", "c2"] for i in range(1, 12, 3))


def _call(workspace_id: str, correlation_id: str) -> Call:
    return Call(workspace_id, "main", {"body": {}, "headers": {}, "method": "POST", "query": {}}, Origin(correlation_id, ALICE), Response())


async def test_the_end_of_the_process_does_not_wait_for_turns() -> None:
    async with sandbox({"main": endpoint(FIVE)}, rate_limit_emits=0.001, rate_limit_emits_burst=1) as box:
        waiting = asyncio.ensure_future(box.call("main"))
        for _ in range(20):
            await asyncio.sleep(0)
        await box.engine.stop(0)
        with pytest.raises(Exception, match="stopping"):
            await waiting


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(0, 2), max_size=60), st.floats(0.5, 50), st.integers(1, 20))
def test_a_bucket_never_lets_more_through_than_its_rate_and_burst_allow(pauses: list[float], per_second: float, burst: int) -> None:
    bucket, now, due = Bucket(), 1000.0, []
    for pause in pauses:
        now += pause
        due.append(now + bucket.take(Rate(per_second, burst), now))
    assert due == sorted(due)                              # first come, first served
    for start in range(len(due)):
        for end in range(start, len(due)):
            assert end - start + 1 <= burst + 1 + (due[end] - due[start]) * per_second + 1e-6


def test_all_nodes_together_keep_to_the_rate_when_it_is_theirs() -> None:
    for scope, expected in (("cluster", Rate(10, 4)), ("node", Rate(30, 12))):
        throttles = Throttles(RuntimeSettings(rate_limit_scope=scope), HandClock())
        throttles.live_nodes = lambda: 3
        assert throttles.share(Rate(30, 12)) == expected
    throttles = Throttles(RuntimeSettings(rate_limit_scope="cluster"), HandClock())
    assert throttles.share(Rate(30, 12)) == Rate(30, 12)


@pytest.mark.parametrize(("given_", "rate"), [({"prismeai_ratelimit_emits": "5"}, Rate(5, 100)), ({"prismeai_ratelimit_emits_burst": "7"}, Rate(10, 7)),
                                              ({"prismeai_ratelimit_emits": "0"}, None), ({"prismeai_ratelimit_disabled": "true"}, None),
                                              ({"prismeai_ratelimit_emits": "many"}, Rate(10, 100)), ({"prismeai_ratelimit_emits": "-1"}, Rate(10, 100)),
                                              ({"prismeai_ratelimit_emits": "nan"}, Rate(10, 100))])
async def test_the_secrets_of_a_workspace_say_otherwise(given_: dict[str, str], rate: Rate | None) -> None:
    async with sandbox({"main": endpoint()}, on=await stores.open("memory:"), rate_limit_emits=10) as box:
        space = box.engine._space(box.id)
        space.workspace.secrets = given_
        limits = Throttles(RuntimeSettings(rate_limit_emits=10), box.clock).of(space)
        assert (limits.rates["emits"] if limits else None) == rate


def test_the_strict_profile_has_the_figures_of_the_reference() -> None:
    strict = Settings.from_environment({"RATE_LIMITS_PROFILE": "strict", "RATE_LIMIT_EMITS": "7.5"}).runtime
    assert [getattr(strict, f"rate_limit_{kind}") for kind in KINDS] == [100, 7.5, 50, 1000]
    assert [getattr(strict, f"rate_limit_{kind}_burst") for kind in KINDS] == [400, 100, 200, 4000]
    assert [getattr(Settings.from_environment({}).runtime, f"rate_limit_{kind}") for kind in KINDS] == [0, 0, 0, 0]
