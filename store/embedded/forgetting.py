"""How events go: which ones, asked of the reader a slice at a time, and what the writer takes away with them."""
from __future__ import annotations

from itertools import groupby
from sqlite3 import Connection
from typing import NamedTuple

from store.embedded.bulk import delete
from store.embedded.postings import BLOCK_BITS, BLOCK_SIZE, id_term, moment_of

_ENDLESS = 1 << 62
_SLICE = 256                    # events dropped in one transaction, so that commits get their turn
_SLICE_BYTES = 1 << 20
_COUNTED_AT_ONCE = 10_000

_WHOLE_BLOCK = f"BETWEEN ?1 * {BLOCK_SIZE} AND ?1 * {BLOCK_SIZE} + {BLOCK_SIZE - 1}"
_IN_BLOCK = f"position BETWEEN postings.block * {BLOCK_SIZE} AND postings.block * {BLOCK_SIZE} + {BLOCK_SIZE - 1}"
_EVENTS = delete("events", "position")


class Forgotten(NamedTuple):
    """The events at these positions, which grow, are to go."""

    positions: tuple[int, ...]


class RoomReturned(NamedTuple):
    """So many of the file's pages that nothing uses any more are to be cut off its end."""

    pages: int


# --- the reader's half -----------------------------------------------------------------------------


class Excess(NamedTuple):
    """What a look for the events beyond the newest so many has come to: go on at `before` for `left` more. It is over when
    `left` is 0, and then all events before `before` are too many."""

    before: int
    left: int


def excess(connection: Connection, workspace_id: str, so_far: Excess | None, keep: int) -> Excess:
    """A slice of the way back over the newest `keep` events; from the newest one when `so_far` is None."""
    number = _number(connection, workspace_id)
    so_far = so_far or Excess(_ENDLESS, keep)
    if number is None or _has_at_most(connection, number, keep):
        return Excess(0, 0)
    skipped = min(so_far.left, _COUNTED_AT_ONCE)
    row = connection.execute(
        f"SELECT position FROM postings CROSS JOIN events ON {_IN_BLOCK} WHERE term = ?1 AND workspace = ?1 AND position < ?2 "
        "AND postings.block <= ?2 >> ?3 ORDER BY postings.block DESC, position DESC LIMIT 1 OFFSET ?4",
        (number, so_far.before, BLOCK_BITS, max(skipped - 1, 0))).fetchone() if skipped else (so_far.before,)
    return Excess(0, 0) if row is None else Excess(row[0], so_far.left - skipped)


def _has_at_most(connection: Connection, number: int, count: int) -> bool:
    """Told from the blocks alone, which is quick, and only when it is certain."""
    blocks: int = connection.execute("SELECT count(*) FROM postings WHERE term = ?", (number,)).fetchone()[0]
    return blocks << BLOCK_BITS <= count


def forgettable(connection: Connection, workspace_id: str, before: int, before_time: int, *, after: int) -> Forgotten | None:
    """The next events behind `after` that stand before the position `before` or were accepted before `before_time`.

    Times mostly grow with positions, but need not: the spans of the blocks say where none is that old.
    """
    rows = connection.execute(
        f"SELECT position, length(body) FROM postings CROSS JOIN blocks ON blocks.block = postings.block CROSS JOIN events ON {_IN_BLOCK} "
        "WHERE term = ?1 AND workspace = ?1 AND postings.block >= ?2 >> ?5 AND position > ?2 "
        "AND (postings.block <= ?3 >> ?5 OR earliest < ?4) AND (position < ?3 OR created_at < ?4) "
        "AND postings.block <= max(?3 >> ?5, ifnull(CASE WHEN ?4 THEN (SELECT block FROM blocks "
        "WHERE earliest < ?4 ORDER BY block DESC LIMIT 1) END, -1)) "
        f"ORDER BY postings.block, position LIMIT {_SLICE}",
        (_number(connection, workspace_id), after, before, before_time, BLOCK_BITS))
    positions, size = [], 0
    for position, length in rows:
        positions.append(position)
        size += length
        if size > _SLICE_BYTES:
            break
    return Forgotten(tuple(positions)) if positions else None


def event_workspaces(connection: Connection) -> list[str]:
    """A workspace is known as long as it has an event."""
    return [row[0] for row in connection.execute("SELECT id FROM tenants ORDER BY id")]


def free_pages(connection: Connection) -> int:
    count: int = connection.execute("PRAGMA freelist_count").fetchone()[0]
    return count


def _number(connection: Connection, workspace_id: str) -> int | None:
    row = connection.execute("SELECT number FROM tenants WHERE id = ?", (workspace_id,)).fetchone()
    return row and row[0]


# --- the writer's half -----------------------------------------------------------------------------


def forget(connection: Connection, fact: Forgotten) -> list[str]:
    """Drop the events and whatever leads to them alone; the ids of the workspaces that have no event any more."""
    numbers: set[int] = set()
    for block, positions in groupby(fact.positions, key=lambda position: position >> BLOCK_BITS):
        numbers |= _forget_in(connection, block, frozenset(positions))
    connection.execute("UPDATE forgotten SET position = max(position, ?)", fact.positions[-1:])
    emptied = (connection.execute("DELETE FROM tenants WHERE number = ?1 AND NOT EXISTS (SELECT 1 FROM postings WHERE term = ?1) "
                                  "RETURNING id", (number,)).fetchone() for number in numbers)
    return [row[0] for row in emptied if row is not None]


def _forget_in(connection: Connection, block: int, positions: frozenset[int]) -> set[int]:
    """The numbers of the workspaces that have lost their last event of this block."""
    lost: set[int | None] = set()
    kept: set[int | None] = set()
    workspaces: set[int] = set()
    times: list[int] = []
    for position, id, created_at, *terms in connection.execute(
            "SELECT position, body ->> '$.id', created_at, workspace, type, correlation, session FROM events "
            f"WHERE position {_WHOLE_BLOCK}", (block,)):
        if type(id) is str:
            terms.append(id_term(moment_of(id)))
        if position in positions:
            lost.update(terms)
            workspaces.add(terms[0])
        else:
            kept.update(terms)
            times.append(created_at)
    _EVENTS.run(connection, sorted(positions))
    connection.executemany("DELETE FROM postings WHERE term = ? AND block = ?", [(term, block) for term in lost - kept])
    if times:
        connection.execute("UPDATE blocks SET earliest = ?, latest = ? WHERE block = ?", (min(times), max(times), block))
    else:
        connection.execute("DELETE FROM blocks WHERE block = ?", (block,))
    return workspaces - kept
