"""Templates: whole values and embedded ones, variable paths, nesting, what is text and what is not."""
from __future__ import annotations

import pytest
from expression_scope import Variables, holds, result_of, value_of

from runtime.errors import AutomationsError, ExpressionError, VariableNameError
from runtime.expressions import (
    compile_condition,
    compile_value,
    constant_of,
    find_condition_problems,
    find_problems,
    parse_path,
    to_text,
)
from runtime.values import UNDEFINED

BODY = {"o": {"k": "v", "two words": "tw", "x.y": "dot", "k-d": "dash"}, "l": ["a", "b"], "s": "hello", "nul": None, "n": 4}


@pytest.mark.parametrize("value", [7, 0.25, True, False, None, "0042", {"p": [1, "2"]}, [{"z": 1}], [], {}])
def test_a_whole_value_keeps_its_type(value):
    assert value_of("{{body.x}}", body={"x": value}) is value


def test_a_missing_whole_value_is_undefined_and_leaves_objects_and_nulls_lists():
    assert value_of("{{nothing.at.all}}") is UNDEFINED
    assert value_of({"here": "{{a}}", "gone": "{{b}}"}, a=1) == {"here": 1}
    assert value_of(["{{b}}", "{{a}}"], a=1) == [None, 1]


@pytest.mark.parametrize(("template", "text"), [
    ("n={{n}}", "n=3"), ("{{f}}!", "1.5!"), ("<{{t}}>", "<true>"), ("{{z}}{{no}}", "0false"), ("[{{missing}}]", "[]"),
    ("[{{nul}}]", "[]"), ("x {{missing.y}} z", "x  z"), (" {{n}}", " 3"), ("{{n}} ", "3 "), ("{{n}}{{n}}", "33"),
    ("o: {{o}}", 'o: {\n  "x": 1,\n  "y": "two"\n}'), ("l={{l}}", "l=[\n  1,\n  2\n]"), ("{{e}} {{eo}}", "[] {}"),
    ("sum={% {{n}} + 2 %}.", "sum=5."), ("{% {{n}} %}{{n}}", "33")])
def test_an_embedded_value_becomes_text(template, text):
    variables = {"n": 3, "f": 1.5, "t": True, "z": 0, "no": False, "nul": None, "o": {"x": 1, "y": "two"}, "l": [1, 2],
                 "e": [], "eo": {}}
    assert value_of(template, **variables) == text


@pytest.mark.parametrize(("number", "text"), [
    (3, "3"), (3.0, "3"), (0.5, "0.5"), (1e21, "1e+21"), (1e20, "100000000000000000000"), (1e-7, "1e-7"),
    (0.00001, "0.00001"), (-1.25e-5, "-0.0000125"), (1.5e-7, "1.5e-7"), (float("nan"), "null"), (float("inf"), "null"),
    (-0.0, "0"), (123456789.25, "123456789.25")])
def test_numbers_in_text_look_like_json(number, text):
    assert to_text(number) == text


@pytest.mark.parametrize(("template", "found"), [
    ("{{body.o[k]}}", "v"), ("{{body.o['two words']}}", "tw"), ('{{body.o["x.y"]}}', "dot"), ("{{body.o.k-d}}", "dash"),
    ("{{body.o.two words}}", "tw"), ("{{body.l[1]}}", "b"), ("{{body.l.0}}", "a"), ("{{ body.l.0 }}", "a"),
    ("{{body['l'][0]}}", "a"), ("{{body.l.length}}", 2), ("{{body.s.length}}", 5), ("{{body.s[1]}}", "e"),
    ("{{body.l[-1]}}", UNDEFINED), ("{{body.l[7]}}", UNDEFINED), ("{{body.nul.x}}", UNDEFINED),
    ("{{body.n.x.y}}", UNDEFINED), ("{{body.s.k}}", UNDEFINED), ("{{body.l.0.0.0.0}}", "a")])
def test_a_path_reads_members_items_characters_and_never_fails(template, found):
    assert value_of(template, body=BODY) == found or found is UNDEFINED is value_of(template, body=BODY)


