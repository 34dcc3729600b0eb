"""Documents become plain data with positions: YAML 1.2 by its core schema, or an error that says where and what to do."""
from __future__ import annotations

import json
import math
import re
import time
from collections.abc import Callable
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.errors import InvalidAutomation
from runtime.language.loader import Parser, load
from runtime.language.source import Mark, Source
from runtime.language.suggest import Names


@pytest.fixture(params=[Parser, yaml.BaseLoader], ids=["libyaml", "pure"])
def read(request: pytest.FixtureRequest) -> Callable[..., Source]:
    """The loader upon either parser: both must tell the same."""
    return lambda text, name="a.yml": load(text, name=name, parser=request.param)


def refusal(text: str | bytes, read: Callable[..., Source] = load) -> InvalidAutomation:
    with pytest.raises(InvalidAutomation) as refused:
        read(text, name="a.yml")
    return refused.value


@pytest.mark.parametrize(("written", "value"), [
    ("", None), ("~", None), ("null", None), ("Null", None), ("NULL", None), ("nULL", "nULL"),
    ("true", True), ("True", True), ("TRUE", True), ("false", False), ("tRUE", "tRUE"),
    ("yes", "yes"), ("no", "no"), ("on", "on"), ("off", "off"), ("y", "y"), ("n", "n"),
    ("0", 0), ("-1", -1), ("+12", 12), ("007", 7), ("0o17", 15), ("0x1F", 31), ("0b11", "0b11"),
    ("1_000", "1_000"), ("12:30:45", "12:30:45"),
    ("1.5", 1.5), ("-.5", -0.5), ("1.", 1.0), ("1e3", 1000.0), ("1.e-2", 0.01), (".", "."), ("-.", "-."), ("1.2.3", "1.2.3"), ("1e", "1e"),
    (".inf", math.inf), ("-.INF", -math.inf), ("+.Inf", math.inf), ("inf", "inf"), ("nan", "nan"),
    ("2024-01-31", "2024-01-31"), ("2024-01-31T10:00:00Z", "2024-01-31T10:00:00Z"), ("=", "="),
    ("9223372036854775807", 2 ** 63 - 1), ("9223372036854775808", 2.0 ** 63), ("-9223372036854775808", -(2 ** 63)),
    ("0xffffffffffffffffff", float(0xffffffffffffffffff)), ("9" * 5000, math.inf), ("0x" + "f" * 5000, math.inf),
    ("-" + "9" * 400, -math.inf),
    ("'true'", "true"), ('"1"', "1"), ('"\\u00e9"', "é"), ("!!str 1", "1"), ("! 1", "1"), ("!!int 0x10", 16),
    ("!!float 1", 1.0), ("!!null ''", None),
    ("!!bool 'true'", True), ("!!map {}", {}), ("!!seq []", []),
])
def test_a_scalar_means_what_the_core_schema_says(written: str, value: Any, read: Callable[..., Source]) -> None:
    got = read(f"a: {written}\n").data["a"]
    assert got == value and got.__class__ is value.__class__


def test_not_a_number_is_a_float() -> None:
    assert math.isnan(load("a: .nan").data["a"])


def test_keys_are_the_text_that_is_written(read: Callable[..., Source]) -> None:
    assert read("1: a\n1.0: b\non: c\nnull: d\n'': e\n? f\n: g\n!!str 2: h\n'<<': i\n").data == {
        "1": "a", "1.0": "b", "on": "c", "null": "d", "": "e", "f": "g", "2": "h", "<<": "i"}


def test_json_is_read_as_it_is(read: Callable[..., Source]) -> None:
    value = {"a": [1, 2.5, -3e10, True, None, "x\ty/\"\\", {"é 😀": {}}], "": [[]], "b:": "- c"}
    assert read(json.dumps(value, ensure_ascii=False)).data == value
    assert read(json.dumps(value, indent=2, ensure_ascii=False)).data == value
    assert load(json.dumps(value)).data == value  # the pure parser knows surrogate pairs no better than YAML does


