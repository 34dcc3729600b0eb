"""The project's own pages: their fenced blocks, the commands shown in them, and what the pages say these print."""
from __future__ import annotations

import re
import shlex
from argparse import ArgumentParser
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
BASE = "http://127.0.0.1:8700"
"""Where the server of the pages listens."""
_FENCE = re.compile(r"^```(.*)\n((?:.*\n)*?)^```$", re.M)
_RULE = re.compile(r"[|\-: ]+")


class Block(NamedTuple):
    """A fenced block; `kind` is what stands behind its opening fence."""

    page: Path
    line: int
    kind: str
    text: str

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


class Command(NamedTuple):
    """A line after `$ `, and what is shown below it; `…` in there stands for anything."""

    block: Block
    words: list[str]
    shown: str

    def matches(self, printed: str) -> bool:
        pattern = ".+?".join(map(re.escape, self.shown.strip().split("…")))
        return re.fullmatch(pattern, printed.strip(), re.S) is not None


class Request(NamedTuple):
    """A call of curl."""

    method: str
    path: str
    headers: dict[str, str]
    data: bytes | None


def pages() -> list[Path]:
    return [ROOT / "README.md", *sorted(ROOT.glob("docs/*.md")), *sorted(ROOT.glob("examples/**/README.md"))]


def blocks(page: Path) -> Iterator[Block]:
    text = page.read_text()
    for found in _FENCE.finditer(text):
        yield Block(page, text.count("\n", 0, found.start()) + 1, found[1].strip(), found[2])


def commands(page: Path, variables: dict[str, str]) -> Iterator[Command]:
    """The commands of a page whose output is shown, `$NAME` in them replaced."""
    for block in blocks(page):
        for part in re.split(r"^\$ ", block.text, flags=re.M)[1:]:
            line, _, shown = re.sub(r"\\\n\s*", " ", part).partition("\n")
            for name, value in variables.items():
                line = line.replace(f"${name}", value)
            yield Command(block, shlex.split(line), shown)


def request(words: list[str]) -> Request:
    """What `curl` with these words sends. Fails on options that the pages have no need of."""
    parser = ArgumentParser(exit_on_error=False)
    parser.add_argument("url")
    parser.add_argument("-X", dest="method")
    parser.add_argument("-H", dest="headers", action="append", default=[])
    parser.add_argument("-d", "--data-binary", dest="data")
    parser.add_argument("-s", action="store_true")
    parser.add_argument("-N", action="store_true")
    asked = parser.parse_args(words[1:])
    assert asked.url.startswith(BASE), asked.url
    data = None if asked.data is None else asked.data.encode()
    headers = {name.strip(): value.strip() for name, _, value in (header.partition(":") for header in asked.headers)}
    return Request(asked.method or ("GET" if data is None else "POST"), asked.url.removeprefix(BASE), headers, data)


def rows(page: Path, heading: str) -> list[list[str]]:
    """The cells of the tables below a heading, up to the next one of any level; without head and rule."""
    text = page.read_text()
    start = text.index(f"\n{heading}\n") + len(heading) + 2
    section = re.split(r"^#", text[start:], maxsplit=1, flags=re.M)[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    heads = {at - 1 for at, line in enumerate(lines) if _RULE.fullmatch(line)}
    return [line.strip("|").strip(" ").split(" | ") for at, line in enumerate(lines) if at not in heads and at - 1 not in heads]


def code(cell: str) -> list[str]:
    """What stands between backticks."""
    return re.findall(r"`([^`]+)`", cell)
