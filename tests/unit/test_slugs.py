"""Slugs are made from any label, and are always good and free."""
from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.catalog import slugs

NOBODY_HAS = {}.__contains__
names = st.text(max_size=40) | st.dictionaries(st.sampled_from(["en", "fr"]), st.text(max_size=10)) | st.none()


@given(names, st.sets(st.sampled_from(["a", "a-1", "workspace", "automation", "automation-1"])))
def test_a_slug_made_from_any_name_is_valid_and_free(name: object, taken: set[str]) -> None:
    workspace, automation = slugs.for_workspace(name, taken.__contains__), slugs.for_automation(name, taken.__contains__)
    assert slugs.is_workspace_slug(workspace) and workspace not in taken
    assert slugs.is_slug(automation) and automation not in taken


@pytest.mark.parametrize(("name", "workspace", "automation"), [
    ("Été 1", "ete-1", "Ete 1"),
    ("  Send_mail: now!  ", "send-mail-now", "Send_mail now"),
    ({"fr": "Bonjour", "en": "Hello"}, "bonjour", "Bonjour"),
    ("日本", "workspace", "automation"),
    ("a" * 30, "a" * 20, "a" * 20),
    ("---", "workspace", "---"),
])
def test_accents_go_and_other_characters_are_dropped(name: object, workspace: str, automation: str) -> None:
    assert slugs.for_workspace(name, NOBODY_HAS) == workspace
    assert slugs.for_automation(name, NOBODY_HAS) == automation


def test_a_number_makes_a_slug_unique() -> None:
    assert slugs.for_automation("greet", {"greet", "greet-1"}.__contains__) == "greet-2"


@pytest.mark.parametrize("slug", ["", "a.b", "a\n", "é", "a\x00", None, 5, "a?b"])
def test_what_cannot_stand_in_an_address_is_no_slug(slug: object) -> None:
    assert not slugs.is_slug(slug) and not slugs.is_workspace_slug(slug)


def test_capitals_and_blanks_are_for_everything_but_workspaces() -> None:
    assert slugs.is_slug("Custom Code/run_2")
    assert not slugs.is_workspace_slug("Custom") and not slugs.is_workspace_slug("a b") and slugs.is_workspace_slug("a/b-2")
