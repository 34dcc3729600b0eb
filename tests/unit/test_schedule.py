"""Crons, the minimum between firings, and their preview."""
from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.errors import InvalidSchedule
from runtime.triggers.schedule import Schedule, parse_cron, parse_minimum, preview

QUARTERS = parse_minimum("*/15 * * * *")


def at(text: str) -> int:
    return int(datetime.fromisoformat(f"{text}+00:00").timestamp() * 1000)


def test_preview_holds_every_cron_to_the_quarter_hours():
    crons = [parse_cron("* * * * *"), parse_cron("*/20 * * * *"), parse_cron("0 5 * * *")]
    assert preview(crons, at("2026-03-01 03:14:00"), 3, QUARTERS) == [
        ("* * * * *", [at("2026-03-01 03:15:00"), at("2026-03-01 03:30:00"), at("2026-03-01 03:45:00")]),
        ("*/20 * * * *", [at("2026-03-01 03:20:00"), at("2026-03-01 03:40:00"), at("2026-03-01 04:00:00")]),
        ("0 5 * * *", [at("2026-03-01 05:00:00"), at("2026-03-02 05:00:00"), at("2026-03-03 05:00:00")]),
    ]


def test_without_a_minimum_seconds_count():
    assert parse_minimum("  ") is None
    assert preview([parse_cron("*/20 * * * * *")], at("2026-03-01 03:14:59"), 3) == [
        ("*/20 * * * * *", [at("2026-03-01 03:15:00"), at("2026-03-01 03:15:20"), at("2026-03-01 03:15:40")])]


def test_seconds_make_no_difference_under_the_minimum():
    from_ms = at("2026-03-01 03:14:00")
    assert preview([parse_cron("* * * * * *")], from_ms, 5, QUARTERS)[0][1] == \
        preview([parse_cron("* * * * *")], from_ms, 5, QUARTERS)[0][1]


def test_the_next_time_is_strictly_later_even_within_a_second():
    cron = parse_cron("15 3 * * *")
    due = at("2026-03-01 03:15:00")
    assert cron.next(due - 1) == due
    assert cron.next(due) == cron.next(due + 1) == at("2026-03-02 03:15:00")


def test_a_clock_change_in_europe_is_no_reason_to_fire_twice():
    hours = preview([parse_cron("30 * * * *")], at("2026-10-24 23:00:00"), 5)[0][1]
    assert {later - earlier for earlier, later in itertools.pairwise(hours)} == {3_600_000}


@pytest.mark.parametrize("text", [
    "* * * * *", "0 5 * * 1-5", "0,30 8-18/2 1,15 jan-mar MON", "0 0 29 2 *", "  0   5 * * *  ", "0 0 ? * mon",
    "30 0 5 * * *", "5/15 * * * *", "0 0 * * 7", "0 0 * * fri-sun", "@daily", "@HOURLY", "0 0 31 2 1",
])
def test_a_schedule_is_accepted_and_keeps_its_text(text: str):
    assert parse_cron(text).text == text


@pytest.mark.parametrize("text", [
    "every day", "", " ", "* * * *", "* * * * * * 2030", "* * * * * * *", "R * * * *", "R/5 R * * *", "H * * * *",
    "H(0-5) * * * *", "@reboot", "@every 5m", "@", "0 0 L * *", "0 0 15W * *", "0 0 * * 1#2", "0 0 * * L5", "60 * * * *",
    "* 24 * * *", "* * 0 * *", "* * * 13 *", "* * * * 8", "*/0 * * * *", "-1 * * * *", "1,,2 * * * *", "1-2-3 * * * *",
    "0 0 30 2 *", "0 0 31 4,6,9,11 *", "1_0 * * * *", "\u0661 * * * *", "\x00 * * * *", "0 0 * foo *", "mon * * * *",
    "*/2/3 * * * *", "* * * * ,", "? * * * *", "0" * 501, "0,1" * 200 + " * * * *", None, 5, ["* * * * *"], {},
])
def test_anything_else_is_refused_by_name(text: object):
    with pytest.raises(InvalidSchedule) as refusal:
        parse_cron(text)
    assert refusal.value.message == "Invalid schedule format"
    assert refusal.value.details["schedule"] == str(text)[:100]
    assert refusal.value.details["reason"]


def test_a_range_of_one_value_is_that_value():
    start = at("2026-03-01 00:00:00")
    assert preview([parse_cron("5-5 * * * *")], start, 3)[0][1] == preview([parse_cron("5 * * * *")], start, 3)[0][1]
    assert preview([parse_cron("0 0 1 jan-jan *")], start, 2)[0][1] == [at("2027-01-01 00:00:00"), at("2028-01-01 00:00:00")]


def test_the_leap_day_is_found_across_a_century_that_has_none():
    assert preview([parse_cron("0 0 29 2 *")], at("2096-03-01 00:00:00"), 1)[0][1] == [at("2104-02-29 00:00:00")]


@pytest.mark.parametrize("from_ms", [-10**18, -1, 253_000_000_000_000, 10**18])
def test_a_preview_outside_the_calendar_is_empty(from_ms: int):
    assert preview([parse_cron("@daily")], from_ms, 3, QUARTERS) == [("@daily", [])]


NUMBERS = {"minute": range(60), "hour": range(24), "day": range(1, 29), "month": range(1, 13), "weekday": range(7)}
FIELDS = st.tuples(*(st.one_of(st.none(), st.sets(st.sampled_from(span), min_size=1, max_size=4)) for span in NUMBERS.values()))


@settings(max_examples=40, deadline=None)
@given(FIELDS, st.integers(0, 4_000_000_000))
def test_the_next_time_is_the_first_minute_that_fits(fields: tuple[set[int] | None, ...], after: int):
    minutes, hours, days, months, weekdays = fields
    cron = parse_cron(" ".join("*" if each is None else ",".join(map(str, sorted(each))) for each in fields))
    moment = datetime.fromtimestamp(after - after % 60, UTC) + timedelta(minutes=1)

    def day_fits() -> bool:
        by_day, by_weekday = days and moment.day in days, weekdays and moment.isoweekday() % 7 in weekdays
        # Day and weekday both given: either will do.
        return (days is None and weekdays is None) or bool(by_day or by_weekday)

    while True:
        if (months and moment.month not in months) or not day_fits():
            moment = moment.replace(hour=0, minute=0) + timedelta(days=1)
        elif hours and moment.hour not in hours:
            moment = moment.replace(minute=0) + timedelta(hours=1)
        elif minutes and moment.minute not in minutes:
            moment += timedelta(minutes=1)
        else:
            break
    assert cron.next(after * 1000) == int(moment.timestamp()) * 1000


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(["* * * * *", "*/20 * * * *", "7,8 * * * *", "0 5 * * *", "59 23 * * 0"]), st.integers(0, 4 * 10**12))
def test_firings_are_at_least_a_minute_apart_and_never_before_the_next_mark(text: str, after_ms: int):
    schedule = Schedule(parse_cron(text), QUARTERS)
    for _ in range(4):
        due = schedule.next(after_ms)
        assert due >= QUARTERS.next(after_ms) > after_ms
        after_ms = due


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet="0123456789*/,-?#@LRWHlrwh jansut\t", max_size=40))
def test_any_text_is_either_a_schedule_or_refused(text: str):
    try:
        cron = parse_cron(text)
    except InvalidSchedule:
        return
    assert cron.next(1_772_334_840_000) > 1_772_334_840_000
