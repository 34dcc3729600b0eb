"""Answers that are streams, and answers that come too late."""
from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from door import OWNER, House, house

from runtime.values import decode

STREAMS = """
name: Streams
automations:
  talk:
    when: {endpoint: true}
    do:
      - set: {name: $http, value: {status: 202, headers: {x-early: '1'}}}
      - set: {name: $http, value: {chunk: {n: 1}}}
      - set: {name: $http, value: {headers: {x-late: '1'}, chunk: {n: "a\\nb"}}}
    output: '{{body.last}}'
  breaks:
    when: {endpoint: true}
    do: [{set: {name: $http, value: {chunk: {n: 1}}}}, {missing: {}}]
  waits:
    when: {endpoint: true}
    do:
      - set: {name: $http, value: {chunk: {n: 1}}}
      - wait: {oneOf: [{event: go}], output: got}
      - set: {name: $http, value: {chunk: '{{got.payload}}'}}
      - set: {name: global.over, value: true}
  late:
    when: {endpoint: true}
    do: [{wait: {oneOf: [{event: go}]}}, {set: {name: $http, value: {chunk: {late: 1}}}}, {set: {name: global.over, value: true}}]
    output: {late: true}
  alive:
    when: {endpoint: true}
    do:
      - set: {name: $http, value: {sseKeepAlive: 10}}
      - set: {name: $http, value: {sseKeepAlive: 6000}}
      - wait: {oneOf: [{event: go}]}
    output: {end: 1}
  state: {when: {endpoint: true}, do: [], output: {over: '{{global.over}}'}}
"""


@pytest.fixture
async def streams() -> AsyncIterator[House]:
    async with house(STREAMS, HTTP_TIMEOUT_MS="150") as opened:
        yield opened


def chunks(raw: bytes) -> list[Any]:
    blocks = raw.decode().split("\n\n")
    assert blocks.pop() == "" and all(block.startswith("data: ") for block in blocks)
    return [decode(block[6:]) for block in blocks]


async def go(streams: House) -> None:
    status, answer, _ = await streams.request("POST", f"/v2/workspaces/{streams.id}/events",
                                              json={"events": [{"type": "go", "payload": {"n": 2}}]}, headers=OWNER)
    assert status == 200, answer


async def over(streams: House) -> bool:
    return (await streams.call("state"))[1].get("over") is True


@pytest.mark.parametrize(("last", "ends"), [({"end": 1}, [{"end": 1}]), ("text", ["text"]), ({}, []), (None, []), ("", []), (0, [0])])
async def test_chunks_then_the_output_unless_it_is_empty(streams: House, last: Any, ends: list[Any]) -> None:
    status, raw, response = await streams.call("talk", json={"last": last})
    assert (status, chunks(raw)) == (202, [{"n": 1}, {"n": "a\nb"}, *ends])
    headers = response.headers
    assert (headers["content-type"], headers["cache-control"], headers["x-early"]) == ("text/event-stream", "no-cache", "1")
    assert headers["x-correlation-id"] and "x-late" not in headers


async def test_a_stream_says_whose_session_it_is_and_which_page_may_read_it(streams: House) -> None:
    _, _, response = await streams.call("talk", headers={**OWNER, "origin": "http://localhost:8700"})
    assert response.headers["x-prismeai-session-id"] == "at:admin"
    assert response.headers["access-control-allow-origin"] == "http://localhost:8700"


async def test_an_error_after_the_first_chunk_is_the_last_event(streams: House) -> None:
    status, raw, _ = await streams.call("breaks")
    assert status == 200
    first, last = chunks(raw)
    assert first == {"n": 1} and last["error"] == "ObjectNotFoundError"


async def test_head_of_a_stream_has_no_body(streams: House) -> None:
    status, raw, _ = await streams.call("talk", "HEAD")
    assert (status, raw) == (202, b"")


async def test_a_chunk_arrives_before_the_next_instruction_and_a_stream_has_no_deadline(streams: House) -> None:
    async with streams.open("waits") as response:
        assert decode((await response.content.readline())[6:]) == {"n": 1}
        await go(streams)
        assert chunks((await response.read())[1:]) == [{"n": 2}]


async def test_a_stream_is_kept_alive_by_one_timer_until_its_end(streams: House) -> None:
    async with streams.open("alive") as response:
        for _ in range(2):
            streams.clock.advance(5.9)
            streams.clock.advance(0.1)
            assert decode((await response.content.readline())[6:]) == {"keepAlive": True}
            assert await response.content.readline() == b"\n"
        await go(streams)
        assert chunks(await response.read()) == [{"end": 1}]


async def test_the_run_goes_on_when_the_reader_leaves(streams: House) -> None:
    response = await streams.open("waits")
    await response.content.readline()
    response.close()
    await go(streams)
    while not await over(streams):
        pass


async def test_who_waits_too_long_is_told_so_and_the_run_goes_on(streams: House) -> None:
    status, answer, response = await streams.call("late")
    assert (status, answer["error"], answer["timeout"], answer["details"]) == (408, "TimeoutError", 150, {"timeout": 150})
    assert response.headers["x-correlation-id"]
    await go(streams)
    while not await over(streams):
        pass
