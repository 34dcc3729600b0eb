"""Hostile templates, expressions, patterns and values: each ends soon, with a result or with an error of ours."""
from __future__ import annotations

import random
import time
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from runtime.errors import AutomationsError
from runtime.expressions import compile_condition, compile_value, find_problems, parse_path
from runtime.values import UNDEFINED

MEGABYTE = 1_000_000


class Variables:
    locale = "en"
    timezone = "UTC"

    def __init__(self, **local: Any) -> None:
        self.locals = local

    def read(self, context: str, path: tuple[str | int, ...]) -> Any:
        return UNDEFINED

    def random(self) -> float:
        return random.random()

    def uuid(self) -> str:
        return "0" * 8 + "-" + "0" * 24


def outcome(template: Any, *, reexpand: bool = False, **local: Any) -> Any:
    """The value, or the error; anything that is no error of ours fails the test."""
    try:
        return compile_value(template, reexpand=reexpand)(Variables(**local))
    except AutomationsError as error:
        return error


def nested(depth: int, *, kind: type = list) -> Any:
    value: Any = []
    for _ in range(depth):
        value = [value] if kind is list else {"a": value}
    return value


BOMBS = {
    "parentheses": "{% " + "(" * 5000 + "1" + ")" * 5000 + " %}",
    "open parentheses": "{% " + "(" * 50_000 + " %}",
    "negations": "{% " + "!" * 50_000 + "1 %}",
    "nots": "{% " + "not " * 20_000 + "1 %}",
    "list literals": "{% " + "[" * 5000 + "]" * 5000 + " %}",
    "map literals": "{% " + "{a:" * 5000 + "1" + "}" * 5000 + " %}",
    "calls": "{% " + "lower(" * 5000 + "1" + ")" * 5000 + " %}",
    "comparisons": "{% " + "1 < " * 20_000 + "1 %}",
    "equalities": "{% " + "1 == " * 20_000 + "1 %}",
    "alternating levels": "{% " + "1 + 2 * " * 3000 + "1 %}",
    "blocks": "{% " * 5000 + "1" + " %}" * 5000,
    "open blocks": "{% " * 100_000,
    "open braces": "{{" * 100_000,
    "closed braces": "}}" * 100_000,
    "nested references": "{{" * 5000 + "a" + "}}" * 5000,
    "references in brackets": "{{a[" * 5000 + "a" + "]}}" * 5000,
    "references and blocks in turn": "{{a[{% " * 500 + "1" + " %}]}}" * 500,
    "a long name": "{{" + "a." * 40_000 + "a}}",
    "a long key": "{{a[" + "b" * 200_000 + "]}}",
    "an open bracket": "{{a[" + " " * 9000 + "b}}",
    "blanks in a name": "{{a" + " " * 90_000 + "b.}}",
    "a long number": "{% " + "9" * 90_000 + " %}",
    "a huge exponent": "{% 1e999999999 * 1e-99999 %}",
    "an open string": "{% \"" + "a" * 90_000 + " %}",
    "a long expression": "{% " + "1+" * 100_000 + "1 %}",
    "a long regex": "{% \"a\" matches regex(" + "(a*)*" * 10_000 + ") %}",
    "an open regex": "{% a matches regex(" + "[" * 90_000 + " %}",
    "many templates": "{{a}}" * 20_000,
    "a long template": "{{a}}" + "x" * 2 * MEGABYTE,
    "surrogates": "\ud800{{a}}{% base64(\"\udfff\") %}{% URLSearchParams({a: \"\ud800\"}).asString %}",
    "nul characters": "{{a\0{{b}}\0[{{c}}]}}",
}


@pytest.mark.parametrize("template", BOMBS.values(), ids=BOMBS.keys())
def test_a_hostile_template_ends_soon(template):
    started = time.perf_counter()
    outcome(template, a="x", b="y")
    outcome(template, reexpand=True, a="x", b="y")
    find_problems(template)
    assert time.perf_counter() - started < 3


@pytest.mark.parametrize("condition", [text.removeprefix("{% ").removesuffix(" %}") for text in BOMBS.values()], ids=BOMBS.keys())
def test_a_hostile_condition_ends_soon(condition):
    started = time.perf_counter()
    try:
        compile_condition(condition)(Variables(a="x"))
    except AutomationsError:
        pass
    assert time.perf_counter() - started < 2


