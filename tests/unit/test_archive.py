"""A definition goes into text or an archive, and comes out the same."""
from __future__ import annotations

from io import BytesIO
from zipfile import ZipFile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.catalog.archive import pack, to_yaml, unpack
from runtime.errors import InvalidAutomation
from runtime.language.loader import load

words = st.sampled_from(["on", "off", "yes", "no", "true", "null", "~", "0o17", "0x1F", "1e3", "1_000", "1:30", "2026-01-01", "=", "<<",
                         "-", "", " a", "a ", "a\nb", "a\n\n  b\n", "\n", "a: b", "# a", "'", '"', "{{x}}", "{% 1 %}", "*", "&a", "!b", "\t",
                         "é\u2028", "\x85", "🙂", ".5", "1.", "-.inf", "+1", "a\r\nb"])
texts = words | st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-2 ** 63, 2 ** 63 - 1) | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3), max_leaves=10)


@settings(max_examples=150)
@given(st.dictionaries(texts, values, max_size=4))
def test_what_is_written_as_yaml_reads_back_the_same(value: dict[str, object]) -> None:
    assert load(to_yaml(value)).data == value


def test_yaml_has_no_aliases_and_shows_lines_as_lines() -> None:
    shared = {"a": [1]}
    assert to_yaml({"x": shared, "y": shared, "on": "one\ntwo\n"}) == b"x:\n  a:\n  - 1\ny:\n  a:\n  - 1\n'on': |\n  one\n  two\n"


DEFINITION = {
    "name": "Shop", "slug": "shop", "config": {"value": {"a": 1}}, "blocks": [{"slug": "b"}], "security": {"authorizations": {}},
    "automations": {"a/b c": {"name": "x", "do": []}, "0": {"do": [{"set": {"name": "y", "value": "on"}}]}},
    "imports": {"Custom Code": {"appSlug": "code"}}, "pages": {"home": {"name": "Home"}}}


def test_an_archive_holds_a_file_for_each_part() -> None:
    names = ZipFile(BytesIO(pack(DEFINITION))).namelist()
    assert names == ["index.yml", "security.yml", "automations/a/b c.yml", "automations/0.yml", "imports/Custom Code.yml", "pages/home.yml"]


def test_an_archive_unpacks_to_what_was_packed() -> None:
    archive = unpack(pack(DEFINITION))
    without_slugs = {section: {key: {k: v for k, v in member.items() if k != "slug"} for key, member in archive.data[section].items()}
                     for section in ("automations", "imports", "pages")}
    assert {**archive.data, **without_slugs} == DEFINITION
    assert archive.is_whole
    assert list(archive.data["automations"]) == ["a/b c", "0"]


def test_the_same_definition_makes_the_same_bytes() -> None:
    assert pack(DEFINITION) == pack(DEFINITION)


def zipped(files: dict[str, str]) -> bytes:
    buffer = BytesIO()
    with ZipFile(buffer, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return buffer.getvalue()


def test_places_are_those_in_the_files() -> None:
    archive = unpack(zipped({"index.yml": "name: Shop\nslug: shop\n", "automations/main.yml": "# greet\nname: x\ndo: []\n"}))
    assert str(archive.at(("slug",))) == "index.yml:2:7"
    assert str(archive.at(("automations", "main", "do"))) == "automations/main.yml:3:5"
    assert str(archive.at(("automations", "main"), key=True)).startswith("automations/main.yml")


def test_one_folder_around_everything_is_looked_through() -> None:
    archive = unpack(zipped({"shop/index.yml": "name: Shop", "shop/automations/a.yaml": "do: []", "__MACOSX/._index.yml": "\x00"}))
    assert archive.data == {"name": "Shop", "automations": {"a": {"do": []}}}


def test_files_of_no_part_and_archives_inside_are_ignored() -> None:
    files = {"index.yml": "name: Shop", "README.md": "%", "inner.zip": "PK", "automations/a.zip": "PK", "other/x.yml": "%"}
    assert unpack(zipped(files)).data == {"name": "Shop"}


def test_without_an_index_it_is_a_part_of_a_workspace() -> None:
    archive = unpack(zipped({"automations/a.yml": "do: []"}))
    assert not archive.is_whole and archive.data == {"automations": {"a": {"do": []}}}


def test_every_file_that_is_no_yaml_is_named() -> None:
    with pytest.raises(InvalidAutomation) as refused:
        unpack(zipped({"index.yml": "name: Shop", "automations/a.yml": "{", "automations/b.yml": "a: 1\na: 2"}))
    assert len(refused.value.details) == 2
