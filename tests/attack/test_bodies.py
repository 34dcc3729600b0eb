"""Hostile bodies: whatever is sent, the answer is a documented one, soon, and the server serves the next caller."""
from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator
from typing import Any

import orjson
import pytest
from door import House, house
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway import bodies, multipart
from runtime.errors import AutomationsError

ECHO = "{name: Echo, automations: {main: {when: {endpoint: true}, do: [], output: '{{body}}'}}}"
JSON = {"content-type": "application/json"}
FORM = {"content-type": "application/x-www-form-urlencoded"}
PARTS = {"content-type": "multipart/form-data; boundary=X"}


@pytest.fixture
async def echo() -> AsyncIterator[House]:
    async with house(ECHO, REQUEST_MAX_SIZE="50kb", UPLOADS_MAX_SIZE="200000") as opened:
        yield opened
        assert (await opened.call(json={"still": "there"}))[1] == {"still": "there"}


async def refused(echo: House, status: int, name: str, **more: Any) -> Any:
    got, answer, _ = await echo.call(**more)
    assert (got, answer["error"]) == (status, name), answer
    return answer.get("details")


@pytest.mark.parametrize("text", [b'{"a": ', b"{", b"nul", b"\xff", b'{"a":1}}', b"NaN", b'"\\ud800"', b"1e999", b"\xef\xbb\xbf{}", b"'a'", b"[1,]"])
async def test_what_is_no_json_is_told_with_its_place(echo: House, text: bytes) -> None:
    [problem] = await refused(echo, 400, "RequestValidationError", data=text, headers=JSON)
    assert "line 1, column" in problem["message"]


@pytest.mark.parametrize("levels", [201, 250, 1000, 20_000])
@pytest.mark.parametrize("brackets", [(b"[", b"]"), (b'{"a":', b"}")])
async def test_deep_nesting_is_refused_before_it_reaches_anything_recursive(echo: House, levels: int, brackets: tuple[bytes, bytes]) -> None:
    data = brackets[0] * levels + b"1" + brackets[1] * levels
    await refused(echo, 413 if len(data) > 51_200 else 400, "PayloadTooLarge" if len(data) > 51_200 else "RequestValidationError",
                  data=data, headers=JSON)


async def test_nesting_within_the_limit_comes_back_whole(echo: House) -> None:
    data = b"[" * bodies.DEEPEST + b"]" * bodies.DEEPEST
    assert (await echo.call(data=data, headers=JSON))[:2] == (200, orjson.loads(data))
    wide = [[] for _ in range(1000)]
    assert (await echo.call(json=wide))[1] == wide


async def test_integers_beyond_every_limit_do_no_harm(echo: House) -> None:
    status, _, _ = await echo.call(data=b"[" + b"9" * 4000 + b",1]", headers=JSON)
    assert status in (200, 400)


@pytest.mark.parametrize(("kind", "limit"), [("application/json", 51_200), ("text/plain", 51_200), ("application/x-www-form-urlencoded", 51_200),
                                             ("application/pdf", 200_000)])
