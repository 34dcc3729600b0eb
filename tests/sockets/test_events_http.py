"""Events over plain HTTP: produce, search, export."""
from __future__ import annotations

import json
from typing import Any

import pytest
from feed_house import PATH, House, house

AS_ALICE = {"Authorization": "Bearer alice"}


async def _search(h: House, who: str = "alice", **query: str) -> dict[str, Any]:
    async with h.client.get(PATH, headers={"Authorization": f"Bearer {who}"}, params=query) as answer:
        assert answer.status == 200, await answer.text()
        return (await answer.json())["result"]


def _numbers(result: dict[str, Any]) -> list[int]:
    return [event["payload"]["i"] for event in result["events"]]


async def test_events_are_accepted_and_given_back():
    async with house() as h:
        body = {"events": [{"type": "ask", "payload": {"q": 1}}, {"type": "note", "target": {"userId": "u-bob"}}]}
        async with h.client.post(PATH, headers=AS_ALICE, json=body) as answer:
            assert answer.status == 200
            first, second = await answer.json()
        assert first["type"] == "ask" and first["source"]["userId"] == "u-alice" and first["source"]["sessionId"] == "s-alice"
        assert second["target"] == {"userId": "u-bob"} and second["payload"] == {}
        async with h.client.post(PATH, headers=AS_ALICE, json={"events": []}) as answer:
            assert (answer.status, await answer.json()) == (200, [])


@pytest.mark.parametrize(("body", "path"), [
    ("nonsense", "body"), ("[]", "body.events"), ("{}", "body.events"), ('{"events":[1]}', "body.events[0]"),
    ('{"events":[{"type":"a"},{"payload":{}}]}', "body.events[1].type"), ('{"events":[{"type":""}]}', "body.events[0].type"),
    ('{"events":[{"type":"a","payload":null}]}', "body.events[0].payload"), ('{"events":[{"type":"a","target":[]}]}', "body.events[0].target"),
    ('{"events":[{"type":"a","target":{"userId":1}}]}', "body.events[0].target.userId"),
    ('{"events":[{"type":"a","options":{"persist":"no"}}]}', "body.events[0].options.persist"),
    ('{"events":[{"type":"a","payload":' + '{"a":' * 300 + "1" + "}" * 300 + "}]}", "body.events[0]")])
async def test_a_request_of_the_wrong_shape_names_the_place(body, path):
    async with house() as h, h.client.post(PATH, headers=AS_ALICE, data=body) as answer:
        error = await answer.json()
        assert (answer.status, error["error"], error["details"][0]["path"]) == (400, "RequestValidationError", path)
        assert not h.engine.stored


async def test_a_page_is_full_of_what_the_caller_may_read():
    async with house() as h:
        for i in range(10):
            h.engine.happen("item", {"i": i}, source={"sessionId": "s-alice" if i % 2 else "s-bob"})
        result = await _search(h, limit="2", page="1")
        assert _numbers(result) == [5, 3] and result["cursor"] == "4"
        assert _numbers(await _search(h, "owner", limit="3", sort="asc")) == [0, 1, 2]
        assert await _search(h, "nobody") == {"events": []}


async def test_a_search_goes_on_from_its_cursor():
    async with house() as h:
        for i in range(5):
            h.engine.happen("item", {"i": i})
        first = await _search(h, sort="asc", limit="3")
        assert _numbers(await _search(h, sort="asc", afterId=first["cursor"])) == [3, 4]


async def test_bad_searches_are_refused():
    async with house() as h:
        for query, status in ({"limit": "x"}, 400), ({"afterId": "nothing"}, 404):
            async with h.client.get(PATH, headers=AS_ALICE, params=query) as answer:
                assert answer.status == status
        async with h.client.get("/v2/workspaces/none/events", headers=AS_ALICE) as answer:
            assert (answer.status, (await answer.json())["error"]) == (404, "ObjectNotFoundError")


async def test_an_export_has_every_match_oldest_first():
    async with house() as h:
        for i in range(2345):
            h.engine.happen("item", {"i": i})
        h.engine.happen("other")
        async with h.client.get(PATH + "/export", headers=AS_ALICE, params={"type": "item", "limit": "1"}) as answer:
            assert answer.headers["Content-Type"].startswith("application/x-ndjson")
            lines = (await answer.text()).splitlines()
        assert [json.loads(line)["payload"]["i"] for line in lines] == list(range(2345))
        async with h.client.get(PATH + "/export", headers=AS_ALICE, params={"type": "item", "format": "json"}) as answer:
            assert len(await answer.json()) == 2345


async def test_an_empty_export_is_empty_in_either_format():
    async with house() as h:
        for format, text in (("ndjson", ""), ("json", "[]")):
            async with h.client.get(PATH + "/export", headers=AS_ALICE, params={"format": format}) as answer:
                assert await answer.text() == text
        async with h.client.get(PATH + "/export", headers=AS_ALICE, params={"format": "xml"}) as answer:
            assert answer.status == 400
