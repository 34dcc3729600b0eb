"""Queries of `jsonmatch()` and the operator objects of filters."""
from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.errors import ExpressionError
from runtime.expressions import is_operators, matches_filter, matches_operators, matches_query
from runtime.values import UNDEFINED

DOCUMENT = {"foo": "bar", "n": 5, "s": "hello", "tags": ["a", "b"], "l": [1, 2], "in": {"k": 1}, "nul": None, "t": True,
            "items": [{"k": 1, "v": "x"}, {"k": 2, "v": "y"}], "deep": [{"in": [{"z": 3}]}]}


@pytest.mark.parametrize(("query", "expected"), [
    ({}, True), ({"foo": "bar", "n": 5}, True), ({"foo": "bar", "n": 6}, False), ({"$or": [{"foo": "zz"}, {"n": {"$gte": 5}}]}, True),
    ({"in.k": 1}, True), ({"in": {"k": 1}}, True), ({"in": {}}, False), ({"tags": "a"}, True), ({"tags": ["a", "b"]}, True),
    ({"tags": ["b", "a"]}, False), ({"n": {"$ne": 5}}, False), ({"n": {"$in": [1, 5]}}, True), ({"n": {"$nin": [1, 5]}}, False),
    ({"s": {"$regex": "^he"}}, True), ({"s": {"$regex": "^HE", "$options": "i"}}, True), ({"s": {"$regex": "^HE"}}, False),
    ({"tags": {"$regex": "^b"}}, True), ({"n": {"$regex": "5"}}, False), ({"x": {"$exists": False}}, True), ({"nul": {"$exists": True}}, True),
    ({"n": {"$gt": 1, "$lt": 5}}, False), ({"n": {"$gt": 1, "$lte": 5}}, True), ({"l": {"$size": 2}}, True), ({"n": {"$size": 1}}, False),
    ({"l": {"$all": [2, 1]}}, True), ({"l": {"$all": [2, 3]}}, False), ({"x": None}, True), ({"nul": None}, True), ({"n": None}, False),
    ({"n": "5"}, False), ({"n": {"$gt": "1"}}, False), ({"s": {"$gt": "a"}}, True), ({"t": 1}, False), ({"t": True}, True),
    ({"items.k": 2}, True), ({"items.0.k": 1}, True), ({"items.0.k": 2}, False), ({"deep.in.z": 3}, True),
    ({"items": {"$elemMatch": {"k": 1, "v": "y"}}}, False), ({"items": {"$elemMatch": {"k": 1, "v": "x"}}}, True),
    ({"l": {"$elemMatch": {"$gt": 1, "$lt": 3}}}, True), ({"$and": [{"n": 5}, {"s": "hello"}]}, True), ({"$nor": [{"n": 5}]}, False),
    ({"$nor": [{"n": 6}]}, True), ({"n": {"$not": {"$gt": 7}}}, True), ({"n": {"$not": {"$gt": 3}}}, False), ({"$not": {"n": 6}}, True),
    ({"l": {"$gt": 1}}, True), ({"l": {"$ne": 1}}, False), ({"x": {"$ne": 1}}, True), ({"n": {"$eq": 5}}, True), ({"x": {"$in": [None]}}, True)])
def test_the_table_of_queries(query, expected):
    assert matches_query(DOCUMENT, query) is expected


@pytest.mark.parametrize("query", [{"n": {"$nope": 1}}, {"$or": {"n": 1}}, {"n": {"$in": 5}}, {"$and": [1]}, {"s": {"$regex": "("}}])
def test_a_malformed_query_is_an_error(query):
    with pytest.raises(ExpressionError):
        matches_query(DOCUMENT, query)


@pytest.mark.parametrize(("value", "operators", "expected"), [
    (3, {"$gt": 2}, True), ("3", {"$gt": 2}, True), ("x", {"$gt": 2}, False), (None, {"$gte": 0}, False), (UNDEFINED, {"$lt": 5}, False),
    ("bad", {"$ne": "bad"}, False), (UNDEFINED, {"$ne": "bad"}, True), (1, {"$eq": "1"}, True), ("1", {"$in": [1, 2]}, True),
    ("3", {"$nin": [1, 2]}, True), ({"a": 1}, {"$eq": {"a": 1}}, True), ("hello", {"$regex": "^he"}, True), (5, {"$exists": True}, True),
    (UNDEFINED, {"$exists": True}, False), (UNDEFINED, {"$exists": False}, True), (4, {"$gt": 2, "$lt": 4}, False)])
def test_filters_compare_loosely(value, operators, expected):
    assert matches_operators(value, operators) is expected


def test_a_filter_is_a_value_or_an_operator_object():
    assert matches_filter("5", 5)
    assert matches_filter({"a": [1]}, {"a": [1]})
    assert matches_filter(UNDEFINED, None)
    assert not matches_filter(5, {"$gt": 5})
    assert is_operators({"$gt": 5})
    assert not is_operators({}) and not is_operators({"a": 1}) and not is_operators({"$gt": 1, "a": 2})


json_values = st.recursive(st.one_of(st.none(), st.booleans(), st.integers(-5, 5), st.text(alphabet="ab", max_size=2)),
                           lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.sampled_from("abc"), inner, max_size=3)),
                           max_leaves=8)
documents = st.dictionaries(st.sampled_from("abc"), json_values, max_size=3)


@given(documents, st.sampled_from("abc"), json_values)
@settings(max_examples=150, deadline=None)
def test_opposites_never_agree(document, key, wanted):
    if is_operators(wanted):
        return
    assert matches_query(document, {key: {"$eq": wanted}}) is not matches_query(document, {key: {"$ne": wanted}})
    assert matches_query(document, {key: {"$in": [wanted]}}) is matches_query(document, {key: {"$eq": wanted}})
    assert matches_query(document, {"$nor": [{key: wanted}]}) is not matches_query(document, {"$or": [{key: wanted}]})
    assert matches_query(document, {key: {"$exists": True}}) is (key in document)


@given(documents)
@settings(max_examples=100, deadline=None)
def test_a_document_matches_itself(document):
    assert matches_query(document, document)