@pytest.mark.parametrize(("pattern", "text"), [
    ("(a+)+$", "a" * 40 + "!"), ("(a|aa)+$", "a" * 60 + "!"), ("(.*)*x", "a" * 5000), ("((a{1,1000}){1,1000}){1,1000}b", "a" * 10_000),
    (r"^(([a-z])+.)+[A-Z]([a-z])+$", "a" * 60), (r"(\w+\s?)+$", "word " * 30 + "!"), (r"(a?){60}a{60}", "a" * 59),
    ("(?:" * 90 + "a*" + ")*" * 90 + "b", "a" * 1000), (r"(x+x+)+y", "x" * 500), ("(?=(a+))a*b\\1", "a" * 5000)])
def test_a_catastrophic_pattern_is_given_up(pattern, text):
    started = time.perf_counter()
    result = outcome("{% {{t}} matches {{p}} %}", t=text, p=pattern)
    assert time.perf_counter() - started < 0.5
    if isinstance(result, AutomationsError):
        assert "took too long" in result.message
    else:
        assert result is False


def test_text_never_grows_without_bound():
    large = "x" * 20 * MEGABYTE
    for template in ("{{t}}{{t}}{{t}}", "{% {{t}} + {{t}} + {{t}} %}", "{% join([{{t}}, {{t}}, {{t}}], '') %}", "{% json([{{t}}, {{t}}, {{t}}]) %}",
                     "{% replace({{t}}, 'x', {{t}} + {{t}}) %}", "{% deepmerge({{t}} + {{t}}, {{t}}, {concatStrings: true}) %}",
                     "{% [{{t}}, [{{t}}, {a: {{t}}}]] %}", "{% split({{t}}, '') %}", "{% [{{t}}, {{t}}, {{t}}] == 'x' %}"):
        assert isinstance(outcome(template, t=large), AutomationsError), template


def test_a_list_joined_with_a_large_joiner_is_refused_before_it_is_built():
    assert isinstance(outcome("{% join({{l}}, {{j}}) %}", l=[""] * 100_000, j="x" * 100_000), AutomationsError)


def test_values_held_many_times_are_not_written_out():
    large = {"k": ["x" * 1000] * 1000}
    merged = "{% json(" + "deepmerge(" * 90 + "{}" + "".join(f", {{k{i}: {{{{v}}}}}})" for i in range(90)) + ") %}"
    assert isinstance(outcome(merged, v=large), AutomationsError)
    assert isinstance(outcome("{% json([" + "{{v}}," * 1000 + "]) %}", v=large), AutomationsError)


@pytest.mark.parametrize("template", [
    "t: {{v}}", "{% json({{v}}) %}", "{% {{v}} == 'a' %}", "{% {{v}} + 1 %}", "{% jsonmatch({a: {{v}}}, {a: {{w}}}) %}", "{% jsonmatch({a: 1}, {{v}}) %}",
    "{% deepmerge({{v}}, {{w}}) %}", "{% {{v}} matches 'a' %}", "{% {{v}} in {{w}} %}", "{% join([{{v}}], '') %}", "{% [{{v}}, {{w}}] %}", "{% {{v}} < {{w}} %}",
    "{% min({{v}}) %}", "{% URLSearchParams({a: {{v}}}).asString %}", "{% unsafejson({{v}}) %}"])
@pytest.mark.parametrize("kind", [list, dict])
def test_deep_values_are_refused_or_handled(template, kind):
    outcome(template, v=nested(5000, kind=kind), w=nested(5000, kind=kind))


def test_deep_documents_are_refused():
    assert isinstance(outcome([nested(5000), "{{a}}"]), AutomationsError)
    assert find_problems(nested(5000)) != []


def test_deep_queries_are_refused():
    query: Any = {"a": 1}
    for _ in range(5000):
        query = {"$and": [query]}
    assert isinstance(outcome("{% jsonmatch({a: 1}, {{q}}) %}", q=query), AutomationsError)
    query = {"$gt": 1}
    for _ in range(5000):
        query = {"$not": query}
    assert isinstance(outcome("{% jsonmatch({a: 1}, {a: {{q}}}) %}", q=query), AutomationsError)


def test_reexpansion_bombs_end_soon():
    started = time.perf_counter()
    for variables in ({"a": "{{a}}{{a}}"}, {"a": "{{b}}" * 100, "b": "{{c}}" * 100, "c": "{{d}}" * 100, "d": "x" * 1000},
                      {"a": "{% " * 1000}, {"a": "{{" * 1000, "b": "}}" * 1000}):
        outcome("{{a}} {{b}}", reexpand=True, **variables)
    assert time.perf_counter() - started < 2


@pytest.mark.parametrize("text", ["[" * 100_000, "{" * 100_000, '{"a":' * 50_000, "[1," * 100_000, "[{" * 50_000, "[" + "9" * 5000 + "]", "[NaN]"])
def test_json_in_hostile_text_is_looked_for_briefly(text):
    started = time.perf_counter()
    outcome("{% unsafejson({{t}}) %}", t=text)
    outcome("{% json({{t}}) %}", t=text)
    assert time.perf_counter() - started < 1


