"""What is special about the store on MongoDB: how it is opened, its log, and pieces of it that are applied more than once."""
from __future__ import annotations

import asyncio
import contextlib

import pytest
from pymongo import MongoClient

import store as stores
from store.errors import Conflict, Fenced, StoreError, Unavailable
from store.mongodb.wire import decoded, encoded
from store.query import EventQuery
from store.records import Change, ContextKey, Delivered, Delivery, Event, Member, RunHeld, Tick, Volatile, Workspace

GLOBAL = ContextKey("ws", "global", "")
A, B = Member("node-a", "http://a", "host", 1), Member("node-b", "http://b", "host", 2)


def event(id: str) -> Event:
    return Event("ws", id, "something.happened", 5, "correlation", None, b'{"type":"something.happened"}')


def add(key: str, value: int = 1) -> Change:
    return Change(GLOBAL, "add", b'["%s"]' % key.encode(), b"%d" % value, None)


def nothing(first, facts) -> None:
    pass


async def test_a_server_that_does_not_answer_is_named() -> None:
    with pytest.raises(Unavailable, match="no MongoDB answers at 127.0.0.1:1; start one, or correct STORAGE_URL"):
        await stores.open("mongodb://127.0.0.1:1/motorik?serverSelectionTimeoutMS=100")


async def test_an_address_that_is_none_is_refused_with_the_reason() -> None:
    with pytest.raises(StoreError, match="no usable MongoDB address"):
        await stores.open("mongodb://:/")


def test_every_fact_comes_back_as_it_was() -> None:
    facts = [event("e"), add("n"), Delivery("d", "ws", "e", "main", 5, b"{}"), Delivered("d"), Tick("ws", "main", 5), RunHeld("ws", "c"),
             Volatile("ws", b'{"a":"\xc3\xa9\\u0000"}'), Workspace("ws", "slug", 1, 2, 3, b"{}")]
    assert decoded(encoded(facts)) == facts


@contextlib.asynccontextmanager
async def two_nodes(url: str, hear=nothing):
    a, b = await stores.open(url), await stores.open(url)
    await a.cluster.join(A, nothing)
    await b.cluster.join(B, hear)
    yield a, b
    for node in (a, b):
        await node.close()


async def test_positions_of_two_nodes_are_one_row_without_gaps(mongodb: str) -> None:
    async with two_nodes(mongodb) as (a, b):
        positions = await asyncio.gather(*[node.commit([event(f"{i}")]) for i in range(40) for node in (a, b)])
        assert sorted(positions) == list(range(1, 81))
        for node in (a, b):
            assert [e.position for e in await node.events(EventQuery("ws", ascending=True, limit=100))] == list(range(1, 81))


async def test_what_two_nodes_add_to_one_number_is_all_there(mongodb: str) -> None:
    async with two_nodes(mongodb) as (a, b):
        await asyncio.gather(*[node.commit([add("n", i)]) for i in range(40) for node in (a, b)])
        for node in (a, b):
            [found] = await node.contexts([GLOBAL], 0)
            assert found.document == {"n": 2 * sum(range(40))}


async def test_a_node_hears_the_others_in_the_order_of_the_positions_and_itself_never(mongodb: str) -> None:
    heard: list[int] = []

    def hear(first, facts) -> None:
        heard.extend(range(first, first + sum(type(fact) is Event for fact in facts)))
    async with two_nodes(mongodb, hear) as (a, b):
        own = []
        for i in range(20):
            await a.commit([event(f"a{i}"), event(f"a{i}'")])
            own.append(await b.commit([event(f"b{i}")]))
            assert heard == sorted(set(range(1, own[-1])) - set(own)), "everything before the own commit was heard before its end"
        await a.commit([event("last")])
        await b.cluster.catch_up()
        assert heard == sorted(set(range(1, 62)) - set(own))


