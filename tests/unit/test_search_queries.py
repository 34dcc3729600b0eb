"""The query language of searches: what each operator finds, and what is refused by name."""
from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.clock import iso
from runtime.search.problems import SearchError
from runtime.search.queries import ask, compile_query
from runtime.values import encode
from store.query import All, Is, Prefix, predicate

NOW = 1_763_829_000_000       # 2025-11-22T16:30:00Z, a Saturday
EVENT = {"id": "1", "type": "order.placed", "createdAt": iso(NOW), "source": {"correlationId": "c1", "userId": "u1"},
         "payload": {"price": 9.5, "name": "Ada Lovelace", "paid": True, "note": None, "tags": [], "deep": {"kind": "A*b"}}}


def holds(query: Any, event: dict[str, Any] = EVENT) -> bool:
    return predicate(compile_query(query, NOW))(event, encode(event))


@pytest.mark.parametrize("query", [
    {"match_all": {}},
    {"term": {"type": "order.placed"}}, {"term": {"payload.price": 9.5}}, {"term": {"payload.paid": True}},
    {"term": {"type": {"value": "ORDER.placed", "case_insensitive": True, "boost": 2}}},
    {"terms": {"source.correlationId": ["c0", "c1"], "boost": 1}},
    {"match": {"type": "order.placed"}}, {"match": {"payload.name": "charles LOVELACE"}}, {"match": {"payload": "lovelace"}},
    {"match": {"payload.name": {"query": "ada lovelace", "operator": "AND"}}}, {"match": {"payload.price": 9.5}},
    {"wildcard": {"type": "ord*.pl?ced"}}, {"wildcard": {"type": {"wildcard": "ORDER*", "case_insensitive": True}}},
    {"wildcard": {"payload.deep.kind": "A\\*b"}}, {"wildcard": {"type": "*placed"}}, {"wildcard": {"type": "*er.pl*"}},
    {"prefix": {"type": "order."}}, {"prefix": {"payload.name": {"value": "ada", "case_insensitive": True}}},
    {"exists": {"field": "payload.price"}}, {"exists": {"field": "payload.deep"}},
    {"range": {"payload.price": {"gt": 9, "lte": 9.5}}}, {"range": {"payload.name": {"gte": "Ad", "lt": "B"}}},
    {"range": {"createdAt": {"gte": "now-1h", "lte": "now"}}}, {"range": {"@timestamp": {"gt": NOW - 1, "lt": NOW + 1}}},
    {"range": {"createdAt": {"gte": "2025-11-22", "lte": "2025-11-22"}}}, {"range": {"createdAt": {"gte": "now/d", "lt": "now+1d/d"}}},
    {"range": {"createdAt": {"lte": "2025", "gte": "2025-11-01||/M"}}},
    {"query_string": {"query": "nobody ada"}}, {"query_string": {"query": "ada placed", "default_operator": "AND"}},
    {"query_string": {"query": "lovelace", "fields": ["type", "payload.name"]}},
    {"bool": {}}, {"bool": {"should": []}}, {"bool": {"filter": {"term": {"type": "order.placed"}}, "should": {"term": {"type": "x"}}}},
    {"bool": {"must_not": [{"term": {"type": "x"}}, {"exists": {"field": "payload.note"}}, {"exists": {"field": "payload.tags"}}]}},
    {"bool": {"should": [{"term": {"type": "x"}}, {"match_all": {}}, {"match_all": {}}], "minimum_should_match": 2}},
    {"bool": {"should": [{"term": {"type": "x"}}, {"match_all": {}}], "minimum_should_match": "-50%"}},
], ids=str)
def test_a_query_finds_what_it_is_about(query: dict[str, Any]) -> None:
    assert holds(query)


@pytest.mark.parametrize("query", [
    {"term": {"type": "order"}}, {"term": {"payload.name": "Ada"}}, {"terms": {"type": []}},
    {"match": {"type": "order"}}, {"match": {"payload.name": "love"}}, {"match": {"payload.name": "!?"}},
    {"match": {"payload.name": {"query": "ada charles", "operator": "and"}}},
    {"wildcard": {"type": "order"}}, {"wildcard": {"payload.deep.kind": "A\\?b"}}, {"wildcard": {"payload.missing": "*"}},
    {"prefix": {"payload.missing": ""}}, {"exists": {"field": "payload.note"}}, {"exists": {"field": "payload.tags"}},
    {"range": {"payload.price": {"gt": 9.5}}}, {"range": {"payload.name": {"gte": 1}}}, {"range": {"payload.price": {"gte": "0"}}},
    {"range": {"createdAt": {"lt": "2025-11-22"}}}, {"range": {"createdAt": {"gt": "2025-11-22"}}}, {"range": {"createdAt": {"gt": "now"}}},
    {"query_string": {"query": "ada charles", "default_operator": "and"}}, {"query_string": {"query": ""}},
    {"bool": {"should": {"term": {"type": "x"}}}}, {"bool": {"must_not": {"match_all": {}}}},
    {"bool": {"should": [{"match_all": {}}], "minimum_should_match": 2}},
], ids=str)
def test_a_query_leaves_out_the_rest(query: dict[str, Any]) -> None:
    assert not holds(query)


