"""What is counted while events go by: one small object for each aggregation, and a budget for the room they take together."""
from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import timezone, tzinfo
from typing import Any, Protocol

from runtime.filters import moment
from runtime.search.moments import Spans, iso_in
from runtime.search.problems import SearchError
from runtime.search.sketches import Distinct, Quantiles
from store.query import Path, Predicate, as_text, value_at

_ROOM = 64 << 20
_OF_A_BUCKET, _OF_A_VALUE, _OF_A_SKETCH = 400, 100, 50_000
MOST_BUCKETS = 10_000
"""In one answer of one aggregation."""
_DATES = frozenset((("createdAt",),))


class Budget:
    """Room for what collectors keep. It is estimated, generously."""

    __slots__ = ("_left",)

    def __init__(self) -> None:
        self._left = _ROOM

    def spend(self, size: int) -> None:
        """Raises `SearchError` when there is no room left."""
        self._left -= size
        if self._left < 0:
            raise SearchError("The aggregations have too many buckets: narrow the query, or count by a field with fewer values")


class Collector(Protocol):
    def take(self, event: dict[str, Any], body: bytes) -> None: ...

    def result(self) -> dict[str, Any]: ...


Make = Callable[[Budget], Collector]
Makes = Mapping[str, Make]


class Bucket:
    """Counts events and hands them to the aggregations inside."""

    __slots__ = ("count", "_parts")

    def __init__(self, makes: Makes, budget: Budget) -> None:
        budget.spend(_OF_A_BUCKET * (1 + len(makes)))
        self.count = 0
        self._parts = {name: make(budget) for name, make in makes.items()}

    def take(self, event: dict[str, Any], body: bytes) -> None:
        self.count += 1
        for part in self._parts.values():
            part.take(event, body)

    def result(self) -> dict[str, Any]:
        return {"doc_count": self.count, **{name: part.result() for name, part in self._parts.items()}}


class Filtered(Bucket):
    """The events for which a condition holds."""

    __slots__ = ("_holds",)

    def __init__(self, holds: Predicate, makes: Makes, budget: Budget) -> None:
        super().__init__(makes, budget)
        self._holds = holds

    def take(self, event: dict[str, Any], body: bytes) -> None:
        if self._holds(event, body):
            super().take(event, body)


class Terms:
    """A bucket for each value of a field. `order` sorts them, the first key last."""

    __slots__ = ("_path", "_missing", "_size", "_least", "_order", "_makes", "_budget", "_buckets")

    def __init__(self, path: Path, makes: Makes, budget: Budget, *, size: int, least: int, order: Sequence[tuple[str, bool]], missing: Any) -> None:
        self._path, self._makes, self._budget = path, makes, budget
        self._size, self._least, self._order, self._missing = size, least, order, missing
        self._buckets: dict[tuple[bool, Any], Bucket] = {}

    def take(self, event: dict[str, Any], body: bytes) -> None:
        keys = {(type(value) is bool, value) for value in scalars(event, self._path)}
        if not keys and self._missing is not None:
            keys = {(type(self._missing) is bool, self._missing)}
        for key in keys:
            bucket = self._buckets.get(key)
            if bucket is None:
                self._budget.spend(len(key[1]) if type(key[1]) is str else 0)
                bucket = self._buckets[key] = Bucket(self._makes, self._budget)
            bucket.take(event, body)

    def result(self) -> dict[str, Any]:
        found = [_terms_bucket(key, bucket.result()) for key, bucket in self._buckets.items() if bucket.count >= self._least]
        found.sort(key=lambda bucket: _sortable(bucket["key"]))
        for name, descends in reversed(self._order):
            found.sort(key=lambda bucket: _sortable(_measure(bucket, name)), reverse=descends)
        others = sum(bucket["doc_count"] for bucket in found[self._size:])
        return {"doc_count_error_upper_bound": 0, "sum_other_doc_count": others, "buckets": found[:self._size]}


def _terms_bucket(key: tuple[bool, Any], result: dict[str, Any]) -> dict[str, Any]:
    is_yes_or_no, value = key
    return {"key": int(value), "key_as_string": as_text(value), **result} if is_yes_or_no else {"key": value, **result}


def _measure(bucket: dict[str, Any], name: str) -> Any:
    value = bucket.get({"_key": "key", "_count": "doc_count"}.get(name, name))
    return value.get("value", value.get("doc_count")) if isinstance(value, dict) else value


def _sortable(value: Any) -> tuple[int, Any]:
    """Nothing before numbers before texts."""
    return (0, 0) if value is None else (2, value) if type(value) is str else (1, value)


