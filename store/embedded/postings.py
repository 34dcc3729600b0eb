"""Where events are found: numbers for what they are asked by, and the blocks of positions those numbers point to.

Numbers of different kinds may meet without harm: they only say where to look.
"""
from __future__ import annotations

from functools import lru_cache
from hashlib import blake2b

from store.query import All, Any, Condition, Is

BLOCK_BITS = 6
BLOCK_SIZE = 1 << BLOCK_BITS

Terms = frozenset[int]

_MANY = 32      # alternatives beyond this are cheaper looked for in the whole workspace


@lru_cache(8192)
def type_term(workspace_id: str, type: str) -> int:
    return _hash(f"type\0{workspace_id}\0{type}")


@lru_cache(8192)
def session_term(session_id: str) -> int:
    return _hash(f"session\0{session_id}")


@lru_cache(1024)
def correlation_term(correlation_id: str) -> int:
    """Grows with the time in ids of ours (see `Ids.correlation_id`), so that new ones meet on the last pages."""
    if len(correlation_id) == 32 and correlation_id[0] == "0":
        try:
            return int(correlation_id[:16], 16)
        except ValueError:
            pass
    return _hash(f"correlation\0{correlation_id}")


def moment_of(id: str) -> str:
    """What neighbours in time share: the tenth of a second of a `<milliseconds>-<counter>`; of any other id, all of it."""
    return id[:11] if id[13:14] == "-" else id


@lru_cache(1024)
def id_term(moment: str) -> int:
    return 1 << 40 | int(moment) if len(moment) == 11 and moment.isdecimal() else _hash(f"id\0{moment}")


def _hash(text: str) -> int:
    digest = blake2b(text.encode(errors="surrogatepass"), digest_size=8).digest()
    return -1 - (int.from_bytes(digest, "big") >> 1)


def column_of(workspace_id: str, condition: Condition) -> tuple[str, Terms] | None:
    """The column that tells rows apart by this condition, and the numbers it may hold."""
    match condition:
        case Is(("source", "correlationId"), values):
            return "correlation", frozenset(map(correlation_term, values))
        case Is(("source", "sessionId"), values):
            return "session", frozenset(map(session_term, values))
        case Is(("type",), values):
            return "type", frozenset(type_term(workspace_id, value) for value in values)
    return None


def terms(workspace_id: str, condition: Condition) -> Terms | None:
    """Numbers one of which every event has that meets the condition; None when there are none, or too many."""
    found = _ranked(workspace_id, condition)
    return found[1] if found is not None and len(found[1]) <= _MANY else None


def _ranked(workspace_id: str, condition: Condition) -> tuple[int, Terms] | None:
    """The terms with their rank: the lower, the fewer events they lead to."""
    match condition:
        case Is(("id",), values):
            return 0, frozenset(id_term(moment_of(value)) for value in values)
        case Is():
            column = column_of(workspace_id, condition)
            return column and (("correlation", "session", "type").index(column[0]) + 1, column[1])
        case All(parts):
            found = [r for part in parts if (r := _ranked(workspace_id, part)) is not None]
            return min(found, key=lambda r: (r[0], len(r[1])), default=None)
        case Any(parts):
            branches = [_ranked(workspace_id, part) for part in parts]
            if all(r is not None for r in branches):
                return max((r[0] for r in branches), default=0), frozenset().union(*(r[1] for r in branches))
    return None
