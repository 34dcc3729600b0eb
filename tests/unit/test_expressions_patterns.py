"""Regular expressions mean what they mean in JavaScript."""
from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.errors import ExpressionError
from runtime.expressions import compile_pattern


@pytest.mark.parametrize(("source", "flags", "text", "found"), [
    ("a$", "", "a", "a"), ("a$", "", "a\n", None), ("a$", "m", "a\nb", "a"), ("^b", "", "a\nb", None), ("^b", "m", "a\nb", "b"),
    ("a.b", "", "a\nb", None), ("a.b", "", "a\u2028b", None), ("a.b", "s", "a\nb", "a\nb"), ("ABC", "i", "xabc", "abc"),
    ("É", "i", "é", "é"), (r"\d+", "", "٣4", "4"), (r"\D", "", "٣", "٣"), (r"[\d]", "", "٣", None), (r"[\D]", "", "4", None),
    (r"[\D]", "", "٣", "٣"), (r"\w+", "", "éa_1", "a_1"), (r"[\w]+", "", "éa", "a"), (r"[^\w]", "", "aé", "é"), (r"[\W]", "", "_", None),
    (r"[\W]", "", "[", "["), (r"[\W_]", "", "_", "_"), (r"\s", "", "\u00a0", "\u00a0"), (r"\bcat\b", "", "a cat.", "cat"),
    (r"\bcat\b", "", "concat", None), (r"é\b", "", "éa", "é"), (r"\Bat", "", "cat", "at"), ("(?<y>\\d{4})-\\k<y>", "", "2024-2024", "2024-2024"),
    (r"(a)\1", "", "aa", "aa"), ("(?<=a)b(?!c)", "", "abc ab", "b"), (r"\u0041\x42", "", "AB", "AB"), (r"\u{1F600}", "u", "\U0001f600", "\U0001f600"),
    (r"\p{Lu}", "u", "aB", "B"), (r"\/a", "", "/a", "/a"), (r"\Aa", "", "Aa", "Aa"), (r"\Z", "", "Z", "Z"), ("a{,2}", "", "a{,2}", "a{,2}"),
    ("a{2,3}", "", "aaaa", "aaa"), ("{x}", "", "{x}", "{x}"), ("(?:foo){e<=1}", "", "fo", None), ("x]", "", "x]", "x]"), ("[]", "", "a", None),
    ("[^]", "", "\n", "\n"), ("[a[b]", "", "[", "["), ("[a&&b]", "", "&", "&"), (r"[\w-x]", "", "-", "-"), (r"[a-\d]", "", "-", "-"),
    (r"[\b]", "", "\b", "\b"), ("b", "y", "ab", None), ("a", "gy", "ab", "a"), ("(?i)ABC", "", "abc", "abc"), ("#a b", "", "#a b", "#a b"),
    (r"\cJ", "", "\n", "\n"), (r"\0", "", "\0", "\0"), (r"[\]]", "", "]", "]"), ("", "", "x", ""), ("a|", "", "b", "")])
def test_a_pattern_finds_what_javascript_finds(source, flags, text, found):
    match = compile_pattern(source, flags).search(text)
    assert (match and match[0]) == found


@pytest.mark.parametrize("source", ["(", ")", "[", "*", "a**", "\\", "(?P<a>b)", "(?R)", "(?1)", "(?>a)", "(?#c)", "(?&x)", "a{2,1}", "[z-a]",
                                    r"\k<no>", r"(?<a>b)(?<", "(a" * 101 + ")" * 101, "a" * 10_001, "a{999999}", "(?(1)a|b)", r"\p{Nope}"])
def test_an_invalid_pattern_is_an_error(source):
    with pytest.raises(ExpressionError):
        compile_pattern(source)


def test_unknown_flags_are_refused():
    with pytest.raises(ExpressionError):
        compile_pattern("a", "x")


def test_all_matches_are_found_from_left_to_right():
    assert [match[0] for match in compile_pattern(r"(\d)-(\d)").find("1-2 3-4")] == ["1-2", "3-4"]


def test_patterns_are_compiled_once():
    assert compile_pattern("once", "i") is compile_pattern("once", "i")


@given(st.text(alphabet=r"ab01.*+?^$|()[]{}\dwsbDWSk<>!=:,-é" + "\n", max_size=20), st.sampled_from(["", "i", "m", "s", "ims"]),
       st.text(alphabet="ab01é-\n", max_size=12))
@settings(max_examples=200, deadline=None)
def test_any_pattern_compiles_and_ends_or_is_refused(source, flags, text):
    try:
        compile_pattern(source, flags).search(text)
    except ExpressionError as error:
        assert error.wire == "InvalidExpressionSyntax"


@given(st.text(max_size=12), st.text(max_size=5), st.text(max_size=5))
@settings(max_examples=100, deadline=None)
def test_an_escaped_text_finds_itself(text, before, after):
    match = compile_pattern(re.sub(r"[\\^$.*+?()[\]{}|/-]", r"\\\g<0>", text)).search(before + text + after)
    assert match is not None
    assert match[0] == text
