"""Settings: defaults, readers, and what is said about a value that cannot be read."""
from __future__ import annotations

from dataclasses import fields

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.config import BadSettings, Settings
from gateway.variables import FAMILIES, VARIABLES, size
from runtime.settings import RuntimeSettings


def read(**environment: str) -> Settings:
    return Settings.from_environment(environment)


def test_without_an_environment_everything_has_a_default_for_a_laptop() -> None:
    settings = read()
    assert (settings.host, settings.port, settings.storage_url) == ("127.0.0.1", 8700, "file:./data")
    assert settings == Settings()
    assert settings.runtime == RuntimeSettings()


def test_addresses_follow_from_the_port_and_from_each_other() -> None:
    runtime = read(PORT="9000").runtime
    assert (runtime.api_url, runtime.studio_url, runtime.pages_host) == (
        "http://localhost:9000/v2", "http://localhost:9000", ".pages.localhost:9000")
    runtime = read(API_URL="https://api.example.org/v2/", PAGES_HOST="pages.example.org").runtime
    assert (runtime.api_url, runtime.studio_url, runtime.pages_host) == (
        "https://api.example.org/v2", "https://api.example.org", ".pages.example.org")


def test_the_old_name_of_the_studio_address_is_still_read() -> None:
    assert read(CONSOLE_URL="https://old.example.org").runtime.studio_url == "https://old.example.org"
    assert read(CONSOLE_URL="https://a.org", STUDIO_URL="https://b.org").runtime.studio_url == "https://b.org"


@pytest.mark.parametrize(("text", "bytes_"), [("1mb", 1_048_576), ("50kb", 51_200), ("800b", 800), ("1234", 1234), ("2 MB".replace(" ", ""), 2_097_152)])
def test_sizes_are_plain_or_with_a_unit(text: str, bytes_: int) -> None:
    assert read(REQUEST_MAX_SIZE=text).request_max_size == bytes_


@given(st.integers(0, 10 ** 9), st.sampled_from([("", 1), ("b", 1), ("kb", 1024), ("mb", 1024 ** 2), ("gb", 1024 ** 3)]))
def test_every_number_with_a_unit_is_that_many_bytes(number: int, unit: tuple[str, int]) -> None:
    assert size(f"{number}{unit[0]}") == number * unit[1]


@pytest.mark.parametrize("word", ["true", "yes", "y", "1", "TRUE"])
def test_yes_has_many_names(word: str) -> None:
    assert read(DISABLE_RATE_LIMIT=word).disable_rate_limit is True


@pytest.mark.parametrize(("name", "value", "expected"), [
    ("PORT", "eighty", "a whole number from 0 to 65535"),
    ("PORT", "70000", "a whole number from 0 to 65535"),
    ("DISABLE_RATE_LIMIT", "perhaps", "one of true, yes"),
    ("REQUEST_MAX_SIZE", "1 lot", "a number of bytes"),
    ("CONTEXT_USER_MAX_SIZE", "-1", "a number of bytes"),
    ("WAIT_DEFAULT_TIMEOUT", "-2", "a number of seconds"),
    ("WAIT_DEFAULT_TIMEOUT", "nan", "a number of seconds"),
    ("API_URL", "ftp://x", "http:// or https://"),
    ("API_URL", "https://[", "http:// or https://"),
    ("STORAGE_URL", "redis://x", "file:FOLDER"),
    ("SESSION_SWITCH", "mine", "any, own"),
    ("TRUSTED_PROXIES", "10.0.0.1, lan", "addresses or networks"),
    ("PASSWORD_VALIDATION_REGEXP", "(", "a regular expression"),
    ("SESSION_ID_HEADER", "x session", "the name of a header"),
])
def test_a_value_that_cannot_be_read_is_named_with_what_is_expected(name: str, value: str, expected: str) -> None:
    with pytest.raises(BadSettings) as caught:
        read(**{name: value})
    assert f"{name}={value!r}" in str(caught.value) and expected in str(caught.value)


def test_all_bad_values_are_told_at_once() -> None:
    with pytest.raises(BadSettings) as caught:
        read(PORT="x", HTTP_TIMEOUT_MS="y")
    assert len(str(caught.value).splitlines()) == 2


def test_an_empty_value_is_no_value_except_where_it_means_something() -> None:
    assert read(PORT="", DISABLE_RATE_LIMIT="").given == frozenset()
    assert read(SCHEDULES_MAXIMUM_OCCURRENCE_PATTERN="").runtime.schedules_maximum_occurrence_pattern == ""


def test_families_keep_what_follows_their_prefix() -> None:
    runtime = read(WORKSPACE_CONFIG_shop_KEY="1", APP_CONFIG_tool_KEY="2", ADDITIONAL_GLOBAL_VARS_region="eu").runtime
    assert (runtime.workspace_config, runtime.app_config, runtime.additional_global_vars) == (
        {"shop_KEY": "1"}, {"tool_KEY": "2"}, {"region": "eu"})


def test_one_context_size_changes_only_itself() -> None:
    sizes = read(CONTEXT_USER_MAX_SIZE="7").runtime.context_max_sizes
    assert sizes == {**RuntimeSettings().context_max_sizes, "user": 7}


def test_milliseconds_become_seconds_in_the_runtime() -> None:
    assert read(WEBHOOKS_SSE_KEEPALIVE="7000").runtime.webhooks_sse_keepalive == 7


@pytest.mark.parametrize(("environment", "limits"), [
    ({}, (10, None)),
    ({"RATE_LIMITS_PROFILE": "strict"}, (10, 30)),
    ({"RATE_LIMIT_WEBHOOKS_USER": "7", "RATE_LIMIT_ANONYMOUS_LOGIN": "2"}, (2, 7)),
    ({"RATE_LIMITS_PROFILE": "strict", "DISABLE_RATE_LIMIT": "1"}, (None, None)),
])
def test_limits_follow_the_profile_unless_they_are_given(environment: dict[str, str], limits: tuple[int | None, int | None]) -> None:
    settings = read(**environment)
    assert (settings.rate_limit("anonymous_login"), settings.rate_limit("webhooks_user")) == limits


def test_every_setting_can_be_turned_by_a_variable() -> None:
    turned = {variable.name.lower() for variable in VARIABLES} | {attribute for attribute, _ in FAMILIES.values()}
    assert {f.name for f in fields(RuntimeSettings)} - turned == {"context_max_sizes"}
    assert {f.name for f in fields(Settings)} - turned == {"runtime", "given"}


def test_the_description_tells_origin_and_hides_secrets() -> None:
    described = {line.name: line for line in read(PORT="9000", JWT_SECRET="hush", WORKSPACE_CONFIG_a_B="hush").describe()}
    assert (described["PORT"].value, described["PORT"].origin) == ("9000", "environment")
    assert described["HOST"].origin == "default"
    assert described["HTTP_TIMEOUT_MS"].value == "60000" and described["WEBHOOKS_SSE_KEEPALIVE"].value == "5000"
    assert all(line.meaning for line in described.values())
    assert "hush" not in "".join(line.value for line in described.values())
