"""Events go while a server runs: a client that comes back for them is told what it missed."""
from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from door import KEYS, OWNER, House, house

import store as stores
from gateway.app import build
from gateway.config import Settings
from runtime.testing import CountedIds, HandClock
from tests.contract.facts import event


async def emit(h: House, count: int) -> None:
    events = [{"type": "told", "payload": {"n": n}} for n in range(count)]
    status, answer, _ = await h.request("POST", f"/v2/workspaces/{h.id}/events", json={"events": events}, headers=OWNER)
    assert status == 200, answer


async def replayed(h: House, since: str) -> tuple[list[dict[str, Any]], list[int]]:
    """The gaps that a subscription is told of, and the numbers it hears, until it has caught up."""
    async with h.socket() as socket:
        await socket.send_json({"op": "subscribe", "id": "f", "filters": {"types": ["told"]}, "since": since})
        gaps, numbers = [], []
        while (frame := await socket.receive_json(timeout=5))["op"] != "caught_up":
            if frame["op"] == "gap":
                gaps.append(frame)
            if frame["op"] == "event":
                numbers.append(frame["event"]["payload"]["n"])
        return gaps, numbers


async def test_a_place_before_the_oldest_event_is_a_gap_and_the_newest_place_is_none(tmp_path: Path) -> None:
    store = await stores.open(f"file:{tmp_path}")
    async with house(on=store) as h:
        await emit(h, 6)
        first = await store.oldest(h.id)
        assert await replayed(h, str(first)) == ([], [0, 1, 2, 3, 4, 5])
        await store.forget_events(h.id, keep=3)
        oldest = await store.oldest(h.id)
        gaps, numbers = await replayed(h, str(first))
        assert [(gap["reason"], gap["from"], gap["to"]) for gap in gaps] == [("retention", str(first), str(oldest - 1))]
        assert numbers == [3, 4, 5]
        head = h.gateway.engine.feed(h.id).head
        await store.forget_events(h.id, keep=0)
        assert await replayed(h, str(head)) == ([], [])


async def test_the_housekeeping_forgets_by_itself() -> None:
    clock = HandClock()
    server = await build(Settings(storage_url="memory:", port=0), KEYS, clock=clock, ids=CountedIds())
    store = server.gateway.store
    await server.open()
    await server.listen()
    await store.commit([event(1, at=clock.now() - 181 * 24 * 3_600_000), event(2, at=clock.now())])
    async with asyncio.timeout(5):
        while await store.oldest("w1") != 2:
            clock.advance(60)
            await asyncio.sleep(0)
    await server.stop()
