"""Pending waits of one workspace: found by the name of the event, fulfilled by the first that fits, or ended by their deadline."""
from __future__ import annotations

from asyncio import Future
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from runtime.envelope import LiveEvent
from runtime.errors import ExpressionError
from runtime.expressions import check_operators, follow, is_operators, matches_filter, parse_path

Test = Callable[[dict[str, Any]], bool]


@dataclass(frozen=True, slots=True)
class Pattern:
    """One entry of `oneOf`: an exact event name, and what its fields must be."""

    event: str
    tests: tuple[Test, ...]
    cancels_triggers: bool

    def fits(self, live: LiveEvent) -> bool:
        return not self.tests or self.holds(live.event)

    def holds(self, event: dict[str, Any]) -> bool:
        """Whether the fields of an event with the right name are what they must be."""
        try:
            return all(test(event) for test in self.tests)
        except ExpressionError:                            # a regular expression that takes too long on this event
            return False


class PendingWait:
    """One frame that waits. `result` gets the event once that is durable, or None when time is up."""

    __slots__ = ("id", "patterns", "result")

    def __init__(self, id: str, patterns: tuple[Pattern, ...], result: Future[LiveEvent | None]) -> None:
        self.id = id
        self.patterns = patterns
        self.result = result


class Waits:
    """The index: event name → waits that name it."""

    def __init__(self) -> None:
        self._by_event: dict[str, list[tuple[Pattern, PendingWait]]] = {}

    def __bool__(self) -> bool:
        return bool(self._by_event)

    def add(self, wait: PendingWait) -> None:
        for pattern in wait.patterns:
            self._by_event.setdefault(pattern.event, []).append((pattern, wait))

    def remove(self, wait: PendingWait) -> None:
        for pattern in wait.patterns:
            entries = [entry for entry in self._by_event.get(pattern.event, ()) if entry[1] is not wait]
            if entries:
                self._by_event[pattern.event] = entries
            else:
                self._by_event.pop(pattern.event, None)

    def claim(self, live: LiveEvent) -> tuple[list[PendingWait], bool]:
        """Take out the waits this event fulfils, and tell whether one of them keeps it from the triggers."""
        entries = self._by_event.get(live.type)
        if not entries:
            return [], False
        fitting = [(pattern, wait) for pattern, wait in entries if pattern.fits(live)]
        for _, wait in fitting:
            self.remove(wait)
        return [wait for _, wait in fitting], any(pattern.cancels_triggers for pattern, _ in fitting)


def compile_pattern(written: dict[str, Any], prefix: str) -> Pattern:
    """Raises `VariableNameError` for a filter whose path is malformed, `ExpressionError` for one that cannot be met."""
    filters = written.get("filters")
    tests = tuple(_test(parse_path(path), wanted) for path, wanted in filters.items()) if isinstance(filters, dict) else ()
    return Pattern(prefix + written["event"], tests, written.get("cancelTriggers") is True)


def _test(path: tuple[str | int, ...], wanted: Any) -> Test:
    if is_operators(wanted):
        check_operators(wanted)
    return lambda event: matches_filter(follow(event, path), wanted)

