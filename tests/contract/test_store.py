"""What store/protocol.py and store/records.py promise, sentence by sentence, of every store."""
from __future__ import annotations

import asyncio

import pytest

import store as stores
from runtime.values import decode
from store.embedded.definitions import TICKS_KEPT_MS
from store.errors import Conflict, StoreError, Unavailable
from store.protocol import Store
from store.query import EVERYTHING, NOTHING, All, Any, EventQuery, Is, Not, Prefix, Present, Text
from store.records import (
    App,
    AppDeleted,
    ContextKey,
    Delivered,
    Item,
    ItemEnded,
    RunHeld,
    RunLeft,
    SessionEnded,
    Tick,
    Topic,
    Volatile,
    WaitEnded,
    WorkspaceDeleted,
)
from tests.contract.facts import CELL, NOON, change, delivery, documents, event, session, wait, workspace


async def numbers(store: Store, **query: object) -> list[int]:
    """The numbers in the payloads of what a query of workspace w1 finds."""
    return [decode(e.body)["payload"]["number"] for e in await store.events(EventQuery("w1", **query))]


async def document(store: Store, now: int = NOON, cell: ContextKey = CELL) -> dict | None:
    return (await documents(store, [cell], now))[0]


# commit

async def test_all_facts_of_a_batch_are_written(store: Store) -> None:
    await store.commit([event(1), change("replace", ["a"], 1), delivery("d1"), wait("x1"), session("s1")])
    assert await numbers(store) == [1]
    assert await document(store) == {"a": 1}
    assert [d.id for d in await store.deliveries()] == ["d1"]
    assert [w.id for w in await store.waits()] == ["x1"]
    assert await store.session("s1", NOON) == session("s1")


async def test_a_batch_with_a_conflict_writes_nothing(store: Store) -> None:
    await store.commit([Tick("w1", "greet", NOON)])
    with pytest.raises(Conflict):
        await store.commit([event(1), change("replace", ["a"], 1), delivery("d1"), workspace("w1", "shop"),
                            Tick("w1", "greet", NOON)])
    assert await numbers(store) == []
    assert await document(store) is None
    assert await store.deliveries() == []
    assert await store.workspaces() == []


async def test_a_failing_batch_does_not_harm_those_beside_it(store: Store) -> None:
    await store.commit([Tick("w1", "greet", NOON)])
    batches = [[event(1), delivery("d1")], [Tick("w1", "greet", NOON), event(2)], [event(3), Delivered("d1")],
               [event(4), delivery("d4"), change("add", ["n"], 1)]]
    answers = await asyncio.gather(*map(store.commit, batches), return_exceptions=True)
    assert [type(answer) for answer in answers] == [int, Conflict, int, int]
    assert await numbers(store, ascending=True) == [1, 3, 4]
    assert answers[0] < answers[2] < answers[3]
    assert [d.id for d in await store.deliveries()] == ["d4"]
    assert await document(store) == {"n": 1}


async def test_batches_take_effect_in_the_order_of_the_calls(store: Store) -> None:
    await asyncio.gather(*[store.commit([event(n), change("push", ["list"], n), change("replace", ["last"], n)])
                           for n in range(20)])
    assert await document(store) == {"list": list(range(20)), "last": 19}
    assert await numbers(store, ascending=True) == list(range(20))


async def test_the_result_is_the_position_of_the_first_event_and_the_others_follow(store: Store) -> None:
    first = await store.commit([delivery("d1"), event(1), change("replace", ["a"], 1), event(2), event(3)])
    found = await store.events(EventQuery("w1", ascending=True))
    assert [e.position for e in found] == [first, first + 1, first + 2]


async def test_the_result_is_zero_without_an_event(store: Store) -> None:
    await store.commit([event(1)])
    assert await store.commit([change("replace", ["a"], 1)]) == 0
    assert await store.commit([]) == 0


async def test_positions_grow_along_the_calls(store: Store) -> None:
    positions = await asyncio.gather(*[store.commit([event(n, workspace=f"w{n % 2}")]) for n in range(30)])
    assert positions == sorted(set(positions))
    assert positions[0] >= 1


async def test_cancelling_the_future_does_not_take_the_batch_back(store: Store) -> None:
    store.commit([event(1)]).cancel()
    await store.commit([event(2)])
    assert await numbers(store) == [2, 1]


