"""`date()`: reading ISO 8601 text or milliseconds, and the fields of a date. Everything is UTC but formatted text."""
from __future__ import annotations

import math
import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

from runtime.expressions.coercion import NAN, Number, is_number, to_text
from runtime.expressions.dayjs import format_date
from runtime.expressions.scope import Scope
from runtime.values import UNDEFINED

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)

_ISO = re.compile(r"""
    (?P<year>\d{4}) (?: -(?P<month>\d\d) (?: -(?P<day>\d\d) )? | (?P<month2>\d\d)(?P<day2>\d\d) )?
    (?: [Tt\ ] (?P<hour>\d\d) (?: :?(?P<minute>\d\d) (?: :?(?P<second>\d\d) (?: [.,](?P<fraction>\d{1,30}) )? )? )?
        \s? (?P<zone> [Zz] | [+-]\d\d (?: :?\d\d )? )? )?
""", re.VERBOSE | re.ASCII)

_FIELDS = {
    "year": lambda moment: moment.year,
    "month": lambda moment: moment.month,
    "date": lambda moment: moment.day,
    "day": lambda moment: moment.isoweekday() % 7,
    "hour": lambda moment: moment.hour,
    "minute": lambda moment: moment.minute,
    "second": lambda moment: moment.second}


def date(scope: Scope, field: str, value: Any = UNDEFINED, layout: Any = UNDEFINED, locale: Any = UNDEFINED,
         zone: Any = UNDEFINED) -> Any:
    """Milliseconds since 1970, one field, or with a format its text."""
    moment = _moment(value)
    if layout is not UNDEFINED and layout is not None and layout != "":
        return format_date(moment, to_text(layout), _chosen(locale, scope.locale), _chosen(zone, scope.timezone))
    if field in ("", "ts"):
        return NAN if moment is None else milliseconds(moment)
    if field == "iso":
        return UNDEFINED if moment is None else iso_text(moment)
    if field not in _FIELDS:
        return UNDEFINED
    return NAN if moment is None else _FIELDS[field](moment)


def _chosen(value: Any, default: str) -> str:
    return value if type(value) is str and value else default


def milliseconds(moment: datetime) -> int:
    return (moment - _EPOCH) // _MILLISECOND


def iso_text(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds")[:23] + "Z"


def _moment(value: Any) -> datetime | None:
    """None for what is no date, or outside the years 1 to 9999."""
    if is_number(value):
        return _from_milliseconds(value)
    return _parsed(value) if type(value) is str and len(value) <= 80 else None


def _from_milliseconds(value: Number) -> datetime | None:
    try:
        return _EPOCH + timedelta(milliseconds=math.trunc(value))
    except (OverflowError, ValueError):           # infinite or too far away; not a number
        return None


@lru_cache(1024)
def _parsed(text: str) -> datetime | None:
    match = _ISO.fullmatch(text.strip())
    if match is None:
        return None
    hour = int(match["hour"] or 0)
    minute, second = int(match["minute"] or 0), int(match["second"] or 0)
    millisecond = int(((match["fraction"] or "") + "000")[:3])
    is_midnight = hour == 24 and not (minute or second or millisecond)      # the end of the day, 24:00
    try:
        moment = datetime(
            int(match["year"]), int(match["month"] or match["month2"] or 1), int(match["day"] or match["day2"] or 1),
            0 if is_midnight else hour, minute, second, millisecond * 1000, UTC)
        return moment + timedelta(days=int(is_midnight)) - _offset(match["zone"])
    except (ValueError, OverflowError):
        return None


def _offset(zone: str | None) -> timedelta:
    if zone is None or zone in "Zz":
        return timedelta()
    hours, minutes = int(zone[1:3]), int(zone[-2:]) if len(zone) > 3 else 0
    if hours > 23 or minutes > 59:
        raise ValueError(zone)
    offset = timedelta(hours=hours, minutes=minutes)
    return -offset if zone[0] == "-" else offset
