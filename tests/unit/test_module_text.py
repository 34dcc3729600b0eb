from __future__ import annotations

import subprocess
from pathlib import Path
from shutil import which
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.errors import AutomationsError, ExpressionError, InvalidInstruction
from runtime.ids import RandomIds
from runtime.modules import MODULES
from runtime.modules.around import Around
from runtime.modules.patches import changed_blocks
from runtime.testing import HandClock

AROUND = Around(RandomIds(), HandClock(), None)


def call(function: str, **parameters: Any) -> Any:
    return MODULES["text"].functions[function](parameters, AROUND)


# --- parseUrl ---------------------------------------------------------------------------------------

def test_the_parts_of_a_url_and_of_the_file_it_names() -> None:
    assert call("parseUrl", url="https://api.example.org/v2/files/ws123/abc.report.pdf?token=xyz&a=") == {
        "domain": "api.example.org", "path": "/v2/files/ws123/abc.report.pdf", "id": "abc", "filename": "report.pdf", "ext": "pdf",
        "workspaceId": "ws123", "mimetype": "application/pdf", "query": {"token": "xyz", "a": ""}}


@pytest.mark.parametrize(("url", "expected"), [
    ("https://h/v2/workspaces/w1/webhooks/x", {"workspaceId": "w1", "filename": "x", "id": "", "ext": "", "mimetype": ""}),
    ("https://h/a.png", {"id": "", "filename": "a.png", "ext": "png", "mimetype": "image/png"}),
    ("https://h/i.a.b.txt", {"id": "i", "filename": "a.b.txt", "ext": "txt"}),
    ("https://h/my%20id.my%20file.txt", {"id": "my id", "filename": "my file.txt"}),
    ("https://h", {"path": "", "filename": "", "query": {}}),
    ("report.pdf", {"domain": "", "path": "report.pdf", "filename": "report.pdf", "mimetype": "application/pdf"}),
    ("http://[broken/x.txt", {"domain": "", "filename": "x.txt"}),
    ("https://h/files/", {"workspaceId": "", "filename": ""}),
])
def test_urls_of_other_shapes(url: str, expected: dict[str, Any]) -> None:
    assert expected.items() <= call("parseUrl", url=url).items()


# --- splitText --------------------------------------------------------------------------------------

def chunks(content: Any, size: int, **more: Any) -> list[str]:
    found = call("splitText", content=content, chunkSize=size, **more)
    assert all(chunk["size"] == len(chunk["content"]) for chunk in found)
    return [chunk["content"] for chunk in found]


def test_a_text_is_cut_at_the_coarsest_separator_that_will_do() -> None:
    assert chunks("One two.\n\nThree four five.\nSix", 12) == ["One two.", "Three four", "five.", "Six"]


def test_neighbours_share_as_much_as_the_overlap() -> None:
    assert chunks("a b c d e f", 5, chunkOverlap=2) == ["a b c", "c d e", "e f"]
    assert chunks("abcdefgh", 4, chunkOverlap=2, separators=[""]) == ["abcd", "cdef", "efgh"]


def test_separators_may_be_kept_or_be_ones_own() -> None:
    assert chunks("a;b;c", 3, separators=[";"], keepSeparator=True) == ["a;b", ";c"]
    assert chunks("a;b;c", 3, separators=[";"]) == ["a;b", "c"]
    assert chunks("longword", 3, separators=[" "]) == ["longword"]


def test_several_texts_never_share_a_chunk() -> None:
    assert chunks(["a b", "c"], 10) == ["a b", "c"] and chunks("", 10) == []


@settings(max_examples=60)
@given(st.text(alphabet="ab \n", max_size=120), st.integers(1, 20), st.integers(0, 19), st.booleans())
def test_chunks_fit_and_lose_no_letter(content: str, size: int, overlap: int, keep: bool) -> None:
    found = chunks(content, size, chunkOverlap=min(overlap, size - 1), keepSeparator=keep)
    assert all(0 < len(chunk) <= size for chunk in found)
    if overlap == 0 or size == 1:
        assert "".join("".join(found).split()) == "".join(content.split())


@pytest.mark.parametrize("parameters", [
    {"content": "x"}, {"content": "x", "chunkSize": 0}, {"content": "x", "chunkSize": 2, "chunkOverlap": 2}, {"content": 1, "chunkSize": 2},
    {"content": "x", "chunkSize": 2, "separators": "x"}, {"content": "x", "chunkSize": 2, "separators": [1]}])
def test_what_cannot_be_split_is_refused(parameters: dict[str, Any]) -> None:
    with pytest.raises(InvalidInstruction):
        call("splitText", **parameters)


# --- search -----------------------------------------------------------------------------------------

TEXT = "one\nERROR two\nthree\nerror four\n"


def found(**parameters: Any) -> list[tuple[int, str]]:
    result = call("search", **{"content": TEXT, **parameters})
    assert result["count"] == len(result["matches"])
    return [(match["line"], match["text"]) for match in result["matches"]]