async def test_a_batch_may_be_changed_after_the_call(store: Store) -> None:
    facts = [event(1)]
    future = store.commit(facts)
    facts.clear()
    await future
    assert await numbers(store) == [1]


# contexts

async def test_documents_come_in_the_order_of_the_keys(store: Store) -> None:
    cells = [ContextKey("w1", "user", f"u{n}") for n in range(3)]
    await store.commit([change("replace", ["n"], n, cell=cell) for n, cell in enumerate(cells)])
    unknown = ContextKey("w1", "user", "nobody")
    assert await documents(store, [cells[2], unknown, cells[0], cells[2]], NOON) == [{"n": 2}, None, {"n": 0}, {"n": 2}]
    assert await documents(store, [], NOON) == []


async def test_a_document_has_every_change_committed_before_the_call(store: Store) -> None:
    for n in range(10):
        await store.commit([change("add", ["n"], 1)])
        assert await document(store) == {"n": n + 1}


async def test_changes_are_operations_so_writers_of_different_keys_never_erase_each_other(store: Store) -> None:
    await store.commit([change("replace", ["a"], {"x": 1}), change("replace", ["b"], 1)])
    await store.commit([change("merge", ["a"], {"y": 2}), change("delete", ["b"])])
    await store.commit([change("push", ["c", "d"], "e"), change("add", ["n"], 2), change("add", ["n"], 0.5)])
    assert await document(store) == {"a": {"x": 1, "y": 2}, "c": {"d": ["e"]}, "n": 2.5}


async def test_an_empty_path_is_the_whole_document(store: Store) -> None:
    await store.commit([change("replace", ["a"], 1)])
    await store.commit([change("replace", [], {"b": 2})])
    assert await document(store) == {"b": 2}
    await store.commit([change("merge", [], {"c": 3})])
    assert await document(store) == {"b": 2, "c": 3}
    await store.commit([change("delete", []), change("replace", ["d"], 4)])
    assert await document(store) == {"d": 4}
    await store.commit([change("replace", [], "no map")])
    assert await document(store) == {}


async def test_a_change_that_cannot_be_applied_changes_nothing(store: Store) -> None:
    await store.commit([change("replace", ["a"], "text"), change("replace", ["a", "b"], 1), change("add", ["a"], 1)])
    assert await document(store) == {"a": "text"}


async def test_a_document_that_was_read_is_the_readers_own(store: Store) -> None:
    await store.commit([change("replace", ["a"], [1])])
    (await document(store))["a"].append(2)
    one, other = await documents(store, [CELL, CELL], NOON)
    one["a"].append(3)
    assert other == await document(store) == {"a": [1]}


async def test_no_document_is_seen_under_anothers_key(store: Store) -> None:
    keys = [ContextKey(w, c, k) for w in ("w", "w1") for c in ("user", "session") for k in ("a", "a\0b", "é", "")]
    await store.commit([change("replace", ["k"], list(key), cell=key) for key in keys])
    assert await documents(store, keys, NOON) == [{"k": list(key)} for key in keys]


async def test_a_document_is_gone_when_its_life_ended_at_or_before_now(store: Store) -> None:
    await store.commit([change("replace", ["a"], 1, expires_at=NOON)])
    assert await document(store, NOON - 1) == {"a": 1}
    assert await document(store, NOON) is None


async def test_the_last_change_says_when_a_document_ends(store: Store) -> None:
    await store.commit([change("replace", ["a"], 1, expires_at=NOON), change("replace", ["a"], 2, expires_at=NOON + 9)])
    assert await document(store, NOON + 8) == {"a": 2}
    await store.commit([change("replace", ["b"], 1, expires_at=None)])
    assert await document(store, NOON + 99) == {"a": 2, "b": 1}


async def test_a_change_of_a_document_that_was_seen_to_have_ended_starts_from_an_empty_one(store: Store) -> None:
    await store.commit([change("replace", ["a"], 1, expires_at=NOON)])
    assert await document(store, NOON) is None
    await store.commit([change("replace", ["b"], 2, expires_at=NOON + 9)])
    assert await document(store, NOON) == {"b": 2}


# events

async def test_events_come_newest_first_and_only_those_of_the_workspace(store: Store) -> None:
    await store.commit([event(n, workspace=f"w{n % 2}") for n in range(6)])
    assert await numbers(store) == [5, 3, 1]
    assert await numbers(store, ascending=True) == [1, 3, 5]
    assert await store.events(EventQuery("nobody")) == []