class Histogram:
    """A bucket for each span of time, those without events included when `least` is 0."""

    __slots__ = ("_path", "_spans", "_zone", "_least", "_makes", "_budget", "_buckets", "_latest")

    def __init__(self, path: Path, makes: Makes, budget: Budget, *, spans: Spans, zone: tzinfo, least: int) -> None:
        self._path, self._makes, self._budget, self._spans, self._zone, self._least = path, makes, budget, spans, zone, least
        self._buckets: dict[int, Bucket] = {}
        self._latest: tuple[int, int, Bucket] | None = None

    def take(self, event: dict[str, Any], body: bytes) -> None:
        for bucket in {id(found): found for time in times(event, self._path) if (found := self._bucket(time))}.values():
            bucket.take(event, body)

    def _bucket(self, time: int) -> Bucket | None:
        """Mostly that of the event before."""
        if self._latest is not None and self._latest[0] <= time < self._latest[1]:
            return self._latest[2]
        try:
            start = self._spans.start(time)
            end = self._spans.following(start)
        except (ValueError, OverflowError):
            return None                                    # no date that the calendar knows
        bucket = self._buckets.get(start)
        if bucket is None:
            bucket = self._buckets[start] = Bucket(self._makes, self._budget)
        self._latest = (start, end, bucket)
        return bucket

    def result(self) -> dict[str, Any]:
        return {"buckets": [{"key_as_string": iso_in(start, self._zone), "key": start, **bucket.result()}
                            for start, bucket in self._all() if bucket.count >= self._least]}

    def _all(self) -> Iterator[tuple[int, Bucket]]:
        starts = sorted(self._buckets)
        for index, start in enumerate(starts):
            yield start, self._buckets[start]
            following, end = self._spans.following(start), starts[index + 1] if index + 1 < len(starts) else start
            while self._least == 0 and following < end:
                yield following, Bucket(self._makes, self._budget)
                following = self._spans.following(following)


class Cardinality:
    __slots__ = ("_path", "_budget", "_distinct")

    def __init__(self, path: Path, budget: Budget) -> None:
        budget.spend(_OF_A_SKETCH)
        self._path, self._budget, self._distinct = path, budget, Distinct()

    def take(self, event: dict[str, Any], body: bytes) -> None:
        for value in scalars(event, self._path):
            self._distinct.add(as_text(value) or "")

    def result(self) -> dict[str, Any]:
        return {"value": self._distinct.count()}


class Percentiles:
    __slots__ = ("_path", "_percents", "_quantiles")

    def __init__(self, path: Path, percents: Sequence[float], budget: Budget) -> None:
        budget.spend(_OF_A_SKETCH)
        self._path, self._percents, self._quantiles = path, percents, Quantiles()

    def take(self, event: dict[str, Any], body: bytes) -> None:
        for number in numbers(event, self._path):
            self._quantiles.add(number)

    def result(self) -> dict[str, Any]:
        return {"values": {str(float(percent)): self._quantiles.at(percent / 100) for percent in self._percents}}


class Measured:
    """Counts the values of a field, and adds up and compares the numbers among them; `show` says what is asked for."""

    __slots__ = ("_path", "_show", "values", "numbers", "sum", "least", "most")

    def __init__(self, path: Path, show: Callable[[Measured], Any], budget: Budget) -> None:
        budget.spend(_OF_A_VALUE)
        self._path, self._show = path, show
        self.values = self.numbers = 0
        self.sum: float = 0
        self.least: float | None = None
        self.most: float | None = None

    def take(self, event: dict[str, Any], body: bytes) -> None:
        self.values += sum(1 for _ in scalars(event, self._path))
        for number in numbers(event, self._path):
            self.numbers += 1
            self.sum += number
            self.least = number if self.least is None or number < self.least else self.least
            self.most = number if self.most is None or number > self.most else self.most

    def result(self) -> dict[str, Any]:
        value = self._show(self)
        is_date = self._path in _DATES and self._show in (LEAST, MOST) and value is not None
        return {"value": value, "value_as_string": iso_in(value, timezone.utc)} if is_date else {"value": value}


def LEAST(measured: Measured) -> float | None:
    return measured.least


def MOST(measured: Measured) -> float | None:
    return measured.most


def total(measured: Measured) -> float:
    return measured.sum


def mean(measured: Measured) -> float | None:
    return measured.sum / measured.numbers if measured.numbers else None


def count(measured: Measured) -> int:
    return measured.values


def scalars(event: dict[str, Any], path: Path) -> Iterator[str | float | bool]:
    """The values at a path: the one there, or the members of the list there."""
    value = value_at(event, path)
    for one in value if type(value) is list else (value,):
        if type(one) in (str, int, float, bool):
            yield one


def numbers(event: dict[str, Any], path: Path) -> Iterator[float]:
    if path in _DATES:
        yield from times(event, path)
        return
    for value in scalars(event, path):
        if type(value) in (int, float):
            yield value                                    # type: ignore[misc]


def times(event: dict[str, Any], path: Path) -> Iterator[int]:
    """Moments, whether written as milliseconds or as ISO dates."""
    for value in scalars(event, path):
        time = moment(value) if type(value) is str else None if type(value) is bool else int(value)
        if time is not None:
            yield time
