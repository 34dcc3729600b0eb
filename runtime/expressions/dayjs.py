"""Dates as people write them: the tokens of Day.js, names of months and days, local conventions, time zones."""
from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import cache, lru_cache
from typing import NamedTuple
from zoneinfo import ZoneInfo, available_timezones

from babel import Locale, UnknownLocaleError

from runtime.errors import ExpressionError
from runtime.values import UNDEFINED

MAX_LAYOUT = 10_000

_LOCALE_NAME = re.compile(r"[A-Za-z]{2,3}(?:[-_][A-Za-z0-9]{2,8}){0,3}")
_LOCALIZED = re.compile(r"\[[^\]]*\]|LTS|LT|L{1,4}|l{1,4}")
_TOKEN = re.compile(r"\[([^\]]*)\]|YYYY|YY|M{1,4}|DD?|d{1,4}|HH?|hh?|mm?|ss?|SSS|ZZ?|A|a")
_SHORTENED = re.compile(r"\[[^\]]*\]|MMMM|MM|DD|dddd")

_ENGLISH = {
    "LT": "h:mm A", "LTS": "h:mm:ss A", "L": "MM/DD/YYYY", "LL": "MMMM D, YYYY", "LLL": "MMMM D, YYYY h:mm A",
    "LLLL": "dddd, MMMM D, YYYY h:mm A"}
_FRENCH = {
    "LT": "HH:mm", "LTS": "HH:mm:ss", "L": "DD/MM/YYYY", "LL": "D MMMM YYYY", "LLL": "D MMMM YYYY HH:mm",
    "LLLL": "dddd D MMMM YYYY HH:mm"}
_WELL_KNOWN = {"en": _ENGLISH, "en_US": _ENGLISH, "fr": _FRENCH, "fr_FR": _FRENCH}

_CLDR = re.compile(r"'([^']*)'|([A-Za-z])\2*|[^A-Za-z']+")
_FROM_CLDR = {
    "y": "YYYY", "yy": "YYYY", "yyyy": "YYYY", "M": "M", "MM": "MM", "MMM": "MMM", "MMMM": "MMMM", "LLLL": "MMMM",
    "d": "D", "dd": "DD", "E": "ddd", "EEE": "ddd", "EEEE": "dddd", "H": "H", "HH": "HH", "h": "h", "hh": "hh",
    "mm": "mm", "ss": "ss", "a": "A"}


class _Names(NamedTuple):
    """What one locale calls things, and how it writes dates. Lists start with January and with Sunday."""

    months: list[str]
    months_alone: list[str]
    short_months: list[str]
    days: list[str]
    short_days: list[str]
    tiny_days: list[str]
    halves: tuple[str, str]
    layouts: dict[str, str]


def format_date(moment: datetime | None, layout: str, locale: str, zone: str) -> str:
    """`Invalid Date` for no moment; undefined for an unknown locale; ExpressionError for an unknown time zone."""
    names = _names(locale)
    if names is None:
        return UNDEFINED
    if moment is None:
        return "Invalid Date"
    if len(layout) > MAX_LAYOUT:
        raise ExpressionError(f"The date format is longer than {MAX_LAYOUT} characters")
    try:
        local = moment.astimezone(_zone(zone))
    except OverflowError:                         # the first and the last hours of the calendar
        return "Invalid Date"
    layout = _LOCALIZED.sub(lambda token: names.layouts.get(token[0], token[0]), layout)
    with_day = "D" in layout
    return _TOKEN.sub(lambda token: _token(token, local, names, with_day), layout)


@cache
def _zones() -> frozenset[str]:
    return frozenset(available_timezones())


def _zone(name: str) -> ZoneInfo:
    if name not in _zones():
        raise ExpressionError(f"Unknown time zone '{name[:100]}'")
    return ZoneInfo(name)


def _token(token: re.Match[str], local: datetime, names: _Names, with_day: bool) -> str:
    """A month next to a day takes the form it has in a date, which some languages inflect."""
    text = token[0]
    if text[0] == "[":
        return token[1]
    if text == "MMMM":
        return (names.months if with_day else names.months_alone)[local.month - 1]
    return _TOKENS[text](local, names)


def _weekday(local: datetime) -> int:
    return local.isoweekday() % 7


def _half(local: datetime, names: _Names) -> str:
    return names.halves[local.hour >= 12]