async def test_an_event_is_read_back_byte_by_byte(store: Store) -> None:
    written = event(1, text="é\u0000\"\\\n😀", big=2 ** 63, real=1e-7)
    await store.commit([written])
    assert (await store.events(EventQuery("w1")))[0].body == written.body


async def test_limit_and_offset_cut_a_page_out_of_the_order(store: Store) -> None:
    await store.commit([event(n, "even" if n % 2 == 0 else "odd") for n in range(200)])
    assert await numbers(store, limit=3, offset=2) == [197, 196, 195]
    assert await numbers(store, where=Is(("type",), ("even",)), limit=2, offset=3) == [192, 190]
    both = Is(("type",), ("even", "odd"))
    assert await numbers(store, where=both, limit=3, offset=100, ascending=True) == [100, 101, 102]


async def test_all_bounds_are_exclusive(store: Store) -> None:
    first = await store.commit([event(n, at=NOON + n) for n in range(150)])
    assert await numbers(store, after=first + 3, before=first + 6) == [5, 4]
    assert await numbers(store, after_time=NOON + 70, before_time=NOON + 73) == [72, 71]
    assert await numbers(store, after_time=NOON + 149) == await numbers(store, before_time=NOON) == []


async def test_time_bounds_hold_when_times_do_not_follow_positions(store: Store) -> None:
    times = [n * 7919 % 300 for n in range(300)]
    await store.commit([event(n, at=NOON + at) for n, at in enumerate(times)])
    late = [n for n, at in enumerate(times) if at > 250]
    early = [n for n, at in enumerate(times) if at < 50]
    assert await numbers(store, after_time=NOON + 250, ascending=True, limit=300) == late
    assert await numbers(store, before_time=NOON + 50, limit=300) == early[::-1]


async def test_events_are_found_by_what_they_are(store: Store) -> None:
    await store.commit([event(n, f"type.{n % 5}", correlation=f"c{n % 7}", session=f"s{n % 3}" if n % 2 else None, of=n % 4)
                        for n in range(300)])
    by_run, by_session = Is(("source", "correlationId"), ("c3",)), Is(("source", "sessionId"), ("s1",))
    assert await numbers(store, where=by_run, limit=3) == [297, 290, 283]
    assert await numbers(store, where=by_session, limit=2, ascending=True) == [1, 7]
    assert await numbers(store, where=All((by_run, by_session)), limit=2) == [283, 241]
    assert await numbers(store, where=Is(("type",), ("type.1", "type.4")), limit=3) == [299, 296, 294]
    assert await numbers(store, where=Any((by_run, Is(("type",), ("type.4",)))), limit=3) == [299, 297, 294]
    assert await numbers(store, where=Is(("id",), (event(17).id, event(230).id))) == [230, 17]
    assert await numbers(store, where=Prefix(("type",), "type."), limit=1) == [299]
    assert await numbers(store, where=Is(("payload", "of"), ("3",)), limit=2) == [299, 295]
    assert await numbers(store, where=All((by_run, Not(Text('"of":1')))), limit=2) == [290, 283]
    assert await numbers(store, where=Present(("source", "sessionId")), limit=2) == [299, 297]
    assert await numbers(store, where=EVERYTHING, limit=1) == [299]
    assert await numbers(store, where=NOTHING) == await numbers(store, where=Is(("type",), ())) == []


async def test_an_event_is_found_by_an_id_of_any_shape(store: Store) -> None:
    ids = ["1763812800000-0", "9f2c7a34-7d53-4a86-9f6d-1f1a5d1f7a11", "1763812800-", "é", "0123456789abc-", "¹²³⁴⁵⁶⁷⁸⁹⁰abc-1"]
    await store.commit([event(n, id=id) for n, id in enumerate(ids)])
    assert [await numbers(store, where=Is(("id",), (id,))) for id in ids] == [[n] for n in range(len(ids))]


# the rest of what is read

async def test_the_head_is_the_highest_position_committed(store: Store) -> None:
    assert await store.head() == 0
    first = await store.commit([event(1), event(2)])
    await store.commit([delivery("d1")])
    assert await store.head() == first + 1


async def test_deliveries_without_a_delivered_come_in_the_order_they_were_committed(store: Store) -> None:
    await store.commit([delivery("z"), delivery("b"), delivery("a")])
    await store.commit([Delivered("b"), delivery("c"), delivery("never"), Delivered("never"), Delivered("unknown")])
    assert await store.deliveries() == [delivery("z"), delivery("a"), delivery("c")]