def test_lines_are_found_and_numbered_from_one() -> None:
    assert found(pattern="error", ignoreCase=True) == [(2, "ERROR two"), (4, "error four")]
    assert found(pattern="^t") == [(3, "three")] and found(pattern="nothing") == []


def test_a_search_may_be_turned_around_bounded_or_reduced_to_what_matches() -> None:
    assert found(pattern="o", invert=True) == [(3, "three")]
    assert found(pattern="o", maxCount=2) == [(1, "one"), (2, "ERROR two")]
    assert found(pattern="[a-z]o", onlyMatching=True) == [(2, "wo"), (4, "ro"), (4, "fo")]
    assert found(pattern="x*", onlyMatching=True) == []


def test_fixed_text_is_no_pattern() -> None:
    assert found(content="a.c\nabc\nA.C", pattern="a.c", fixed=True) == [(1, "a.c")]
    assert found(content="a.c\nabc\nA.C", pattern="a.C", fixed=True, ignoreCase=True) == [(1, "a.c"), (3, "A.C")]
    assert found(content="İ x", pattern="X", fixed=True, ignoreCase=True, onlyMatching=True) == [(1, "x")]


def test_neighbours_come_along_when_asked_for() -> None:
    [match] = call("search", content=TEXT, pattern="three", before=1, after=5)["matches"]
    assert match["context"] == {"before": ["ERROR two"], "after": ["error four"]}
    [match] = call("search", content=TEXT, pattern="one", context=1)["matches"]
    assert match["context"] == {"before": [], "after": ["ERROR two"]}


def test_a_pattern_that_never_ends_is_stopped() -> None:
    for function in ("search", "substitute"):
        with pytest.raises(ExpressionError):
            call(function, content="a" * 40 + "!", pattern="(a|a)*(a|aa)+$", replacement="")


@pytest.mark.parametrize("parameters", [{"pattern": "("}, {"pattern": ""}, {}, {"pattern": "x", "content": "x" * 5_000_001},
                                        {"pattern": "", "content": "x\n" * 2000, "context": 1000, "fixed": True},
                                        {"pattern": "x", "content": "x\n" * 2000, "context": 1000}])
def test_searches_that_cannot_work_or_grow_too_large_are_refused(parameters: dict[str, Any]) -> None:
    with pytest.raises(AutomationsError):
        call("search", **{"content": "x", **parameters})


# --- substitute -------------------------------------------------------------------------------------

@pytest.mark.parametrize(("parameters", "content", "count"), [
    ({"content": "on 2024-01-31 and 2023-12-01", "pattern": r"(\d{4})-(\d{2})-(\d{2})", "replacement": "$3/$2/$1"}, "on 31/01/2024 and 01/12/2023", 2),
    ({"content": "aaa", "pattern": "a", "replacement": "b", "all": False}, "baa", 1),
    ({"content": "aAa", "pattern": "A", "replacement": "", "ignoreCase": True}, "", 3),
    ({"content": "a.b", "pattern": ".", "replacement": "$&$&", "fixed": True}, "a$&$&b", 1),
    ({"content": "ab", "pattern": "(?<x>a)(b)?", "replacement": "[$<x>$2$&$$$0$3$<no>]"}, "[abab$$0$3$<no>]", 1),
    ({"content": "ab", "pattern": "(a)(c)?", "replacement": "$11$2"}, "a1b", 1),
    ({"content": "ab", "pattern": "x*", "replacement": "-"}, "-a-b-", 3),
    ({"content": "a\na\na\na", "pattern": "a", "replacement": "b", "lineRange": [2, 3]}, "a\nb\nb\na", 2),
    ({"content": "a\na\n", "pattern": "a", "replacement": "b", "lineRange": {"start": 2}}, "a\nb\n", 1),
    ({"content": "a\n", "pattern": "a", "replacement": "b", "lineRange": [5, 9]}, "a\n", 0),
    ({"content": "", "pattern": "a", "replacement": "b"}, "", 0),
])
def test_what_matches_is_replaced(parameters: dict[str, Any], content: str, count: int) -> None:
    assert call("substitute", **parameters) == {"content": content, "count": count}


@pytest.mark.parametrize("parameters", [{"lineRange": 3}, {"lineRange": ["a", 1]}, {"replacement": 1},
                                        {"content": "x" * 1000, "replacement": "y" * 100_000}])
def test_replacements_that_cannot_work_are_refused(parameters: dict[str, Any]) -> None:
    with pytest.raises(InvalidInstruction):
        call("substitute", **{"content": "x", "pattern": "x", **parameters})


# --- diff and applyPatch ----------------------------------------------------------------------------

def test_a_patch_looks_like_everybody_elses() -> None:
    assert call("diff", a="1\n2\n3\n4\n5\n6\n7\n8\n9\n", b="1\n2\n3\n4\nfive\n6\n7\n8\n9\nten", labelA="old", labelB="new") == {
        "patch": "--- old\n+++ new\n@@ -2,8 +2,9 @@\n 2\n 3\n 4\n-5\n+five\n 6\n 7\n 8\n 9\n+ten\n\\ No newline at end of file\n",
        "changed": True, "additions": 2, "deletions": 1}


