"""Functions: their results, and what they refuse."""
from __future__ import annotations

import math
from datetime import UTC, datetime

import pytest
from expression_scope import Variables, result_of
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.errors import ExpressionError
from runtime.expressions import compile_value
from runtime.values import UNDEFINED

V = {"d": "2023-03-31T17:07:23.975Z", "other": "2022-04-13T08:00:05.493Z", "ms": 1649836805493, "csv": "a,b,c",
     "l": ["x", "y", "z"], "n": 10.26, "o": {"k": "v", "n": 1}, "txt": "hello", "list": [1], "dict": {"a": 1}, "nul": None}


@pytest.mark.parametrize(("expression", "expected"), [
    ("date({{d}}).year", 2023), ("date({{d}}).month", 3), ("date({{d}}).date", 31), ("date({{d}}).day", 5),
    ("date({{d}}).hour", 17), ("date({{d}}).minute", 7), ("date({{d}}).second", 23), ("date({{d}})", 1680282443975),
    ("date({{d}}).ts", 1680282443975), ("date({{ms}}).iso", "2022-04-13T08:00:05.493Z"),
    ('date("2024-02-29T10:00:00+02:00").iso', "2024-02-29T08:00:00.000Z"), ('date("2024-02-29").iso', "2024-02-29T00:00:00.000Z"),
    ('date("20240229T101112Z").iso', "2024-02-29T10:11:12.000Z"), ('date("2024-02").iso', "2024-02-01T00:00:00.000Z"),
    ('date("2024-02-29 10:11").iso', "2024-02-29T10:11:00.000Z"), ('date("2024-01-01T24:00:00Z").iso', "2024-01-02T00:00:00.000Z"),
    ('date("2024-01-01T00:00:00.123456789-0530").iso', "2024-01-01T05:30:00.123Z"),
    ("date(-1).iso", "1969-12-31T23:59:59.999Z"), ('date("0001-01-01").iso', "0001-01-01T00:00:00.000Z"),
    ("date({{other}}) < date({{d}})", True), ("date(date({{d}}).ts + 86400000).iso", "2023-04-01T17:07:23.975Z"),
    ("date({{d}}).year + 1", 2024), ("date({{d}}).nope", UNDEFINED), ('date("not a date").iso', UNDEFINED),
    ('date("not a date", "DD")', "Invalid Date"), ('date({{d}}, "DD", "xx")', UNDEFINED), ('date({{d}}, "DD", "../en")', UNDEFINED)])
def test_dates(expression, expected):
    assert result_of(expression, **V) == expected or expected is UNDEFINED is result_of(expression, **V)


@pytest.mark.parametrize("text", ["not a date", "2023-02-30", "2023-13-01", "2024-01-01T25:00Z", "2024-01-01T10:61Z", "",
                                  "0000-01-01", "2024-1-1", "2024-01-01T10:00:00+99:00", "٢٠٢٤-01-01", "2024-01-01\n"])
def test_an_invalid_date_has_no_number(text):
    value = result_of("date({{t}}).year", t=text)
    assert text.strip() == "2024-01-01" or math.isnan(value)


def test_dates_of_other_types_and_beyond_the_calendar_are_invalid():
    for value in (None, True, [], {}, math.nan, math.inf, 1e300, 10 ** 18, UNDEFINED):
        assert math.isnan(result_of("date({{t}})", t=value))


@pytest.mark.parametrize(("layout", "options", "text"), [
    ("DD/MM/YYYY", "", "31/03/2023"), ("YYYY-MM-DD HH:mm:ss", ', "en", "UTC"', "2023-03-31 17:07:23"),
    ("ddd D MMM YY [at] hh:mm a", ', "en", "UTC"', "Fri 31 Mar 23 at 05:07 pm"), ("l", "", "3/31/2023"), ("LT", "", "7:07 PM"),
    ("lll", ', "fr"', "31 mars 2023 19:07"), ("LT", ', "fr"', "19:07"), ("l LT", "", "3/31/2023 7:07 PM"),
    ("LT", ', "fr", "America/New_York"', "13:07"), ("HH:mm Z", ', "en", "Asia/Tokyo"', "02:07 +09:00"), ("HH:mm", "", "19:07"),
    ("LTS", "", "7:07:23 PM"), ("L", "", "03/31/2023"), ("LL", "", "March 31, 2023"), ("LLL", "", "March 31, 2023 7:07 PM"),
    ("LLLL", "", "Friday, March 31, 2023 7:07 PM"), ("ll", "", "Mar 31, 2023"), ("lll", "", "Mar 31, 2023 7:07 PM"),
    ("llll", "", "Fri, Mar 31, 2023 7:07 PM"), ("L", ', "fr"', "31/03/2023"), ("LLLL", ', "fr"', "vendredi 31 mars 2023 19:07"),
    ("l", ', "fr"', "31/3/2023"), ("d dd dddd", "", "5 Fr Friday"), ("H h m s SSS ZZ A", "", "19 7 7 23 975 +0200 PM"),
    ("[YYYY] YYYY [LT]", "", "YYYY 2023 LT"), ("MMMM", ', "de"', "März"), ("L", ', "de"', "31.03.2023"), ("LT", ', "en-GB"', "19:07")])