async def test_a_wait_is_there_until_it_ended(store: Store) -> None:
    await store.commit([wait("x"), wait("y")])
    await store.commit([WaitEnded("x")])
    assert await store.waits() == [wait("y")]


async def test_a_tick_is_accepted_once_only(store: Store) -> None:
    await store.commit([Tick("w1", "greet", NOON)])
    with pytest.raises(Conflict):
        await store.commit([Tick("w1", "greet", NOON)])
    await store.commit([Tick("w1", "other", NOON), Tick("w2", "greet", NOON), Tick("w1", "greet", NOON - 1)])
    with pytest.raises(Conflict):
        await store.commit([Tick("w3", "greet", NOON), Tick("w3", "greet", NOON)])


async def test_a_tick_far_behind_the_newest_one_counts_as_fired(store: Store) -> None:
    await store.commit([Tick("w1", "greet", NOON), Tick("w1", "greet", NOON + TICKS_KEPT_MS)])
    with pytest.raises(Conflict):
        await store.commit([Tick("w1", "greet", NOON)])


async def test_ticks_are_the_last_firing_of_each_automation(store: Store) -> None:
    await store.commit([Tick("w1", "a", NOON + 2), Tick("w1", "a", NOON + 1), Tick("w1", "b", NOON)])
    assert sorted(await store.ticks()) == [Tick("w1", "a", NOON + 2), Tick("w1", "b", NOON)]


async def test_a_login_is_there_until_its_life_ends(store: Store) -> None:
    await store.commit([session("s1", NOON), session("s2"), session("s3")])
    await store.commit([SessionEnded("s3"), session("s2", NOON + 5)])
    assert await store.session("s1", NOON - 1) == session("s1", NOON)
    assert await store.session("s1", NOON) is None
    assert await store.session("s2", NOON + 4) == session("s2", NOON + 5)
    assert await store.session("s3", NOON) is None
    assert await store.session("unknown", NOON) is None


async def test_a_slug_belongs_to_one_workspace(store: Store) -> None:
    await store.commit([workspace("w1", "shop")])
    with pytest.raises(Conflict):
        await store.commit([workspace("w2", "shop")])
    await store.commit([workspace("w1", "store", 2), workspace("w2", "shop")])
    assert await store.workspaces() == [workspace("w1", "store", 2), workspace("w2", "shop")]


async def test_an_app_belongs_to_the_workspace_that_published_it(store: Store) -> None:
    await store.commit([App("mail", "w1", b'{"v":1}')])
    with pytest.raises(Conflict):
        await store.commit([App("mail", "w2", b"{}")])
    await store.commit([App("mail", "w1", b'{"v":2}'), App("chat", "w2", b"{}")])
    assert await store.apps() == [App("chat", "w2", b"{}"), App("mail", "w1", b'{"v":2}')]
    await store.commit([AppDeleted("mail"), App("mail", "w2", b"{}")])
    assert await store.apps() == [App("chat", "w2", b"{}"), App("mail", "w2", b"{}")]


async def test_a_topic_is_kept_once_for_each_member(store: Store) -> None:
    await store.commit([Topic("w1", "news", ""), Topic("w1", "news", "u1"), Topic("w1", "news", "u1")])
    assert await store.topics() == [Topic("w1", "news", ""), Topic("w1", "news", "u1")]


async def test_a_deleted_workspace_takes_what_is_its_own_but_leaves_its_events(store: Store) -> None:
    other = ContextKey("w10", "global", "w10")
    await store.commit([workspace("w1", "shop"), workspace("w10", "other"), event(1), change("replace", ["a"], 1),
                        change("replace", ["a"], 1, cell=other), delivery("d1"), delivery("d2", workspace="w10"),
                        wait("x1"), wait("x2", workspace="w10"), Tick("w1", "a", NOON), Tick("w10", "a", NOON),
                        Topic("w1", "t", "u"), Topic("w10", "t", "u")])
    await store.commit([change("replace", ["b"], 1), delivery("d3"), WorkspaceDeleted("w1"), event(2)])
    assert [w.id for w in await store.workspaces()] == ["w10"]
    assert await documents(store, [CELL, other], NOON) == [None, {"a": 1}]
    assert [d.id for d in await store.deliveries()] == ["d2"]
    assert [w.id for w in await store.waits()] == ["x2"]
    assert await store.ticks() == [Tick("w10", "a", NOON)]
    assert await store.topics() == [Topic("w10", "t", "u")]
    assert await numbers(store) == [2, 1]


