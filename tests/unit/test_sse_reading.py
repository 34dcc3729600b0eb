from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.errors import FetchFailed
from runtime.outbound.streams import EventParser, EventStream


def parse(*pieces: bytes, limit: int = 10_000) -> list[dict[str, Any]]:
    parser = EventParser(limit)
    return [chunk for piece in pieces for chunk in parser.feed(piece)] + parser.end()


def test_an_event_ends_with_an_empty_line() -> None:
    assert parse(b"data: a\n\ndata: b\n\n") == [{"data": ["a"]}, {"data": ["b"]}]


def test_data_lines_of_one_event_share_a_chunk() -> None:
    assert parse(b"data: a\ndata: b\ndata\n\n") == [{"data": ["a", "b", ""]}]


@pytest.mark.parametrize(("text", "value"), [
    ('{"a": 1}', {"a": 1}), ("[1]", [1]), ("{broken", "{broken"), (" [1,2] ", [1, 2]), ("3", "3"), ("null", "null"), ("  x  ", "x"),
    ("[DONE]", "[DONE]"), ("é: b", "é: b")])
def test_objects_and_lists_are_parsed_and_other_text_is_trimmed(text: str, value: Any) -> None:
    assert parse(f"data:{text}\n\n".encode()) == [{"data": [value]}]


def test_the_other_fields_come_along() -> None:
    assert parse(b"event: e\nid: 7\nretry: 50\n: one\n: two\nunknown: x\ndata: d\n\n") == [
        {"data": ["d"], "event": "e", "id": "7", "retry": 50, "comment": "one\ntwo"}]


def test_a_comment_alone_is_an_item_and_nothing_is_none() -> None:
    assert parse(b":\n\n\n\nretry: soon\n\n: ping\n\n") == [{"data": [], "comment": ""}, {"data": [], "comment": "ping"}]


def test_an_event_whose_end_never_came_is_not_lost() -> None:
    assert parse(b"data: a\n\ndata: b") == [{"data": ["a"]}, {"data": ["b"]}]


def test_a_byte_order_mark_is_skipped_once() -> None:
    assert parse(b"\xef\xbb\xbfdata: a\n\n") == [{"data": ["a"]}]


EVENTS = st.lists(st.lists(st.sampled_from(["data: x", "data: {\"é\": 1}", "event: e", ": c", "id: 1", "data"]), min_size=1, max_size=4),
                  min_size=1, max_size=5)


@settings(max_examples=80)
@given(EVENTS, st.sampled_from(["\n", "\r", "\r\n"]), st.data())
def test_how_the_bytes_are_cut_makes_no_difference(events: list[list[str]], end: str, data: st.DataObject) -> None:
    whole = "".join(line + end for lines in events for line in (*lines, "")).encode()
    cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=8)))
    pieces = [whole[a:b] for a, b in zip([0, *cuts], [*cuts, len(whole)], strict=True)]
    assert parse(*pieces) == parse(whole) == parse("".join(line + "\n" for lines in events for line in (*lines, "")).encode())


@settings(max_examples=60)
@given(st.lists(st.binary(max_size=30), max_size=10))
def test_any_bytes_are_survived(pieces: list[bytes]) -> None:
    for chunk in parse(*pieces):
        assert chunk["data"] or len(chunk) > 1


@pytest.mark.parametrize("pieces", [[b"data: " + b"x" * 200], [b"x" * 60, b"x" * 60], [b"data: x\n"] * 20, [b": c\n" * 40]])
def test_what_an_event_may_hold_is_bounded(pieces: list[bytes]) -> None:
    with pytest.raises(FetchFailed, match="larger than 100 bytes"):
        parse(*pieces, limit=100)


def test_any_number_of_small_events_is_fine() -> None:
    assert len(parse(*[b"data: x\n\n"] * 200, limit=100)) == 200


class Source:
    def __init__(self, *pieces: bytes) -> None:
        self.pieces = pieces
        self.closed = 0

    async def read(self) -> AsyncIterator[bytes]:
        for piece in self.pieces:
            yield piece

    async def close(self) -> None:
        self.closed += 1

    def stream(self, limit: int = 1000) -> EventStream:
        return EventStream(self.read(), self.close, limit)


async def test_items_are_counted() -> None:
    source = Source(b"data: a\n\ndata: b\n\n", b"data: c\n\n")
    assert [(item["index"], item["chunk"]["data"]) async for item in source.stream()] == [(0, ["a"]), (1, ["b"]), (2, ["c"])]
    assert source.closed == 1


async def test_texts_add_up_and_the_extra_comes_along() -> None:
    stream = Source(b'data: {"c": [{"t": "Hel"}]}\n\ndata: {"c": [{"t": "lo"}]}\n\ndata: {"c": []}\n\ndata: [DONE]\n\n').stream()
    stream.with_extras(("c", "0", "t"), {"tag": 1})
    items = [item async for item in stream]
    assert [item["concatenated"]["value"] for item in items] == ["Hel", "Hello", "Hello", "Hello"]
    assert all(item["additionalPayload"] == {"tag": 1} for item in items) and stream.concatenated == "Hello"


async def test_a_stream_that_is_too_large_is_closed() -> None:
    source = Source(b"x" * 2000)
    with pytest.raises(FetchFailed):
        await anext(source.stream())
    assert source.closed == 1


async def test_a_closed_stream_is_over() -> None:
    source = Source(b"data: a\n\ndata: b\n\n")
    stream = source.stream()
    await anext(stream)
    await stream.close()
    assert [item async for item in stream] == []
