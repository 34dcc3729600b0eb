from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.errors import InvalidRequest
from runtime.filters import MAX_VALUES, compile_filters, moment, parse_search
from runtime.values import encode
from store.query import EVERYTHING, AtMost, Is, predicate

EVENT = {"id": "1-0", "type": "order.created", "source": {"sessionId": "S", "appInstanceDepth": 1},
         "payload": {"kind": "x", "n": 1, "ok": True, "no": False, "zero": 0, "items": [{"id": "a"}]}}


def holds(filters: Any, event: dict[str, Any] = EVENT, *, socket_id: str | None = None) -> bool:
    return predicate(compile_filters(filters, socket_id=socket_id).condition)(event, encode(event))


def found(*query: tuple[str, str], event: dict[str, Any] = EVENT) -> bool:
    return predicate(parse_search("w", query).query.where)(event, encode(event))


def problem(call: Any) -> str:
    with pytest.raises(InvalidRequest) as refused:
        call()
    return refused.value.details[0]["path"]


@pytest.mark.parametrize("nothing", [None, {}, {"payloadQuery": []}, {"payloadQuery": {}}, {"payloadQuery": [{}]}, {"types": []},
                                     {"text": ""}, {"types": None, "text": None, "appInstanceDepth": None, "payloadQuery": None},
                                     {"page": 3, "limit": 1, "sort": "asc", "beforeDate": "2020", "afterDate": "2020"}])
def test_filters_that_say_nothing_meet_everything(nothing):
    assert holds(nothing)
    assert not compile_filters(nothing).warnings


@pytest.mark.parametrize(("value", "is_met"), [
    ("x", True), ("y", False), (["y", "x"], True), (["x", "x*"], True), ([], False), ("x*", True), ("*x", True), ("y*", False),
    ("*", True), ("", False), (None, False), (["", "x"], True), ("*x*", False)])
def test_a_value_is_exact_or_has_one_star_at_one_end(value, is_met):
    assert holds({"payloadQuery": {"payload.kind": value}}) is is_met


@pytest.mark.parametrize(("key", "value", "is_met"), [
    ("payload.n", 1, True), ("payload.n", "1", True), ("payload.ok", True, True), ("payload.ok", "true", True), ("payload.no", False, True),
    ("payload.no", "", True), ("payload.zero", "", True), ("payload.zero", "*", False), ("payload.zero", 0, True),
    ("payload.none", "", True), ("payload.none", None, True), ("payload.none", "*", False), ("payload.items.0.id", "a", True),
    ("payload.n", 1.0, True)])
def test_values_compare_as_texts(key, value, is_met):
    assert holds({"payloadQuery": [{key: value}]}) is is_met


def test_objects_are_alternatives_and_their_keys_are_not():
    both = [{"payload.kind": "x", "payload.n": ["2", "3"]}, {"source.sessionId": "S"}]
    assert holds({"payloadQuery": both})
    assert not holds({"payloadQuery": both[:1]})
    assert not holds({"payloadQuery": both, "types": ["other"]})


def test_types_may_have_stars():
    assert holds({"types": ["a", "order.*"]}) and holds({"types": "a,order.created"}) and holds({"types": ["*.created"]})
    assert not holds({"types": ["order"]})


def test_text_is_looked_for_in_the_serialised_event():
    assert holds({"text": '"kind":"x"'}) and not holds({"text": "nowhere"})


def test_depth_is_limited_only_when_asked():
    deep = {**EVENT, "source": {"appInstanceDepth": 2}}
    assert holds({}, deep) and holds({"appInstanceDepth": 2}, deep) and not holds({"appInstanceDepth": 1}, deep)
    assert found() and not found(event=deep)
    assert found(("appInstanceDepth", "2"), event=deep) and found(("source.appInstanceDepth", "2"), event=deep)


def test_unknown_keys_are_named():
    assert compile_filters({"type": "a", "types": ["order.created"]}).warnings == ('unknown filter "type" is ignored',)


@pytest.mark.parametrize(("names", "source", "target", "is_met"), [
    (["source.sessionId"], {"socketId": "mine"}, {}, True), (["source.sessionId"], {}, {}, True),
    (["source.sessionId"], {"socketId": "other"}, {}, False), (["source.sessionId"], {"socketId": "other"}, {"currentSocket": False}, True),
    (["source.sessionId"], {"socketId": "other"}, {"currentSocket": True}, False),
    (["source.sessionId", "source.socketId"], {"socketId": "other"}, {}, True), (["type"], {"socketId": "other"}, {}, True)])
def test_what_another_socket_set_off_is_spared(names, source, target, is_met):
    event = {"type": "e", "source": {"sessionId": "S", **source}, "target": target}
    values = {"source.sessionId": "S", "source.socketId": "*", "type": "e"}
    filters = {"payloadQuery": [{name: values[name] for name in names}]}
    assert holds(filters, event, socket_id="mine") is is_met
    assert holds(filters, event)


