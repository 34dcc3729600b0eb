"""run text: taking urls and texts apart, searching and replacing. Diffs and patches are next door."""
from __future__ import annotations

import mimetypes
import re
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from runtime.expressions import compile_pattern
from runtime.modules import patches
from runtime.modules.around import Around, refuse, text, whole

_MAX_CONTENT = 5_000_000
_MAX_WRITTEN = 50_000_000
_MAX_LINES = 500_000
_MAX_SECONDS = 1.0
_SEPARATORS = ("\n\n", "\n", " ", "")
_PLACEHOLDER = re.compile(r"\$(?:\$|&|<(\w+)>|([1-9][0-9]?))")

Found = tuple[int, int, Any]
"""Where something was found, and the match of the pattern unless it is fixed text."""


def parse_url(parameters: Mapping[str, Any], around: Around) -> dict[str, Any]:
    """The parts of a url, and of the file its last segment names: `id.name.ext`."""
    url = text(parameters, "url")
    try:
        parts = urlsplit(url)
        domain = parts.hostname or ""
    except ValueError:
        parts, domain = urlsplit(""), ""
    segments = (parts.path if domain else url).split("/")
    last = unquote(segments[-1])
    id, _, filename = last.partition(".") if last.count(".") >= 2 else ("", "", last)
    extension = filename.rpartition(".")[2] if "." in filename else ""
    owner = next((place for place in ("files", "workspaces") if place in segments[:-1]), None)
    return {"domain": domain, "path": parts.path if domain else url, "id": id, "filename": filename, "ext": extension,
            "workspaceId": segments[segments.index(owner) + 1] if owner else "",
            "mimetype": mimetypes.guess_type(f"x.{extension}")[0] or "" if extension else "",
            "query": dict(parse_qsl(parts.query, keep_blank_values=True))}


def split_text(parameters: Mapping[str, Any], around: Around) -> list[dict[str, Any]]:
    """Chunks of at most `chunkSize` characters, cut at the coarsest separator that will do."""
    given = parameters.get("content")
    contents = [_content({"content": one}) for one in (given if type(given) is list else [given])]
    size = whole(parameters, "chunkSize", 0, least=1)
    overlap = whole(parameters, "chunkOverlap", 0)
    if not size or overlap >= size:
        refuse("chunkSize is missing" if not size else "chunkOverlap must be smaller than chunkSize", parameter="chunkSize")
    separators = parameters.get("separators")
    if separators is None:
        separators = _SEPARATORS
    if type(separators) not in (list, tuple) or len(separators) > 50 or not all(type(one) is str for one in separators):
        refuse("separators must be a list of texts", parameter="separators")
    splitter = _Splitter(size, overlap, parameters.get("keepSeparator") is True)
    chunks = (chunk.strip() for content in contents for chunk in splitter.split(content, tuple(separators)))
    return [{"content": chunk, "size": len(chunk)} for chunk in chunks if chunk]


def search(parameters: Mapping[str, Any], around: Around) -> dict[str, Any]:
    """The lines in which a pattern is found, numbered from 1."""
    lines = [line.removesuffix("\n") for line in patches.lines_of(_content(parameters))]
    find, inverted = _finder(parameters), parameters.get("invert") is True
    is_only_matching = parameters.get("onlyMatching") is True and not inverted
    reach = whole(parameters, "context", 0)
    before, after = whole(parameters, "before", reach), whole(parameters, "after", reach)
    most = whole(parameters, "maxCount", 0) or len(lines)
    matches: list[dict[str, Any]] = []
    weight = found = 0
    deadline = around.clock.monotonic() + _MAX_SECONDS
    for index, line in enumerate(lines):
        if weight > _MAX_LINES or around.clock.monotonic() > deadline:
            refuse("the search finds too much or takes too long", line=index + 1)
        parts = [line[start:end] for start, end, _ in find(line) if end > start] if is_only_matching else [line]
        if not is_only_matching and (next(find(line), None) is not None) is inverted or not parts:
            continue
        context = {"before": lines[max(0, index - before):index], "after": lines[index + 1:index + 1 + after]} if before or after else None
        matches += ({"line": index + 1, "text": part, **({"context": context} if context else {})} for part in parts)
        weight += len(parts) + (len(context["before"]) + len(context["after"]) if context else 0)
        found += 1
        if found >= most:
            break
    return {"matches": matches, "count": len(matches)}


def substitute(parameters: Mapping[str, Any], around: Around) -> dict[str, Any]:
    """The content with what matches replaced, and how often that was."""
    replacement = text(parameters, "replacement", "")
    head, middle, tail = _lines_of(_content(parameters), parameters.get("lineRange"))
    written = [head]
    done = count = size = 0
    for start, end, match in _finder(parameters)(middle):
        filled = replacement if match is None else _filled(replacement, match)
        written += (middle[done:start], filled)
        done = end
        count += 1
        size += len(filled)
        if size > _MAX_WRITTEN:
            refuse(f"what is written is longer than {_MAX_WRITTEN} characters", parameter="replacement")
        if parameters.get("all") is False:
            break
    return {"content": "".join((*written, middle[done:], tail)), "count": count}


