"""Conditions on events as SQL on the column `body`, with the meaning that `query.predicate` has.

A value is compared as the JSON text that stands in the body, which is what `runtime.values.encode` writes: shortest
numbers, no spaces, nothing escaped that need not be. What SQL cannot say exactly is asked of a function of ours.
"""
from __future__ import annotations

import json
import re
from collections.abc import Callable
from functools import lru_cache
from sqlite3 import Connection
from typing import Any as Anything
from typing import NamedTuple

import orjson

from store.query import (
    Absent,
    All,
    Any,
    AtLeast,
    AtMost,
    Compared,
    Condition,
    Exists,
    Is,
    Like,
    Not,
    Path,
    Prefix,
    Present,
    Suffix,
    Text,
    Words,
    as_text,
    has_words,
    is_compared,
    pattern_of,
    value_at,
)

_FALSY = "('null', 'false', '0', '0.0', '-0.0', '\"\"', '{}', '[]')"
_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?(e[+-][0-9]+)?")
_SIDE_BY_SIDE = 64       # parts: SQL nests each behind the one before, and not without end
_PLAIN_KEY = re.compile(r'[^"\\\x00-\x1f\x7f]+')


class Clause(NamedTuple):
    """An expression that is 0 or 1, never null, and its parameters."""

    sql: str
    parameters: list[Anything]


def clause(condition: Condition) -> Clause:
    match condition:
        case All(parts):
            return _joined(" AND ", "1", parts, All)
        case Any(parts):
            return _joined(" OR ", "0", parts, Any)
        case AtLeast(count, parts):
            counted = [clause(part) for part in parts]
            sql = " + ".join(f"({c.sql})" for c in counted) or "0"
            return Clause(f"{sql} >= ?", [*(p for c in counted for p in c.parameters), count])
        case Not(part):
            inner = clause(part)
            return Clause(f"NOT ({inner.sql})", inner.parameters)
        case Text(needle):
            return Clause("instr(body, ?) > 0", [needle]) if _is_unicode(needle) else Clause("0", [])
    return _of_value(condition)


def _of_value(condition: Condition) -> Clause:
    match condition:
        case Is(path, values):
            texts = sorted({text for value in values for text in _json_forms(value)})
            return _on(path, f"coalesce(v IN ({', '.join('?' * len(texts))}), 0)", texts)
        case Prefix(path, text):
            return _prefix(path, text)
        case Suffix(path, text):
            return _suffix(path, text)
        case Present(path):
            return _on(path, f"coalesce(v NOT IN {_FALSY}, 0)", [])
        case Absent(path):
            return _on(path, f"coalesce(v IN {_FALSY}, 1)", [])
        case AtMost(path, limit):
            return _at_most(path, limit)
        case Exists(path):
            return _on(path, "coalesce(v NOT IN ('null', '{}', '[]'), 0)", [])
        case Compared(path, order, bound):
            return _on(path, "meets(v, ?)", [json.dumps(["compared", order, bound])])
        case Like(path, pattern, ignores_case):
            return _on(path, "meets(v, ?)", [json.dumps(["like", pattern, ignores_case])])
        case Words(path, words, needs_each):
            return _on(path, "meets(v, ?)", [json.dumps(["words", words, needs_each])])
    raise TypeError(f"not a condition: {condition!r}")


def add_functions(connection: Connection) -> None:
    """Teach `connection` the functions that clauses may call."""
    connection.create_function("json_at", 2, _json_at, deterministic=True)
    connection.create_function("has_prefix", 2, _has_prefix, deterministic=True)
    connection.create_function("has_suffix", 2, _has_suffix, deterministic=True)
    connection.create_function("meets", 2, _meets, deterministic=True)