def _offset(local: datetime, separator: str) -> str:
    offset = local.utcoffset() or timedelta()
    minutes = int(offset.total_seconds() // 60)
    return f"{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02d}{separator}{abs(minutes) % 60:02d}"


_TOKENS: dict[str, Callable[[datetime, _Names], str]] = {
    "YYYY": lambda local, names: f"{local.year:04d}",
    "YY": lambda local, names: f"{local.year % 100:02d}",
    "M": lambda local, names: str(local.month),
    "MM": lambda local, names: f"{local.month:02d}",
    "MMM": lambda local, names: names.short_months[local.month - 1],
    "D": lambda local, names: str(local.day),
    "DD": lambda local, names: f"{local.day:02d}",
    "d": lambda local, names: str(_weekday(local)),
    "dd": lambda local, names: names.tiny_days[_weekday(local)],
    "ddd": lambda local, names: names.short_days[_weekday(local)],
    "dddd": lambda local, names: names.days[_weekday(local)],
    "H": lambda local, names: str(local.hour),
    "HH": lambda local, names: f"{local.hour:02d}",
    "h": lambda local, names: str(local.hour % 12 or 12),
    "hh": lambda local, names: f"{local.hour % 12 or 12:02d}",
    "m": lambda local, names: str(local.minute),
    "mm": lambda local, names: f"{local.minute:02d}",
    "s": lambda local, names: str(local.second),
    "ss": lambda local, names: f"{local.second:02d}",
    "SSS": lambda local, names: f"{local.microsecond // 1000:03d}",
    "Z": lambda local, names: _offset(local, ":"),
    "ZZ": lambda local, names: _offset(local, ""),
    "A": lambda local, names: _half(local, names),
    "a": lambda local, names: _half(local, names).lower()}


@lru_cache(128)
def _names(locale: str) -> _Names | None:
    if not _LOCALE_NAME.fullmatch(locale):
        return None
    try:
        known = Locale.parse(locale.replace("-", "_"))
    except (UnknownLocaleError, ValueError):
        return None
    months, days, halves = known.months, known.days, known.day_periods["format"]["abbreviated"]
    return _Names(
        months=_in_order(months["format"]["wide"], range(1, 13)),
        months_alone=_in_order(months["stand-alone"]["wide"], range(1, 13)),
        short_months=_in_order(months["format"]["abbreviated"], range(1, 13)),
        days=_in_order(days["format"]["wide"], _WEEK),
        short_days=_in_order(days["format"]["abbreviated"], _WEEK),
        tiny_days=_in_order(days["format"]["short"], _WEEK),
        halves=(halves["am"], halves["pm"]),
        layouts=_layouts(known))


_WEEK = (6, 0, 1, 2, 3, 4, 5)
"""Babel counts days from Monday."""


def _in_order(names: dict[int, str], order: range | tuple[int, ...]) -> list[str]:
    return [names[index] for index in order]


def _layouts(locale: Locale) -> dict[str, str]:
    """The localized tokens; lower-case ones are their upper-case forms with everything shortened."""
    layouts = dict(_WELL_KNOWN.get(str(locale)) or _cldr_layouts(locale))
    for name in ("L", "LL", "LLL", "LLLL"):
        layouts[name.lower()] = _SHORTENED.sub(
            lambda token: token[0] if token[0][0] == "[" else token[0][1:], layouts[name])
    return layouts


def _cldr_layouts(locale: Locale) -> dict[str, str]:
    time = _converted(locale.time_formats["short"].pattern)
    long = _converted(locale.date_formats["long"].pattern)
    day = re.sub(r"\bD\b", "DD", re.sub(r"\bM\b", "MM", _converted(locale.date_formats["short"].pattern)))
    return {
        "LT": time, "LTS": _converted(locale.time_formats["medium"].pattern), "L": day, "LL": long,
        "LLL": f"{long} {time}", "LLLL": f"{_converted(locale.date_formats['full'].pattern)} {time}"}


def _converted(pattern: str) -> str:
    """A CLDR pattern in Day.js tokens; quoted text becomes bracketed, unknown fields disappear."""
    def convert(match: re.Match[str]) -> str:
        if match[1] is not None:
            return f"[{match[1] or chr(39)}]"
        return _FROM_CLDR.get(match[0], "") if match[2] else match[0]
    return _CLDR.sub(convert, pattern)
