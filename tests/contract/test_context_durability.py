"""C10, C11 and C15 of the contract of contexts, on every store: what the outside has seen is written, in one order, by one owner.

Through one node, which takes its runs up again after its end; what becomes of a run when one of several nodes dies is in test_cluster.py.
"""
from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from kit import ALICE, emit, endpoint, listener, origin, payloads, put, sandbox, steps

from runtime.errors import AutomationsError, TooBusy
from runtime.testing import Sandbox
from runtime.values import decode
from store.changes import apply
from store.protocol import Store
from store.query import All, EventQuery
from store.records import ContextKey
from tests.contract.facts import documents
from tests.contract.witness import Seen, Witness

# C10: durable before the outside sees anything

PERSISTED = ["global", "user", "session", "socket", "run"]


def write(n: int) -> list[Any]:
    return [put(f"{context}.n", n) for context in PERSISTED]


async def test_c10_every_write_is_durable_before_an_answer_a_chunk_an_event_or_a_fetch_leaves_the_run(store: Store) -> None:
    witness = Witness(store)

    async def outside(request: web.Request) -> web.Response:
        witness.leaves("fetch")
        return web.json_response({})

    served = web.Application()
    served.router.add_route("*", "/", outside)
    async with TestServer(served) as server, sandbox({
        "main": endpoint(*write(1), put("$http", {"chunk": 1}), *write(2), {"child": {}}, *write(4), emit("told", {"n": 4}, output="e"), *write(5),
                         put("$http", {"chunk": 5}), *write(6), emit("late"), *write(7), output="{{run.n}}"),
        "child": steps(*write(3), {"fetch": {"url": str(server.make_url("/"))}})}, on=witness) as box:
        box.engine.feed(box.id).subscribe(All(()), lambda live: live.type in ("told", "late") and witness.leaves(live.type))
        witness.leaves(("answer", await box.call("main", identity=ALICE, response=Seen(witness))))
        for what, n in ((("chunk", 1), 1), ("fetch", 3), ("told", 4), (("chunk", 5), 5), ("late", 6), (("answer", 7), 7)):
            for context in PERSISTED:
                assert witness.written_before(what, context)["n"] >= n, (what, context)


async def test_c10_what_a_run_shows_of_anothers_write_is_durable_too(store: Store) -> None:
    witness = Witness(store)
    async with sandbox({"write": endpoint(put("global.n", 1), emit("go"), {"wait": {"oneOf": [{"event": "never"}], "timeout": 1}}),
                        "look": endpoint(output="{{global.n}}")}, on=witness) as box:
        writing = asyncio.create_task(box.call("write"))
        while await box.call("look") != 1:
            await asyncio.sleep(0)
        witness.leaves("seen")
        assert witness.written_before("seen", "global") == {"n": 1}
        await box.settle()
        box.clock.advance(1)
        await writing


@pytest.mark.parametrize("cut_after", range(0, 22, 3))
async def test_c10_an_end_of_the_process_at_any_moment_loses_nothing_that_was_seen(store: Store, cut_after: int) -> None:
    automations = {"main": endpoint(put("global.n.k{{body}}", 1), put("session.n[]", "{{body}}"), put("$http", {"chunk": "{{body}}"}),
                                    put("global.pair", {"a": "{{body}}", "b": "{{body}}"}), emit("go", {"n": "{{body}}"}, output="e"),
                                    put("global.n.k{{body}}", 2), output="{{body}}"),
                   "hears": listener("go", put("global.heard.k{{payload.n}}", 1)),
                   "look": endpoint(output=["{{global}}", "{{session.n}}"])}
    async with sandbox(automations, on=store):
        pass                                               # the workspace is there before anything is cut
    witness, answers = Witness(store, cut_after=cut_after), []
    box = Sandbox({"name": "Sandbox", "automations": automations}, store=witness)
    await box.__aenter__()
    calls = [asyncio.create_task(call(box, n, witness, answers)) for n in range(5)]
    while not witness.is_cut and not all(task.done() for task in calls):
        await asyncio.sleep(0)
    for _ in range(50):
        await asyncio.sleep(0)
    for task in calls:
        task.cancel()
    await asyncio.gather(*calls, return_exceptions=True)
    await box.__aexit__()
    async with sandbox(automations, on=store) as box:
        await box.settle()
        kept, session = await box.call("look", identity=ALICE)
        chunks = [what[1] for kind, what in witness.record if kind == "left"]
        assert set(chunks) <= set(session or ())
        assert {f"k{n}" for n in chunks} <= set((kept.get("n") or {}))
        assert all(kept["n"][f"k{n}"] == 2 for n in answers)
        assert kept.get("pair", {}).get("a") == kept.get("pair", {}).get("b")
        told = {payload["n"] for payload in await payloads(box, "go")}
        assert set(answers) <= told and {f"k{n}" for n in told} == set(kept.get("heard") or ())