def _joined(operator: str, empty: str, parts: tuple[Condition, ...], kind: type[All | Any]) -> Clause:
    if len(parts) > _SIDE_BY_SIDE:
        size = -(-len(parts) // _SIDE_BY_SIDE)
        parts = tuple(kind(parts[start:start + size]) for start in range(0, len(parts), size))
    clauses = [clause(part) for part in parts]
    sql = operator.join(f"({c.sql})" for c in clauses) or empty
    return Clause(sql, [p for c in clauses for p in c.parameters])


def _on(path: Path, expression: str, parameters: list[Anything]) -> Clause:
    """`expression` speaks of `v`, the JSON text at `path`, null where there is none."""
    if not all(map(_is_unicode, path)):
        value, where = "nullif(?, '')", ""
    elif not path:
        value, where = "coalesce(body, ?)", ""
    elif all(_PLAIN_KEY.fullmatch(key) and not key.isdecimal() for key in path):
        value, where = "body -> ?", "$" + "".join(f'."{key}"' for key in path)
    else:                                              # an index or a member: only the value above it can tell
        value, where = "json_at(body, ?)", orjson.dumps(path).decode()
    return Clause(f"(SELECT {expression} FROM (SELECT {value} AS v))", [*parameters, where])


def _json_forms(text: str) -> list[str]:
    """The JSON texts of all values that compare as `text`."""
    if not _is_unicode(text):
        return []
    forms = [orjson.dumps(text).decode()]
    if text in ("true", "false"):
        forms.append(text)
    if _NUMBER.fullmatch(text):
        number = float(text)
        if as_text(number) == text:                    # so says `1` of 1.0
            forms.append(orjson.dumps(number).decode())
        if text.lstrip("-").isdecimal():
            forms.append(text)
    return [*forms, "-0.0"] if text == "0" else forms


def _prefix(path: Path, text: str) -> Clause:
    if not text:
        return Clause("1", [])
    if not _is_unicode(text):
        return Clause("0", [])
    start = orjson.dumps(text).decode()[:-1]           # an escape never begins in the middle of another
    return _on(path, "CASE substr(v, 1, 1) WHEN '\"' THEN substr(v, 1, ?) = ? ELSE coalesce(has_prefix(v, ?), 0) END",
               [len(start), start, text])


def _suffix(path: Path, text: str) -> Clause:
    if not text:
        return Clause("1", [])
    if not _is_unicode(text):
        return Clause("0", [])
    end = text + '"' if orjson.dumps(text).decode() == f'"{text}"' else None
    return _on(path, "CASE WHEN substr(v, 1, 1) = '\"' AND instr(v, '\\') = 0 THEN coalesce(substr(v, ?) = ?, 0) "
                     "ELSE coalesce(has_suffix(v, ?), 0) END", [-len(text) - 1, end, text])


def _at_most(path: Path, limit: int) -> Clause:
    return _on(path, f"CASE WHEN v IS NULL OR v IN {_FALSY} THEN {int(limit >= 0)} WHEN v = 'true' THEN {int(limit >= 1)} "
                     "WHEN substr(v, 1, 1) IN ('\"', '{', '[') THEN 0 ELSE CAST(v AS NUMERIC) <= ? END", [limit])


def _is_unicode(text: str) -> bool:
    """Half a surrogate pair is in no body."""
    return not any("\ud800" <= character <= "\udfff" for character in text)


def _json_at(body: str, path: str) -> str | None:
    value = value_at(orjson.loads(body), tuple(orjson.loads(path)))
    return None if value is None else orjson.dumps(value).decode()


def _meets(value: str | None, test: str) -> bool:
    return _test(test)(None if value is None else orjson.loads(value))


@lru_cache(256)
def _test(text: str) -> Callable[[Anything], bool]:
    """What a list such as `["like", "a*", false]` asks of a value."""
    kind, what, how = json.loads(text)
    match kind:
        case "compared":
            return lambda value: is_compared(value, what, how)
        case "words":
            return lambda value: has_words(value, what, how)
    looks_like = pattern_of(what, how).fullmatch
    return lambda value: (shown := as_text(value)) is not None and looks_like(shown) is not None


def _has_prefix(value: str | None, text: str) -> bool:
    return value is not None and (as_text(orjson.loads(value)) or "").startswith(text)


def _has_suffix(value: str | None, text: str) -> bool:
    return value is not None and (as_text(orjson.loads(value)) or "").endswith(text)