def test_date_formats(layout, options, text):
    assert result_of(f'date({{{{d}}}}, "{layout}"{options})', **V) == text


def test_an_unknown_time_zone_is_refused():
    for zone in ("Nowhere", "../../etc/passwd", "/etc/passwd", "Europe", ""):
        if zone:
            with pytest.raises(ExpressionError):
                result_of('date(0, "HH", "en", {{z}})', z=zone)


def test_the_defaults_of_date_come_from_the_scope():
    scope = Variables()
    scope.locale, scope.timezone = "fr", "UTC"
    assert compile_value('{% date("2023-03-31T17:07:23Z", "LLLL") %}')(scope) == "vendredi 31 mars 2023 17:07"


@given(st.integers(-62135596800000, 253402300799999))
@settings(max_examples=150, deadline=None)
def test_a_date_survives_the_way_through_its_text(milliseconds):
    text = result_of("date({{m}}).iso", m=milliseconds)
    assert result_of("date({{t}})", t=text) == milliseconds
    moment = datetime.fromisoformat(text)
    assert moment.tzinfo == UTC
    assert result_of('date({{m}}, "YYYY MM DD HH mm ss SSS", "en", "UTC")', m=milliseconds) == (
        f"{moment.year:04d} {moment:%m %d %H %M %S} {moment.microsecond // 1000:03d}")


@pytest.mark.parametrize(("expression", "expected"), [
    ("round({{n}})", 10), ("round({{n}}, 1)", 10.3), ("floor({{n}}, 1)", 10.2), ("ceil({{n}}, 1)", 10.3), ("ceil(10.1)", 11),
    ("floor(-1.5)", -2), ("round(10.5)", 11), ("round(-10.5)", -10), ("round(7 / 2)", 4), ("round(1.005, 2)", 1),
    ("round(0.49999999999999994)", 0), ("round(1234, -2)", 1200), ("rand(5, 6)", 5), ("rand(0, 10)", 5), ("rand()", 0.5),
    ("rand(0)", 0), ("min(1, 2, 3)", 1), ("max(1, 2, 3)", 3), ("min([4, 2, 9])", 2), ("max(0, -3)", 0), ("max(\"4\", 3)", 4),
    ('number("42")', 42), ('number("7") + 1', 8), ('number("1.50")', 1.5), ('split({{csv}}, ",")', ["a", "b", "c"]),
    ('split("a-b", "/")', ["a-b"]), ('split("ab", "")', ["a", "b"]), ('join({{l}}, "+")', "x+y+z"),
    ("join([1, null, true, 'a'], ',')", "1,,true,a"), ('replace("aXbXc", "X", "-")', "a-bXc"), ('replace("1.5", ".", ",")', "1,5"),
    ('replace("a", "a", "$&")', "$&"), ("slice({{l}}, 1)", ["y", "z"]), ("slice({{l}}, 0, 2)", ["x", "y"]),
    ("slice({{l}}, -1)", ["z"]), ("slice({{txt}}, 1, 3)", "el"), ("slice({{l}}, 9)", []), ("slice({{l}}, -9, -1)", ["x", "y"]),
    ("split({{csv}}, ',').length", ["a", "b", "c"]), ("json({{o}})", '{"k":"v","n":1}'), ("json('{\"foo\": \"bar\"}')", {"foo": "bar"}),
    ('json("42")', 42), ("json({{l}})", '["x","y","z"]'), ('lower("HÉ")', "hé"), ('upper("abc")', "ABC"),
    ('truncate("short", 42)', "short"), ('truncate("a long text", 8)', "a lon..."), ('truncate("a long text", 8, "")', "a long t"),
    ('base64("Hello World")', "SGVsbG8gV29ybGQ="), ("uuid()", "0123456789ab4def8123456789abcdef"),
    ("sanitize('<b>é \U0001f600</b>')", "&#60;b&#62;é &#60;/b&#62;"), ("unsafejson('Here: [\"un\"] !')", ["un"]),
    ('unsafejson("Object:\n ```{\'no\'} {}``` end")', {}), ('unsafejson("nothing [ here")', UNDEFINED),
    ("isArray({{l}})", True), ("isArray({{o}})", False), ("isObject({{o}})", True), ("isObject({{l}})", False), ("isObject({{nul}})", True),
    ("isArray({{nope}})", False), ("isObject({{nope}})", False), ("isArray(list)", True), ('isObject("dict")', True),
    ("isArray(dict)", False), ("isObject(unknown)", False), ("isArray()", False), ("isObject()", False), ("isObject({{txt}})", False),
    ("isString({{txt}})", True), ("isString({{n}})", False), ("isNumber({{n}})", True), ("isNumber(true)", False),
    ("deepmerge({a: {p: 1, q: 1}}, {a: {q: 2}, z: 3})", {"a": {"p": 1, "q": 2}, "z": 3}),
    ("deepmerge({t: 'Hel', n: 1}, {t: 'lo', n: 2}, {concatStrings: true})", {"t": "Hello", "n": 2}),
    ("URLSearchParams('?a=1&b=two%20words&c=x+y').asJSON", {"a": "1", "b": "two words", "c": "x y"}),
    ('URLSearchParams("k=1&k=2").asJSON', {"k": "2"}), ("URLSearchParams({{n}}).asJSON", UNDEFINED),
    ("URLSearchParams({b: '2 3', a: 'x&y', c: '~*é'}).asString", "b=2+3&a=x%26y&c=%7E*%C3%A9"),
    ('URLSearchParams("z=1&y=2").asString', "z=1&y=2"), ("jsonmatch({{o}}, {k: 'v'})", True), ("jsonmatch({{txt}}, {k: 1})", False)])