@pytest.mark.parametrize("text", ["", "   \n", "# only a remark\n", "---\n", "--- ~\n...\n", "\ufeff"])
def test_an_empty_document_is_null(text: str, read: Callable[..., Source]) -> None:
    assert read(text).data is None


def test_bytes_are_utf_8_with_or_without_a_byte_order_mark() -> None:
    assert load("a: é\n".encode()).data == load("\ufeffa: é\n".encode()).data == load(b"a: \xc3\xa9").data == {"a": "é"}


def test_an_alias_is_a_copy_of_its_anchor(read: Callable[..., Source]) -> None:
    data = read("a: &x {n: [1]}\nb: *x\nc: [*x, *x]\nd: &k key\n? *k\n: 1\n").data
    assert data == {"a": {"n": [1]}, "b": {"n": [1]}, "c": [{"n": [1]}, {"n": [1]}], "d": "key", "key": 1}
    data["b"]["n"].append(2)
    assert data["a"] == data["c"][0] == {"n": [1]}


DOCUMENT = """\
name: Greeter
automations:
  greet:
    do:
      - set:
          name: who
          value: {deep: [1, "two"]}
      -
        emit: {event: done}
    output:
  "an ümlaut": {do: []}
"""


@pytest.mark.parametrize(("path", "value", "key"), [
    ((), "1:1", "1:1"), (("name",), "1:7", "1:1"), (("automations",), "3:3", "2:1"), (("automations", "greet"), "4:5", "3:3"),
    (("automations", "greet", "do"), "5:7", "4:5"), (("automations", "greet", "do", 0), "5:9", "5:9"),
    (("automations", "greet", "do", 0, "set", "value", "deep", 1), "7:29", "7:29"),
    (("automations", "greet", "do", 0, "set", "value", "deep"), "7:25", "7:19"),
    (("automations", "greet", "do", 1, "emit", "event"), "9:23", "9:16"), (("automations", "an ümlaut", "do"), "11:21", "11:17"),
])
def test_everything_has_a_place(path: tuple[str | int, ...], value: str, key: str, read: Callable[..., Source]) -> None:
    source = read(DOCUMENT, name="greet.yml")
    assert str(source.at(path)) == f"greet.yml:{value}"
    assert str(source.at(path, key=True)) == f"greet.yml:{key}"


def test_what_is_not_there_is_placed_where_its_parent_is() -> None:
    source = load(DOCUMENT, name="greet.yml")
    assert source.at(("automations", "greet", "when", "events", 3)) == source.at(("automations", "greet"))
    assert source.at(("automations", "greet", "when"), key=True) == Mark("greet.yml", 3, 3)
    assert source.at(("name", "x", 0)) == source.at(("name",))
    assert source.at(("automations", "greet", "do", 9)) == source.at(("automations", "greet", "do"))


def test_an_alias_is_placed_where_its_anchor_is_written() -> None:
    source = load("a: &x {n: 1}\nb: *x\n", name="a.yml")
    assert source.at(("b", "n")) == Mark("a.yml", 1, 11)
    assert source.at(("b",), key=True) == Mark("a.yml", 2, 1)


def test_what_was_added_after_reading_is_placed_where_its_parent_is() -> None:
    source = load("a: {b: 1}\nc: 2\n", name="a.yml")
    source.data["a"]["new"] = {"deep": 1}
    source.data["c"] = [1]
    assert source.at(("a", "new", "deep")) == source.at(("a",)) == Mark("a.yml", 1, 4)
    assert source.at(("c", 0)) == Mark("a.yml", 2, 4)


def test_data_that_was_not_text_has_no_places() -> None:
    source = Source.of({"a": [1]}, "body")
    assert not source.at(("a", 0))
    assert str(source.at(("a", 0))) == "body"


