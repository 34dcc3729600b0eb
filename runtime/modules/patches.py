"""Diffs of texts in the unified format, and applying them. Both are bounded, whatever the texts look like."""
from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from runtime.modules.around import Around, refuse, text, whole

_MAX_CONTENT = 5_000_000
_MAX_STEPS = 500_000
_MAX_REACH = 2_000
_HUNK = re.compile(r"@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@")
_NO_NEWLINE = "\\ No newline at end of file\n"


class _Block(NamedTuple):
    """Lines `a[a_start:a_end]` stand where `b[b_start:b_end]` will."""

    a_start: int
    a_end: int
    b_start: int
    b_end: int


class _Hunk(NamedTuple):
    """Lines with their signs: blank, minus or plus; `start` counts from 0."""

    start: int
    lines: list[tuple[str, str]]


def diff(parameters: Mapping[str, Any], around: Around) -> dict[str, Any]:
    """How `a` becomes `b`, as a patch."""
    a, b = (lines_of(_bounded(parameters, name)) for name in ("a", "b"))
    context = whole(parameters, "context", 3, most=1_000_000)
    blocks = changed_blocks(a, b)
    patch: list[str] = []
    if blocks and parameters.get("noHeader") is not True:
        patch += (f"--- {text(parameters, 'labelA', 'a')}\n", f"+++ {text(parameters, 'labelB', 'b')}\n")
    for group in _grouped(blocks, context):
        patch.extend(_written(a, b, group, context))
    return {"patch": "".join(patch), "changed": bool(blocks), "additions": sum(block.b_end - block.b_start for block in blocks),
            "deletions": sum(block.a_end - block.a_start for block in blocks)}


