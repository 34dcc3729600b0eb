"""The store fails at its n-th call, for every n: nobody hangs, nothing is acknowledged that is not kept, and the server works again."""
from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import count
from typing import Any

import pytest
from door import OWNER, House, house
from failing_store import FailingStore

from runtime.values import decode
from store.errors import Conflict, Full, StoreError, Unavailable
from store.memory import MemoryStore
from store.query import EventQuery, Is
from store.records import ContextKey

_SECONDS = 5.0
_MOST_CALLS = 60

WORKSPACE = """
name: Fallible
automations:
  write:
    when: {endpoint: true}
    do:
      - set: {name: 'global.write.k{{body.n}}', value: '{{body.n}}'}
      - set: {name: 'user.write.k{{body.n}}', value: '{{body.n}}'}
      - set: {name: global.count, type: add, value: 1}
    output: '{{body.n}}'
  chain:
    when: {endpoint: true}
    do: [{emit: {event: chain.one, payload: {n: '{{body.n}}'}}}]
  chained: {when: {events: [chain.one]}, do: [{emit: {event: chain.two, payload: {n: '{{payload.n}}'}, output: got}}]}
  ends: {when: {events: [chain.two]}, do: [{set: {name: 'global.chain.k{{payload.n}}', value: '{{payload.n}}'}}]}
  branches:
    when: {endpoint: true}
    do:
      - all:
          - emit: {event: branch.one, payload: {n: '{{body.n}}'}, output: one}
          - emit: {event: branch.two, payload: {n: '{{body.n}}'}, output: two}
          - set: {name: 'global.branches.k{{body.n}}', value: '{{body.n}}'}
  waits:
    when: {endpoint: true}
    do:
      - emit: {event: asked, payload: {n: '{{body.n}}'}}
      - wait: {oneOf: [{event: answered, filters: {payload.n: '{{body.n}}'}}], timeout: 30, output: got}
      - set: {name: 'global.waits.k{{body.n}}', value: '{{got.payload.n}}'}
  answers: {when: {events: [asked]}, do: [{emit: {event: answered, payload: {n: '{{payload.n}}'}}}]}
  caught:
    when: {endpoint: true}
    do:
      - try:
          do:
            - emit: {event: tried, payload: {n: '{{body.n}}'}, output: got}
            - set: {name: 'global.tried.k{{body.n}}', value: '{{body.n}}'}
          catch: [{set: {name: 'global.caught.k{{body.n}}', value: '{{body.n}}'}}]
      - set: {name: 'global.after.k{{body.n}}', value: '{{body.n}}'}
  stream:
    when: {endpoint: true}
    do:
      - set: {name: $http, value: {chunk: {begun: '{{body.n}}'}}}
      - set: {name: 'global.stream.k{{body.n}}', value: '{{body.n}}'}
      - emit: {event: streamed, payload: {n: '{{body.n}}'}, output: got}
      - set: {name: $http, value: {chunk: {done: '{{body.n}}'}}}
    output: {end: '{{body.n}}'}
  switch:
    when: {endpoint: true}
    do:
      - set: {name: session.id, value: 'other-{{body.n}}'}
      - set: {name: session.n, value: '{{body.n}}'}
      - set: {name: 'global.switch.k{{body.n}}', value: '{{session.n}}'}
  hearOne:
    when: {events: [posted]}
    do: [{set: {name: 'global.one.k{{payload.n}}', value: '{{payload.n}}'}}, {set: {name: global.heard, type: add, value: 1}}]
  hearTwo: {when: {events: [posted]}, do: [{set: {name: 'global.two.k{{payload.n}}', value: '{{payload.n}}'}}]}
  tick: {when: {schedules: ['* * * * *']}, do: [{set: {name: global.ticks, type: add, value: 1}}]}
  state: {when: {endpoint: true}, do: [], output: '{{global}}'}
"""


@dataclass(frozen=True)
class Bench:
    """A server on a store that fails on demand."""

    house: House
    store: FailingStore
    given: frozenset[str] = frozenset()
    """What every automation sees in `global`, and nobody wrote."""

    async def state(self) -> dict[str, Any]:
        """What runs see."""
        status, answer, _ = await self.house.call("state", headers=OWNER)
        assert status == 200, answer
        return {name: value for name, value in answer.items() if name not in self.given}

    async def kept(self, context: str = "global", key: str = "") -> dict[str, Any]:
        """What is stored."""
        [found] = await self.store.inner.contexts([ContextKey(self.house.id, context, key)], self.house.clock.now())
        return found.document if found else {}

    async def has(self, group: str, n: int) -> bool:
        return (await self.kept()).get(group, {}).get(f"k{n}") == n

    async def numbers(self, type: str) -> list[int]:
        found = await self.store.inner.events(EventQuery(self.house.id, Is(("type",), (type,)), ascending=True, limit=1000))
        return [decode(event.body)["payload"]["n"] for event in found]

    async def settle(self) -> None:
        """Until nothing moves any more."""
        quiet = 0
        async with asyncio.timeout(_SECONDS):
            while quiet < 10:
                await asyncio.sleep(0)
                is_still = self.store.is_quiet and not self.house.gateway.engine._supervisor.open_runs
                quiet = quiet + 1 if is_still else 0

    async def deliver(self) -> None:
        """Until everything that was accepted was heard, also what has to be tried again in a while."""
        for _ in range(10):
            await self.settle()
            if not await self.store.inner.deliveries():
                return
            self.house.clock.advance(3)