def test_the_table_of_functions(expression, expected):
    found = result_of(expression, **V)
    assert found is expected or found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize(("expression", "message"), [
    ('round("3.2")', "Bad round()"), ("floor({{nul}})", "Bad floor()"), ("split(5, ',')", "Bad split() arguments"),
    ("join('a', ',')", "Bad join() arguments"), ("join({{l}})", "Bad join() arguments"), ("replace('a', 'b')", "Bad replace() arguments"),
    ("slice({{l}})", "Bad slice() arguments"), ("slice({{l}}, '1')", "Bad slice() arguments"), ("slice(5, 1)", "Bad slice() arguments"),
    ("json('{nope')", "Invalid JSON syntax"), ("jsonmatch({{o}}, {{nope}})", "Bad jsonmatch() arguments"),
    ("jsonmatch({{o}}, {k: {'$bad': 1}})", "Bad jsonmatch() arguments"), ("doesNotExist(1)", "Unknown function 'doesNotExist'"),
    ("rand('a')", "Bad rand() arguments")])
def test_wrong_arguments_are_refused(expression, message):
    with pytest.raises(ExpressionError) as caught:
        result_of(expression, **V)
    assert caught.value.message.startswith(message)
    assert caught.value.details == {"expression": expression}


def test_a_url_falls_into_its_parts():
    parts = result_of("URL({{u}})", u="https://user:pw@WWW.example.org:8443/some/../path/?query=string&foo=bar#anchor")
    assert parts == {
        "href": "https://user:pw@www.example.org:8443/path/?query=string&foo=bar#anchor", "origin": "https://www.example.org:8443",
        "protocol": "https:", "username": "user", "password": "pw", "host": "www.example.org:8443", "hostname": "www.example.org",
        "port": "8443", "pathname": "/path/", "search": "?query=string&foo=bar", "searchParams": {"query": "string", "foo": "bar"},
        "hash": "#anchor"}
    assert result_of("URL('https://a.b').pathname") == "/"
    assert result_of("URL('http://a.b:80/').port") == ""
    assert result_of("URL('https://a.b/?x=1').searchParams.x") == "1"
    for text in ("", "nonsense", "http://", "http://a:99999/", "http://[::1", 5, None):
        assert result_of("URL({{u}}).hostname", u=text) is UNDEFINED


@given(st.floats(-1e6, 1e6), st.integers(0, 4))
@settings(max_examples=100, deadline=None)
def test_rounding_stays_within_half_a_unit(value, decimals):
    unit = 10.0 ** -decimals
    rounded = {name: result_of(f"{name}({{{{v}}}}, {decimals})", v=value) for name in ("floor", "round", "ceil")}
    assert rounded["floor"] <= rounded["round"] <= rounded["ceil"]
    assert abs(rounded["round"] - value) <= unit / 2 + 1e-9
    assert rounded["ceil"] - rounded["floor"] <= unit + 1e-9


@given(st.text(max_size=30), st.text(min_size=1, max_size=3))
@settings(max_examples=80, deadline=None)
def test_joining_what_was_split_gives_the_text_back(text, separator):
    assert result_of("join(split({{t}}, {{s}}), {{s}})", t=text, s=separator) == text
    assert result_of("join(split({{t}}, ''), '')", t=text) == text