def test_a_path_of_any_length_reads_the_same_value():
    document = {"v": 0}
    for depth in range(1, 12):
        document = {"a": document, "v": depth}
    for depth in range(1, 12):
        assert value_of("{{x" + ".a" * depth + ".v}}", x=document) == 11 - depth
        assert value_of("{{x" + ".a" * depth + ".w}}", x=document) is UNDEFINED


def test_numeric_keys_read_objects_too():
    assert value_of("{{o.0}}-{{o[1].a}}-{{o[1][2]}}", o={"0": "x", "1": {"a": "y", "2": "z"}}) == "x-y-z"


@pytest.mark.parametrize("template", ["{{}}", "{{ }}", "{{a.}}", "{{[a]}}", "{{a..b}}", "{{.a}}", "{{a[]}}", "x{{a.}}",
                                      "{{a[b}}", "{% {{}} %}", "{{a[{{missing}}]}}", "{{a.{{missing}}}}"])
def test_a_malformed_name_fails_when_it_is_reached(template):
    evaluate = compile_value(template)
    with pytest.raises(VariableNameError):
        evaluate(Variables())


def test_the_path_of_a_name():
    assert parse_path("a.b[0]['x y'].1[k]") == ("a", "b", 0, "x y", 1, "k")
    assert parse_path("a[-1].01") == ("a", "-1", "01")


@pytest.mark.parametrize(("template", "found"), [
    ("{{m[{{who}}]}}", "house"), ("{{m[{{other}}].n}}", 2), ("{{m.{{who}}}}", "house"), ("{{l[{{i}}].id}}", "y"),
    ("{{{{name}}}}", "kiwi"), ("{{{{base}}.n}}", 2), ("{{{{path}}}}", 2), ("{{m.{{path_end}}}}", 2),
    ("{{fr{{suffix}}}}", "kiwi"), ('{{m["{{who}}"]}}', "house"), ("{{m['don{{end}}'].n}}", 2),
    ("{{m[{{keys[{{i}}]}}].n}}", 2), ("is {{m[{{who}}].length}}", "is 5"), ("{{m[{% \"mickey\" %}]}}", "house"),
    ("{{m[{{missing_key}}]}}", UNDEFINED)])
def test_nested_variables_are_read_innermost_first(template, found):
    variables = {
        "m": {"mickey": "house", "donald": {"n": 2}}, "who": "mickey", "other": "donald", "l": [{"id": "x"}, {"id": "y"}],
        "i": 1, "name": "fruit", "fruit": "kiwi", "base": "m.donald", "path": "m.donald.n", "path_end": "donald.n",
        "suffix": "uit", "end": "ald", "keys": ["a", "donald"], "missing_key": "nobody"}
    assert value_of(template, **variables) is found or value_of(template, **variables) == found


def test_nested_variables_reach_shared_contexts():
    scope = Variables({"k": "a", "c": "user"}, contexts={"user": {"a": {"b": 1}}, "session": {"a": 2}})
    assert compile_value("{{user[{{k}}].b}}")(scope) == 1
    assert compile_value("{{{{c}}.a.b}}")(scope) == 1
    assert compile_value("{{session.a}} {{user}}")(scope) == '2 {\n  "a": {\n    "b": 1\n  }\n}'
    assert compile_value("{{global.x}}")(scope) is UNDEFINED


@pytest.mark.parametrize("text", ["{{body.x", "body.x}}", "{body.x}", "{", "}}", "{%", "a %} b", "{% x", "{{a{b}}", "}}{{"])
def test_unbalanced_braces_are_text(text):
    assert value_of(text, a="no", b="no") == text


def test_single_braces_around_a_template_are_text():
    assert value_of('{ "k": {{x}} }', x=1) == '{ "k": 1 }'
    assert value_of("{{{x}}}", x=1) == "{1}"


def test_keys_are_not_interpolated_and_order_is_kept():
    made = value_of({"{{a}}": "{{a}}", "b": 1, "c": ["{{a}}", {"d": "{{a}}"}], "e": 2}, a="v")
    assert list(made.items()) == [("{{a}}", "v"), ("b", 1), ("c", ["v", {"d": "v"}]), ("e", 2)]


def test_values_are_data_whatever_they_contain():
    name = "{{config.token}} {% 1 + 1 %} $& $1"
    assert value_of("hello {{name}}!", name=name) == f"hello {name}!"
    assert value_of("n={% {{name}} %}", name=name) == f"n={name}"
    assert value_of("{{{{name}}.x}}", name="a.b") is UNDEFINED
    assert result_of('"{{notAVariable}}"') == "{{notAVariable}}"