async def test_a_body_over_its_limit_is_refused_however_it_is_sent(echo: House, kind: str, limit: int) -> None:
    async def chunked() -> AsyncIterator[bytes]:
        for _ in range(limit // 1000 + 1):
            yield b"a" * 1000
    details = await refused(echo, 413, "PayloadTooLarge", data=b"a" * (limit + 1), headers={"content-type": kind})
    assert details == {"length": limit + 1, "limit": limit}
    details = await refused(echo, 413, "PayloadTooLarge", data=chunked(), headers={"content-type": kind})
    assert details["limit"] == limit < details["length"]


async def test_a_bomb_is_measured_as_it_unpacks(echo: House) -> None:
    bomb = gzip.compress(b"[" + b"0," * 5_000_000 + b"0]")
    await refused(echo, 413, "PayloadTooLarge", data=bomb, headers={**JSON, "content-encoding": "gzip"})
    status, _, _ = await echo.call(data=b"no gzip at all", headers={**JSON, "content-encoding": "gzip"})
    assert status == 400


@pytest.mark.parametrize("text", ["&" * 10_000, "=&" * 10_000, "a[b]" + "[c]" * 5000 + "=1", "[" * 40_000, "a" + "[" * 20_000 + "]" * 20_000, "a[" + "]" * 40_000,
                                  "__proto__[x]=1&constructor[prototype]=2", "%" * 30_000, "a[]=1&" * 900])
async def test_odd_forms_are_objects_all_the_same(echo: House, text: str) -> None:
    status, answer, _ = await echo.call(data=text, headers=FORM)
    assert status == 200 and type(answer) is dict or status == 400 and answer["error"] == "RequestValidationError"


async def test_more_fields_than_anybody_needs_are_refused(echo: House) -> None:
    await refused(echo, 400, "RequestValidationError", data="a=1&" * 5000, headers=FORM)
    path = f"/v2/workspaces/{echo.id}/webhooks/main?" + "a&" * 2000
    assert (await echo.request("GET", path))[0] == 400


def part(headers: bytes, content: bytes = b"x") -> bytes:
    return b"--X\r\n" + headers + b"\r\n\r\n" + content + b"\r\n"


FIELD = b'Content-Disposition: form-data; name="a"'
FILE = FIELD + b'; filename="f"'


@pytest.mark.parametrize("body", [
    b"--X", b"--X\r\n", b"--X\r\n\r\n", b"nothing of the kind", part(FIELD), part(b"Content-Type: text/plain") + b"--X--", part(b"") + b"--X--",
    part(b"Content-Disposition: " + b"x" * 20_000) + b"--X--", part(b"A: b\r\n" * 5000 + FIELD) + b"--X--", b"--X\r\n" + FIELD + b"\r\n--X--",
    part(FIELD + b"\r\nContent-Type: text/plain; charset=nonsense") + b"--X--",
])
async def test_a_broken_multipart_body_is_refused(echo: House, body: bytes) -> None:
    await refused(echo, 400, "RequestValidationError", data=body, headers=PARTS)


@pytest.mark.parametrize("kind", ["multipart/form-data", "multipart/form-data; boundary=", 'multipart/form-data; boundary="', "multipart/form-data; boundary=" + "x" * 100])
async def test_a_multipart_body_without_a_boundary_is_refused(echo: House, kind: str) -> None:
    await refused(echo, 400, "RequestValidationError", data=part(FIELD) + b"--X--", headers={"content-type": kind})


async def test_parts_are_counted_and_measured(echo: House) -> None:
    assert (await echo.call(data=part(FIELD) * 50 + b"--X--", headers=PARTS))[1] == {"a": ["x"] * 50}
    assert await refused(echo, 413, "PayloadTooLarge", data=part(FIELD) * 51 + b"--X--", headers=PARTS) == {"length": 51, "limit": 50}
    assert await refused(echo, 413, "InvalidUploadError", data=part(FILE, b"x" * 200_001) + b"--X--", headers=PARTS) == {"limit": 200_000}
    assert await refused(echo, 413, "InvalidUploadError", data=part(FILE, b"x" * 150_000) * 2 + b"--X--", headers=PARTS) == {"limit": 200_000}


async def test_a_long_text_field_is_refused() -> None:
    async with house(ECHO) as echo:
        await refused(echo, 413, "PayloadTooLarge", data=part(FIELD, b"x" * 1_048_577) + b"--X--", headers=PARTS)


async def test_a_caller_who_leaves_in_the_middle_of_a_body_harms_nobody(echo: House) -> None:
    host, port = echo.address
    _, writer = await asyncio.open_connection(host, port)
    writer.write(f"POST /v2/workspaces/{echo.id}/webhooks/main HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{{".encode())
    await writer.drain()
    writer.close()
    await writer.wait_closed()


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=200))
def test_json_is_read_or_refused_and_nothing_else(raw: bytes) -> None:
    try:
        value = bodies.json(raw)
    except AutomationsError as error:
        assert error.wire == "RequestValidationError"
    else:
        assert value == orjson.loads(raw)


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet="ab[]=&%+.1", max_size=60))
def test_every_form_is_an_object_of_texts_lists_and_objects(text: str) -> None:
    def check(value: Any) -> None:
        assert type(value) in (str, list, dict)
        for below in value.values() if type(value) is dict else value if type(value) is list else ():
            check(below)
    result = bodies.form(text)
    assert type(result) is dict
    check(result)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(st.sampled_from([b"a", b"b[]", "é".encode()]), st.booleans(), st.binary(max_size=40)), max_size=5))
def test_what_goes_into_a_multipart_body_comes_out(parts: list[tuple[bytes, bool, bytes]]) -> None:
    parts = [one for one in parts if b"\r\n--frontier" not in b"\r\n" + one[2]]
    text = b"".join(b'--frontier\r\nContent-Disposition: form-data; name="%s"%s\r\n\r\n%s\r\n' % (name, b'; filename="f"' if is_file else b"", content)
                    for name, is_file, content in parts)
    found = multipart.split(text + b"--frontier--\r\n", "multipart/form-data; boundary=frontier", largest_file=100)
    assert [(one.name.encode(), one.filename is not None, one.content) for one in found] == parts


@settings(max_examples=150, deadline=None)
@given(st.lists(st.sampled_from([b"--X", b"--X--", b"\r\n", b"\r\n\r\n", b"Content-Disposition: form-data; name=", b'"a"', b"; filename=", b"\x00", b"x"]), max_size=14))
def test_pieces_of_a_multipart_body_in_any_order_are_read_or_refused(pieces: list[bytes]) -> None:
    try:
        multipart.split(b"".join(pieces), "multipart/form-data; boundary=X", largest_file=100)
    except AutomationsError as error:
        assert error.wire == "RequestValidationError"