@pytest.mark.parametrize(("text", "place", "says", "hint"), [
    ("a: 1\nb: 2\na: 3\n", "3:1", 'duplicate-key: "a" is already written at a.yml:1:1', "Keep one"),
    ("x:\n  - {a: 1, 'a': 2}\n", "2:12", 'duplicate-key: "a" is already written at a.yml:2:6', "several instructions"),
    ("<<: {a: 1}\n", "1:1", "merge-key: << merges maps in YAML 1.1 only", "Write the keys out"),
    ("a: {{name}}\n", "1:5", "bad-key: a key must be a text", '"{{name}}"'),
    ("? [a]\n: b\n", "1:3", "bad-key: a key must be a text", "quotes"),
    ("a: &x [1]\n? *x\n: 2\n", "2:3", "bad-key: a key must be a text", "alias"),
    ("a: {% 1 + 1 %}\n", "1:5", "not-yaml: a value cannot begin with %", '"{% … %}"'),
    ("a: @x\n", "1:4", "not-yaml: a value cannot begin with @", "quotes"),
    ("a:\n\tb: 1\n", "2:1", "not-yaml: a tab where spaces are expected", "Indent with spaces"),
    ("a: b: c\n", "1:5", 'not-yaml: a second ": " in this value', "Put quotes around text"),
    ("a: 1\nb\n", "2:1", "not-yaml: a key without a colon", 'followed by ": "'),
    ("a: 'x\nb: 1\n", "1:4", "not-yaml: a text in quotes is not closed", "closing quote"),
    ("a: [1, 2\n", "1:4", "not-yaml: a list in brackets is not closed", "[a, b]"),
    ("a: {b: 1\n", "1:4", "not-yaml: a map in braces is not closed", "{a: 1, b: 2}"),
    ("a: 'b' c\n", "1:8", "not-yaml: this line does not continue the map", "inside its quotes"),
    ("a:\n  - 1\n b: 2\n", "3:2", "not-yaml: this line does not continue the map", "same column"),
    ('a: "\\d"\n', "1:6", "not-yaml: a backslash sequence that does not exist", "single quotes"),
    ("a: *nope\n", "1:4", 'unknown-alias: there is no anchor "&nope"', "quotes around text that begins with *"),
    ("a: &x [*x]\n", "1:8", 'unknown-alias: there is no anchor "&x"', "quotes"),
    ("a: &x 1\nb: &x [*x]\n", "2:8", 'unknown-alias: there is no anchor "&x"', "quotes"),
    ("s: ['*/5', */5]\n", "1:13", "not-yaml: * begins an alias", '"*/5"'),
    ("a: !secret x\n", "1:4", 'unknown-tag: the tag "!secret" is not supported', "Remove it"),
    ("a: !!python/name:os.system x\n", "1:4", "unknown-tag: the tag", "Remove it"),
    ("a: !!set {b}\n", "1:4", "unknown-tag: the tag", "Remove it"),
    ("!k a: 1\n", "1:1", 'unknown-tag: the tag "!k"', "Remove it"),
    ("a: !!int b\n", "1:4", 'unknown-tag: "b" is no int', "Remove the tag"),
    ("%TAG ! tag:x,2000:\n---\na: 1\n", "1:1", "unknown-tag: %TAG", "Remove the line"),
    ("a: 1\n---\nb: 2\n", "2:1", "many-documents: a second document begins here", "one document a file"),
    ("a: x\0y\n", "1:5", "bad-character: a control character (U+0000)", "escape"),
    ("é: 1\nb: \x1b\n", "2:4", "bad-character: a control character (U+001B)", "escape"),
    ("a: x\u2028y\n", "1:5", "bad-character: a control character (U+2028)", "escape"),
    ("a: \ud800\n", "1:4", "bad-character: a control character (U+D800)", "escape"),
])
def test_a_mistake_is_told_with_its_place_and_what_to_write(
        text: str, place: str, says: str, hint: str, read: Callable[..., Source]) -> None:
    error = refusal(text, read)
    line, column = map(int, place.split(":"))
    # Of a bad escape the C parser tells where its text began to be read.
    assert error.where == f"a.yml:{place}" or "backslash" in says and error.where == "a.yml:1:5", error.message
    assert error.message.startswith(says), error.message
    assert hint in error.hint and error.hint in error.message
    assert error.body()["error"] == "RequestValidationError"
    (detail,) = error.details
    assert detail["message"] in error.message
    assert (detail["line"], detail["column"]) == (line, column) or "backslash" in says


