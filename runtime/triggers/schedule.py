"""When a cron falls: five fields or six with leading seconds, in UTC, held to the operator's minimum."""
from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from croniter import croniter
from croniter.croniter import CroniterError

from runtime.errors import InvalidSchedule

# Seconds, minutes, hours, days, months and weekdays are numbers, three-letter names, lists, ranges and steps. Everything
# else that croniter reads (years, R, H, L, W, #) is refused: it is random, or means different things to different people.
_VALUE = r"(?:\d{1,2}|[a-z]{3})"
_ITEM = rf"(?:\*|{_VALUE}(?:-{_VALUE})?)(?:/\d{{1,4}})?"
_FIELD = re.compile(rf"\?|{_ITEM}(?:,{_ITEM})*", re.ASCII)
_RANGE_OF_ONE = re.compile(rf"(?<![\w-])({_VALUE})-\1(?:/\d+)?(?!\w)", re.ASCII)
_MAX_CHARACTERS = 500

# The names that stand for five fields. Those that stand for anything else, like @reboot, are refused.
_NAMED = {
    "@hourly": "0 * * * *", "@daily": "0 0 * * *", "@midnight": "0 0 * * *", "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *", "@yearly": "0 0 1 1 *", "@annually": "0 0 1 1 *",
}

# 29 February may be eight years away (1896 to 1904): a cron that does not fall within nine never will.
_LONGEST_GAP_YEARS = 9
# The search for such a gap starts at a fixed instant, so that a text is good or bad for ever.
_ANY_INSTANT = 1_700_000_000
_LAST_MS = 253_000_000_000_000
"""In the year 9987: close enough to where the calendar ends."""


@dataclass(frozen=True, slots=True)
class Cron:
    """An expression that is known to fall now and then. Two are equal when their texts are."""

    text: str
    """As it was written."""
    _times: croniter = field(repr=False, compare=False)

    def next(self, after_ms: int) -> int:
        """The first time strictly after `after_ms`, in milliseconds."""
        # Times are whole seconds, so what follows the second that has begun follows this very millisecond.
        return int(self._times.get_next(float, after_ms // 1000)) * 1000


class Schedule(NamedTuple):
    """One cron of an automation, and the marks that keep it from running more often than the operator wants."""

    cron: Cron
    minimum: Cron | None = None

    def next(self, after_ms: int) -> int:
        """The later of the cron's next time and the next mark, both after the previous firing."""
        time = self.cron.next(after_ms)
        return time if self.minimum is None else max(time, self.minimum.next(after_ms))


def parse_cron(text: Any) -> Cron:
    """The cron written as `text`; InvalidSchedule says why it is none."""
    if not isinstance(text, str) or len(text) > _MAX_CHARACTERS:
        raise _refused(text, f"a schedule is a text of at most {_MAX_CHARACTERS} characters")
    fields = text.lower().split()
    if len(fields) == 1 and fields[0].startswith("@"):
        fields = _NAMED.get(fields[0], "").split()
        if not fields:
            raise _refused(text, f"of the names there are only {', '.join(_NAMED)}")
    if len(fields) not in (5, 6):
        raise _refused(text, "a schedule has five fields (minute, hour, day, month, weekday), or six with leading seconds")
    for each in fields:
        if not _FIELD.fullmatch(each):
            raise _refused(text, f'"{each}" is not made of numbers, names of months or weekdays, and * , - /')
    return Cron(text, _times(text, " ".join(fields)))


def parse_minimum(pattern: str) -> Cron | None:
    """The marks of SCHEDULES_MAXIMUM_OCCURRENCE_PATTERN; empty means that there is no minimum."""
    return parse_cron(pattern) if pattern.strip() else None


def preview(crons: Iterable[Cron], from_ms: int, count: int, minimum: Cron | None = None) -> list[tuple[str, list[int]]]:
    """The text of each cron with its `count` firings after `from_ms`; fewer where the calendar ends."""
    return [(cron.text, _firings(Schedule(cron, minimum), from_ms, count)) for cron in crons]


def _firings(schedule: Schedule, after_ms: int, count: int) -> list[int]:
    times: list[int] = []
    while len(times) < count and 0 <= after_ms < _LAST_MS:
        after_ms = schedule.next(after_ms)
        times.append(after_ms)
    return times


def _times(text: str, expression: str) -> croniter:
    # croniter reads 5-5 as "all of them"; here a range of one value is that value.
    expression = _RANGE_OF_ONE.sub(r"\1", expression)
    try:
        times = croniter(expression, _ANY_INSTANT, second_at_beginning=True, max_years_between_matches=_LONGEST_GAP_YEARS)
    except CroniterError as error:
        raise _refused(text, str(error)) from None
    try:
        times.get_next(float)
    except CroniterError:
        raise _refused(text, "there is no such day in any year") from None
    return times


def _refused(text: Any, reason: str) -> InvalidSchedule:
    return InvalidSchedule("Invalid schedule format", {"schedule": str(text)[:100], "reason": reason})