async def test_what_follows_the_deletion_of_a_workspace_stays(store: Store) -> None:
    await store.commit([workspace("w1", "shop"), change("replace", ["a"], 1), delivery("d1")])
    await store.commit([WorkspaceDeleted("w1"), workspace("w1", "shop", 2), change("replace", ["b"], 2), delivery("d2"),
                        Tick("w1", "a", NOON)])
    assert await store.workspaces() == [workspace("w1", "shop", 2)]
    assert await document(store) == {"b": 2}
    await store.commit([Delivered("d1")])
    assert await store.deliveries() == [delivery("d2")]


# housekeeping

async def test_expire_drops_what_ended_and_says_how_many(store: Store) -> None:
    cells = [ContextKey("w1", "user", f"u{n}") for n in range(4)]
    await store.commit([change("replace", ["n"], n, cell=cell, expires_at=NOON + n) for n, cell in enumerate(cells)])
    await store.commit([change("replace", ["n"], 9, cell=cells[0], expires_at=NOON + 9), change("replace", ["a"], 1),
                        session("s1", NOON), session("s2", NOON + 5), session("s3")])
    assert await store.expire(NOON + 2) == 3
    assert await store.expire(NOON + 2) == 0
    assert await documents(store, cells, NOON) == [{"n": 9}, None, None, {"n": 3}]
    assert await document(store) == {"a": 1}
    assert [await store.session(id, NOON - 1) is None for id in ("s1", "s2", "s3")] == [True, False, False]


async def test_ping_says_nothing_while_the_store_can_be_read(store: Store) -> None:
    assert await store.ping() is None


async def test_close_writes_what_is_waiting(store: Store) -> None:
    waiting = [store.commit([event(n)]) for n in range(5)]
    await store.close()
    assert [future.done() for future in waiting] == [True] * 5
    assert (await asyncio.gather(*waiting))[-1] == await store.head() == 5


async def test_nothing_works_after_close(store: Store) -> None:
    await store.close()
    await store.close()
    for use in (store.commit([event(1)]), store.ping(), store.contexts([CELL], NOON), store.events(EventQuery("w1"))):
        with pytest.raises(Unavailable):
            await use


@pytest.mark.parametrize("url", ["", "data", "file:", "http://host"])
async def test_an_address_that_names_no_store_is_refused(url: str) -> None:
    with pytest.raises(StoreError):
        await stores.open(url)


# feeds, and what only several nodes need

async def test_an_item_is_there_until_its_life_ends(store: Store) -> None:
    first, second = Item("feed", "f1", "w1", NOON, b"{}"), Item("feed", "f2", "w1", NOON + 5, b'{"a":1}')
    await store.commit([first, second, Item("feed", "f3", "w1", NOON + 9, b"{}")])
    assert await store.item("feed", "f1", NOON - 1) == first
    assert await store.item("feed", "f1", NOON) is None
    await store.commit([ItemEnded("feed", "f3"), first._replace(expires_at=NOON + 7, body=b"[]")])
    assert await store.item("feed", "f1", NOON) == Item("feed", "f1", "w1", NOON + 7, b"[]")
    assert await store.item("feed", "f3", NOON) is None
    assert await store.expire(NOON + 5) == 1
    assert await store.item("feed", "f2", NOON) is None
    assert await store.item("feed", "f1", NOON) is not None


async def test_a_deleted_workspace_takes_its_items(store: Store) -> None:
    other = Item("feed", "f2", "w2", NOON, b"{}")
    await store.commit([workspace("w1", "shop"), Item("feed", "f1", "w1", NOON, b"{}"), other])
    await store.commit([WorkspaceDeleted("w1")])
    assert [await store.item("feed", id, NOON - 1) for id in ("f1", "f2")] == [None, other]


async def test_what_only_several_nodes_need_is_taken_and_changes_nothing(store: Store) -> None:
    if store.cluster is not None:
        return
    assert await store.commit([RunHeld("w1", "c1"), Volatile("w1", b"{}"), RunLeft("w1", "c1")]) == 0
    assert await store.commit([RunHeld("w1", "c1"), event(1)]) == 1
    assert len(await store.events(EventQuery("w1"))) == 1


# retention

