"""Conditions of rules: asked of a subject and of stored events they say the same, and never allow more than they say."""
from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.permissions import conditions
from runtime.permissions.conditions import Unusable, as_condition, filled, holds
from runtime.permissions.patterns import glob_of
from runtime.values import encode
from store.query import pattern_of, predicate

PAGE = {"id": "p1", "labels": ["public", "blog"], "rank": 3, "author": {"id": "alice"}, "draft": False, "note": None}
HELD = [
    ({}, True), ({"id": "p1"}, True), ({"id": "p2"}, False), ({"author.id": "alice"}, True), ({"rank": "3"}, True),
    ({"labels": "public"}, True), ({"labels": {"$in": ["private", "blog"]}}, True), ({"labels": {"$all": ["public", "blog"]}}, True),
    ({"labels": {"$all": ["public", "other"]}}, False), ({"labels": {"$nin": ["public"]}}, False), ({"id": {"$ne": "p1"}}, False),
    ({"rank": {"$gt": 2, "$lte": 3}}, True), ({"rank": {"$lt": 3}}, False), ({"rank": {"$gte": "2"}}, False),
    ({"note": {"$exists": False}}, True), ({"draft": {"$exists": True}}, True), ({"other": None}, True), ({"note": {"$in": [None, 1]}}, True),
    ({"id": {"$regex": "^p\\d$"}}, True), ({"id": {"$regex": "^P", "$options": "i"}}, True), ({"labels": {"$regex": "^blo"}}, True),
    ({"$or": [{"id": "p2"}, {"rank": 3}]}, True), ({"$and": [{"id": "p1"}, {"rank": 4}]}, False), ({"$nor": [{"id": "p2"}]}, True),
    ({"$not": {"id": "p1"}}, False), ({"id": {"$not": {"$in": ["p1"]}}}, False), ({"draft": False}, True),
]


@pytest.mark.parametrize(("raw", "is_met"), HELD)
def test_what_a_subject_meets(raw: dict[str, Any], is_met: bool) -> None:
    assert holds(conditions.parse(raw), PAGE) is is_met


@pytest.mark.parametrize("raw", ["x", {"$where": "1"}, {"id": {"$function": 1}}, {"id": {}}, {"id": {"a": 1}}, {"$or": {}}, {"id": {"$in": 1}},
                                 {"id": {"$regex": "("}}, {"id": {"$regex": 1}}, {"id": {"$gt": None}}, {"id": {"$exists": 1}}, {"id": {"$in": [{}]}}])
def test_what_cannot_be_understood_is_said(raw: Any) -> None:
    with pytest.raises(Unusable):
        conditions.parse(raw)


def test_placeholders_are_filled_whole_or_inside_a_text() -> None:
    node = conditions.parse({"a": "{{session.id}}", "b": {"$in": "${user.topics}"}, "c": "user-${ user.id }!", "d": {"$in": ["x", "{{user.id}}"]}})
    assert set(conditions.names(node)) == {"session.id", "user.topics", "user.id"}
    known = {"session.id": "s1", "user.topics": ("t1", "t2"), "user.id": "alice"}.get
    assert holds(filled(node, known), {"a": "s1", "b": "t2", "c": "user-alice!", "d": "alice"})
    assert not holds(filled(node, known), {"a": "s1", "b": "t3", "c": "user-alice!", "d": "x"})


scalars = st.sampled_from(["note", "notes", "a.b", "apikeys.created", "", "1", 1, 2.5, True, None])
tests = st.one_of(
    scalars, st.builds(lambda op, value: {op: value}, st.sampled_from(["$eq", "$ne"]), scalars),
    st.builds(lambda op, values: {op: values}, st.sampled_from(["$in", "$nin"]), st.lists(scalars, max_size=3)),
    st.builds(lambda op, value: {op: value}, st.sampled_from(["$gt", "$gte", "$lt", "$lte"]), st.sampled_from([1, 2.5, "note"])),
    st.builds(lambda value: {"$exists": value}, st.booleans()))
patterns = st.sampled_from(["^note", "s$", "^note$", "ot", "^a.b$", "^a\\.b$", "^apikeys\\..*$", "^apikeys\\.*$", "(a|n)", "^[an]", "^n.+s$", "no?t", "^$"])
wider = st.one_of(tests, patterns.map(lambda pattern: {"$regex": pattern}))
paths = st.sampled_from(["type", "source.userId", "payload.count"])


def trees(leaves: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    flat = st.dictionaries(paths, leaves, max_size=3)
    return st.recursive(flat, lambda inner: st.builds(
        lambda op, parts: {op: parts}, st.sampled_from(["$and", "$or", "$nor"]), st.lists(inner, min_size=1, max_size=3)), max_leaves=4)


events = st.fixed_dictionaries({"type": st.sampled_from(["note", "notes", "a.b", "axb", "apikeys.created"])}, optional={
    "source": st.fixed_dictionaries({}, optional={"userId": scalars}), "payload": st.fixed_dictionaries({}, optional={"count": scalars})})


@settings(max_examples=300)
@given(trees(tests), events)
def test_a_store_finds_what_meets_the_conditions(raw: dict[str, Any], event: dict[str, Any]) -> None:
    node = conditions.parse(raw)
    for is_wide in (True, False):
        assert predicate(as_condition(node, is_wide=is_wide))(event, encode(event)) is holds(node, event)


@settings(max_examples=300)
@given(trees(wider), events)
def test_what_a_store_cannot_look_for_forbids_more_and_allows_less(raw: dict[str, Any], event: dict[str, Any]) -> None:
    node = conditions.parse(raw)
    wide, narrow = (predicate(as_condition(node, is_wide=is_wide))(event, encode(event)) for is_wide in (True, False))
    assert narrow <= holds(node, event) <= wide


@settings(max_examples=300)
@given(st.lists(st.sampled_from("ab.*?+\\^$-"), max_size=7).map("".join), st.lists(st.sampled_from("ab.*-"), max_size=6).map("".join))
def test_a_glob_finds_all_that_the_expression_does(expression: str, text: str) -> None:
    try:
        found = holds(conditions.parse({"x": {"$regex": expression}}), {"x": text})
    except Unusable:
        return
    glob = glob_of(expression)
    looked = pattern_of(glob.pattern, False).fullmatch(text) is not None
    assert looked == found if glob.is_exact else looked >= found
