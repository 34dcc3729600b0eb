"""Operators: precedence, the two equalities, order, arithmetic, membership, existence."""
from __future__ import annotations

import math

import pytest
from expression_scope import result_of
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.errors import ExpressionError
from runtime.expressions import loose_equal, truthy
from runtime.values import UNDEFINED

VARIABLES = {"one": 1, "two": 2, "ten": "10", "nine": "9", "s": "text", "e": "", "z": 0, "t": True, "f": False, "n": None,
             "l": ["x", "y"], "nums": [1, 2], "o": {"k": "v"}, "el": [], "eo": {}, "list": "red,green,7", "c": "green"}

TABLE = """
{{one}} == "1"                 true
{{one}} = "1"                  true
{{one}} equals "1"             true
{{one}} EQUALS "1"             true
{{one}} === "1"                false
"1" == "1.0"                   false
"1.0" == 1                     true
{{one}} != "1"                 true
{{one}} !== "1"                true
{{one}} != 1                   false
{{one}} not equals "1"         false
{{n}} == null                  true
{{missing}} == null            true
{{missing}} == undefined       true
{{missing}} != null            true
{{n}} == 0                     false
{{missing}} == ""              false
{{n}} == false                 false
{{t}} == 1                     true
{{t}} == "true"                false
"0" == false                   true
{{e}} == 0                     true
{{one}}==1                     true
{{o}} == {{o}}                 true
{{l}} == {{nums}}              false
{{l}} == "x,y"                 true
{{o}} === {{o}}                true
{{two}} >= 2                   true
{{ten}} > {{nine}}             false
10 > {{nine}}                  true
"apple" < "banana"             true
{{missing}} > 0                false
{{missing}} < 1                false
{{n}} >= 0                     true
{{s}} > 1                      false
{{t}} >= 1                     true
1 < 2 < 3                      false
3 > 2 > 0                      true
1 == 1 == true                 true
{{one}} and {{two}}            2
{{z}} && {{two}}               0
{{e}} or {{s}}                 "text"
{{s}} || {{one}}               "text"
false and false || true        false
false && true or true          false
(false and false) || true      true
true || false and false        true
true and true and {{s}}        "text"
not (true && false)            true
true and not (1 == 1)          false
not {{n}}                      true
!{{missing}}                   true
!{{el}}                        false
!!{{s}}                        true
!"false"                       false
!{{one}} == 1                  false
1 + 2 * 3                      7
(1 + 2) * 3                    9
10 - 4 - 3                     3
2 * 7 % 4                      2
1+1                            2
7 / 2                          3.5
8 / 2                          4
7 % 3                          1
(0 - 7) % 3                    -1
5.5 % 2                        1.5
{{ten}} + 1                    "101"
{{ten}} - 1                    9
{{ten}} * 2                    20
{{s}} + {{ten}}                "text10"
"a" + "b"                      "ab"
{{n}} + 1                      1
{{t}} + 1                      2
{{one}} + 2 > 2                true
{{two}} * 2 >= 5 || {{t}}      true
-3                             -3
2 - -1                         3
5 -3                           2
-1.5 < 0                       true
1e3                            1000
TRUE                           true
nULl                           null
'say "hi"'                     "say \\"hi\\""
text == {{s}}                  true
order == "order"               true
android                        "android"
info in "info,b"               true
"x" in {{l}}                   true
"2" in [1, 2]                  false
1 in {{nums}}                  true
true in [1]                    false
"k" in {{o}}                   true
"v" in {{o}}                   false
{{c}} in {{list}}              true
"gre" in {{list}}              false
7 in {{list}}                  true
5 in "1,5"                     true
"2" in "1,2"                   true
0 in "a,,b"                    false
"b" in "a, b"                  false
"x" in {{missing}}             false
"x" not in {{missing}}         true
"x" NOT IN {{l}}               false
1 in 1                         false
"hello" matches "ell"          true
"hello" matches "^e"           false
"hello" not matches "zz"       true
"hello" MATCHES "HELLO"        false
"hello" matches {{missing}}    true
"hello" matches ""             true
"hello" matches {{el}}         false
"hello" matches ["zz", "^he"]  true
{{missing}} matches "^undef"   true
{{l}} matches "^x,y$"          true
{{missing}} exists             false
{{n}} exists                   false
{{e}} exists                   true
{{z}} exists                   true
{{missing}} not exists         true
{{n}} not exists and {{s}} exists   true
{% 1 + 1 %} * 2                4
[1, {{s}}, {{missing}}]        [1, "text", null]
{a: 1, "b": {{s}}, c: {{missing}}, 'd': [2,]}   {"a": 1, "b": "text", "d": [2]}
{"a": {"b": {{one}}}}          {"a": {"b": 1}}
{}                             {}
"m@x.com" matches regex(luke|m@)           true
"luke" matches regex(/LUKE/)               false
"luke" matches regex(/LUKE/i)              true
"luke" matches REGEX(^(lu|la)k(e|a)$)      true
"luke" matches regex("lu|x") and true      true
"luke" not matches regex(^a)               true
"luke" matches regex({{missing}})          false
"a)b" matches regex(a\\)b)                 true
"(" matches regex([(])                     true
"text!" matches regex(^{{s}}!$)            true
"aa" matches regex(^a{2}$)                 true
"""


