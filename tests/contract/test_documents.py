"""Logs of changes: said with fewer operations, folded later or at once, they make the same document."""
from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import store as stores
from store.documents import fold, operation, shortened
from store.records import Change, ContextKey
from tests.contract.facts import CELL, NOON, change, documents

KEYS = st.sampled_from(["a", "b", "c", "0", "1", 0, 1])
VALUES = st.recursive(st.one_of(st.none(), st.integers(-9, 9), st.sampled_from(["", "x", True, 0.5])),
                      lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("ab01"), inner, max_size=2),
                      max_leaves=4)
PATHS = st.lists(KEYS, max_size=3)


@st.composite
def changes(draw: st.DrawFn, cell: ContextKey = CELL) -> Change:
    op = draw(st.sampled_from(["replace", "replace", "replace", "merge", "push", "add", "add", "delete"]))
    path = draw(PATHS if draw(st.integers(0, 9)) == 0 else st.lists(KEYS, min_size=1, max_size=2))
    value = draw(st.integers(-3, 3) if op == "add" else VALUES)
    return change(op, path, None if op == "delete" else value, cell=cell)


@settings(max_examples=150, deadline=None)
@given(log=st.lists(changes(), max_size=14))
@example(log=[change("replace", ["a"], [1, 2]), change("replace", ["a", "1"], 3), change("delete", ["a", 0]),
              change("replace", ["a", "1"], 4)])
@example(log=[change("replace", ["1"], 1), change("replace", [1], 2), change("replace", ["1"], 3)])
@example(log=[change("replace", ["a", "b"], 1), change("replace", ["a"], "x"), change("replace", ["a", "b"], 2)])
@example(log=[change("add", ["a"], 1), change("replace", ["a"], "x"), change("add", ["a"], 1)])
def test_a_shortened_log_makes_the_same_document(log: list[Change]) -> None:
    assert fold(shortened(log)) == fold(map(operation, log))


def test_writing_one_place_again_and_again_is_one_operation() -> None:
    log = [change("add", ["n"], 1), change("replace", ["a", "b"], 0), change("replace", ["c"], 0)] * 50
    assert len(shortened(log)) == 3
    assert fold(shortened(log)) == {"n": 50, "a": {"b": 0}, "c": 0}


def test_what_comes_before_a_new_whole_document_is_left_out() -> None:
    log = [change("replace", ["a"], 1), change("delete", []), change("replace", ["b"], 2)]
    assert [entry.op for entry in shortened(log)] == ["replace", "replace"]
    assert fold(shortened(log)) == {"b": 2}


CELLS = [CELL, ContextKey("w1", "user", "u1")]
STEPS = st.lists(st.lists(st.sampled_from(CELLS).flatmap(changes), max_size=4), max_size=8)


def test_a_store_holds_what_its_changes_make_whatever_was_written_together(tmp_path: Any) -> None:
    """The model is a fold of everything ever committed; each example goes on with cells of its own."""
    with asyncio.Runner() as runner:
        opened = [runner.run(stores.open(url)) for url in ("memory:", f"file:{tmp_path}/data")]
        count = iter(range(10 ** 6))

        async def check(store: stores.Store, batches: list[list[Change]], together: bool) -> None:
            number = str(next(count))
            named = {cell: cell._replace(key=f"{cell.key}-{number}") for cell in CELLS}
            batches = [[fact._replace(cell=named[fact.cell]) for fact in batch] for batch in batches]
            futures = [store.commit(batch) if together else await asyncio.wait([store.commit(batch)]) for batch in batches]
            if together:
                await asyncio.gather(*futures)
            for cell, found in zip(CELLS, await documents(store, list(named.values()), NOON), strict=True):
                log = [operation(fact) for batch in batches for fact in batch if fact.cell == named[cell]]
                assert found == (fold(log) if log else None)

        @settings(max_examples=30, deadline=None)
        @given(batches=STEPS, together=st.booleans())
        def agree(batches: list[list[Change]], together: bool) -> None:
            for store in opened:
                runner.run(check(store, batches, together))

        agree()
        for store in opened:
            runner.run(store.close())


@pytest.mark.parametrize("value", [b"", b"{", b"nonsense"])
def test_a_value_that_is_no_json_changes_nothing(value: bytes) -> None:
    assert fold([("replace", b'["a"]', b"1"), ("replace", b'["a"]', value)]) == {"a": 1}
