"""What is wrong with a document, and the error that refuses it: one problem is a code, a sentence, a place and a hint."""
from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from runtime.errors import AlreadyUsed, InvalidAutomation, InvalidSchedule, InvalidSlug
from runtime.language.source import Mark, Path, Source

_WORD = re.compile(r"[\w$-]+")
_CLASSES = {"bad-cron": InvalidSchedule, "bad-slug": InvalidSlug, "duplicate-slug": AlreadyUsed}
"""The codes whose refusal has a name of its own on the wire."""
_LONGEST_PART = 100
MAX_FOUND = 10_000
"""Problems kept of one document, and as many warnings: a long document may be wrong in every line."""
_WIRE_MESSAGES = {"bad-cron": "Invalid schedule format"}


@dataclass(frozen=True, slots=True)
class Problem:
    """`code` is stable; `message` says what is wrong without a full stop, `hint` what to write instead."""

    code: str
    message: str
    path: Path
    mark: Mark
    hint: str = ""

    def __str__(self) -> str:
        return f"{self.mark}: {self.code}: {self.message}." + (f" {self.hint}" if self.hint else "")

    def as_dict(self) -> dict[str, Any]:
        """As it stands in the `details` of an error; the place is left out where there is none."""
        place = {"line": self.mark.line, "column": self.mark.column} if self.mark else {}
        hint = {"hint": self.hint} if self.hint else {}
        return {"path": path_text(self.path), "message": self.message, **place, "code": self.code, **hint}


@dataclass(frozen=True, slots=True)
class Report:
    """Problems refuse the document; warnings tell what will fail, or surprise, when it is reached."""

    problems: tuple[Problem, ...] = ()
    warnings: tuple[Problem, ...] = ()

    @property
    def is_accepted(self) -> bool:
        return not self.problems

    def refuse(self) -> None:
        """Raise `InvalidAutomation`, or what is narrower for schedules and slugs, if there are problems."""
        if self.problems:
            raise refusal(self.problems)


@dataclass(slots=True)
class Findings:
    """Collects the problems of one source."""

    source: Source
    problems: list[Problem] = field(default_factory=list)
    warnings: list[Problem] = field(default_factory=list)
    dropped: int = 0

    def refuse(self, code: str, path: Path, message: str, *, hint: str = "", key: bool = False) -> None:
        self._keep(self.problems, code, path, message, hint=hint, key=key)

    def warn(self, code: str, path: Path, message: str, *, hint: str = "", key: bool = False) -> None:
        self._keep(self.warnings, code, path, message, hint=hint, key=key)

    def _keep(self, kept: list[Problem], code: str, path: Path, message: str, *, hint: str, key: bool) -> None:
        if len(kept) < MAX_FOUND:
            kept.append(Problem(code, message, path, self.source.at(path, key), hint))
        else:
            self.dropped += 1

    def report(self) -> Report:
        """In the order of the document; what was too much to keep is told as a last warning."""
        warnings = sorted(self.warnings, key=_place)
        if self.dropped:
            warnings.append(Problem("more", f"{self.dropped} more are not listed", (), Mark(self.source.name)))
        return Report(tuple(sorted(self.problems, key=_place)), tuple(warnings))


def refusal(problems: Sequence[Problem]) -> InvalidAutomation:
    """The error for these problems, all of them in `details`; the first one, in document order, gives it its class."""
    first = problems[0]
    more = f" ({len(problems) - 1} more)" if len(problems) > 1 else ""
    message = f"{first.code}: {first.message} ({first.mark})." + (f" {first.hint}" if first.hint else "") + more
    return _CLASSES.get(first.code, InvalidAutomation)(
        _WIRE_MESSAGES.get(first.code, message), [problem.as_dict() for problem in problems],
        where=str(first.mark), hint=first.hint)


def path_text(path: Path) -> str:
    """`automations.greet.do[0].set`; keys that are no plain word stand in brackets."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        elif len(part) > _LONGEST_PART:
            text += f"[{part[:_LONGEST_PART] + '…'!r}]"
        elif _WORD.fullmatch(part):
            text += f".{part}" if text else part
        else:
            text += f"[{part!r}]"
    return text


def shown(value: Any, most: int = 60) -> str:
    """A value as a message shows it: quoted text, or what kind of thing it is."""
    match value:
        case str():
            return f'"{value[:most]}…"' if len(value) > most else f'"{value}"'
        case None:
            return "nothing"
        case bool():
            return "true" if value else "false"
        case dict():
            return "a map"
        case list():
            return "a list"
        case int():
            return str(value) if -(1 << 64) < value < 1 << 64 else "a large number"
        case float():
            return repr(value)
        case _:
            return f"a {type(value).__name__}"


def _place(problem: Problem) -> tuple[int, int]:
    return problem.mark.line, problem.mark.column