FUNCTIONS = {
    "parseUrl": parse_url, "splitText": split_text, "search": search, "substitute": substitute, "diff": patches.diff,
    "applyPatch": patches.apply_patch,
}


def _content(parameters: Mapping[str, Any]) -> str:
    content = text(parameters, "content", "")
    if len(content) > _MAX_CONTENT:
        refuse(f"content is longer than {_MAX_CONTENT} characters", parameter="content")
    return content


def _finder(parameters: Mapping[str, Any]) -> Callable[[str], Iterator[Found]]:
    wanted, ignores_case = text(parameters, "pattern"), parameters.get("ignoreCase") is True
    if parameters.get("fixed") is True:
        return lambda content: _fixed(content, wanted, ignores_case)
    pattern = compile_pattern(wanted, "i" if ignores_case else "")
    return lambda content: ((*match.span(), match) for match in pattern.find(content))


def _fixed(content: str, wanted: str, ignores_case: bool) -> Iterator[Found]:
    if ignores_case:
        content, wanted = _folded(content), _folded(wanted)
    at = content.find(wanted)
    while at >= 0:
        yield at, at + len(wanted), None
        at = content.find(wanted, at + len(wanted))


def _folded(content: str) -> str:
    """In lower case, each character in its place."""
    lower = content.lower()
    return lower if len(lower) == len(content) else "".join(c.lower() if len(c.lower()) == 1 else c for c in content)


def _filled(replacement: str, match: Any) -> str:
    """`$1`, `$<name>`, `$&` and `$$` as JavaScript reads them; what names no group stays as it is."""
    def fill(found: re.Match[str]) -> str:
        name, number = found.groups()
        if found[0] == "$$":
            return "$"
        if found[0] == "$&":
            return match[0]
        if name:
            return match.groupdict()[name] or "" if name in match.groupdict() else found[0]
        groups = match.groups()
        if int(number) <= len(groups):
            return groups[int(number) - 1] or ""
        if len(number) == 2 and int(number[0]) <= len(groups):
            return (groups[int(number[0]) - 1] or "") + number[1]
        return found[0]
    return _PLACEHOLDER.sub(fill, replacement) if "$" in replacement else replacement


def _lines_of(content: str, asked: Any) -> tuple[str, str, str]:
    """What comes before the lines asked for, `[first, last]` counted from 1, those lines, and what comes after."""
    if asked is None:
        return "", content, ""
    if type(asked) is dict:
        asked = [asked.get("start"), asked.get("end")]
    if type(asked) is not list or len(asked) != 2 or not all(type(one) is int or one is None for one in asked):
        refuse("lineRange must be [first, last]", parameter="lineRange")
    lines = patches.lines_of(content)
    first, last = max(0, (asked[0] or 1) - 1), len(lines) if asked[1] is None else max(0, asked[1])
    return "".join(lines[:first]), "".join(lines[first:last]), "".join(lines[max(first, last):])


class _Splitter:
    """Cuts a text at separators, then joins neighbours again as long as they fit into one chunk."""

    def __init__(self, size: int, overlap: int, keeps_separator: bool) -> None:
        self._size = size
        self._overlap = overlap
        self._keeps_separator = keeps_separator

    def split(self, content: str, separators: tuple[str, ...]) -> Iterator[str]:
        """A piece that is still too large is cut at the next finer separator; without one it stays."""
        if len(content) <= self._size:
            yield content
            return
        index = next((i for i, one in enumerate(separators) if one in content), None)
        if index is None:
            yield content
            return
        separator, finer = separators[index], separators[index + 1:]
        if separator == "":
            step = self._size - self._overlap
            yield from (content[at:at + self._size] for at in range(0, max(1, len(content) - self._overlap), step))
            return
        joiner = "" if self._keeps_separator else separator
        fitting: list[str] = []
        for piece in self._pieces(content, separator):
            if len(piece) <= self._size:
                fitting.append(piece)
                continue
            yield from self._merged(fitting, joiner)
            fitting = []
            yield from self.split(piece, finer)
        yield from self._merged(fitting, joiner)

    def _pieces(self, content: str, separator: str) -> list[str]:
        first, *others = content.split(separator)
        return [first, *(separator + piece for piece in others)] if self._keeps_separator else [first, *others]

    def _merged(self, pieces: list[str], joiner: str) -> Iterator[str]:
        current: deque[str] = deque()
        length = 0
        for piece in pieces:
            if current and length + len(joiner) + len(piece) > self._size:
                yield joiner.join(current)
                while current and (length > self._overlap or length + len(joiner) + len(piece) > self._size):
                    length -= len(current.popleft()) + (len(joiner) if current else 0)
            length += len(piece) + (len(joiner) if current else 0)
            current.append(piece)
        if current:
            yield joiner.join(current)
