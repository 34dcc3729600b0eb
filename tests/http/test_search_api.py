"""Searches, exports and usage over HTTP, on a whole gateway."""
from __future__ import annotations

import asyncio
from typing import Any

import orjson
import pytest
from door import OWNER, House, house

from runtime.values import encode
from store.memory import MemoryStore
from store.query import EventQuery
from store.records import Event, StoredEvent

WORKSPACE = "{name: House, automations: {main: {when: {endpoint: true, events: [guest.came]}, do: [], output: ok}}}"


class Watched(MemoryStore):
    """Remembers how much it was asked for at once; with `gate` closed it answers nobody."""

    def __init__(self) -> None:
        super().__init__()
        self.slices: list[int] = []
        self.abandoned = 0
        self.gate = asyncio.Event()
        self.gate.set()

    async def events(self, query: EventQuery) -> list[StoredEvent]:
        try:
            await self.gate.wait()
        except asyncio.CancelledError:
            self.abandoned += 1
            raise
        found = await super().events(query)
        self.slices.append(sum(len(row.body) for row in found))
        return found


async def search(h: House, body: dict[str, Any], headers: dict[str, str] = OWNER) -> tuple[int, Any]:
    status, answer, _ = await h.request("POST", f"/v2/workspaces/{h.id}/search", headers=headers, json=body)
    return status, answer


async def emit(h: House, *payloads: dict[str, Any], type: str = "order.placed", headers: dict[str, str] = OWNER) -> None:
    events = [{"type": type, "payload": payload} for payload in payloads]
    status, answer, _ = await h.request("POST", f"/v2/workspaces/{h.id}/events", headers=headers, json={"events": events})
    assert status == 200, answer


async def fill(h: House, store: MemoryStore, count: int) -> None:
    """Straight into the store, and told to the feed by one more event."""
    def made(n: int) -> Event:
        body = encode({"id": f"e{n}", "type": "bulk", "createdAt": "2026-01-01T00:00:00.000Z", "source": {}, "payload": {"n": n, "pad": "x" * 300}})
        return Event(h.id, f"e{n}", "bulk", h.clock.now(), "c", None, body)

    await store.commit([made(n) for n in range(count)])
    await emit(h, {})


async def test_a_search_gives_a_page_how_many_there_are_and_what_was_counted():
    async with house() as h:
        await emit(h, *({"price": n, "name": f"number {n % 3}"} for n in range(12)))
        orders = {"term": {"type": "order.placed"}}
        status, found = await search(h, {"query": orders, "limit": 5, "page": 1, "aggs": {"most": {"max": {"field": "payload.price"}}}})
        assert status == 200 and found["size"] == 12 and found["aggs"] == {"most": {"value": 11}}
        assert [event["payload"]["price"] for event in found["documents"]] == [6, 5, 4, 3, 2]
        _, found = await search(h, {"query": {"bool": {"filter": [orders, {"match": {"payload.name": "2"}}]}}, "sort": {"createdAt": "asc"},
                                    "source": ["payload.price"]})
        assert found == {"size": 4, "documents": [{"payload": {"price": n}} for n in (2, 5, 8, 11)], "aggs": {}}
        _, found = await search(h, {"query": orders, "sort": [{"payload.name": "desc"}, {"payload.price": {"order": "asc"}}], "limit": 3, "page": 1})
        assert found["size"] == 12 and [event["payload"]["price"] for event in found["documents"]] == [11, 1, 4]


@pytest.mark.parametrize(("more", "size"), [({}, 10), ({"track_total_hits": False}, 3), ({"track_total_hits": 7}, 7),
                                            ({"track_total_hits": True}, 10), ({"page": 9}, 10), ({"limit": 0}, 10)], ids=str)
async def test_matches_are_counted_as_far_as_asked(more: dict[str, Any], size: int):
    async with house() as h:
        await emit(h, *({"n": n} for n in range(10)))
        _, found = await search(h, {"query": {"prefix": {"type": "order"}}, "limit": 3, **more})
        assert found["size"] == size


async def test_everybody_finds_what_they_may_read_and_pages_are_full():
    async with house() as h:
        alice, bob = await h.as_somebody(), await h.as_somebody()
        for n in range(6):
            await emit(h, {"n": n}, headers=alice if n % 2 else bob)
        status, found = await search(h, {"limit": 2}, alice)
        assert (status, found["size"], [event["payload"]["n"] for event in found["documents"]]) == (200, 3, [5, 3])
        status, answer, _ = await h.request("GET", f"/v2/workspaces/{h.id}/events?limit=2&types=order.placed", headers=alice)
        assert [event["payload"]["n"] for event in answer["result"]["events"]] == [5, 3]
        _, answer, _ = await h.request("GET", f"/v2/workspaces/{h.id}/events?beforeId={answer['result']['cursor']}", headers=alice)
        assert [event["payload"]["n"] for event in answer["result"]["events"]] == [1]
        assert (await search(h, {}, {}))[1] == {"size": 0, "documents": [], "aggs": {}}