@asynccontextmanager
async def bench(*, late: bool) -> AsyncIterator[Bench]:
    store = FailingStore(MemoryStore(), late=late)
    async with house(WORKSPACE, on=store, SCHEDULES_MAXIMUM_OCCURRENCE_PATTERN="") as opened:
        yield Bench(opened, store, frozenset(await Bench(opened, store).state()))


async def calls(b: Bench, endpoint: str, n: int) -> bool:
    status, answer, _ = await b.house.call(endpoint, json={"n": n}, headers=OWNER)
    assert status in (200, 429, 500, 503), answer
    return status == 200


async def write(b: Bench, n: int) -> bool:
    if not await calls(b, "write", n):
        return False
    assert await b.has("write", n)
    assert (await b.kept("user", "admin"))["write"][f"k{n}"] == n
    return True


async def chain(b: Bench, n: int) -> bool:
    if not await calls(b, "chain", n):
        return False
    assert n in await b.numbers("chain.one")
    return True


async def branches(b: Bench, n: int) -> bool:
    if not await calls(b, "branches", n):
        return False
    assert await b.has("branches", n)
    assert n in await b.numbers("branch.one") and n in await b.numbers("branch.two")
    return True


async def waits(b: Bench, n: int) -> bool:
    call = asyncio.create_task(calls(b, "waits", n))
    while not call.done():                                # if the answer was lost, time runs out; it is then no failure
        await asyncio.wait([call], timeout=0.02)
        b.house.clock.advance(31)
    return call.result()


async def caught(b: Bench, n: int) -> bool:
    if not await calls(b, "caught", n):
        return False
    assert await b.has("after", n)
    assert await b.has("tried", n) or await b.has("caught", n)
    return True


async def stream(b: Bench, n: int) -> bool:
    status, raw, _ = await b.house.call("stream", json={"n": n}, headers=OWNER)
    assert status in (200, 429, 503), raw
    if status != 200 or b'"error"' in raw:
        return False
    assert await b.has("stream", n) and n in await b.numbers("streamed")
    return True


async def switch(b: Bench, n: int) -> bool:
    if not await calls(b, "switch", n):
        return False
    assert (await b.kept("session", f"other-{n}"))["n"] == n
    return True


async def imported(b: Bench, n: int) -> bool:
    document = {"name": f"Imported {n}", "slug": f"imported-{n}", "automations": {"main": {"do": []}}}
    status, answer, _ = await b.house.request("POST", "/v2/workspaces/import", json=document, headers=OWNER)
    assert status in (200, 201, 429, 503) or answer["error"] == "AlreadyUsedError", answer
    is_kept = any(w.slug == f"imported-{n}" for w in await b.store.inner.workspaces())
    assert is_kept == (status < 300) == any(w.slug == f"imported-{n}" for w in b.house.gateway.engine.catalog.all())
    return status < 300


async def patched(b: Bench, n: int) -> bool:
    path = f"/v2/workspaces/{b.house.id}/automations/hearTwo"
    status, answer, _ = await b.house.request("PATCH", path, headers=OWNER, json={
        "name": f"hears {n}", "slug": "hearTwo", "when": {"events": ["posted"]},
        "do": [{"set": {"name": "global.two.k{{payload.n}}", "value": "{{payload.n}}"}}]})
    assert status in (200, 429, 503) or answer["error"] == "AlreadyUsedError", answer
    [stored] = [decode(w.body) for w in await b.store.inner.workspaces() if w.id == b.house.id]
    _, shown, _ = await b.house.request("GET", path, headers=OWNER)
    assert shown.get("name") == stored["definition"]["automations"]["hearTwo"].get("name")
    assert status != 200 or shown["name"] == f"hears {n}"
    return status == 200


async def socket(b: Bench, n: int) -> bool:
    async with b.house.socket() as feed:
        await feed.send_json({"op": "emit", "id": "e", "event": {"type": "posted", "payload": {"n": n}}})
        while (frame := await feed.receive_json()).get("id") != "e":
            pass
    assert (frame["op"] == "ack") <= (n in await b.numbers("posted"))
    return frame["op"] == "ack"