async def test_what_was_committed_and_not_put_into_the_collections_is_found_all_the_same(mongodb: str) -> None:
    a = await stores.open(mongodb)
    await a.commit([event("1"), add("n")])
    with contextlib.closing(MongoClient(mongodb)) as client:      # a process that was killed between log and collections
        database = client.get_default_database()
        for name in ("events", "contexts"):
            database[name].delete_many({})
    b = await stores.open(mongodb)
    assert [e.position for e in await b.events(EventQuery("ws"))] == [1]
    [found] = await b.contexts([GLOBAL], 0)
    assert found.document == {"n": 1}
    for node in (a, b):
        await node.close()


async def test_applying_a_piece_of_the_log_again_changes_nothing(mongodb: str) -> None:
    node = await stores.open(mongodb)
    await node.commit([add("n"), Delivery("d", "ws", "e", "main", 5, b"{}")])
    await node.commit([add("n"), Delivered("d")])
    async for piece in node.log.pieces(0):
        await node.materials.apply(piece)
    [found] = await node.contexts([GLOBAL], 0)
    assert (found.document, await node.deliveries()) == ({"n": 2}, [])
    await node.close()


async def test_a_large_document_is_folded_beside_its_operations_and_stays_what_it_is(mongodb: str) -> None:
    node = await stores.open(mongodb)
    for i in range(12):
        await node.commit([Change(GLOBAL, "replace", b'["key %d"]' % i, b'"%s"' % (b"x" * 9000), None)])
    expected = {f"key {i}": "x" * 9000 for i in range(12)}
    [found] = await node.contexts([GLOBAL], 0)
    assert found.document == expected
    await node.commit([Change(GLOBAL, "replace", b'["a.b$"]', b"18446744073709551615", None), Change(GLOBAL, "replace", b'[""]', b"[true]", None)])
    await node.close()
    again = await stores.open(mongodb)
    [found] = await again.contexts([GLOBAL], 0)
    assert found.document == {**expected, "a.b$": 18446744073709551615, "": [True]}
    await again.close()


async def test_a_node_that_was_declared_dead_writes_nothing_until_it_has_another_name(mongodb: str) -> None:
    async with two_nodes(mongodb) as (a, b):
        await a.commit([Delivery("d", "ws", "e", "main", 5, b"{}"), RunHeld("ws", "c")])
        with pytest.raises(Conflict):
            await b.commit([RunHeld("ws", "c")])
        assert b.cluster.owner("ws", "c") == A
        assert [d.id for d in await b.cluster.take_over(A.id)] == ["d"]
        assert b.cluster.owner("ws", "c") is None
        with pytest.raises(Fenced):
            await a.commit([event("late")])
        assert await b.events(EventQuery("ws")) == []
        await a.cluster.join(A._replace(id="node-a-again"), nothing)
        assert await a.commit([event("new")]) == 1


async def test_unfinished_deliveries_of_a_dead_node_have_one_finder(mongodb: str) -> None:
    async with two_nodes(mongodb) as (a, b):
        await a.commit([Delivery(f"d{i}", "ws", "e", "main", 5, b"{}") for i in range(5)])
        third = await stores.open(mongodb)
        await third.cluster.join(Member("node-c", "http://c", "host", 3), nothing)
        found = await asyncio.gather(b.cluster.take_over(A.id), third.cluster.take_over(A.id))
        assert sorted(d.id for deliveries in found for d in deliveries) == [f"d{i}" for i in range(5)]
        await third.close()


async def test_all_nodes_keep_the_first_value_of_a_name(mongodb: str) -> None:
    async with two_nodes(mongodb) as (a, b):
        agreed = await asyncio.gather(a.cluster.agree("secret", "of a"), b.cluster.agree("secret", "of b"))
        assert agreed[0] == agreed[1] in ("of a", "of b")


async def test_a_node_hears_what_others_commit_without_asking(mongodb: str) -> None:
    heard = asyncio.Event()
    async with two_nodes(mongodb, lambda first, facts: heard.set()) as (a, b):
        await asyncio.sleep(0)
        heard.clear()
        await a.commit([event("e")])
        async with asyncio.timeout(10):
            await heard.wait()


