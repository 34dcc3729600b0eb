"""Secrets leave no trace, and nothing else is touched."""
from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.redaction import (
    REDACTED,
    Redactor,
    collect,
    redact_fields,
    redacted_fields,
    secret_fields,
)
from runtime.values import copy

ARGUMENTS = {
    "body": {"type": "object", "properties": {
        "token": {"type": "string", "secret": True},
        "card": {"type": "object", "redact": True},
        "nested": {"type": "object", "properties": {"key": {"type": "string", "secret": True, "redact": True}}},
        "keys": {"type": "array", "items": {"type": "object", "properties": {"value": {"secret": True, "redact": True}}}},
        "open": {"type": "string", "secret": "yes"}}},
    "password": {"secret": True},
}


def test_secret_fields_are_found_at_any_depth():
    assert secret_fields(ARGUMENTS) == (("body", "token"), ("body", "nested", "key"), ("body", "keys", None, "value"), ("password",))
    assert secret_fields({"type": "object", "properties": {"a": {"secret": True}}}) == (("a",),)
    assert secret_fields({"type": {"secret": True}, "properties": {"secret": True}}) == (("type",), ("properties",))


@pytest.mark.parametrize("schema", [{}, None, [], "x", {"a": None, "b": {"properties": []}, "c": {"items": [1]}}])
def test_without_marks_there_are_no_paths(schema: Any):
    assert not secret_fields(schema)


def test_only_texts_that_are_not_blank_are_collected():
    values = {"body": {"token": "s3cret", "nested": {"key": " \n"}, "keys": [{"value": "one"}, {"value": 2}, 3]}, "password": [{"a": "x", "b": 1}]}
    assert collect(secret_fields(ARGUMENTS), values) == {"s3cret", "one", "x"}
    assert collect(secret_fields(ARGUMENTS), {"body": None}) == set()


def test_fields_to_redact_are_covered_in_their_place_only():
    payload = {"body": {"card": {"number": 1}, "nested": {"key": "k", "other": "k"}, "keys": [{"value": 5}, {}]}, "x": {"card": 1}}
    before = copy(payload)
    assert redact_fields(redacted_fields(ARGUMENTS), payload) == {
        "body": {"card": REDACTED, "nested": {"key": REDACTED, "other": "k"}, "keys": [{"value": REDACTED}, {}]}, "x": {"card": 1}}
    assert payload == before
    untouched = {"query": {}}
    assert redact_fields(redacted_fields(ARGUMENTS), untouched) is untouched


def test_a_secret_is_hidden_inside_longer_texts_in_keys_and_at_any_depth():
    value = {"a": ["pre s3cret post", {"s3cret": 1, "n": None}], "b": "s3cret", "c": 5}
    assert Redactor(["s3cret"]).redact(value) == {"a": [f"pre {REDACTED} post", {REDACTED: 1, "n": None}], "b": REDACTED, "c": 5}


def test_a_short_secret_hides_whole_texts_and_no_keys():
    assert Redactor(["id"]).redact({"id": "id", "idea": "ideas", "list": ["id"]}) == {"id": REDACTED, "idea": "ideas", "list": [REDACTED]}


def test_blank_secrets_hide_nothing():
    value = {"a": "", "b": "  ", "c": "x    y"}
    assert Redactor(["", "    "]).redact(value) is value


def test_overlapping_secrets_leave_no_rest_of_any():
    redactor = Redactor(["abcd", "cdefgh", "abcdefghij"])
    assert redactor.redact("-abcdefgh-") == f"-{REDACTED}-"
    assert redactor.redact("-abcdefghij-") == f"-{REDACTED}-"
    assert redactor.redact("abcdabcd") == REDACTED * 2
    assert Redactor(["aaaa"]).redact("xaaaaaay") == f"x{REDACTED}y"


def test_a_secret_is_found_escaped_in_json_text_and_in_a_url():
    secret = 'p"w\n/é='
    text = f"{json.dumps({'k': secret})} {json.dumps([secret], ensure_ascii=False)} https://h/?q={quote(secret, safe='')}"
    assert Redactor([secret]).redact(text) == f'{{"k": "{REDACTED}"}} ["{REDACTED}"] https://h/?q={REDACTED}'


def test_secrets_may_be_added_while_the_run_goes_on():
    redactor = Redactor(["first"])
    value = {"a": "first second"}
    assert redactor.redact(value) == {"a": f"{REDACTED} second"}
    redactor.add({"second"})
    assert redactor.redact(value) == {"a": f"{REDACTED} {REDACTED}"}
    assert value == {"a": "first second"}


def test_what_holds_no_secret_is_returned_itself():
    inner = {"x": [1, "y"]}
    shown = Redactor(["s3cret"]).redact({"a": inner, "b": "s3cret"})
    assert shown["a"] is inner
    value = {"a": inner}
    assert Redactor(["s3cret"]).redact(value) is Redactor().redact(value) is value


def test_a_hostile_text_is_redacted_in_no_time():
    assert Redactor(["a" * 4, "a" * 2000 + "b"]).redact("a" * 300_000) == REDACTED


SECRETS = st.text(st.sampled_from('ab"\\\n\t é🙂%/='), min_size=1, max_size=8)
LEAVES = st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=5))


def values(secret: str) -> st.SearchStrategy[Any]:
    """Values that hold the secret as it is, inside a longer text, as a key, or not at all."""
    texts = st.sampled_from([secret, f"x{secret}y", secret * 2])
    return st.recursive(LEAVES | texts, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3) | texts, inner, max_size=3),
                        max_leaves=8)


def occurrences(value: Any, secret: str) -> int:
    if isinstance(value, dict):
        return sum(occurrences(member, secret) + (len(secret) >= 4 and secret in key) for key, member in value.items())
    if isinstance(value, list):
        return sum(occurrences(member, secret) for member in value)
    if not isinstance(value, str) or not secret.strip():
        return 0
    return value == secret if len(secret) < 4 else secret in value


@settings(max_examples=150, deadline=None)
@given(st.data(), st.lists(SECRETS, min_size=1, max_size=3))
def test_no_secret_survives_and_the_value_itself_is_never_changed(data: st.DataObject, secrets: list[str]):
    value = data.draw(values(secrets[0]))
    before = copy(value)
    shown = Redactor(secrets).redact(value)
    assert value == before
    assert not any(occurrences(shown, secret) for secret in secrets)
    if not any(occurrences(value, secret) for secret in secrets) and not {"%", "\\"} & {*json.dumps(value)}:
        assert shown is value
