"""The published test vectors of AWS Signature Version 4, and what they leave open."""
from __future__ import annotations

from dataclasses import replace

import pytest

from runtime.outbound.signing import AwsCredentials, sign

VECTOR = AwsCredentials("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "service", "us-east-1")
NOW = 1_440_938_160_000
HOST = "https://example.amazonaws.com"
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@pytest.mark.parametrize(("method", "url", "headers", "body", "signature"), [
    ("GET", "/", {}, b"", "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"),
    ("GET", "/?Param2=value2&Param1=value1", {}, b"", "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500"),
    ("GET", "/?%E1%88%B4=bar", {}, b"", "2cdec8eed098649ff3a119c94853b13c643bcf08f8b0a1d91e12c9027818dd04"),
    ("POST", "/", {}, b"", "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"),
    ("POST", "/", FORM, b"Param1=value1", "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a"),
])
def test_the_signatures_are_those_of_the_published_vectors(method: str, url: str, headers: dict[str, str], body: bytes, signature: str) -> None:
    added = sign(method, HOST + url, headers, body, credentials=VECTOR, now=NOW)
    assert added["x-amz-date"] == "20150830T123600Z"
    assert added["authorization"].endswith(f"Signature={signature}")


def test_the_example_of_the_documentation() -> None:
    added = sign("GET", "https://iam.amazonaws.com/?Action=ListUsers&Version=2010-05-08",
                 {"content-type": "application/x-www-form-urlencoded; charset=utf-8"}, b"",
                 credentials=replace(VECTOR, service="iam"), now=NOW)
    assert added["authorization"] == (
        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/iam/aws4_request, SignedHeaders=content-type;host;x-amz-date, "
        "Signature=5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7")


def test_parameters_are_ordered_by_their_names_and_not_by_what_follows() -> None:
    one, other = (sign("GET", f"{HOST}/?{query}", {}, b"", credentials=VECTOR, now=NOW) for query in ("a-b=1&a=1", "a=1&a-b=1"))
    assert one == other


def test_s3_signs_the_hash_of_the_body_and_a_session_token_comes_along() -> None:
    added = sign("PUT", HOST + "/a%20b", {"x-amz-acl": "private"}, b"x",
                 credentials=replace(VECTOR, service="s3", session_token="token"), now=NOW)
    assert added["x-amz-security-token"] == "token"
    assert added["x-amz-content-sha256"] == "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881"
    assert "SignedHeaders=host;x-amz-acl;x-amz-content-sha256;x-amz-date;x-amz-security-token" in added["authorization"]


def test_an_unusual_port_belongs_to_the_signed_host() -> None:
    signatures = {sign("GET", f"http://h{port}/", {}, b"", credentials=VECTOR, now=NOW)["authorization"] for port in ("", ":80", ":8080")}
    assert len(signatures) == 2
