"""Aggregations of a search: read once, refused with a reason, and turned into what makes their collectors."""
from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

from runtime.search import moments
from runtime.search.collectors import (
    LEAST,
    MOST,
    MOST_BUCKETS,
    Bucket,
    Budget,
    Cardinality,
    Filtered,
    Histogram,
    Make,
    Makes,
    Measured,
    Percentiles,
    Terms,
    count,
    mean,
    total,
)
from runtime.search.problems import SearchError, an_object, expect, options, path_of, single, whole
from runtime.search.queries import compile_query
from store.query import predicate

_MOST_AGGREGATIONS = 100
_PERCENTS = (1, 5, 25, 50, 75, 95, 99)


class Limits(NamedTuple):
    """What an operator allows."""

    forbidden: tuple[str, ...] = ("scripted_metric",)
    max_depth: int = 5


def read_aggregations(document: Any, limits: Limits, now: int) -> Callable[[], Bucket]:
    """What makes a collector for all of them: the answer is its result without `doc_count`. Raises `SearchError`."""
    makes = _Reader(limits, now).all(document, "aggs", 1)
    return lambda: Bucket(makes, Budget())


class _Reader:
    def __init__(self, limits: Limits, now: int) -> None:
        self._limits, self._now = limits, now
        self._count = 0

    def all(self, document: Any, at: str, depth: int) -> Makes:
        expect(depth <= self._limits.max_depth, at, f"is nested too deep: aggregations may be {self._limits.max_depth} deep")
        return {name: self._one(body, f"{at}.{name}", depth) for name, body in an_object(document, at).items()}

    def _one(self, document: Any, at: str, depth: int) -> Make:
        self._count += 1
        expect(self._count <= _MOST_AGGREGATIONS, at, f"is one too many: {_MOST_AGGREGATIONS} at most")
        inner = [value for key, value in an_object(document, at).items() if key in ("aggs", "aggregations")]
        expect(len(inner) <= 1, at, 'should have either "aggs" or "aggregations"')
        kind, body = single({key: value for key, value in document.items() if key not in ("aggs", "aggregations")}, at, "aggregation")
        if kind in self._limits.forbidden:
            raise SearchError(f'The aggregation "{kind}" is forbidden', {"path": at, "aggregation": kind})
        if kind in _METRICS:
            expect(not inner, at, f"cannot have aggregations inside: {kind} makes no buckets")
            return _METRICS[kind](body, f"{at}.{kind}")
        if kind not in _BUCKETS:
            raise SearchError(f'Unsupported aggregation "{kind}"', {"path": at, "aggregation": kind})
        makes = self.all(inner[0], f"{at}.aggs", depth + 1) if inner else {}
        return _BUCKETS[kind](self, body, f"{at}.{kind}", makes)

    def filter(self, body: Any, at: str, makes: Makes) -> Make:
        return partial(Filtered, predicate(compile_query(body, self._now, at)), makes)

    def terms(self, body: Any, at: str, makes: Makes) -> Make:
        options(body, at, ("field", "size", "order", "min_doc_count", "missing"))
        missing = body.get("missing")
        expect(missing is None or isinstance(missing, (str, int, float)), f"{at}.missing", "should be a text, a number or a boolean")
        return partial(Terms, _field(body, at), makes, missing=missing, order=_order(body.get("order"), f"{at}.order", makes),
                       size=whole(body.get("size", 10), f"{at}.size", low=1, high=MOST_BUCKETS),
                       least=whole(body.get("min_doc_count", 1), f"{at}.min_doc_count", low=1, high=2 ** 53))

    def date_histogram(self, body: Any, at: str, makes: Makes) -> Make:
        options(body, at, ("field", "fixed_interval", "calendar_interval", "time_zone", "min_doc_count"))
        name = body.get("time_zone", "UTC")
        zone = moments.zone_of(name) if isinstance(name, str) else None
        if zone is None:
            raise SearchError(f"{at}.time_zone names no time zone", {"path": f"{at}.time_zone"})
        return partial(Histogram, _field(body, at), makes, spans=_spans(body, at, zone), zone=zone,
                       least=whole(body.get("min_doc_count", 0), f"{at}.min_doc_count", low=0, high=2 ** 53))


_BUCKETS: dict[str, Callable[[_Reader, Any, str, Makes], Make]] = {
    "date_histogram": _Reader.date_histogram, "filter": _Reader.filter, "terms": _Reader.terms}


def _field(body: Mapping[str, Any], at: str) -> tuple[str, ...]:
    return path_of(body.get("field"), f"{at}.field")


def _spans(body: Mapping[str, Any], at: str, zone: Any) -> moments.Spans:
    by_length, by_calendar = body.get("fixed_interval"), body.get("calendar_interval")
    expect((by_length is None) != (by_calendar is None), at, "should have either fixed_interval or calendar_interval")
    if by_length is not None:
        length = moments.fixed_milliseconds(by_length) if isinstance(by_length, str) else None
        if length is None:
            raise SearchError(f"{at}.fixed_interval should be a number and ms, s, m, h or d", {"path": f"{at}.fixed_interval"})
        return moments.fixed(length, zone)
    unit = moments.calendar_unit(by_calendar) if isinstance(by_calendar, str) else None
    if unit is None or unit == "second":
        raise SearchError(f"{at}.calendar_interval should be minute, hour, day, week, month, quarter or year", {"path": f"{at}.calendar_interval"})
    return moments.calendar(unit, zone)


def _order(value: Any, at: str, makes: Makes) -> tuple[tuple[str, bool], ...]:
    """(what, whether it descends), most important first."""
    found = []
    for one in [] if value is None else value if isinstance(value, list) else [value]:
        name, direction = single(one, at, "name")
        name = name.removesuffix(".value")
        expect(name in ("_key", "_count") or name in makes, at, f'names "{name}", which is neither _key, _count nor an aggregation inside')
        expect(direction in ("asc", "desc"), at, 'should be "asc" or "desc"')
        found.append((name, direction == "desc"))
    return tuple(found) or (("_count", True),)


def _measured(show: Callable[[Measured], Any]) -> Callable[[Any, str], Make]:
    def read(body: Any, at: str) -> Make:
        return partial(Measured, _field(options(body, at, ("field",)), at), show)
    return read


def _cardinality(body: Any, at: str) -> Make:
    return partial(Cardinality, _field(options(body, at, ("field", "precision_threshold")), at))


def _percentiles(body: Any, at: str) -> Make:
    percents = options(body, at, ("field", "percents")).get("percents", _PERCENTS)
    expect(isinstance(percents, (list, tuple)) and 0 < len(percents) <= 100
           and all(type(percent) in (int, float) and 0 <= percent <= 100 for percent in percents),
           f"{at}.percents", "should be a list of numbers from 0 to 100")
    return partial(Percentiles, _field(body, at), percents)


_METRICS: dict[str, Callable[[Any, str], Make]] = {
    "avg": _measured(mean), "cardinality": _cardinality, "max": _measured(MOST), "min": _measured(LEAST),
    "percentiles": _percentiles, "sum": _measured(total), "value_count": _measured(count)}
