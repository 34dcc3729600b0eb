"""Floods of headers, parts, names and brackets, and callers who never finish: each costs next to nothing, and the next caller is served."""
from __future__ import annotations

import asyncio
import time
import tracemalloc
from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import Any
from urllib.parse import parse_qsl

import orjson
import pytest
from door import OWNER, House, house
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway import bodies, multipart
from runtime.errors import AutomationsError

ECHO = "{name: Echo, automations: {main: {when: {endpoint: true}, do: [], output: '{{body}}'}}}"
PARTS = {"content-type": "multipart/form-data; boundary=X"}
MIB = 1_048_576
MOST_MEMORY = 20 * MIB
MOST_MEMORY_OF_BRACKETS = 64 * MIB
"""Of bodies that are nothing but lists and maps, each of which takes some sixty bytes: that many an honest body may have, too."""
MOST_TIMES_THE_USUAL, MOST_TIMES_FOR_BRACKETS = 25, 150


@pytest.fixture
async def echo() -> AsyncIterator[House]:
    async with house(ECHO, HTTP_TIMEOUT_MS="150") as opened:
        yield opened
        assert (await opened.call(json={"still": "there"}))[1] == {"still": "there"}


def part(name: bytes = b"a", content: bytes = b"x", more: bytes = b"") -> bytes:
    return b'--X\r\nContent-Disposition: form-data; name="%s"%s\r\n\r\n%s\r\n' % (name, more, content)


def split(body: bytes) -> Any:
    return multipart.split(body, PARTS["content-type"], largest_file=10_000_000)


def form(body: bytes) -> Any:
    return bodies.form(body.decode("utf-8", "replace"))


def cost(work: Callable[[], Any]) -> float:
    """Processor seconds, the best of a few: the machine may be busy."""
    best = 60.0
    for _ in range(3):
        began = time.process_time()
        try:
            work()
        except AutomationsError:
            pass
        best = min(best, time.process_time() - began)
    return best


# What a body of everyday shape and the same size takes is what an attack is measured against.
EVERYDAY = orjson.dumps([{"name": f"item {number}", "price": number * 1.5, "tags": ["a", "b"]} for number in range(18_000)])[:MIB]

