"""A condition means the same to a store that searches with SQL and to a feed that asks `query.predicate`."""
from __future__ import annotations

import asyncio
import sqlite3
from typing import Any as Anything

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

import store as stores
from runtime.values import decode, encode
from store.embedded.conditions import add_functions, clause
from store.query import (
    EVERYTHING,
    NOTHING,
    Absent,
    All,
    Any,
    AtMost,
    Condition,
    EventQuery,
    Is,
    Not,
    Prefix,
    Present,
    Suffix,
    Text,
    as_text,
    predicate,
)
from store.records import Event
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
            Text(text), Text(encode(value).decode())]))

    def tree(depth: int) -> Condition:
        kind = draw(st.sampled_from([leaf, leaf, All, Any, Not])) if depth else leaf
        if kind is leaf:
            return leaf()
        if kind is Not:
            return Not(tree(depth - 1))
        return kind(tuple(tree(depth - 1) for _ in range(draw(st.integers(0, 3)))))

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
        st.just(Present(("source", "sessionId"))), st.sampled_from([EVERYTHING, NOTHING]))
    where = draw(st.recursive(leaf, lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda parts: All(tuple(parts))),
        st.lists(inner, max_size=3).map(lambda parts: Any(tuple(parts))), inner.map(Not)), max_leaves=4))
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


def test_every_store_answers_a_query_alike(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("data")
    with asyncio.Runner() as runner:
        memory = runner.run(stores.open("memory:"))
        file = runner.run(stores.open(f"file:{folder}"))

        async def fill() -> None:
            for store in (memory, file):
                await store.commit(some_events())

        runner.run(fill())

        @settings(max_examples=80, deadline=None)
        @given(query=queries())
        def agree(query: EventQuery) -> None:
            assert runner.run(file.events(query)) == runner.run(memory.events(query))

        agree()
        runner.run(file.close())
