"""Hostile documents: each is refused or read within a moment, and nothing but `InvalidAutomation` comes out."""
from __future__ import annotations

import json
import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.errors import InvalidAutomation
from runtime.language.check import check_workspace
from runtime.language.loader import MAX_BYTES, load
from runtime.language.problems import MAX_FOUND
from runtime.language.source import Source

MOMENT = 6.0
"""Seconds of this process: generous, since machines that test are busy. Nothing below takes a third of it on an idle one."""


@contextmanager
def a_moment() -> Iterator[None]:
    began = time.process_time()
    yield
    took = time.process_time() - began
    assert took < MOMENT, took


def filled(unit: str, head: str = "", tail: str = "", *, size: int = MAX_BYTES // 5) -> str:
    """So many units: enough to see whether time grows with the square of the length."""
    return head + unit * ((size - len(head) - len(tail)) // len(unit.encode())) + tail


def laughs(of: str, levels: int = 30) -> str:
    lines = [f"a0: &a0 {of}"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, levels)]
    return "\n".join(lines)


REFUSED: dict[str, tuple[str, Callable[[], str]]] = {
    "a billion laughs": ("too-many-aliases", lambda: laughs("[lol, lol, lol]")),
    "a billion laughs of maps": ("too-many-aliases", lambda: laughs("{k: lol}")),
    "a long text many times": ("too-many-aliases", lambda: "a: &a '" + "x" * 100_000 + "'\nb: [" + "*a, " * 100_000 + "]"),
    "a long text as a key many times": ("too-many-aliases", lambda: "- &a " + "x" * 1000 + "\n" + "- {*a : 1}\n" * 100_000),
    "aliases that nest deeper than text may": ("too-deep", lambda: "\n".join(
        ["- &a0 []", *(f"- &a{n} [*a{n - 1}]" for n in range(1, 200))])),
    "brackets": ("too-deep", lambda: filled("[")),
    "braces": ("bad-key", lambda: filled("{")),
    "maps in maps": ("too-deep", lambda: filled("{a: ")),
    "maps in lists": ("too-deep", lambda: filled("[{a: ")),
    "dashes on one line": ("too-deep", lambda: filled("- ")),
    "indentation": ("too-deep", lambda: "\n".join(" " * n + "a:" for n in range(3000))),
    "question marks": ("bad-key", lambda: filled("? ")),
    "items": ("too-many-nodes", lambda: filled("1,", "[", "]", size=MAX_BYTES)),
    "documents": ("many-documents", lambda: filled("---\n")),
    "tag directives": ("unknown-tag", lambda: "".join(f"%TAG !a{n}! tag:x\n" for n in range(200_000)) + "---\na"),
    "tag directives after the document": ("unknown-tag",
                                          lambda: "a\n...\n" + "".join(f"%TAG !a{n}! tag:x\n" for n in range(200_000)) + "---\na"),
    "version directives": ("not-yaml", lambda: filled("%YAML 1.1\n")),
    "one character too much": ("too-large", lambda: "'" + "x" * (MAX_BYTES - 1) + "'"),
    "two bytes a character": ("too-large", lambda: "é" * (MAX_BYTES // 2 + 1)),
    "an open quote": ("not-yaml", lambda: filled("x", "a: '")),
    "open quotes on many lines": ("not-yaml", lambda: filled("x\n", 'a: "')),
    "one key twice at the end of many": ("duplicate-key", lambda: "".join(f"k{n}: 1\n" for n in range(60_000)) + "k0: 1\n"),
    "a long tag": ("unknown-tag", lambda: filled("x", "!", " a")),
    "a long alias": ("unknown-alias", lambda: filled("x", "*")),
    "long flow keys": ("not-yaml", lambda: filled("x ", "{", ": 1}")),
    "nothing but NUL": ("bad-character", lambda: filled("\0")),
}

READ: dict[str, Callable[[], str]] = {
    "keys": lambda: "".join(f"k{n}: 1\n" for n in range(60_000)),
    "keys in braces": lambda: json.dumps({f"k{n}": {} for n in range(60_000)}),
    "one long word": lambda: filled("x"),
    "blank lines": lambda: filled("\n"),
    "remarks": lambda: filled("# x\n"),
    "a folded text": lambda: filled("  x\n\n", "a: >\n"),
    "a literal text": lambda: filled("   x\n", "a: |\n"),
    "text of many lines": lambda: filled("x\n  ", "a: "),
    "escapes": lambda: filled("\\u00e9", 'a: "', '"'),
    "anchors": lambda: "".join(f"- &a{n} x\n" for n in range(60_000)),
    "digits": lambda: filled("9", "a: "),
    "hexadecimal digits": lambda: filled("f", "a: 0x"),
    "a long exponent": lambda: filled("9", "a: 1e"),
    "surrogate pairs": lambda: filled("\\ud83d\\ude00", '["', '"]'),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_bomb_is_refused_before_it_goes_off(name: str) -> None:
    code, make = REFUSED[name]
    text = make()
    with a_moment(), pytest.raises(InvalidAutomation) as refused:
        load(text)
    assert refused.value.message.startswith(code + ": "), refused.value.message
    assert len(refused.value.message) < 500


@pytest.mark.parametrize("name", READ)
def test_what_is_merely_long_is_read_within_a_moment(name: str) -> None:
    text = READ[name]()
    with a_moment():
        source = load(text)
        report = check_workspace(source)
    assert not report.is_accepted


def test_a_bomb_leaves_memory_alone() -> None:
    text = laughs("[lol, lol, lol]")
    tracemalloc.start()
    with pytest.raises(InvalidAutomation):
        load(text)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 200_000_000


@pytest.mark.parametrize(("unit", "head", "tail"), [
    ("{{", "", ""), ("{{a - ", "", "}}"), ("a - ", "{{", ""), ("{{a|", "", ""), (".-1", "{{", ""), ("[ ", "{{", ""), ("{% ", "", ""),
    ("{{a}}", "", ""), ("{{}}", "", ""), (" ", "{{", ""), ("(", "{% ", " %}"), ("1+", "{% ", "1 %}"), ("{{a[", "", ""), ("|", "{{", ""),
    ("9", "{{a[-", "")])
def test_a_long_template_is_checked_within_a_moment(unit: str, head: str, tail: str) -> None:
    text = filled(unit, f"'{head}", f"{tail}'")
    source = load(f"name: Shop\nautomations: {{a: {{do: [{{set: {{name: x, value: {text}}}}}]}}}}")
    with a_moment():
        assert check_workspace(source).is_accepted


@pytest.mark.parametrize("document", [
    {"name": "Shop", "automations": {"a": {"do": ["x"] * 30_000}}},
    {"name": "Shop", "automations": {"a": {"do": [{f"word{n}": {}} for n in range(20_000)]}}},
    {"name": "Shop", "automations": {"a": {"do": [{"set": {f"n{n}": 1 for n in range(20_000)}}]}}},
    {"name": "Shop", "automations": {"a": {"when": {"schedules": ["x"] * 20_000}, "do": []}}},
    {"name": "Shop", "automations": {"x" * 1_000_000: {"do": ["x"] * 20_000}}},
    {"name": "Shop", **{"n" * 30 + str(n): 1 for n in range(20_000)}},
], ids=["items", "words", "parameters", "crons", "a long slug", "sections"])
def test_a_document_that_is_wrong_everywhere_is_told_so_within_a_moment(document: dict[str, object]) -> None:
    with a_moment():
        report = check_workspace(Source.of(document))
        told = [problem.as_dict() for problem in (*report.problems, *report.warnings)]
    assert MAX_FOUND <= len(told) <= 2 * MAX_FOUND + 1
    assert len(json.dumps(told[:1000])) < 1_000_000


YAML_LIKE = st.text(st.sampled_from("-:?[]{}&*!|>%@`'\",#\n\t\\ abc01.~=<"), max_size=60)


@settings(max_examples=300, deadline=None)
@given(YAML_LIKE | st.text(max_size=60) | st.binary(max_size=60), st.sampled_from([None, yaml.BaseLoader]))
def test_whatever_is_sent_nothing_but_a_refusal_comes_out(sent: str | bytes, parser: type | None) -> None:
    try:
        source = load(sent, parser=parser) if parser else load(sent)
    except InvalidAutomation as refused:
        assert refused.details and refused.where.startswith("document")
        return
    assert source.at(())
    check_workspace(source)