async def test_counting_is_for_the_owner():
    async with house(SEARCH_FORBIDDEN_AGGS="terms", SEARCH_MAX_DEPTH="1") as h:
        aggs = {"n": {"value_count": {"field": "type"}}}
        assert (await search(h, {"aggs": aggs}))[0] == 200
        status, refused = await search(h, {"aggs": aggs}, await h.as_somebody())
        assert (status, refused["error"]) == (403, "ForbiddenError")
        for forbidden in ({"t": {"terms": {"field": "type"}}}, {"f": {"filter": {"match_all": {}}, "aggs": aggs}}):
            status, refused = await search(h, {"aggs": forbidden})
            assert (status, refused["error"]) == (400, "SearchError")


@pytest.mark.parametrize(("body", "told"), [
    ({"query": {"regexp": {"type": ".*"}}}, "regexp"), ({"size": 3}, "size"), ({"limit": 1001}, "limit"), ({"page": -1}, "page"),
    ({"runtime_mappings": {"a": {}}}, "runtime_mappings"), ({"sort": {"type": "up"}}, "sort"), ({"sort": "type", "page": 200}, "page"),
    ({"source": "*a"}, "source"), ({"track_total_hits": "many"}, "track_total_hits")], ids=str)
async def test_what_is_not_supported_is_refused_by_name(body: dict[str, Any], told: str):
    async with house() as h:
        status, refused = await search(h, body)
        assert (status, refused["error"]) == (400, "SearchError") and told in refused["message"]


async def test_a_search_that_takes_too_long_is_given_up_in_the_store_as_well():
    store = Watched()
    async with house(on=store, SEARCH_TIMEOUT="0.05") as h:
        store.gate.clear()
        status, refused = await search(h, {})
        assert (status, refused["error"], store.abandoned) == (400, "SearchError", 1)
        status, refused, _ = await h.request("GET", f"/v2/workspaces/{h.id}/events", headers=OWNER)
        assert (status, refused["error"], store.abandoned) == (400, "SearchError", 2)
        store.gate.set()


async def test_many_events_are_counted_and_exported_a_few_at_a_time():
    store = Watched()
    async with house(on=store, SEARCH_TIMEOUT="60") as h:
        await fill(h, store, 50_000)
        store.slices.clear()
        async with h._client.get(f"/v2/workspaces/{h.id}/events/export?type=bulk", headers=OWNER) as response:
            numbers = [orjson.loads(line)["payload"]["n"] async for line in response.content]
        assert numbers == list(range(50_000))
        _, found = await search(h, {"limit": 0, "query": {"term": {"type": "bulk"}}, "aggs": {"sum": {"sum": {"field": "payload.n"}}}})
        assert (found["size"], found["aggs"]["sum"]["value"]) == (50_000, sum(range(50_000)))
        assert max(store.slices) < 500_000


async def test_an_export_waits_for_its_reader_and_ends_when_they_leave():
    store = Watched()
    async with house(on=store) as h:
        await fill(h, store, 40_000)
        store.slices.clear()
        response = await h._client.get(f"/v2/workspaces/{h.id}/events/export", headers=OWNER)
        await response.content.readline()
        for _ in range(200):
            await asyncio.sleep(0)
        assert len(store.slices) < 60                                  # of more than 80: it does not run ahead of the reader
        response.close()
        before = len(store.slices)
        for _ in range(200):
            await asyncio.sleep(0)
        assert len(store.slices) < before + 5


async def test_an_export_gives_up_a_search_whose_reader_left():
    store = Watched()
    async with house(on=store) as h:
        store.gate.clear()
        response = await h._client.get(f"/v2/workspaces/{h.id}/events/export?format=json", headers=OWNER)
        response.close()
        async with asyncio.timeout(5):
            while not store.abandoned:
                await asyncio.sleep(0.01)
        store.gate.set()


async def test_usage_counts_what_was_started_from_outside():
    async with house(WORKSPACE) as h:
        alice = await h.as_somebody()
        await h.call(headers=alice)
        await h.call(headers=alice)
        await emit(h, {}, type="guest.came")
        path = f"/v2/workspaces/{h.id}/usage?interval=month&details=true"
        status, used, _ = await h.request("GET", path, headers=OWNER)
        total = {"transactions": 3, "httpTransactions": 2, "eventTransactions": 1, "scheduleTransactions": 0}
        assert status == 200 and used["total"].items() >= total.items() and used["workspaceId"] == h.id and used["apps"] == []
        assert used["total"]["sessions"] == 2 and used["total"]["users"] >= 1
        assert [(each["slug"], each["total"]["transactions"]) for each in used["automations"]] == [("main", 3)]
        assert [(each["timestamp"], each["total"]) for each in used["timeseries"]] == [("2026-01-01T00:00:00.000Z", used["total"])]
        status, used, _ = await h.request("GET", f"/v2/workspaces/{h.id}/usage?afterDate=2027-01-01&beforeDate=2027-02-01", headers=OWNER)
        assert status == 200 and set(used["total"].values()) == {0} and "timeseries" not in used and "automations" not in used
        assert (await h.request("GET", path, headers=alice))[0] == 403
        assert (await h.request("GET", path + "&afterDate=soon", headers=OWNER))[0] == 400