def _rows():
    import json
    for line in TABLE.strip().splitlines():
        expression, _, expected = line.rpartition("  ") if "  " in line else (line, "", "")
        for width in range(len(line)):
            if line[width:width + 2] == "  ":
                expression, expected = line[:width], line[width:].strip()
                break
        yield expression, json.loads(expected)


@pytest.mark.parametrize(("expression", "expected"), list(_rows()))
def test_the_table_of_operators(expression, expected):
    found = result_of(expression, **VARIABLES)
    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize("expression", [
    "1 +", "{{a}} >", "", "and", "1 and", "(1", "1)", "-{{a}}", "1 2", "@", "'a", "f(", "split(1", "[1", "{a}", "{a: 1",
    "x not y", "{{a", "not", "1 == ", "a.b", "* 2", "x matches regex(a", "{{a{b}}", "x matches regex([)", "in in in"])
def test_what_does_not_parse_is_an_error_with_the_expression(expression):
    with pytest.raises(ExpressionError) as caught:
        result_of(expression)
    assert caught.value.body()["error"] == "InvalidExpressionSyntax"
    assert caught.value.details == {"expression": expression.strip()}


@pytest.mark.parametrize("expression", ["{{one}} / {{z}}", "{{missing}} + 1", "{{s}} * 2", "0 / 0", "1 % 0", "{{o}} - 1"])
def test_arithmetic_without_a_result_is_no_finite_number(expression):
    assert not math.isfinite(result_of(expression, **VARIABLES))


def test_both_sides_of_logic_are_evaluated():
    with pytest.raises(ExpressionError):
        result_of('true or round("x")')


def test_a_long_chain_of_operators_is_no_deep_nesting():
    assert result_of(" + ".join(["1"] * 3000)) == 3000
    assert result_of(" or ".join(["false"] * 3000 + ["7"])) == 7


def test_results_beyond_exact_integers_become_floats():
    assert result_of("{{n}} * {{n}}", n=2 ** 52) == float(2 ** 104)
    assert type(result_of("{{n}} * {{n}}", n=2 ** 52)) is float
    assert type(result_of("{{n}} + 1", n=2 ** 53)) is float
    assert type(result_of("{{n}} + 1", n=2 ** 53 - 1)) is int
    assert result_of("9" * 400) == math.inf


numbers = st.one_of(st.integers(-2 ** 53, 2 ** 53), st.floats(allow_nan=True, allow_infinity=True))
scalars = st.one_of(numbers, st.booleans(), st.none(), st.just(UNDEFINED), st.text(max_size=4),
                    st.sampled_from(["", "0", "1", "1.0", " 12 ", "-3", "1e2", "true"]))


@given(left=numbers, right=numbers)
@settings(max_examples=150, deadline=None)
def test_arithmetic_agrees_with_doubles(left, right):
    model = {"+": lambda: float(left) + float(right), "-": lambda: float(left) - float(right),
             "*": lambda: float(left) * float(right)}
    for sign, expected in model.items():
        found = float(result_of(f"{{{{a}}}} {sign} {{{{b}}}}", a=left, b=right))
        wanted = expected()
        assert found == wanted or math.isnan(found) and math.isnan(wanted) or math.isclose(found, wanted, rel_tol=1e-15)
    rest = result_of("{{a}} % {{b}}", a=left, b=right)
    if right and math.isfinite(left) and math.isfinite(right):
        assert rest == 0 or (rest < 0) == (left < 0)
        assert abs(rest) < abs(right)


@given(left=scalars, right=scalars)
@settings(max_examples=200, deadline=None)
def test_comparisons_agree_with_a_small_model(left, right):
    def number(value):
        if value is UNDEFINED:
            return math.nan
        if isinstance(value, str):
            try:
                return float(value) if value.strip() else 0.0
            except ValueError:
                return math.nan
        return float(value or 0)

    if isinstance(left, str) and isinstance(right, str):
        less, equal = left < right, left == right
    else:
        less, equal = number(left) < number(right), number(left) == number(right)
    nothing = (None, UNDEFINED)
    if left in nothing or right in nothing:
        equal = left in nothing and right in nothing
    plain = not any(isinstance(v, str) and ("_" in v or v.strip().lower().strip("+-") in ("nan", "inf", "infinity")
                                            or not v.isascii()) for v in (left, right))
    if plain:
        assert result_of("{{a}} < {{b}}", a=left, b=right) is less
        assert result_of("{{a}} == {{b}}", a=left, b=right) is equal
    assert loose_equal(left, right) is loose_equal(right, left)
    assert result_of("{{a}} not equals {{b}}", a=left, b=right) is not loose_equal(left, right)
    assert result_of("{{a}} != {{b}}", a=left, b=right) is not result_of("{{a}} === {{b}}", a=left, b=right)


@given(operands=st.lists(scalars, min_size=2, max_size=6), data=st.data())
@settings(max_examples=100, deadline=None)
def test_logic_is_one_level_and_associates_to_the_right(operands, data):
    signs = [data.draw(st.sampled_from(["and", "or", "&&", "||"])) for _ in operands[1:]]
    expression = "{{v[0]}}" + "".join(f" {sign} {{{{v[{index}]}}}}" for index, sign in enumerate(signs, 1))
    expected = operands[-1]
    for left, sign in zip(operands[-2::-1], signs[::-1]):
        expected = expected if truthy(left) is (sign in ("and", "&&")) else left
    found = result_of(expression, v=operands)
    assert found is expected or found == expected