def test_a_mistake_inside_the_data_has_a_path() -> None:
    assert refusal("a:\n  - b: {c: !x 1}\n").details[0]["path"] == "a[0].b.c"
    assert refusal("a:\n  - b: {c: 1, c: 2}\n").details[0]["path"] == "a[0].b"
    assert refusal("a: [1, *x]").details[0]["path"] == "a[1]"


def test_bytes_that_are_not_utf_8_are_refused_where_they_stand() -> None:
    assert refusal(b"a: 1\nb\xc3\xa9: \xff\n").where == "a.yml:2:5"
    assert refusal("a: 1".encode("utf-16")).message.startswith("bad-encoding: these bytes are not UTF-8")


def test_escaped_surrogates_make_one_character_in_json_and_nothing_alone() -> None:
    assert load('{"a": "\\ud83d\\ude00"}').data == {"a": "😀"}
    assert load("a: '\\ud83d\\ude00'").data == {"a": "\\ud83d\\ude00"}
    for parser in (Parser, yaml.BaseLoader):
        with pytest.raises(InvalidAutomation):
            load('{"a": "\\ud83d"}', parser=parser)


def test_a_file_of_ten_thousand_automations_opens_at_once() -> None:
    one = ("  auto-{0}:\n    when: {{endpoint: true, events: [some.event.{0}]}}\n    do:\n      - set:\n          name: answer\n"
           "          value: '{{{{body.value}}}}'\n"
           "      - emit:\n          event: done\n          payload: {{n: {0}}}\n    output: '{{{{answer}}}}'\n")
    text = "name: Big\nautomations:\n" + "".join(map(one.format, range(10_000)))
    assert len(text) > 2_000_000
    began = time.process_time()
    source = load(text, name="big.yml")
    took = time.process_time() - began
    assert source.at(("automations", "auto-9999", "do", 1, "emit", "payload", "n")) == Mark("big.yml", 100_001, 24)
    assert took < 4, took  # under one second on an idle laptop


@pytest.mark.parametrize(("word", "meant"), [
    ("ftech", "fetch"), ("fetc", "fetch"), ("fetcch", "fetch"), ("fitch", "fetch"), ("Fetch", "fetch"),
    ("create_user_topic", "createUserTopic"),
    ("zzz", None), ("f", None), ("x" * 10_000, None), ("", None)])
def test_a_slip_suggests_the_name_that_was_meant(word: str, meant: str | None) -> None:
    assert Names(["fetch", "createUserTopic", "do", "set"]).near(word) == meant


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2 ** 63), 2 ** 63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20),
    lambda below: st.lists(below, max_size=5) | st.dictionaries(st.text(max_size=8), below, max_size=5), max_leaves=30)
# What may stand in JSON but not in YAML: DEL, the C1 controls, separators of lines, and what is no character.
PRINTABLE = VALUES.filter(lambda value: not re.search("[\x7f-\x9f\u2028\u2029\ufffe\uffff]", json.dumps(value, ensure_ascii=False)))


@settings(max_examples=120, deadline=None)
@given(PRINTABLE)
def test_json_round_trips(value: Any) -> None:
    assert load(json.dumps(value, ensure_ascii=False)).data == value
    assert load(json.dumps(value, ensure_ascii=False, indent=1)).data == value


@settings(max_examples=50, deadline=None)
@given(VALUES)
def test_every_place_of_a_document_is_inside_it(value: Any) -> None:
    text = yaml.safe_dump({"a": value}, allow_unicode=True)
    lines = text.count("\n") + 1
    try:
        source = load(text)
    except InvalidAutomation:
        return
    paths: list[tuple[Any, tuple[str | int, ...]]] = [(source.data, ())]
    for data, path in paths:
        for mark in (source.at(path), source.at(path, key=True)):
            assert 1 <= mark.line <= lines and mark.column >= 1
        children = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
        paths += [(below, (*path, step)) for step, below in children]
