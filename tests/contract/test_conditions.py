"""A condition means the same to a store that searches with SQL and to a feed that asks `query.predicate`."""
from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path
from typing import Any as Anything

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from stores import KINDS

import store as stores
from runtime.values import decode, encode
from store.embedded.conditions import add_functions, clause
from store.protocol import Store
from store.query import (
    EVERYTHING,
    NOTHING,
    Absent,
    All,
    Any,
    AtLeast,
    AtMost,
    Compared,
    Condition,
    EventQuery,
    Exists,
    Is,
    Like,
    Not,
    Prefix,
    Present,
    Suffix,
    Text,
    Words,
    all_of,
    as_text,
    predicate,
    words_of,
)
from store.records import Event, Member
from tests.contract.facts import NOON, event

KEYS = st.sampled_from(["a", "b", "a.b", "0", "1", "01", "١", "é", "", '"', "\\", "%_", "x y", "[0]", "$", "\n", "A"])
TEXTS = st.one_of(st.text(max_size=4), st.sampled_from(
    ["true", "false", "null", "0", "1", "1.0", "-0", "1.5", "1e22", "%", "_", "a\\n", "\n", "n", '"', '""', "\\", "\0", "😀", "u0001",
     "\x01", "100000000000000000000", "9007199254740993", "18446744073709551615", "1e-07", "1e-7", "٣", "1_0", " 1"]))
NUMBERS = st.one_of(
    st.integers(-2 ** 63, 2 ** 64 - 1), st.integers(-3, 3), st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from([0.0, -0.0, 1.0, 1e22, 1e-7, 0.1, 2.0 ** 53, 1e20]))
VALUES = st.recursive(st.one_of(st.none(), st.booleans(), NUMBERS, TEXTS),
                      lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3), max_leaves=8)
EVENTS = st.dictionaries(KEYS, VALUES, max_size=4)
ORDERS = st.sampled_from(["gt", "gte", "lt", "lte"])
PATTERNS = st.text(st.sampled_from("*?\\aAé1.\n"), max_size=6)
PATHS = st.lists(KEYS, max_size=3).map(tuple)


@pytest.fixture(scope="module")
def connection() -> sqlite3.Connection:
    connection = sqlite3.connect(":memory:")
    add_functions(connection)
    return connection


def leaves(value: Anything, path: tuple[str, ...] = ()) -> list[tuple[tuple[str, ...], Anything]]:
    """Every value below this one with its path."""
    members = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [(path, value), *(leaf for key, member in members for leaf in leaves(member, (*path, str(key))))]


@st.composite
def events_with_conditions(draw: st.DrawFn) -> tuple[dict[str, Anything], Condition]:
    """Mostly of paths and values that are there, or nearly."""
    happening = draw(EVENTS)
    known = leaves(happening)

    def leaf() -> Condition:
        path, value = draw(st.sampled_from(known))
        if draw(st.integers(0, 3)) == 0:
            path = draw(PATHS)
        text = as_text(value)
        if text is None or draw(st.integers(0, 3)) == 0:
            text = draw(TEXTS)
        start, end = draw(st.integers(0, 3)), draw(st.integers(0, 3))
        return draw(st.sampled_from([
            Is(path, (text,)), Is(path, (draw(TEXTS), text)), Is(path, ()), Prefix(path, text[:start]), Prefix(path, text),
            Suffix(path, text[-end:]), Suffix(path, text), Present(path), Absent(path), AtMost(path, draw(st.integers(-2, 2))),
            Text(text), Text(encode(value).decode()), Exists(path),
            Compared(path, draw(ORDERS), value if type(value) in (int, float, str) else draw(st.one_of(NUMBERS, TEXTS))),
            Compared(path, draw(ORDERS), draw(st.one_of(NUMBERS, TEXTS))),
            Like(path, draw(PATTERNS), draw(st.booleans())), Like(path, text[:start] + "*" + text[len(text) - end:].upper(), draw(st.booleans())),
            Words(path[:-1], tuple(words_of(text)[:2] + words_of(draw(TEXTS))), draw(st.booleans()))]))

    def tree(depth: int) -> Condition:
        kind = draw(st.sampled_from([leaf, leaf, All, Any, Not, AtLeast])) if depth else leaf
        if kind is leaf:
            return leaf()
        if kind is Not:
            return Not(tree(depth - 1))
        parts = tuple(tree(depth - 1) for _ in range(draw(st.integers(0, 3))))
        return AtLeast(draw(st.integers(0, 3)), parts) if kind is AtLeast else kind(parts)

    return happening, tree(2)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(case=events_with_conditions())
@example(case=({"a": [{"0": "x"}]}, Is(("a", "0", "0"), ("x",))))
@example(case=({"a": "\n"}, Suffix(("a",), "n")))
@example(case=({"a": ""}, Suffix(("a",), '"')))
@example(case=({"a": '"'}, Suffix(("a",), '"')))
@example(case=({"a": 1.0}, Prefix(("a",), "1.")))
@example(case=({"a": 2 ** 64 - 1}, Is(("a",), ("18446744073709551615",))))
@example(case=({"a": 1e20}, Is(("a",), ("100000000000000000000",))))
@example(case=({"a": -0.0}, Is(("a",), ("0",))))
@example(case=({"a": None}, Not(Is(("a",), ("null",)))))
@example(case=({"a": "x"}, Is(("a", "\ud800"), ("x", "\ud800"))))
@example(case=({"a": "x"}, Not(Prefix(("a",), "\udfff"))))
@example(case=({"a": 2 ** 53 + 1}, Compared(("a",), "gt", 2.0 ** 53)))
@example(case=({"a": 2 ** 64 - 1}, Compared(("a",), "lt", 2 ** 64)))
@example(case=({"a": "x"}, Compared(("a",), "lt", "\ud800")))
@example(case=({"a": "x"}, Text("\ud800")))
@example(case=({"a": 1}, All((Is(("a",), ("1",)),) * 1000)))
@example(case=({"a": 1}, Any((Is(("a",), ("2",)),) * 1000)))
def test_sql_and_predicate_agree(connection: sqlite3.Connection, case: tuple[dict[str, Anything], Condition]) -> None:
    happening, condition = case
    body = encode(happening)
    sql, parameters = clause(condition)
    found = connection.execute(f"SELECT {sql} FROM (SELECT ? AS body)", [*parameters, body.decode()]).fetchone()[0]
    assert found in (0, 1)
    assert bool(found) == predicate(condition)(decode(body), body)