def test_an_object_that_names_no_session_still_lets_the_event_through():
    event = {"type": "e", "source": {"sessionId": "S", "socketId": "other"}}
    assert holds({"payloadQuery": [{"source.sessionId": "S"}, {"type": "e"}]}, event, socket_id="mine")


@pytest.mark.parametrize(("filters", "path"), [
    ([], "filters"), ("x", "filters"), ({"types": 3}, "types"), ({"types": [3]}, "types"), ({"text": 3}, "text"),
    ({"appInstanceDepth": "x"}, "appInstanceDepth"), ({"appInstanceDepth": -1}, "appInstanceDepth"),
    ({"payloadQuery": "x"}, "payloadQuery"), ({"payloadQuery": [1]}, "payloadQuery[0]"),
    ({"payloadQuery": [{}, {"a": {}}]}, "payloadQuery[1].a"), ({"payloadQuery": [{"a": [["x"]]}]}, "payloadQuery[0].a"),
    ({"payloadQuery": [{"a": ["x"] * MAX_VALUES}]}, "payloadQuery"), ({"types": ["x"] * (MAX_VALUES + 1)}, "types"),
    ({"payloadQuery": {".".join("a" * 40): "x"}}, "payloadQuery." + ".".join("a" * 40))])
def test_a_filter_of_the_wrong_shape_is_refused_by_its_path(filters, path):
    assert problem(lambda: compile_filters(filters)) == path


json_values = st.recursive(st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
                           lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3), max_leaves=8)
filter_keys = st.sampled_from(["types", "text", "appInstanceDepth", "payloadQuery", "limit", "other"])


@given(st.dictionaries(filter_keys, json_values) | json_values)
def test_any_document_is_compiled_or_refused(document):
    try:
        condition = compile_filters(document, socket_id="k").condition
    except InvalidRequest:
        return
    assert predicate(condition)(EVENT, encode(EVENT)) in (True, False)
    hash(condition)


def test_search_keys_are_paths_and_repeated_ones_are_alternatives():
    assert found(("payload.kind", "y"), ("payload.kind", "x"))
    assert found(("payload.kind[0]", "y"), ("payload.kind[1]", "x")) and found(("payload.kind[]", "x"))
    assert not found(("payload.kind", "x"), ("payload.n", "2"))
    assert found(("types", "a,order.created"), ("type", "order*"))
    assert not found(("types", "a,order.created"), ("type", "a*"))
    assert found(("payload.none", "")) and found(("types", ""))


def test_a_search_without_anything_is_the_newest_page():
    query = parse_search("w", ()).query
    assert (query.limit, query.offset, query.ascending, query.where) == (50, 0, False, AtMost(("source", "appInstanceDepth"), 1))


def test_paging_sorting_and_bounds():
    search = parse_search("w", [("page", "2"), ("limit", "10"), ("sort", "asc"), ("afterId", "a"), ("beforeId", "7"),
                                ("afterDate", "2026-01-01T00:00:00Z"), ("beforeDate", "2026-01-01T01:00:00 01:00"), ("since", "x")],
                          ignored=frozenset(("since",)))
    query = search.query
    assert (query.offset, query.limit, query.ascending, search.after_id, search.before_id) == (20, 10, True, "a", "7")
    assert query.after_time == query.before_time == 1767225600000


@pytest.mark.parametrize(("key", "value"), [
    ("limit", "0"), ("limit", "1001"), ("limit", "ten"), ("limit", "1.5"), ("limit", "9" * 30), ("limit", "²"), ("page", "-1"), ("page", "x"),
    ("sort", "up"), ("afterDate", "yesterday"), ("beforeDate", "2026-13-01"), ("appInstanceDepth", "deep")])
def test_a_bad_bound_is_refused_by_its_name(key, value):
    assert problem(lambda: parse_search("w", [(key, value)])) == key


def test_dates_are_utc_unless_they_say_otherwise():
    assert moment("2026-01-01") == moment("2026-01-01T00:00:00") == moment("2026-01-01T01:00:00+01:00") == 1767225600000
    assert moment("2026-01-01T00:00:00.250Z") == 1767225600250
    assert moment("1767225600000") == 1767225600000
    assert moment("soon") is None and moment("") is None


def test_equal_filters_are_equal_conditions():
    assert compile_filters({"types": ["a", "b"]}).condition == compile_filters({"types": ["a", "b"], "limit": 3}).condition
    assert compile_filters({"types": ["a", "b"]}).condition == Is(("type",), ("a", "b"))
    assert compile_filters({}).condition == EVERYTHING