async def test_events_are_forgotten_by_age(store: Store) -> None:
    await store.commit([event(n, at=NOON + n, correlation=f"c{n % 3}") for n in range(200)] + [event(1, workspace="w2", at=NOON)])
    assert await store.forget_events("w1", before_time=NOON + 130) == 130
    assert await numbers(store, limit=200, ascending=True) == list(range(130, 200))
    assert await numbers(store, limit=200, ascending=True, where=Is(("source", "correlationId"), ("c1",))) == list(range(130, 200, 3))
    assert len(await store.events(EventQuery("w2"))) == 1
    assert await store.forget_events("w1", before_time=NOON + 130) == 0


async def test_events_are_forgotten_but_for_the_newest(store: Store) -> None:
    await store.commit([event(n, workspace=f"w{1 + n % 2}") for n in range(200)])
    assert await store.forget_events("w1", keep=100) == 0
    assert await store.forget_events("w1", keep=30) == 70
    assert await numbers(store, limit=200, ascending=True) == list(range(140, 200, 2))
    assert len(await store.events(EventQuery("w2", limit=200))) == 100
    assert await store.forget_events("w1", keep=0) == 30
    assert await store.events(EventQuery("w1")) == []


async def test_events_are_forgotten_that_are_too_old_or_too_many(store: Store) -> None:
    await store.commit([event(n, at=NOON - n) for n in range(10)])
    assert await store.forget_events("w1", before_time=NOON - 7, keep=5) == 7
    assert await numbers(store, ascending=True) == [5, 6, 7]
    assert await store.forget_events("w1") == 0
    assert await store.forget_events("unknown", before_time=NOON, keep=0) == 0


async def test_the_oldest_event_is_the_first_that_is_left(store: Store) -> None:
    assert await store.oldest("w1") == 0
    await store.commit([event(1, workspace="w2"), *(event(n, at=NOON + n) for n in range(100))])
    assert await store.oldest("w1") == 2
    await store.forget_events("w1", before_time=NOON + 70)
    assert await store.oldest("w1") == 72
    await store.forget_events("w1", keep=0)
    assert await store.oldest("w1") == 0
    assert await store.oldest("w2") == 1


async def test_positions_grow_though_all_events_are_forgotten(store: Store) -> None:
    await store.commit([event(n) for n in range(5)])
    await store.forget_events("w1", keep=0)
    assert await store.head() == 5
    assert await store.commit([event(6)]) == 6


async def test_workspaces_with_events_are_known_until_the_last_is_forgotten(store: Store) -> None:
    await store.commit([workspace("w1", "shop"), workspace("w3", "empty"), event(1), event(2, workspace="w2")])
    await store.commit([WorkspaceDeleted("w1")])
    assert sorted(await store.event_workspaces()) == ["w1", "w2"]
    await store.forget_events("w1", keep=0)
    assert await store.event_workspaces() == ["w2"]
    await store.commit([event(3)])
    assert sorted(await store.event_workspaces()) == ["w1", "w2"]
    assert await numbers(store) == [3]


async def test_items_are_listed_by_collection_and_workspace(store: Store) -> None:
    items = [Item("keys", "k2", "w1", None, b"{}"), Item("keys", "k1", "w1", NOON, b"[]"), Item("keys", "k3", "w2", None, b"{}"),
             Item("names", "k1", "w1", None, b"{}"), Item("keys", "k4", "", None, b"{}")]
    await store.commit(items)
    assert await store.items("keys", "w1", NOON - 1) == [items[1], items[0]]
    assert await store.items("keys", "w1", NOON) == [items[0]]
    assert await store.items("keys", "", NOON) == [items[4]]
    assert await store.items("nothing", "w1", NOON) == []


async def test_the_first_item_of_an_id_comes_once(store: Store) -> None:
    first = Item("accounts", "ada@example.com", "", None, b"{}", is_first=True)
    await store.commit([first])
    with pytest.raises(Conflict):
        await store.commit([first._replace(body=b"[]"), Item("accounts", "other", "", None, b"{}")])
    assert [item.id for item in await store.items("accounts", "", NOON)] == ["ada@example.com"]
    await store.commit([first._replace(body=b'{"a":1}', is_first=False)])
    with pytest.raises(Conflict):
        await store.commit([first])
    await store.commit([ItemEnded("accounts", first.id)])
    await store.commit([first])
    assert (await store.item("accounts", first.id, NOON)).body == b"{}"