@pytest.mark.parametrize(("query", "told"), [
    ({"fuzzy": {"type": "x"}}, 'operator "fuzzy"'), ({"bool": {"must": [{"script": {}}]}}, 'operator "script"'),
    ({"range": {"payload.price": {"from": 1}}}, '"from"'), ({"term": {"type": {"value": "x", "fuzziness": 1}}}, '"fuzziness"'),
    ({"term": {"type": "a", "id": "b"}}, "one field"), ({"term": {"type": None}}, "should look for"), ({"terms": {"type": "a"}}, "a list"),
    ({"term": {}}, "one field"), ({}, "one operator"), ([], "an object"), ({"match": {"a": {"query": "x", "operator": "xor"}}}, "operator"),
    ({"query_string": {"query": "type:x"}}, '":"'), ({"query_string": {"query": "a AND b"}}, '"AND"'), ({"query_string": {"query": "-a"}}, '"-"'),
    ({"range": {"createdAt": {"gte": "yesterday"}}}, "a date"), ({"range": {"createdAt": {"gte": "now-1x"}}}, "a date"),
    ({"range": {"createdAt": {"gt": 1, "format": "dd/MM"}}}, "format"), ({"exists": {"field": "a.*"}}, "without a star"),
    ({"bool": {"minimum_should_match": "some", "should": []}}, "minimum_should_match"), ({"bool": {"shoud": []}}, '"shoud"'),
    ({"terms": {"type": [str(n) for n in range(1001)]}}, "too many"), ({"bool": {"should": [{"match_all": {}}] * 256}}, "too many"),
], ids=str)
def test_what_is_not_supported_is_refused_by_name(query: Any, told: str) -> None:
    with pytest.raises(SearchError, match=told) as refused:
        compile_query(query, NOW)
    assert refused.value.wire == "SearchError" and refused.value.details["path"].startswith("query")


def test_a_query_cannot_be_nested_without_end() -> None:
    query: dict[str, Any] = {"match_all": {}}
    for _ in range(100):
        query = {"bool": {"must": query}}
    with pytest.raises(SearchError, match="too deep"):
        compile_query(query, NOW)


def test_what_indexes_know_stands_where_stores_see_it() -> None:
    asked = ask({"bool": {"filter": [{"term": {"source.correlationId": "c1"}}, {"wildcard": {"type": "order.*"}},
                                     {"bool": {"must": {"range": {"createdAt": {"gte": NOW - 10, "lt": "now"}}}}}]}}, NOW)
    assert asked == (All((Is(("source", "correlationId"), ("c1",)), Prefix(("type",), "order."))), NOW - 11, NOW)


LEAVES = st.one_of(
    st.builds(lambda n: ({"term": {"payload.n": n}}, lambda e: e["payload"]["n"] == n), st.integers(0, 9)),
    st.builds(lambda n, order: ({"range": {"payload.n": {order: n}}}, lambda e: {"gt": e["payload"]["n"] > n, "lte": e["payload"]["n"] <= n}[order]),
              st.integers(0, 9), st.sampled_from(["gt", "lte"])),
    st.builds(lambda t: ({"prefix": {"type": t}}, lambda e: e["type"].startswith(t)), st.sampled_from(["a", "ab", "b"])),
    st.just(({"match_all": {}}, lambda e: True)))


def _combined(must: list, should: list, must_not: list, least: int | None) -> tuple[dict[str, Any], Any]:
    query: dict[str, Any] = {"bool": {"must": [q for q, _ in must], "should": [q for q, _ in should], "must_not": [q for q, _ in must_not]}}
    if least is not None:
        query["bool"]["minimum_should_match"] = least
    needed = least if least is not None else int(not must and bool(should))
    return query, lambda e: (all(f(e) for _, f in must) and not any(f(e) for _, f in must_not) and sum(f(e) for _, f in should) >= needed)


QUERIES = st.recursive(LEAVES, lambda inner: st.builds(
    _combined, *[st.lists(inner, max_size=2)] * 3, st.none() | st.integers(0, 2)), max_leaves=8)


@settings(max_examples=150, deadline=None)
@given(query=QUERIES, n=st.integers(0, 9), type=st.sampled_from(["a", "abc", "b"]))
def test_combinations_mean_what_they_say(query: Any, n: int, type: str) -> None:
    document, expected = query
    event = {"type": type, "payload": {"n": n}}
    assert holds(document, event) == expected(event)
