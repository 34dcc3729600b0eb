"""The query language of searches, compiled to conditions: the part of Elasticsearch's that can be answered exactly here."""
from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any as Anything
from typing import NamedTuple

from runtime.clock import iso
from runtime.search.moments import date
from runtime.search.problems import SearchError, an_object, expect, options, path_of, single, yes_or_no
from store.query import (
    EVERYTHING,
    NOTHING,
    All,
    Any,
    AtLeast,
    Compared,
    Condition,
    Exists,
    Is,
    Like,
    Not,
    Path,
    Prefix,
    Suffix,
    Words,
    all_of,
    as_text,
    words_of,
)

MAX_VALUES = 1000
_MAX_CLAUSES = 256
_MAX_DEPTH = 20
_MAX_BOUND = 2 ** 63
_CREATED = ("createdAt",)
_EXACT = frozenset(("id", "type", "createdAt", "source", "target", "options"))
"""Fields that hold names: a `match` on them, or below them, is about the whole value."""
_IDLE = ("boost", "_name")
"""What changes only scores, which there are none of."""
_SYNTAX = frozenset('"()[]{}*?:~^/\\<>=&|!')
_FORMATS = ("strict_date_optional_time", "date_optional_time", "epoch_millis", "strict_date_optional_time||epoch_millis")


class Asked(NamedTuple):
    """A query, with the bounds on the time (exclusive, milliseconds) that every match keeps apart: a store finds by them."""

    where: Condition
    after_time: int | None = None
    before_time: int | None = None


def ask(document: Anything, now: int) -> Asked:
    """The compiled query; none at all is everything. Raises `SearchError`, which names what is not supported."""
    where = compile_query(document, now)
    after: list[int] = []
    before: list[int] = []
    rest: list[Condition] = []
    for part in where.parts if isinstance(where, All) else (where,):
        match part:
            case Compared(path, order, str(bound)) if path == _CREATED and (time := date(bound, now)) is not None and iso(time) == bound:
                if order in ("gt", "gte"):
                    after.append(time - (order == "gte"))
                else:
                    before.append(time + (order == "lte"))
            case _:
                rest.append(part)
    return Asked(all_of(*rest), max(after, default=None), min(before, default=None))


def compile_query(document: Anything, now: int, at: str = "query") -> Condition:
    return EVERYTHING if document is None else _Compiler(now).condition(document, at, 0)