@pytest.mark.parametrize("value", ["2024-01-01T" + "0" * 100_000, "9" * 100_000, 10 ** 400, -10 ** 30, 1e308, "2024-01-01" + " " * 100_000])
def test_hostile_dates_are_invalid(value):
    assert outcome("{% date({{d}}) %}", d=value) != outcome("{% date({{d}}) %}", d=0)


def test_hostile_locales_and_formats_are_harmless():
    for locale in ("../../etc/passwd", "a" * 1000, "en-" * 50, "e\0n", "xx-YY", "_", "root"):
        outcome("{% date(0, 'LLLL', {{l}}) %}", l=locale)
    assert isinstance(outcome("{% date(0, {{f}}) %}", f="LLLL" * 100_000), AutomationsError)


fragments = st.lists(st.sampled_from([
    "{{", "}}", "{%", "%}", "{", "}", "(", ")", "[", "]", "a", "b", "item", ".", ",", ":", "'", '"', " ", "0", "1", "-", "+", "*", "/", "%", "!", "=", "==",
    "<", ">=", "and", "or", "not", "in", "exists", "matches", "regex(", "date(", "split(", "json(", "isArray(", "deepmerge(", "jsonmatch(", "null", "{{a}}",
    "{{b[0]}}", "{{m.k}}", "é", "\0", "\\", "$", "|", "&&", "||", "\n", "URL(", ".length", "round(", "slice(", "1e9", "unsafejson(", "{{m[{{k}}]}}"]),
    max_size=25).map("".join)
values = st.recursive(st.one_of(st.none(), st.booleans(), st.integers(), st.sampled_from([10 ** 400, -10 ** 400]), st.floats(), st.text(max_size=8), fragments, st.just(UNDEFINED)),
                      lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.sampled_from(["a", "k", "$gt", "0"]), inner, max_size=3)), max_leaves=5)


@given(st.one_of(st.text(max_size=60), fragments, fragments.map(lambda text: "{% " + text + " %}"), fragments.map(lambda text: "x{{" + text + "}}")),
       values, values, st.booleans())
@settings(max_examples=150, deadline=2000)
def test_arbitrary_text_gives_a_value_or_an_error_of_ours(template, a, b, reexpand):
    outcome({"v": template}, reexpand=reexpand, a=a, b=b, m={"k": a}, k="k", item=b)
    find_problems(template)


@given(fragments, values, values)
@settings(max_examples=100, deadline=2000)
def test_arbitrary_conditions_give_a_boolean_or_an_error_of_ours(condition, a, b):
    try:
        assert compile_condition(condition)(Variables(a=a, b=b, m={"k": a}, k="k", item=b)) in (True, False)
    except AutomationsError:
        pass


FUNCTIONS = ["URL", "URLSearchParams", "base64", "ceil", "date", "deepmerge", "floor", "isArray", "isNumber", "isObject", "isString", "join", "json", "jsonmatch",
             "lower", "max", "min", "number", "rand", "replace", "round", "sanitize", "slice", "split", "truncate", "unsafejson", "upper", "uuid"]
OPERATORS = ["+", "-", "*", "/", "%", "<", "<=", ">", ">=", "==", "===", "!=", "not equals", "in", "not in", "matches", "and", "or"]


@example("truncate", [None, 10 ** 400], "")
@given(st.sampled_from(FUNCTIONS), st.lists(values, max_size=5), st.sampled_from(["", ".year", ".iso", ".asJSON", ".asString", ".hostname", ".x"]))
@settings(max_examples=150, deadline=2000)
def test_any_function_takes_any_arguments(name, arguments, field):
    listed = ", ".join(f"{{{{v[{index}]}}}}" for index in range(len(arguments)))
    outcome(f"{{% {name}({listed}){field} %}}", v=arguments)


@given(st.sampled_from(OPERATORS), values, values)
@settings(max_examples=150, deadline=2000)
def test_any_operator_takes_any_operands(operator, left, right):
    outcome(f"{{% {{{{a}}}} {operator} {{{{b}}}} %}}", a=left, b=right)
    outcome("{{a}} {{m[{{b}}]}}", a=left, b=right, m={"k": left})


@given(st.text(max_size=40))
@settings(max_examples=100, deadline=2000)
def test_any_text_is_a_path_or_is_refused(name):
    try:
        path = parse_path(name)
    except AutomationsError:
        return
    assert path
    assert type(path[0]) is str
    assert all(type(key) is int and key >= 0 or type(key) is str and key for key in path)
