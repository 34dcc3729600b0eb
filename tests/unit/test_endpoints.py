"""Which automations stand behind a URL, and what its parameters are."""
from __future__ import annotations

from typing import Any

import pytest

from runtime.triggers.endpoint import EndpointIndex


def index(*endpoints: str, prefix: str = "") -> EndpointIndex:
    """Each name stands for its automation."""
    made = EndpointIndex()
    for endpoint in endpoints:
        made.add(endpoint, f"{prefix}{endpoint}", prefix)  # type: ignore[arg-type]
    return made


@pytest.mark.parametrize(("endpoint", "name", "parameters"), [
    ("users/:id", "users/12", {"id": "12"}), ("users/:id", "users/a b", {"id": "a b"}), ("users/:id", "users/1/2", None), ("users/:id", "users/", None),
    ("users/:user-id/:user_id", "users/1/2", {"user-id": "1", "user_id": "2"}), ("users/:id/:id", "users/1/2", {"id": "2"}),
    ("models/*name", "models/a/b", {"name": "a/b"}), ("models/*name", "models/", None), ("models/*name/raw", "models/a/b/raw", {"name": "a/b"}),
    ("models/*name", "models/a\nb", {"name": "a\nb"}), ("message:stream", "message:stream", {}), ("message:stream", "messagestream", None),
    ("a.c/:id", "abc/1", None), (":first/x", "1/x", {"first": "1"}), ("/users/:id/", "users/1", {"id": "1"})])
def test_parameters_are_segments_and_everything_else_is_literal(endpoint: str, name: str, parameters: dict[str, str] | None) -> None:
    found: Any = index(endpoint).find(name)
    assert found == (None if parameters is None else ([endpoint], parameters))


@pytest.mark.parametrize(("endpoint", "raw", "parameters"), [
    ("users/:id", "users/a%2Fb", {"id": "a/b"}), ("users/:id/x", "users/a%2fb%20c/x", {"id": "a/b c"}), ("models/*name", "models/a%2Fb/c", {"name": "a/b/c"}),
    ("my users/:id", "my%20users/%252F%2F", {"id": "%2F/"})])
def test_an_encoded_slash_stays_inside_its_segment(endpoint: str, raw: str, parameters: dict[str, str]) -> None:
    assert index(endpoint).find("decoded", raw) == ([endpoint], parameters)


def test_an_exact_name_wins_then_the_first_pattern_declared() -> None:
    made = index(":all", "users/:id", "users/:name", "users/me", "users/me")
    assert made.find("users/me") == (["users/me", "users/me"], {})
    assert made.find("users/1") == (["users/:id"], {"id": "1"})
    assert made.find("else") == ([":all"], {"all": "else"})


def test_an_endpoint_of_an_app_is_found_under_its_instance() -> None:
    made = index(":id", "x/:id", "exact", prefix="my app.")
    assert made.find("my app.7") == (["my app.:id"], {"id": "7"})
    assert made.find("my app.x/7") == (["my app.x/:id"], {"id": "7"})
    assert made.find("my app.exact") == (["my app.exact"], {})
    assert made.find("7") is None
    assert made.names() == ["my app.exact", "my app.:id", "my app.x/:id"]