async def posted(b: Bench, n: int) -> bool:
    status, answer, _ = await b.house.request("POST", f"/v2/workspaces/{b.house.id}/events", headers=OWNER,
                                              json={"events": [{"type": "posted", "payload": {"n": n}}]})
    assert status in (200, 429, 503), answer
    assert (status == 200) == (n in await b.numbers("posted"))
    return status == 200


async def login(b: Bench, n: int) -> bool:
    status, answer, _ = await b.house.request("POST", "/v2/login/anonymous", json={})
    assert status in (200, 429, 503), answer
    if status != 200:
        return False
    assert await b.store.inner.session(answer["sessionId"], b.house.clock.now())
    return True


async def tick(b: Bench, n: int) -> bool:
    before = (await b.kept()).get("ticks", 0)
    b.house.clock.advance(60)
    await b.settle()
    return (await b.kept()).get("ticks", 0) > before


async def deleted(b: Bench, n: int) -> bool:
    document = {"name": f"Doomed {n}", "slug": f"doomed-{n}", "automations": {"main": {"do": []}}}
    calls_before = b.store.calls
    first, last = b.store._first, b.store._last
    b.store._first = b.store._last = 1 << 30
    _, made, _ = await b.house.request("POST", "/v2/workspaces/import", json=document, headers=OWNER)
    b.store.calls, b.store._first, b.store._last = calls_before, first, last
    id = made["workspace"]["id"]
    status, answer, _ = await b.house.request("DELETE", f"/v2/workspaces/{id}", headers=OWNER)
    assert status in (200, 204, 429, 503), answer
    is_kept = any(w.id == id for w in await b.store.inner.workspaces())
    assert is_kept == (status >= 300) == (b.house.gateway.engine.catalog.get(id) is not None)
    return status < 300


Act = Callable[[Bench, int], Awaitable[bool]]
ACTS: tuple[Act, ...] = (write, chain, branches, waits, caught, stream, switch, imported, patched, socket, posted, login, tick, deleted)


@pytest.mark.parametrize("late", [False, True], ids=["at-once", "late"])
@pytest.mark.parametrize(("error", "until_mended"), [(Unavailable("gone"), False), (Full("full"), True), (Conflict("no"), False)],
                         ids=["unavailable-once", "full-until-mended", "conflict-once"])
@pytest.mark.parametrize("act", ACTS, ids=lambda act: act.__name__)
async def test_whichever_call_of_the_store_fails_the_server_goes_on(act: Act, error: StoreError, until_mended: bool, late: bool) -> None:
    async with bench(late=late) as b:
        assert await act(b, 1)                            # once undisturbed: whatever is loaded at first use
        await works(b, 1)
        tasks = len(asyncio.all_tasks())
        for attempt in count(2):
            b.store.fail(attempt - 1, error, until_mended=until_mended)
            async with asyncio.timeout(_SECONDS):
                await act(b, attempt)
            await b.settle()
            reached = b.store.calls
            b.store.mend()
            await works(b, attempt)
            assert len(asyncio.all_tasks()) == tasks
            if reached < attempt - 1:
                return
            assert attempt < _MOST_CALLS


async def works(b: Bench, n: int) -> None:
    """Nothing is left behind, memory and store agree, and every act is possible."""
    assert await write(b, 1000 + n)
    assert await posted(b, 1000 + n)
    await b.deliver()
    assert await b.store.inner.deliveries() == []
    kept = await b.kept()
    assert await b.state() == kept
    for event, group in (("posted", "one"), ("posted", "two"), ("chain.two", "chain")):
        assert set(await b.numbers(event)) == set(kept.get(group, {}).values())
    assert kept["heard"] == len(await b.numbers("posted"))


async def test_a_delivery_is_tried_for_as_long_as_the_disk_is_full() -> None:
    async with bench(late=False) as b:
        b.store.fail(2, Full("full"), until_mended=True, reads=False)
        assert await posted(b, 1)
        for _ in range(60):
            await b.settle()
            b.house.clock.advance(30)
        assert not await b.has("one", 1)
        b.store.mend()
        b.house.clock.advance(30)
        await works(b, 2)
        assert await b.has("one", 1)


async def test_a_delivery_that_the_store_takes_for_wrong_is_not_tried_for_ever() -> None:
    async with bench(late=False) as b:
        b.store.fail(2, StoreError("this cannot be stored"), until_mended=True, reads=False)
        assert await posted(b, 1)
        for _ in range(60):
            await b.settle()
            b.house.clock.advance(30)
        b.store.mend()
        b.house.clock.advance(60)
        await b.settle()
        assert not await b.has("one", 1)
        assert [delivery.automation for delivery in await b.store.inner.deliveries()] == ["hearOne", "hearTwo"]
        assert await write(b, 2)