def test_hunks_far_apart_are_apart_and_the_header_can_be_left_out() -> None:
    result = call("diff", a="1\n2\n3\n4\n5\n", b="one\n2\n3\n4\nfive\n", context=1, noHeader=True)
    assert result["patch"] == "@@ -1,2 +1,2 @@\n-1\n+one\n 2\n@@ -4,2 +4,2 @@\n 4\n-5\n+five\n"
    assert call("diff", a="x", b="x") == {"patch": "", "changed": False, "additions": 0, "deletions": 0}


LINES = st.lists(st.sampled_from(["a", "b", "c", "", "d\r", "\x0c"]), max_size=14).map("\n".join)


@settings(max_examples=150)
@given(LINES, LINES, st.integers(0, 4), st.booleans(), st.booleans())
def test_a_patch_leads_from_one_text_to_the_other(a: str, b: str, context: int, ends_a: bool, ends_b: bool) -> None:
    a, b = a + "\n" * ends_a, b + "\n" * ends_b
    patch = call("diff", a=a, b=b, context=context)["patch"]
    result = call("applyPatch", content=a, patch=patch)
    assert result["content"] == b and result["hunksFailed"] == 0 and result["hunksApplied"] == result["hunksTotal"]


@settings(max_examples=100)
@given(st.lists(st.sampled_from("abc"), max_size=12), st.lists(st.sampled_from("abc"), max_size=12))
def test_no_shorter_way_is_overlooked(a: list[str], b: list[str]) -> None:
    longest = [[0] * (len(b) + 1) for _ in range(len(a) + 1)]
    for i, x in enumerate(a):
        for j, y in enumerate(b):
            longest[i + 1][j + 1] = longest[i][j] + 1 if x == y else max(longest[i][j + 1], longest[i + 1][j])
    blocks = changed_blocks(a, b)
    assert sum(block.a_end - block.a_start for block in blocks) == len(a) - longest[-1][-1]
    assert sum(block.b_end - block.b_start for block in blocks) == len(b) - longest[-1][-1]


def test_texts_that_have_nothing_in_common_are_compared_in_bounded_time() -> None:
    a, b = "".join(f"{i % 7}\n" for i in range(20_000)), "".join(f"{i % 11}\n" for i in range(20_000))
    patch = call("diff", a=a, b=b)["patch"]
    assert call("applyPatch", content=a, patch=patch)["content"] == b


@pytest.mark.skipif(which("patch") is None, reason="the patch program is not installed")
def test_the_patch_program_agrees(tmp_path: Path) -> None:
    a, b = "1\n2\n3\n4\n5\n6\n7\n8\n", "0\n1\n2\n4\n5\n6\n7\n8\n9"
    (tmp_path / "a").write_text(a)
    (tmp_path / "p").write_text(call("diff", a=a, b=b)["patch"])
    subprocess.run(["patch", "-s", "a", "p"], cwd=tmp_path, check=True)
    assert (tmp_path / "a").read_text() == b


PATCH = "@@ -2,3 +2,3 @@\n b\n-c\n+C\n d\n"


def test_a_hunk_is_found_where_its_lines_moved_to() -> None:
    assert call("applyPatch", content="x\ny\na\nb\nc\nd\ne\n", patch=PATCH) == {
        "content": "x\ny\na\nb\nC\nd\ne\n", "hunksTotal": 1, "hunksApplied": 1, "hunksFailed": 0}


def test_context_may_differ_as_far_as_the_fuzz_says() -> None:
    content = "a\nB\nc\nd\n"
    assert call("applyPatch", content=content, patch=PATCH)["hunksFailed"] == 1
    assert call("applyPatch", content=content, patch=PATCH, fuzz=1)["content"] == "a\nB\nC\nd\n"


def test_the_hunks_that_fit_are_applied_unless_it_is_all_or_nothing() -> None:
    patch = PATCH + "@@ -9,1 +9,1 @@\n-nowhere\n+here\n"
    assert call("applyPatch", content="a\nb\nc\nd\n", patch=patch) == {"content": "a\nb\nC\nd\n", "hunksTotal": 2, "hunksApplied": 1, "hunksFailed": 1}
    assert call("applyPatch", content="a\nb\nc\nd\n", patch=patch, atomic=True) == {
        "content": "a\nb\nc\nd\n", "hunksTotal": 2, "hunksApplied": 0, "hunksFailed": 2}


@settings(max_examples=60)
@given(st.text(alphabet="@-+ ,123ab\n\\", max_size=80), st.text(alphabet="ab\n", max_size=30))
def test_any_text_may_pretend_to_be_a_patch(patch: str, content: str) -> None:
    result = call("applyPatch", content=content, patch=patch, fuzz=2)
    assert result["hunksApplied"] + result["hunksFailed"] == result["hunksTotal"]
