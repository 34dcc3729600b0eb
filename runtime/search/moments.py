"""Dates of searches: how they are written (`now-7d/d`), and the spans they are counted in."""
from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime, timedelta, timezone, tzinfo
from typing import NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from runtime.filters import moment

_MILLISECONDS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_NAMES = {"m": "minute", "h": "hour", "H": "hour", "d": "day", "w": "week", "M": "month", "q": "quarter", "y": "year", "s": "second"}
_SMALL = {"second": 1000, "minute": 60_000, "hour": 3_600_000}
_MONTHS = {"month": 1, "quarter": 3, "year": 12}
_STEP = re.compile(r"([+-])(\d{1,6})([smhHdwMy])|/([smhHdwMy])")
_PARTIAL = re.compile(r"(\d{4})(?:-(\d\d)(?:-(\d\d)(?:[T ](\d\d)(?::(\d\d)(?::(\d\d))?)?)?)?)?Z?")
_PRECISIONS = ("year", "month", "day", "hour", "minute", "second")
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_JANUARY = datetime(2000, 1, 1, tzinfo=timezone.utc)
_LARGEST = 253_402_300_799_999          # the last millisecond of the year 9999


class Spans(NamedTuple):
    """A way to cut time into pieces."""

    start: Callable[[int], int]
    """The beginning, in milliseconds, of the piece that a moment lies in."""
    following: Callable[[int], int]
    """The beginning of the piece after the one that begins here."""


def date(text: str, now: int, *, rounds_up: bool = False) -> int | None:
    """Milliseconds of an ISO date, complete or not, of `now`, or of either (then with `||` behind it) with steps such as `-1d` and
    `/M`. What is left open is the first moment it can mean, or the last one. None when it is none of these."""
    anchor, separator, steps = text.partition("||")
    if not separator and text.startswith("now"):
        anchor, steps = "now", text[3:]
    found = now if anchor == "now" else _partial(anchor, rounds_up) if not steps else _partial(anchor, False)
    try:
        return None if found is None else _stepped(found, steps, rounds_up)
    except (ValueError, OverflowError):
        return None


def _partial(text: str, rounds_up: bool) -> int | None:
    match = _PARTIAL.fullmatch(text)
    if match is None:
        return moment(text)
    given = [int(part) for part in match.groups() if part is not None]
    year, month, day, *time = [*given, *(1, 1)[len(given) - 1:]] if len(given) < 3 else given
    try:
        found = _milliseconds(datetime(year, month, day, *time, tzinfo=timezone.utc))
        return calendar(_PRECISIONS[len(given) - 1]).following(found) - 1 if rounds_up else found
    except (ValueError, OverflowError):
        return None


def _stepped(found: int, steps: str, rounds_up: bool) -> int | None:
    end = 0
    while end < len(steps):
        match = _STEP.match(steps, end)
        if match is None:
            return None
        sign, count, unit, rounded = match.groups()
        if rounded:
            spans = calendar(_NAMES[rounded])
            found = spans.start(found)
            found = spans.following(found) - 1 if rounds_up else found
        else:
            found = _moved(found, int(sign + count), _NAMES[unit])
        end = match.end()
    return found if 0 <= found <= _LARGEST else None


def _moved(at: int, count: int, unit: str) -> int:
    if unit in _MONTHS:
        local = _datetime(at, timezone.utc)
        months = local.year * 12 + local.month - 1 + count * _MONTHS[unit]
        first = local.replace(year=months // 12, month=months % 12 + 1, day=1)
        last_day = (_next(first, "month") - timedelta(days=1)).day
        return _milliseconds(first.replace(day=min(local.day, last_day)))
    return at + count * {**_SMALL, "day": 86_400_000, "week": 7 * 86_400_000}[unit]


def iso_in(at: int, zone: tzinfo) -> str:
    """A moment as it reads in a time zone."""
    text = _datetime(at, zone).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")


def zone_of(name: str) -> tzinfo | None:
    """The time zone `UTC`, `+02:00` or `Europe/Paris`; None when there is none of that name."""
    if name in ("UTC", "Z"):
        return timezone.utc
    if match := re.fullmatch(r"([+-])(\d\d):?(\d\d)", name):
        sign = -1 if match[1] == "-" else 1
        offset = timedelta(hours=int(match[2]), minutes=int(match[3]))
        return timezone(sign * offset) if offset < timedelta(days=1) else None
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return None


def calendar_unit(text: str) -> str | None:
    """`day` and `1d` alike; None for what is no unit of the calendar."""
    if text in _NAMES.values():
        return text
    return _NAMES.get(text[1:]) if text[:1] == "1" and text[1:] in _NAMES else None


def fixed_milliseconds(text: str) -> int | None:
    match = re.fullmatch(r"(\d{1,9})(ms|[smhd])", text)
    return int(match[1]) * _MILLISECONDS[match[2]] or None if match else None


def fixed(length: int, zone: tzinfo = timezone.utc) -> Spans:
    """Pieces of equal length, counted from midnight where `zone` is, as the clocks go there in January."""
    offset = (_JANUARY.astimezone(zone).utcoffset() or timedelta()) // timedelta(milliseconds=1)
    return Spans(lambda at: at - (at + offset) % length, lambda start: start + length)


def calendar(unit: str, zone: tzinfo = timezone.utc) -> Spans:
    """Seconds to years as `zone` has them: a day may have 23 hours."""
    if unit in _SMALL:
        return fixed(_SMALL[unit], zone)
    return Spans(lambda at: _milliseconds(_first(_datetime(at, zone), unit)),
                 lambda start: _milliseconds(_next(_datetime(start, zone), unit)))


def _first(local: datetime, unit: str) -> datetime:
    midnight = local.replace(hour=0, minute=0, second=0, microsecond=0, fold=0)
    match unit:
        case "day":
            return midnight
        case "week":
            return midnight - timedelta(days=local.weekday())
    months = _MONTHS[unit]
    return midnight.replace(month=(local.month - 1) // months * months + 1, day=1)


def _next(start: datetime, unit: str) -> datetime:
    if unit in _MONTHS:
        months = start.year * 12 + start.month - 1 + _MONTHS[unit]
        return start.replace(year=months // 12, month=months % 12 + 1, day=1)
    return start + timedelta(days=7 if unit == "week" else 1)       # by the calendar: the hour stays what it is


def _datetime(at: int, zone: tzinfo) -> datetime:
    return (_EPOCH + timedelta(milliseconds=at)).astimezone(zone)


def _milliseconds(at: datetime) -> int:
    return (at.astimezone(timezone.utc) - _EPOCH) // timedelta(milliseconds=1)