class _Compiler:
    def __init__(self, now: int) -> None:
        self._now = now
        self._clauses = self._values = 0

    def condition(self, document: Anything, at: str, depth: int) -> Condition:
        name, body = single(document, at, "operator")
        compiled = _OPERATORS.get(name)
        if compiled is None:
            raise SearchError(f'Unsupported query operator "{name}"', {"path": at, "operator": name})
        self._clauses += 1
        expect(self._clauses <= _MAX_CLAUSES, at, f"is one clause too many: {_MAX_CLAUSES} at most")
        expect(depth < _MAX_DEPTH, at, "is nested too deep")
        return compiled(self, body, f"{at}.{name}", depth)

    def bool(self, body: Anything, at: str, depth: int) -> Condition:
        options(body, at, ("filter", "must", "should", "must_not", "minimum_should_match", *_IDLE))
        needed = [part for key in ("filter", "must") for part in self._clauses_of(body.get(key), f"{at}.{key}", depth)]
        should = list(self._clauses_of(body.get("should"), f"{at}.should", depth))
        forbidden = list(self._clauses_of(body.get("must_not"), f"{at}.must_not", depth))
        least = body.get("minimum_should_match")
        count = _count(least, len(should), f"{at}.minimum_should_match") if least is not None else int(not needed and bool(should))
        if count > 0:
            needed.append(Any(tuple(should)) if count == 1 else AtLeast(count, tuple(should)))
        return all_of(*needed, *map(Not, forbidden))

    def _clauses_of(self, value: Anything, at: str, depth: int) -> Iterator[Condition]:
        if isinstance(value, list):
            for index, one in enumerate(value):
                yield self.condition(one, f"{at}[{index}]", depth + 1)
        elif value is not None:
            yield self.condition(value, at, depth + 1)

    def match_all(self, body: Anything, at: str, depth: int) -> Condition:
        options(body, at, _IDLE)
        return EVERYTHING

    def term(self, body: Anything, at: str, depth: int) -> Condition:
        path, value, more = self._field(body, at, "value", option="case_insensitive")
        if more.get("case_insensitive"):
            return Like(path, _plain(self._text(value, at)), True)
        return Is(path, (self._text(value, at),))

    def terms(self, body: Anything, at: str, depth: int) -> Condition:
        name, values = single({key: value for key, value in an_object(body, at).items() if key not in _IDLE}, at, "field")
        expect(isinstance(values, list), f"{at}.{name}", "should be a list")
        return Is(path_of(name, at), tuple(dict.fromkeys(self._text(value, f"{at}.{name}") for value in values)))

    def match(self, body: Anything, at: str, depth: int) -> Condition:
        path, value, more = self._field(body, at, "query", option="operator")
        text = self._text(value, at)
        if path[0] in _EXACT or not isinstance(value, str):
            return Is(path, (text,))
        return self._words((path,), text, more.get("operator", "or"), at)

    def query_string(self, body: Anything, at: str, depth: int) -> Condition:
        options(body, at, ("query", "default_operator", "default_field", "fields", *_IDLE))
        text = body.get("query")
        expect(isinstance(text, str), f"{at}.query", "should be a text")
        for word in text.split():
            mark = next((mark for mark in word if mark in _SYNTAX), word if word in ("AND", "OR", "NOT") else word[0] if word[0] in "+-" else "")
            if mark:
                raise SearchError(f'Unsupported syntax "{mark}" in query_string: it takes plain words', {"path": f"{at}.query", "operator": mark})
        fields = body.get("fields") or [body.get("default_field") or "*"]
        expect(isinstance(fields, list), f"{at}.fields", "should be a list")
        paths = tuple(() if field == "*" else path_of(field, f"{at}.fields") for field in fields)
        return self._words(paths, text, body.get("default_operator", "or"), at)

    def wildcard(self, body: Anything, at: str, depth: int) -> Condition:
        path, value, more = self._field(body, at, "value", "wildcard", option="case_insensitive")
        pattern = self._text(value, at)
        return _pattern(path, pattern, bool(more.get("case_insensitive")))

    def prefix(self, body: Anything, at: str, depth: int) -> Condition:
        path, value, more = self._field(body, at, "value", option="case_insensitive")
        text = self._text(value, at)
        if more.get("case_insensitive") or not text:
            return Like(path, _plain(text) + "*", bool(more.get("case_insensitive")))
        return Prefix(path, text)

    def exists(self, body: Anything, at: str, depth: int) -> Condition:
        options(body, at, ("field", *_IDLE))
        return Exists(path_of(body.get("field"), f"{at}.field"))

    def range(self, body: Anything, at: str, depth: int) -> Condition:
        name, bounds = single(body, at, "field")
        path, at = path_of(name, at), f"{at}.{name}"
        options(bounds, at, ("gt", "gte", "lt", "lte", "format", *_IDLE))
        expect(bounds.get("format", _FORMATS[0]) in _FORMATS, f"{at}.format", f"should be one of {', '.join(_FORMATS)}")
        return all_of(*(Compared(path, order, self._bound(path, order, bounds[order], f"{at}.{order}"))
                        for order in ("gt", "gte", "lt", "lte") if bounds.get(order) is not None))

    def _bound(self, path: Path, order: str, value: Anything, at: str) -> int | float | str:
        """A moment reads as the envelope writes it, so that comparing texts is comparing times."""
        expect(type(value) in (int, float, str), at, "should be a number or a text")
        if path == _CREATED and type(value) is not str:
            value = str(int(value))
        if type(value) is not str:
            expect(abs(value) <= _MAX_BOUND, at, "is too large")
            return value
        is_relative = value.startswith("now") or "||" in value
        if path != _CREATED and not is_relative:
            return value
        time = int(value) if value.isdecimal() and len(value) > 4 else date(value, self._now, rounds_up=order in ("gt", "lte"))
        expect(time is not None and 0 <= time < 253_402_300_800_000, at, "should be a date")
        return iso(time)

    def _field(self, body: Anything, at: str, *mains: str, option: str) -> tuple[Path, Anything, dict[str, Anything]]:
        """`{field: value}` or `{field: {main: value, option: …}}`, whichever name the main thing has."""
        name, value = single(body, at, "field")
        path = path_of(name, at)
        if not isinstance(value, dict):
            return path, value, {}
        more = options(value, f"{at}.{name}", (*mains, option, *_IDLE))
        if option == "case_insensitive" and option in more:
            yes_or_no(more[option], f"{at}.{name}.{option}")
        return path, next((more[main] for main in mains if main in more), None), more

    def _text(self, value: Anything, at: str) -> str:
        text = as_text(value)
        expect(text is not None, at, "should look for a text, a number or a boolean")
        self._values += 1
        expect(self._values <= MAX_VALUES, at, f"is one value too many: {MAX_VALUES} at most")
        return text or ""

    def _words(self, paths: tuple[Path, ...], text: str, operator: Anything, at: str) -> Condition:
        expect(isinstance(operator, str) and operator.lower() in ("and", "or"), at, 'should have "and" or "or" as its operator')
        words = tuple(dict.fromkeys(words_of(text)))
        self._values += len(words) * len(paths)
        expect(self._values <= MAX_VALUES, at, f"has too many words: {MAX_VALUES} at most")
        if not words:
            return NOTHING
        found = tuple(Words(path, words, operator.lower() == "and") for path in paths)
        return found[0] if len(found) == 1 else Any(found)


_OPERATORS: dict[str, Callable[[_Compiler, Anything, str, int], Condition]] = {
    "bool": _Compiler.bool, "exists": _Compiler.exists, "match": _Compiler.match, "match_all": _Compiler.match_all,
    "prefix": _Compiler.prefix, "query_string": _Compiler.query_string, "range": _Compiler.range, "term": _Compiler.term,
    "terms": _Compiler.terms, "wildcard": _Compiler.wildcard,
}


def _count(least: Anything, of: int, at: str) -> int:
    """How many of so many clauses: a number, one that says how many may be missing, or either of them in percent."""
    text = least if isinstance(least, str) else as_text(least) or ""
    digits = text.removeprefix("-").removesuffix("%")
    expect(digits.isascii() and digits.isdigit() and len(digits) <= 4, at, "should be a number, or one in percent")
    count = of * int(digits) // 100 if text.endswith("%") else int(digits)
    return of - count if text.startswith("-") else count


def _plain(text: str) -> str:
    """A pattern for this text and no other."""
    return text.replace("\\", "\\\\").replace("*", "\\*").replace("?", "\\?")


def _pattern(path: Path, pattern: str, ignores_case: bool) -> Condition:
    """As what an index may know, if it is that simple."""
    inner = pattern.strip("*")
    if ignores_case or "\\" in pattern or "?" in pattern or "*" in inner or not inner:
        return Like(path, pattern, ignores_case)
    match pattern.startswith("*"), pattern.endswith("*"):
        case False, False:
            return Is(path, (pattern,))
        case False, True:
            return Prefix(path, inner)
        case True, False:
            return Suffix(path, inner)
    return Like(path, pattern)