FOUND_BY = {"type": ("type",), "run": ("source", "correlationId"), "session": ("source", "sessionId"), "id": ("id",)}


@st.composite
def queries(draw: st.DrawFn) -> EventQuery:
    names = st.sampled_from(["t1", "t2", "t3"])
    leaf = st.one_of(
        st.builds(lambda by, values: Is(FOUND_BY[by], tuple(values)), st.sampled_from(list(FOUND_BY)), st.lists(names, max_size=3)),
        st.builds(lambda n: Is(("payload", "number"), (str(n),)), st.integers(0, 200)),
        st.builds(lambda n: Prefix(("payload", "number"), str(n)), st.integers(0, 9)),
        st.builds(Compared, st.sampled_from([("payload", "number"), ("type",)]), ORDERS, st.one_of(st.integers(0, 200), names)),
        st.builds(Like, st.sampled_from([("payload", "number"), ("type",), ("id",)]), st.text("*?1tT28", max_size=4), st.booleans()),
        st.builds(Words, st.sampled_from([(), ("payload",), ("source",)]), st.lists(st.sampled_from(["t1", "w1", "t2", "7", "17"]), max_size=2)
                  .map(tuple), st.booleans()),
        st.builds(Exists, st.sampled_from([("source", "sessionId"), ("payload", "number"), ("payload", "x")])),
        st.just(Present(("source", "sessionId"))), st.sampled_from([EVERYTHING, NOTHING]))
    where = draw(st.recursive(leaf, lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda parts: All(tuple(parts))),
        st.lists(inner, max_size=3).map(lambda parts: Any(tuple(parts))), inner.map(Not),
        st.builds(AtLeast, st.integers(0, 3), st.lists(inner, max_size=3).map(tuple))), max_leaves=4))
    bound = st.none() | st.integers(0, 220)
    moment = st.none() | st.integers(NOON - 5, NOON + 60)
    return EventQuery(draw(st.sampled_from(["w1", "w2"])), where, after=draw(bound), before=draw(bound), after_time=draw(moment),
                      before_time=draw(moment), ascending=draw(st.booleans()), limit=draw(st.integers(1, 60)),
                      offset=draw(st.integers(0, 10)))


def some_events() -> list[Event]:
    """Two hundred, over a few blocks, in which everything that is asked for comes and goes."""
    return [event(n, f"t{n // 70 % 3 + n * n % 3}", workspace=f"w{1 + (n % 11 > 6)}", correlation=f"t{n // 20 % 4}",
                  session=(None, "t1", "t2")[n * 7 % 3], at=NOON + n * 37 % 60, id="t1" if n == 130 else None)
            for n in range(200)]


def test_every_store_answers_a_query_alike(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    addresses = [f"file:{tmp_path / 'data'}", *([request.getfixturevalue("mongodb")] if "mongodb" in KINDS else [])]
    with asyncio.Runner() as runner:
        memory, *others = (runner.run(_filled(address)) for address in ("memory:", *addresses))

        @settings(max_examples=120, deadline=None)
        @given(query=queries())
        def agree(query: EventQuery) -> None:
            expected = runner.run(memory.events(query))
            for store in others:
                assert runner.run(store.events(query)) == expected

        agree()
        for store in others:
            runner.run(store.close())


async def _filled(address: str) -> Store:
    store = await stores.open(address)
    if store.cluster is not None:
        await store.cluster.join(Member("n1", "http://n1", "host", 1), lambda position, facts: None)
    await store.commit(some_events())
    return store


@given(parts=st.recursive(st.builds(Text, TEXTS), lambda inner: st.lists(inner, max_size=3).map(lambda p: All(tuple(p))), max_leaves=8))
def test_parts_of_parts_stand_side_by_side(parts: Condition) -> None:
    flat = all_of(parts, EVERYTHING)
    assert not any(isinstance(part, All) for part in (flat.parts if isinstance(flat, All) else ()))
    assert all(predicate(flat)({}, text) == predicate(parts)({}, text) for text in (b"", b"true", b"0 1 1.5 null"))


def test_a_pattern_full_of_stars_is_matched_quickly() -> None:
    looks_like = predicate(Like(("a",), "*a" * 40 + "b"))
    assert not looks_like({"a": "a" * 5000}, b"")


async def test_a_search_that_nobody_waits_for_any_more_holds_up_nobody(tmp_path: Path) -> None:
    store = await stores.open(f"file:{tmp_path}/data")
    await store.commit(some_events())
    await store.commit([event(n, "bulk", at=NOON) for n in range(20_000)])
    endless = All((Any(tuple(Like(("payload", "number"), f"*{n}x") for n in range(300))),))
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await store.events(EventQuery("w1", endless))
    async with asyncio.timeout(2):
        assert len(await store.events(EventQuery("w1", limit=3))) == 3
    await store.close()