def test_a_constant_is_given_as_it_is_and_says_so():
    document = {"a": [1, {"b": "text"}], "c": None}
    evaluate = compile_value(document)
    assert evaluate(Variables()) is document
    assert constant_of(evaluate) is document
    assert constant_of(compile_value("{{a}}"), "varies") == "varies"
    assert constant_of(compile_value(["x", "{{a}}"]), "varies") == "varies"
    assert constant_of(compile_value(None), "varies") is None


def test_each_evaluation_builds_new_containers():
    evaluate = compile_value({"l": ["{{a}}"]})
    first, second = evaluate(Variables({"a": 1})), evaluate(Variables({"a": 2}))
    assert (first, second) == ({"l": [1]}, {"l": [2]})


def test_foreign_objects_pass_as_whole_values_and_are_no_text():
    class Door:
        pass
    door = Door()
    assert value_of("{{$http}}", **{"$http": door}) is door
    assert value_of("[{{$http}}{{$http.x}}]", **{"$http": door}) == "[]"
    assert result_of("{{$http}} == {{$http}} and not ({{$http}} == 1) and {{$http}} exists", **{"$http": door}) is True
    assert value_of("{{o}}", o={"x": door}) == {"x": door}
    assert value_of("o={{o}}", o={"x": door}) == 'o={\n  "x": null\n}'


def test_reexpansion_reads_what_a_replacement_brought_in():
    assert value_of("x {{a}}", reexpand=True, a="<{{b}}>", b="B") == "x <B>"
    assert value_of("{{a}}", reexpand=True, a="<{{b}}>", b="B") == "<{{b}}>"
    assert value_of("x {{a}}", reexpand=True, a="$& {% 1 + 1 %}") == "x $& 2"
    assert value_of("{{{{n}}}}", reexpand=True, n="l", l=[1]) == [1]
    assert value_of("x {{a}}", a="<{{b}}>", b="B") == "x <{{b}}>"


@pytest.mark.parametrize("variables", [{"a": "{{a}}!"}, {"a": "{{a}}{{a}}"}, {"a": "{{b}} ", "b": "{{a}} "}])
def test_reexpansion_of_text_that_names_itself_ends(variables):
    with pytest.raises(ExpressionError):
        value_of("x {{a}}", reexpand=True, **variables)


def test_conditions_give_booleans():
    assert holds("{{l}}", l=[]) is True
    assert holds("{{l.length}}", l=[]) is False
    assert holds("{{s}}", s="") is False
    assert holds("{{n}} >= 18", n=30) is True
    assert holds("{% {{n}} %}", n=float("nan")) is False
    assert compile_condition(True)(Variables()) is True


def test_a_condition_that_does_not_parse_fails_when_evaluated():
    evaluate = compile_condition("{{body.a}} >")
    with pytest.raises(ExpressionError) as caught:
        evaluate(Variables())
    assert caught.value.body()["details"] == {"expression": "{{body.a}} >"}


def test_problems_are_found_with_their_place():
    value = {"a": "{% 1 + %}", "b": [{"c": "x {{a..b}} {% splt(1) %}"}], "ok": "{{x}} {% 1 + 1 %}",
             "r": '{% {{x}} matches "(" %}'}
    found = find_problems(value)
    assert [path for path, _ in found] == [("a",), ("b", 0, "c"), ("b", 0, "c"), ("r",)]
    assert all(isinstance(error, AutomationsError) for _, error in found)
    assert found[2][1].hint == 'Did you mean "split"?'
    assert find_condition_problems("{{a}} == 1") == []
    assert find_condition_problems("{{a}} ==")[0][0] == ()


def test_errors_are_raised_anew_each_time():
    evaluate = compile_value("{% nope() %}")
    errors = []
    for _ in range(2):
        with pytest.raises(ExpressionError) as caught:
            evaluate(Variables())
        errors.append(caught.value)
    assert errors[0] is not errors[1]
    assert errors[0].message.startswith("Unknown function 'nope'")
    assert errors[0].details == {"expression": "nope()"}