BOMBS: dict[str, tuple[Callable[[bytes], Any], bytes]] = {
    "lists in lists": (bodies.json, b"[" * (MIB // 2) + b"]" * (MIB // 2)),
    "maps in maps": (bodies.json, b'{"a":' * (MIB // 6) + b"1" + b"}" * (MIB // 6)),
    "never closed": (bodies.json, b"[" * MIB),
    "never closed maps": (bodies.json, b'{"a":' * (MIB // 5)),
    "just beyond the depth, many times": (bodies.json, b"[" + b",".join([b"[" * 201 + b"]" * 201] * 2500) + b"]"),
    "a number without end": (bodies.json, b"9" * MIB),
    "a fraction without end": (bodies.json, b"0." + b"1" * MIB),
    "an exponent without end": (bodies.json, b"1e" + b"9" * MIB),
    "a million minus signs": (bodies.json, b"-" * MIB),
    "the same key again and again": (bodies.json, b"{" + b'"a":1,' * (MIB // 6 - 1) + b'"a":1}'),
    "a text of escapes": (bodies.json, b'"' + b"\\u0000" * (MIB // 6) + b'"'),
    "half a surrogate at the end": (bodies.json, b'"' + b"x" * (MIB - 10) + b'\\ud800"'),
    "blanks": (bodies.json, b" " * MIB),
    "ampersands": (form, b"&" * MIB),
    "fields": (form, b"a&" * (MIB // 2)),
    "brackets": (form, b"a" + b"[b]" * (MIB // 3) + b"=1"),
    "one list, by a thousand names": (form, b"a[]=1&" * 999 + b"a[]=" + b"x" * 1000),
    "percent signs": (form, b"%" * MIB),
    "escapes": (form, b"%25" * (MIB // 3)),
    "quotes": (bodies.json, b'"[' * (MIB // 2)),
    "quotes and strokes": (bodies.json, b"[" * 300 + b'"' + b'\\"' * (MIB // 2 - 200)),
    "parts": (split, part() * 20_000 + b"--X--"),
    "boundaries": (split, b"--X\r\n" * 200_000),
    "a head without end": (split, b"--X\r\n" + b"A: b\r\n" * 170_000 + b"\r\nx\r\n--X--"),
    "a disposition of parameters": (split, part(more=b"; a=b" * 2500) + b"--X--"),
    "a disposition of quotes": (split, part(more=b'; a="' + b'\\"' * 8000) + b"--X--"),
    "a disposition of continuations": (split, part(more=b"".join(b"; filename*%d=x" % number for number in range(900))) + b"--X--"),
    "nothing but dashes": (split, b"-" * MIB),
}

BRACKETS = ("just beyond the depth, many times", "quotes")


@settings(max_examples=150, deadline=None)
@given(st.text(alphabet="ab=+%0CcA9é&;", max_size=40))
def test_forms_are_read_as_the_library_of_the_language_does(text: str) -> None:
    for filled in (text, "%C3%A9" * 2729 + text):           # the second ends at the seam of two pieces
        assert bodies.form(filled) == bodies.assemble(parse_qsl(filled, keep_blank_values=True, errors="replace"))


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_takes_little_memory(name: str) -> None:
    read, body = BOMBS[name]
    tracemalloc.start()
    try:
        read(body)
    except AutomationsError as error:
        assert error.wire in ("RequestValidationError", "PayloadTooLarge", "InvalidUploadError") and len(error.message) < 500
    finally:
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert peak <= (MOST_MEMORY_OF_BRACKETS if name in BRACKETS else MOST_MEMORY)


def test_no_bomb_takes_much_longer_than_a_body_of_everyday_shape() -> None:
    usual = cost(lambda: bodies.json(EVERYDAY))
    dear = {name: ratio for name, (read, body) in BOMBS.items() if (ratio := cost(partial(read, body)) / usual) > MOST_TIMES_THE_USUAL}
    for name in BRACKETS:
        assert dear.pop(name, 0) <= MOST_TIMES_FOR_BRACKETS
    assert not dear


async def by_hand(echo: House, *pieces: bytes) -> bytes:
    """Everything the server says to these bytes until it closes the connection, or says nothing for a while."""
    reader, writer = await asyncio.open_connection(*echo.address)
    answer = b""
    try:
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
        while piece := await asyncio.wait_for(reader.read(65_536), 0.5):
            answer += piece
    except (ConnectionError, TimeoutError):
        pass
    writer.close()
    return answer


def request(echo: House, *headers: bytes) -> bytes:
    return b"POST /v2/workspaces/%s/webhooks/main HTTP/1.1\r\nHost: x\r\n" % echo.id.encode() + b"".join(header + b"\r\n" for header in headers)


@pytest.mark.parametrize("headers", [
    [b"A%d: b" % number for number in range(5000)], [b"A: " + b"x" * 100_000], [b"A" * 100_000 + b": b"], [b"A: b"] * 5000,
    [b"Cookie: " + b"a=b; " * 20_000], [b": b"], [b"A b: c"], [b"Content-Length: -1"], [b"Content-Length: 1", b"Content-Length: 2"],
    [b"Transfer-Encoding: chunked", b"Content-Length: 3"], [b"Content-Length: 99999999999999999999"],
], ids=lambda headers: f"{len(headers)}x{headers[0][:20].decode()}")
async def test_floods_of_headers_and_headers_that_disagree_are_refused(echo: House, headers: list[bytes]) -> None:
    answer = await by_hand(echo, request(echo, *headers), b"\r\n")
    assert answer.startswith((b"HTTP/1.1 400 ", b"HTTP/1.1 413 ", b"HTTP/1.0 400 ")), answer[:200]


async def test_a_path_without_end_is_refused(echo: House) -> None:
    assert (await by_hand(echo, b"GET /" + b"a" * 200_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n")).startswith((b"HTTP/1.1 400 ", b"HTTP/1.0 400 "))


@pytest.mark.parametrize("headers", [[b"Content-Length: 100"], [b"Transfer-Encoding: chunked"]])
@pytest.mark.parametrize("kind", [b"application/json", b"text/plain", b"multipart/form-data; boundary=X", b"application/pdf"])
async def test_a_body_that_never_ends_is_given_up(echo: House, headers: list[bytes], kind: bytes) -> None:
    answer = await by_hand(echo, request(echo, b"Content-Type: " + kind, *headers), b"\r\n", b"1\r\n{\r\n" if b"chunked" in headers[0] else b"{")
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert orjson.loads(answer.partition(b"\r\n\r\n")[2]) == {"error": "TimeoutError", "message": "The body has not arrived within 150 ms",
                                                              "details": {"timeout": 150}, "timeout": 150}


async def test_many_who_never_finish_keep_nobody_else_waiting(echo: House) -> None:
    connections = [await asyncio.open_connection(*echo.address) for _ in range(100)]
    for _, writer in connections:
        writer.write(request(echo, b"Content-Length: 100", b"Content-Type: application/json", b"", b"{"))
    assert (await asyncio.wait_for(echo.call(json={"quick": 1}), 5))[1] == {"quick": 1}
    for _, writer in connections:
        writer.close()


async def test_a_test_takes_one_file_of_half_a_megabyte(echo: House) -> None:
    path = f"/v2/workspaces/{echo.id}/test/main"
    file = b'; filename="f"'
    for body, limit in ((part(content=b"x" * 500_001, more=file), 500_000), (part(more=file) * 2, 1)):
        status, answer, _ = await echo.request("POST", path, data=body + b"--X--", headers={**OWNER, **PARTS})
        assert (status, answer["error"], answer["details"]) == (413, "InvalidUploadError", {"limit": limit})
    status, _, _ = await echo.request("POST", path, data=part(content=b"x" * 500_000, more=file) + b"--X--", headers={**OWNER, **PARTS})
    assert status == 200