def apply_patch(parameters: Mapping[str, Any], around: Around) -> dict[str, Any]:
    """`content` with the hunks of `patch` applied where they fit. With `atomic`, all of them or none."""
    content = _bounded(parameters, "content")
    fuzz = whole(parameters, "fuzz", 0, most=100)
    lines, hunks = lines_of(content), list(_parsed(_bounded(parameters, "patch")))
    # Looking further away is a favour; how far depends on how much there is to compare.
    reach = max(1, min(_MAX_REACH, _MAX_STEPS // (1 + (fuzz + 1) * sum(len(hunk.lines) for hunk in hunks))))
    applied = drift = 0
    for hunk in hunks:
        for dropped in range(fuzz + 1):
            trimmed = _trimmed(hunk, dropped)
            at = _place(lines, trimmed, trimmed.start + drift, reach)
            if at is not None:
                drift = at - trimmed.start + _replace(lines, trimmed, at)
                applied += 1
                break
    if applied < len(hunks) and parameters.get("atomic") is True:
        lines, applied = lines_of(content), 0
    return {"content": _joined(lines), "hunksTotal": len(hunks), "hunksApplied": applied, "hunksFailed": len(hunks) - applied}


def lines_of(content: str) -> list[str]:
    """Lines with their ends. Only a line feed ends one."""
    *lines, last = content.split("\n")
    return [line + "\n" for line in lines] + ([last] if last else [])


def changed_blocks(a: list[str], b: list[str]) -> list[_Block]:
    """The shortest way from `a` to `b`, or one block over everything when finding it would take too long."""
    start, a_end, b_end = 0, len(a), len(b)
    while start < min(a_end, b_end) and a[start] == b[start]:
        start += 1
    while a_end > start and b_end > start and a[a_end - 1] == b[b_end - 1]:
        a_end, b_end = a_end - 1, b_end - 1
    blocks = []
    done_a, done_b = start, start
    for i, j in (*_common(a[start:a_end], b[start:b_end]), (a_end - start, b_end - start)):
        i, j = i + start, j + start
        if i > done_a or j > done_b:
            blocks.append(_Block(done_a, i, done_b, j))
        done_a, done_b = i + 1, j + 1
    return blocks


def _common(a: list[str], b: list[str]) -> list[tuple[int, int]]:
    """Positions of equal lines on a shortest path of edits, by the greedy method of Myers; none when that takes too long."""
    n, m = len(a), len(b)
    if not n or not m:
        return []
    trace: list[dict[int, int]] = []
    furthest: dict[int, int] = {}
    steps = 0
    for d in range(n + m + 1):
        trace.append(furthest)
        reached: dict[int, int] = {}
        for k in range(-d, d + 1, 2):
            step = _step(furthest, k, n, m) if d else (0, False)
            if step is None:
                continue
            x = start = step[0]
            while x < n and x - k < m and a[x] == b[x - k]:
                x += 1
            steps += x - start + 1
            reached[k] = x
            if x == n and x - k == m:
                return _walked_back(trace, n, m)
        furthest = reached
        if steps > _MAX_STEPS:
            return []
    return []


def _step(furthest: dict[int, int], k: int, n: int, m: int) -> tuple[int, bool] | None:
    """Where diagonal `k` is entered, and whether from above; None when it cannot be."""
    above, left = furthest.get(k + 1, -1), furthest.get(k - 1, -1)
    down = above if above >= 0 and above - k <= m else -1
    right = left + 1 if 0 <= left < n else -1
    if down < 0 and right < 0:
        return None
    return (down, True) if down >= right else (right, False)


def _walked_back(trace: list[dict[int, int]], n: int, m: int) -> list[tuple[int, int]]:
    pairs = []
    x, y = n, m
    for furthest in reversed(trace[1:]):
        entered = _step(furthest, x - y, n, m)
        assert entered is not None
        while x > entered[0]:
            x, y = x - 1, y - 1
            pairs.append((x, y))
        x, y = (x, y - 1) if entered[1] else (x - 1, y)
    while x:
        x, y = x - 1, y - 1
        pairs.append((x, y))
    return pairs[::-1]


def _grouped(blocks: list[_Block], context: int) -> Iterator[list[_Block]]:
    """Blocks whose context touches share a hunk."""
    group: list[_Block] = []
    for block in blocks:
        if group and block.a_start - group[-1].a_end > 2 * context:
            yield group
            group = []
        group.append(block)
    if group:
        yield group


def _written(a: list[str], b: list[str], group: list[_Block], context: int) -> Iterator[str]:
    lead = min(context, group[0].a_start)
    trail = min(context, len(a) - group[-1].a_end)
    a_start, a_end = group[0].a_start - lead, group[-1].a_end + trail
    b_start, b_end = group[0].b_start - lead, group[-1].b_end + trail
    yield f"@@ -{_range(a_start, a_end)} +{_range(b_start, b_end)} @@\n"
    at = a_start
    for block in group:
        yield from (_line(" ", line) for line in a[at:block.a_start])
        yield from (_line("-", line) for line in a[block.a_start:block.a_end])
        yield from (_line("+", line) for line in b[block.b_start:block.b_end])
        at = block.a_end
    yield from (_line(" ", line) for line in a[at:a_end])


def _range(start: int, end: int) -> str:
    length = end - start
    if length == 1:
        return str(start + 1)
    return f"{start + 1 if length else start},{length}"


def _line(sign: str, line: str) -> str:
    return sign + line if line.endswith("\n") else f"{sign}{line}\n{_NO_NEWLINE}"


def _parsed(patch: str) -> Iterator[_Hunk]:
    hunk: _Hunk | None = None
    for line in lines_of(patch.rstrip("\n") + "\n"):
        if header := _HUNK.match(line):
            if hunk:
                yield hunk
            # A hunk that takes no lines names the line it comes after.
            start = int(header[1][:9])
            hunk = _Hunk(start if header[2] == "0" else max(0, start - 1), [])
        elif hunk is not None:
            _read_line(hunk, line)
    if hunk:
        yield hunk


def _read_line(hunk: _Hunk, line: str) -> None:
    if line[0] in " +-":
        hunk.lines.append((line[0], line[1:]))
    elif line[0] == "\\" and hunk.lines:
        sign, last = hunk.lines[-1]
        hunk.lines[-1] = (sign, last.removesuffix("\n"))
    elif line == "\n":                              # editors like to remove the blank of an empty line of context
        hunk.lines.append((" ", line))


def _trimmed(hunk: _Hunk, dropped: int) -> _Hunk:
    """The hunk without up to `dropped` lines of context at either end."""
    lines, start = hunk.lines, hunk.start
    lead = trail = 0
    while lead < dropped and lead < len(lines) and lines[lead][0] == " ":
        lead += 1
    while trail < dropped and trail < len(lines) - lead and lines[-1 - trail][0] == " ":
        trail += 1
    return _Hunk(start + lead, lines[lead:len(lines) - trail])


def _place(lines: list[str], hunk: _Hunk, expected: int, reach: int) -> int | None:
    """Where the hunk's old lines stand, as near to where they should as possible."""
    old = [line.rstrip("\r\n") for sign, line in hunk.lines if sign != "+"]
    last = len(lines) - len(old)
    for distance in range(reach):
        for at in (expected - distance, expected + distance):
            if 0 <= at <= last and all(lines[at + i].rstrip("\r\n") == line for i, line in enumerate(old)):
                return at
    return None


def _replace(lines: list[str], hunk: _Hunk, at: int) -> int:
    """Write the hunk at its place and return by how many lines the text has grown. Context stays as it is."""
    new, taken = [], at
    for sign, line in hunk.lines:
        if sign == " ":
            new.append(lines[taken])
        elif sign == "+":
            new.append(line)
        taken += sign != "+"
    grown = len(new) - (taken - at)
    lines[at:taken] = new
    return grown


def _joined(lines: list[str]) -> str:
    """Every line but the last ends with a newline."""
    return "".join(line if line.endswith("\n") else line + "\n" for line in lines[:-1]) + "".join(lines[-1:])


def _bounded(parameters: Mapping[str, Any], name: str) -> str:
    content = text(parameters, name, "")
    if len(content) > _MAX_CONTENT:
        refuse(f"{name} is longer than {_MAX_CONTENT} characters", parameter=name)
    return content
