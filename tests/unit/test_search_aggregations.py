"""What aggregations count, against plain arithmetic; what is refused; and that they stay small."""
from __future__ import annotations

from collections import Counter
from datetime import timezone
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.clock import iso
from runtime.search.aggregations import Limits, read_aggregations
from runtime.search.moments import calendar, date, fixed, iso_in, zone_of
from runtime.search.problems import SearchError
from runtime.search.sketches import Distinct, Quantiles
from runtime.values import encode

NOW = 1_763_829_000_000
DAY = 86_400_000


def event(n: Any, kind: Any = "a", at: int = NOW) -> dict[str, Any]:
    return {"type": f"t.{kind}", "createdAt": iso(at), "payload": {"n": n, "kind": kind}}


def counted(aggs: dict[str, Any], events: list[dict[str, Any]], limits: Limits = Limits()) -> dict[str, Any]:
    bucket = read_aggregations(aggs, limits, NOW)()
    for one in events:
        bucket.take(one, encode(one))
    return bucket.result()


NUMBERS = st.lists(st.tuples(st.integers(-50, 50), st.sampled_from("abcd")), max_size=40)


@settings(max_examples=60, deadline=None)
@given(rows=NUMBERS)
def test_buckets_and_measures_are_plain_arithmetic(rows: list[tuple[int, str]]) -> None:
    measures = {kind: {kind: {"field": "payload.n"}} for kind in ("min", "max", "sum", "avg", "value_count", "cardinality")}
    result = counted({"kinds": {"terms": {"field": "payload.kind"}, "aggs": measures},
                      "large": {"filter": {"range": {"payload.n": {"gt": 10}}}, "aggs": {"most": {"max": {"field": "payload.n"}}}}},
                     [event(n, kind) for n, kind in rows])
    kinds = Counter(kind for _, kind in rows)
    assert [(b["key"], b["doc_count"]) for b in result["kinds"]["buckets"]] == sorted(kinds.items(), key=lambda item: (-item[1], item[0]))
    for bucket in result["kinds"]["buckets"]:
        mine = [n for n, kind in rows if kind == bucket["key"]]
        assert {kind: bucket[kind]["value"] for kind in measures} == {
            "min": min(mine), "max": max(mine), "sum": sum(mine), "avg": sum(mine) / len(mine), "value_count": len(mine), "cardinality": len(set(mine))}
    large = [n for n, _ in rows if n > 10]
    assert result["large"] == {"doc_count": len(large), "most": {"value": max(large, default=None)}}


def test_terms_are_sorted_cut_and_filled_as_asked() -> None:
    events = [event(n, kind) for n, kind in ((1, "b"), (2, "a"), (3, "a"), (9, "c"), (5, True), (6, 7), (7, ["x", "y", "x"]))] + [event(1, None)]
    terms = {"field": "payload.kind"}
    cut = counted({"k": {"terms": {**terms, "size": 1}}}, events)["k"]
    assert cut == {"doc_count_error_upper_bound": 0, "sum_other_doc_count": 6, "buckets": [{"key": "a", "doc_count": 2}]}
    by_key = counted({"k": {"terms": {**terms, "order": {"_key": "desc"}}}}, events)["k"]["buckets"]
    assert [b["key"] for b in by_key] == ["y", "x", "c", "b", "a", 7, 1] and by_key[-1]["key_as_string"] == "true"
    by_sum = counted({"k": {"terms": {**terms, "size": 2, "order": [{"s.value": "desc"}]}, "aggs": {"s": {"sum": {"field": "payload.n"}}}}}, events)
    assert [(b["key"], b["s"]["value"]) for b in by_sum["k"]["buckets"]] == [("c", 9), ("x", 7)]
    filled = counted({"k": {"terms": {**terms, "missing": "none", "order": {"_key": "asc"}, "min_doc_count": 2}}}, [*events, event(1, None)])
    assert [(b["key"], b["doc_count"]) for b in filled["k"]["buckets"]] == [("a", 2), ("none", 2)]