async def test_what_was_handed_over_before_a_node_was_taken_for_dead_is_not_written_under_its_new_name(mongodb: str) -> None:
    async with two_nodes(mongodb) as (a, b):
        await a.cluster.take_over(B.id)
        late = [b.commit([event("first")])]
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        late.append(b.commit([event("second")]))           # waits until the first is written, or is not
        await b.cluster.join(B._replace(id="node-b-again"), nothing)
        outcomes = await asyncio.gather(*late, return_exceptions=True)
        assert [type(outcome) for outcome in outcomes] == [Fenced, Fenced]
        assert await b.commit([event("third")]) == 1


async def test_a_refused_batch_whose_caller_is_gone_stops_nobody(mongodb: str) -> None:
    async with two_nodes(mongodb) as (a, b):
        await a.commit([Tick("ws", "main", 5)])
        a.commit([Tick("ws", "main", 5)]).cancel()
        async with asyncio.timeout(5):
            assert await a.commit([event("e")]) == 1


async def test_a_batch_whose_caller_is_gone_is_written_though_another_node_was_faster(mongodb: str) -> None:
    async with two_nodes(mongodb) as (a, b):
        await asyncio.gather(b.commit([event("other")]), b.commit([event("more")]))
        a.commit([event("mine")]).cancel()                 # its number is taken: it is tried again
        await a.commit([event("next")])
        assert len(await a.events(EventQuery("ws"))) == 4


async def test_a_commit_that_comes_through_after_its_node_was_replaced_sets_nothing_off(mongodb: str) -> None:
    async with two_nodes(mongodb) as (a, b):
        held, apply = asyncio.Event(), a.materials.apply

        async def slowly(piece) -> None:                   # a connection that is stuck
            await held.wait()
            await apply(piece)
        a.materials.apply = slowly
        late = a.commit([event("e"), Delivery("d", "ws", "e", "main", 5, b"{}")])
        while a.log.position == 0:
            await asyncio.sleep(0.01)
        assert [d.id for d in await b.cluster.take_over(A.id)] == ["d"]
        await a.log.catch_up()
        held.set()
        with pytest.raises(Fenced):
            await late
        assert [e.position for e in await b.events(EventQuery("ws"))] == [1]


async def test_a_look_at_what_others_wrote_never_overtakes_an_own_commit(mongodb: str) -> None:
    async with two_nodes(mongodb) as (a, b):
        held, apply = asyncio.Event(), a.materials.apply

        async def slowly(piece) -> None:
            if piece.node == A.id:
                await held.wait()
            await apply(piece)
        await b.commit([add("n")])
        a.materials.apply = slowly
        own = a.commit([add("n")])
        while a.log.seen < 4:                              # two nodes that joined, one piece of each
            await asyncio.sleep(0.01)
        b.materials.apply = slowly                         # b's next piece is in the log, and stays there alone
        later = b.commit([add("n", 10)])
        while b.log.seen < 5:
            await asyncio.sleep(0.01)
        await a.log.catch_up()
        looking = asyncio.ensure_future(a.contexts([GLOBAL._replace(key="other")], 0))
        everything = asyncio.ensure_future(a.nodes.settle_all())
        await asyncio.sleep(0.05)
        held.set()
        await asyncio.gather(own, later, looking, everything)
        [found] = await a.contexts([GLOBAL], 0)
        assert found.document == {"n": 12}


async def test_a_fold_that_comes_too_late_leaves_the_fold_of_another_node_alone(mongodb: str) -> None:
    async with two_nodes(mongodb) as (a, b):
        await a.commit([Change(GLOBAL, "replace", b'["big"]', b'"%s"' % (b"x" * 40_000), None)])
        update, find = b.materials.cells._cells.update_one, b.materials.cells._cells.find_one
        stored = await find({"_id": "ws\0global\0"})
        cells = b.materials.cells

        class Late:
            """The collection as it was when this node began to fold."""

            async def find_one(self, where, fields=None):
                nonlocal stored
                early, stored = stored, None
                return early or await find(where, fields)

            async def update_one(self, *arguments):
                await a.materials.cells.fold("ws\0global\0")
                await a.commit([add("n")])
                return await update(*arguments)
        cells._cells = Late()
        await cells.fold("ws\0global\0")
        [found] = await a.contexts([GLOBAL], 0)
        assert found.document == {"big": "x" * 40_000, "n": 1}