async def call(box: Sandbox, n: int, witness: Witness, answers: list[int]) -> None:
    with contextlib.suppress(AutomationsError):
        answers.append(await box.call("main", n, origin=origin(f"c{n}", ALICE), response=Seen(witness)))


# C11: what is told of the writes

async def test_c11_the_updates_of_a_run_number_without_a_gap_and_replaying_them_gives_what_is_stored(store: Store) -> None:
    go_on = [put("global.a", {"x": [1]}), put("global.a.x[]", 2), put("global.n", 2, type="add"), put("run.m", {"k": 1}), {"child": {}},
             put("session.s", "{{body}}"), put("user.u", 1), {"delete": {"name": "global.a.x[0]"}}, put("socket", {"whole": True}),
             put("session.id", "chosen"), put("session.s", "other"), {"all": [put("run.list[]", 1), {"child": {}}]}]
    async with sandbox({"main": endpoint(*go_on, emit("next")), "child": steps(put("run.m", {"l": 2}, type="merge"), put("global.gone", 1), {"delete": {"name": "global.gone"}}),
                        "hears": listener("next", put("run.list[]", 2), put("global", {"fresh": "{{global.a.x}}"}))}, on=store, expose_context_updates=True) as box:
        told: list[dict[str, Any]] = []
        box.engine.feed(box.id).subscribe(All(()), lambda live: live.type == "runtime.contexts.updated" and told.append(decode(live.body)))
        who = origin("c", ALICE, socket_id="tab")
        for n in (1, 2):
            await box.call("main", n, origin=who)
            await box.settle()
        assert [event["payload"]["rev"] for event in told] == list(range(1, len(told) + 1))
        session = {"session-of-alice": "alice", "chosen": "chosen"}
        replayed: dict[tuple[str, str], Any] = {}
        for event in told:
            [update], by = event["payload"]["updates"], event["source"]["sessionId"]
            key = {"global": "", "run": "c", "socket": "tab", "user": session[by], "session": by}[update["context"]]
            document = replayed.setdefault((update["context"], key), {})
            path = tuple(update["path"].split(".")) if update["path"] else ()
            if path:
                apply(document, update["type"], path, update["value"])
            else:
                document.clear()
                document.update(update["value"])
        stored = await documents(store, [ContextKey(box.id, *key) for key in replayed], box.clock.now())
        assert dict(zip(replayed, stored)) == replayed
        assert {context for context, _ in replayed} == {*PERSISTED}


# C15: one owner

async def test_c15_a_node_that_stopped_takes_no_call_and_the_next_one_goes_on_from_what_was_acknowledged(store: Store) -> None:
    automations = {"main": endpoint(put("run.n", 1, type="add"), output="{{run.n}}")}
    async with sandbox(automations, on=store) as box:
        assert await box.call("main", origin=origin("c")) == 1
    with pytest.raises(TooBusy):
        await box.call("main", origin=origin("c"))
    async with sandbox(automations, on=store) as box:
        assert await box.call("main", origin=origin("c")) == 2


async def test_c15_operations_of_one_run_are_never_applied_at_the_same_time(store: Store) -> None:
    """Calls, listeners and waits of one correlation id, all under way at once, go through one actor: every number is given once."""
    take = [put("run.n", "{% ({{run.n}} or 0) + 1 %}"), put("run.taken[]", "{{run.n}}")]
    hold = {"wait": {"oneOf": [{"event": "go"}], "timeout": 5}}
    automations = {"main": endpoint(*take, emit("next"), hold, *take), "hears": listener("next", *take, hold, *take), "look": endpoint(output="{{run.taken}}")}
    async with sandbox(automations, on=store) as box:
        running = [asyncio.create_task(box.call("main", origin=origin("c"))) for _ in range(8)]
        while len(await store.events(EventQuery(box.id, All(()), limit=1000))) < 16 or await box.call("look", origin=origin("c")) != list(range(1, 17)):
            await asyncio.sleep(0)
        await box.emit("go")
        await asyncio.gather(*running)
        await box.settle()
        assert await box.call("look", origin=origin("c")) == list(range(1, 33))
    async with sandbox(automations, on=store) as box:
        assert await box.call("look", origin=origin("c")) == list(range(1, 33))