def test_a_histogram_has_a_bucket_for_each_span_even_when_nothing_happened() -> None:
    events = [event(1, at=NOW), event(2, at=NOW + 1), event(3, at=NOW + 3 * DAY)]
    days = counted({"d": {"date_histogram": {"field": "createdAt", "calendar_interval": "day"}, "aggs": {"s": {"sum": {"field": "payload.n"}}}}}, events)
    assert [(b["key_as_string"], b["doc_count"], b["s"]["value"]) for b in days["d"]["buckets"]] == [
        ("2025-11-22T00:00:00.000Z", 2, 3), ("2025-11-23T00:00:00.000Z", 0, 0), ("2025-11-24T00:00:00.000Z", 0, 0), ("2025-11-25T00:00:00.000Z", 1, 3)]
    halves = counted({"d": {"date_histogram": {"field": "createdAt", "fixed_interval": "12h", "min_doc_count": 1}}}, events)["d"]["buckets"]
    assert [(b["key"] - NOW // DAY * DAY, b["doc_count"]) for b in halves] == [(DAY // 2, 2), (3 * DAY + DAY // 2, 1)]


@pytest.mark.parametrize(("unit", "zone", "at", "start", "following"), [
    ("week", "UTC", "2025-11-22T16:30:00Z", "2025-11-17T00:00:00.000Z", "2025-11-24T00:00:00.000Z"),
    ("month", "UTC", "2025-12-31T23:59:59Z", "2025-12-01T00:00:00.000Z", "2026-01-01T00:00:00.000Z"),
    ("quarter", "UTC", "2025-05-05T00:00:00Z", "2025-04-01T00:00:00.000Z", "2025-07-01T00:00:00.000Z"),
    ("year", "UTC", "2024-02-29T00:00:00Z", "2024-01-01T00:00:00.000Z", "2025-01-01T00:00:00.000Z"),
    ("day", "Europe/Paris", "2025-03-30T10:00:00Z", "2025-03-30T00:00:00.000+01:00", "2025-03-31T00:00:00.000+02:00"),
    ("day", "Europe/Paris", "2025-10-26T22:30:00Z", "2025-10-26T00:00:00.000+02:00", "2025-10-27T00:00:00.000+01:00"),
    ("day", "+05:30", "2025-11-22T20:00:00Z", "2025-11-23T00:00:00.000+05:30", "2025-11-24T00:00:00.000+05:30"),
    ("hour", "+05:30", "2025-11-22T20:10:00Z", "2025-11-23T01:00:00.000+05:30", "2025-11-23T02:00:00.000+05:30"),
])
def test_spans_follow_the_calendar_of_their_zone(unit: str, zone: str, at: str, start: str, following: str) -> None:
    where = zone_of(zone)
    spans, moment = calendar(unit, where), date(at, NOW)
    assert iso_in(spans.start(moment), where) == start
    assert iso_in(spans.following(spans.start(moment)), where) == following


@given(at=st.integers(0, 4_000_000_000_000), unit=st.sampled_from(["minute", "hour", "day", "week", "month", "quarter", "year"]),
       zone=st.sampled_from(["UTC", "Europe/Paris", "America/New_York", "+05:30", "Asia/Kathmandu"]))
def test_every_moment_lies_in_its_span(at: int, unit: str, zone: str) -> None:
    for spans in (calendar(unit, zone_of(zone)), fixed(12_345_000, zone_of(zone))):
        start = spans.start(at)
        assert start <= at < spans.following(start) and spans.start(start) == start and spans.start(spans.following(start)) == spans.following(start)


@pytest.mark.parametrize(("text", "expected"), [
    ("now", "2025-11-22T16:30:00.000Z"), ("now-1d", "2025-11-21T16:30:00.000Z"), ("now/M", "2025-11-01T00:00:00.000Z"),
    ("now-1y+2M-3w", "2025-01-01T16:30:00.000Z"), ("2024-01-31||+1M", "2024-02-29T00:00:00.000Z"), ("2024", "2024-01-01T00:00:00.000Z"),
    ("2024-05-06T07:08", "2024-05-06T07:08:00.000Z"), ("2024-05-06T07:08:09.5+02:00", "2024-05-06T05:08:09.500Z"), ("now-1", None),
    ("2024-13", None), ("", None), ("now/x", None), ("now+999999y", None), ("nowhere", None)])
def test_dates_are_read_as_they_are_written(text: str, expected: str | None) -> None:
    found = date(text, NOW)
    assert expected == (None if found is None else iso_in(found, timezone.utc))


def test_percentiles_lie_between_the_values() -> None:
    result = counted({"p": {"percentiles": {"field": "payload.n", "percents": [0, 50, 75, 100]}}}, [event(n) for n in (4, 1, 3, 2, "x", None)])
    assert result["p"] == {"values": {"0.0": 1, "50.0": 2.5, "75.0": 3.25, "100.0": 4}}
    assert counted({"p": {"percentiles": {"field": "payload.n", "percents": [50]}}}, [])["p"] == {"values": {"50.0": None}}


def test_the_last_moment_is_told_as_a_date() -> None:
    result = counted({"m": {"max": {"field": "createdAt"}}}, [event(1), event(1, at=NOW - DAY)])
    assert result["m"] == {"value": NOW, "value_as_string": "2025-11-22T16:30:00.000Z"}


@pytest.mark.parametrize(("aggs", "told"), [
    ({"x": {"scripted_metric": {}}}, '"scripted_metric" is forbidden'), ({"x": {"geo_grid": {}}}, 'Unsupported aggregation "geo_grid"'),
    ({"x": {"terms": {"field": "a", "script": "1"}}}, '"script"'), ({"x": {"terms": {}}}, "name a field"), ({"x": {}}, "one aggregation"),
    ({"x": {"sum": {"field": "a"}, "avg": {"field": "a"}}}, "one aggregation"), ({"x": {"sum": {"field": "a"}, "aggs": {}}}, "no buckets"),
    ({"x": {"terms": {"field": "a", "order": {"y": "asc"}}}}, '"y"'), ({"x": {"terms": {"field": "a", "size": 0}}}, "whole number"),
    ({"x": {"date_histogram": {"field": "a"}}}, "either"), ({"x": {"date_histogram": {"field": "a", "fixed_interval": "1M"}}}, "fixed_interval"),
    ({"x": {"date_histogram": {"field": "a", "calendar_interval": "2d"}}}, "calendar_interval"),
    ({"x": {"date_histogram": {"field": "a", "calendar_interval": "day", "time_zone": "Mars"}}}, "time zone"),
    ({"x": {"filter": {"fuzzy": {}}}}, 'operator "fuzzy"'), ({"x": {"percentiles": {"field": "a", "percents": [101]}}}, "percents"), ([], "an object"),
], ids=str)
def test_what_is_not_supported_is_refused_by_name(aggs: Any, told: str) -> None:
    with pytest.raises(SearchError, match=told):
        read_aggregations(aggs, Limits(), NOW)


def test_aggregations_are_nested_no_deeper_than_allowed() -> None:
    def nested(depth: int) -> dict[str, Any]:
        return {"x": {"terms": {"field": "type"}, **({"aggs": nested(depth - 1)} if depth > 1 else {})}}

    read_aggregations(nested(5), Limits(), NOW)
    with pytest.raises(SearchError, match="5 deep"):
        read_aggregations(nested(6), Limits(), NOW)
    with pytest.raises(SearchError, match='"terms" is forbidden'):
        read_aggregations(nested(1), Limits(forbidden=("terms",)), NOW)


def test_buckets_without_end_are_refused() -> None:
    with pytest.raises(SearchError, match="too many buckets"):
        counted({"x": {"terms": {"field": "payload.kind"}}}, [event(1, f"{n}-{'x' * 100_000}") for n in range(700)])
    with pytest.raises(SearchError, match="too many buckets"):
        counted({"d": {"date_histogram": {"field": "createdAt", "fixed_interval": "1ms"}}}, [event(1), event(1, at=NOW - DAY)])


def test_many_different_ones_are_counted_closely_in_little_room() -> None:
    distinct = Distinct()
    for n in range(50_000):
        distinct.add(str(n % 25_000))
    assert abs(distinct.count() - 25_000) < 25_000 * 0.03
    assert len(distinct._few) == 0


def test_many_numbers_are_ranked_closely_in_little_room() -> None:
    quantiles = Quantiles()
    numbers = [n * (1 + i % 3) for i, n in enumerate(Random(7).sample(range(30_000), 30_000))]
    for number in numbers:
        quantiles.add(number)
    ranked = sorted(numbers)
    for fraction in (0, 0.01, 0.25, 0.5, 0.95, 0.999, 1):
        found = quantiles.at(fraction)
        rank = sum(number <= found for number in ranked) / len(ranked)
        assert abs(rank - fraction) < 0.01
    assert len(quantiles._clusters) < 1000
