from __future__ import annotations

import hashlib
import hmac
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.errors import InvalidInstruction
from runtime.ids import RandomIds
from runtime.modules import MODULES
from runtime.modules.around import Around
from runtime.testing import HandClock

AROUND = Around(RandomIds(), HandClock(), None)


def call(function: str, **parameters: Any) -> Any:
    return MODULES["crypto"].functions[function](parameters, AROUND)


@pytest.mark.parametrize(("function", "parameters", "value"), [
    ("sha256", {"data": "abc"}, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
    ("sha256", {"data": "abc", "encoding": "base64url"}, "ungWv48Bz-pBQUDeXa4iI7ADYaOWF3qctBD_YfIAFa0"),
    ("sha256", {"data": "abc", "encoding": "base64"}, "ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0="),
    ("md5", {"data": ""}, "d41d8cd98f00b204e9800998ecf8427e"),
    ("sha512", {"data": {"a": [1, None]}}, hashlib.sha512(b'{"a":[1,null]}').hexdigest()),
    ("sha256", {"data": 12}, hashlib.sha256(b"12").hexdigest()),
    ("sha256", {"data": "é"}, hashlib.sha256("é".encode()).hexdigest()),
    ("hmac", {"data": "payload", "key": "k"}, "53e1cedd550e0e693ce03bafe5ae424d9f292717018d586aaade877481dc824c"),
    ("hmac", {"data": "d", "key": "k", "algorithm": "sha512", "encoding": "hex"}, hmac.new(b"k", b"d", "sha512").hexdigest()),
    ("base64Encode", {"data": "a?b>c~", "urlSafe": True}, "YT9iPmN-"),
    ("base64Encode", {"data": "a?b>c~"}, "YT9iPmN+"),
    ("base64Decode", {"data": "SGVsbG8="}, "Hello"), ("base64Decode", {"data": "SGVsbG8"}, "Hello"),
    ("base64Decode", {"data": "YT9iPmN-"}, "a?b>c~"), ("base64Decode", {"data": " SGVs\nbG8= "}, "Hello"), ("base64Decode", {"data": ""}, ""),
])
def test_known_values(function: str, parameters: dict[str, Any], value: str) -> None:
    assert call(function, **parameters) == value


@settings(max_examples=50)
@given(st.text(), st.booleans())
def test_decoding_undoes_encoding(data: str, url_safe: bool) -> None:
    assert call("base64Decode", data=call("base64Encode", data=data, urlSafe=url_safe)) == data


def test_random_bytes_are_as_many_as_asked_for() -> None:
    assert len(call("randomBytes")) == 43 and len(call("randomBytes", length=8, encoding="hex")) == 16
    assert call("randomBytes") != call("randomBytes")


def test_a_uuid_looks_like_one() -> None:
    assert len(call("randomUUID")) == 36 and call("randomUUID")[14] == "4"


@pytest.mark.parametrize(("function", "parameters"), [
    ("sha256", {}), ("hmac", {"data": "x"}), ("sha256", {"data": "x", "encoding": "utf8"}), ("hmac", {"data": "x", "key": "k", "algorithm": "shake"}),
    ("base64Decode", {"data": "!"}), ("base64Decode", {"data": 1}), ("base64Decode", {"data": "é"}), ("randomBytes", {"length": 0}),
    ("randomBytes", {"length": 10 ** 9}), ("randomBytes", {"length": "x"}), ("sha256", {"data": "x", "encoding": ["hex"]}),
])
def test_what_cannot_be_computed_is_refused(function: str, parameters: dict[str, Any]) -> None:
    with pytest.raises(InvalidInstruction):
        call(function, **parameters)
