"""Server-sent events read from a response: bytes in, items out, as they arrive."""
from __future__ import annotations

import re
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from runtime.errors import FetchFailed
from runtime.values import decode, encode

_LINE_END = re.compile(rb"\r\n|\n|\r")
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_MAX_EVENT_BYTES = 10_000_000


class EventParser:
    """Turns bytes, cut anywhere, into chunks `{data: […], event?, id?, retry?, comment?}`, one for each event.

    A line ends with CR, LF or both; an event ends with an empty line. What an event may hold is bounded.
    """

    def __init__(self, limit: int = _MAX_EVENT_BYTES) -> None:
        self._limit = limit
        self._size = self._line_size = 0
        self._line: list[bytes] = []
        self._data: list[Any] = []
        self._fields: dict[str, Any] = {}
        self._ended_with_cr = False
        self._is_first_line = True

    def feed(self, received: bytes) -> list[dict[str, Any]]:
        """The events that `received` completes."""
        if self._ended_with_cr and received[:1] == b"\n":
            received = received[1:]
        if received:
            self._ended_with_cr = received.endswith(b"\r")
        first, *others = _LINE_END.split(received)
        self._line.append(first)
        self._line_size += len(first)
        self._check()
        if not others:
            return []
        lines = [b"".join(self._line), *others[:-1]]
        self._line = [others[-1]]
        self._line_size = len(others[-1])
        return [chunk for line in lines if (chunk := self._take(line)) is not None]

    def end(self) -> list[dict[str, Any]]:
        """What was received of an event whose empty line never came."""
        last = b"".join(self._line)
        self._line, self._line_size = [], 0
        return [chunk for line in (last, b"") if (chunk := self._take(line)) is not None]

    def _take(self, line: bytes) -> dict[str, Any] | None:
        if self._is_first_line:
            self._is_first_line = False
            line = line.removeprefix(_BYTE_ORDER_MARK)
        if not line:
            return self._complete()
        self._size += len(line) + 1
        self._check()
        name, _, value = line.decode(errors="replace").partition(":")
        self._set(name, value.removeprefix(" "))
        return None

    def _set(self, name: str, value: str) -> None:
        match name:
            case "data":
                self._data.append(_parsed(value))
            case "":
                comment = self._fields.get("comment")
                self._fields["comment"] = value if comment is None else f"{comment}\n{value}"
            case "event" | "id":
                self._fields[name] = value
            case "retry" if value.isascii() and value.isdigit() and len(value) < 16:
                self._fields["retry"] = int(value)

    def _complete(self) -> dict[str, Any] | None:
        self._size = 0
        if not self._data and not self._fields:
            return None
        chunk = {"data": self._data, **self._fields}
        self._data, self._fields = [], {}
        return chunk

    def _check(self) -> None:
        if self._size + self._line_size > self._limit:
            raise FetchFailed(f"An event of the stream is larger than {self._limit} bytes", {"limit": self._limit})


def _parsed(text: str) -> Any:
    """A data line: JSON when it looks like an object or a list and is one, else the trimmed text."""
    text = text.strip()
    if text[:1] in ("{", "["):
        try:
            return decode(text)
        except ValueError:
            return text
    return text


class EventStream:
    """The items of an event stream, read while they are iterated over, once. Nothing is read ahead, so a slow reader slows the sender.

    `concatenate` is a path into the data objects: the texts found there add up in `concatenated.value` of each item.
    `extra` comes along as `additionalPayload`.
    """

    def __init__(self, chunks: AsyncIterator[bytes], close: Callable[[], Awaitable[None]], limit: int = _MAX_EVENT_BYTES) -> None:
        self._chunks = chunks
        self._close = close
        self._parser = EventParser(limit)
        self._ready: list[dict[str, Any]] = []
        self._index = 0
        self._is_over = False
        self._concatenate: tuple[str, ...] = ()
        self._extra: Any = None
        self.concatenated = ""

    def with_extras(self, concatenate: tuple[str, ...], extra: Any) -> None:
        self._concatenate = concatenate
        self._extra = extra

    def __aiter__(self) -> EventStream:
        return self

    async def __anext__(self) -> dict[str, Any]:
        while not self._ready:
            if self._is_over:
                raise StopAsyncIteration
            await self._receive()
        return self.item(self._ready.pop())

    def item(self, chunk: dict[str, Any]) -> dict[str, Any]:
        """`chunk` as the next item of this stream."""
        item: dict[str, Any] = {"index": self._index, "chunk": chunk}
        self._index += 1
        if self._concatenate:
            self._collect(chunk)
            item["concatenated"] = {"value": self.concatenated}
        if self._extra is not None:
            item["additionalPayload"] = self._extra
        return item

    async def close(self) -> None:
        """Stop reading; the iteration ends. May be called again."""
        self._is_over = True
        self._ready.clear()
        await self._close()

    async def _receive(self) -> None:
        try:
            received = await anext(self._chunks, None)
            chunks = self._parser.end() if received is None else self._parser.feed(received)
        except FetchFailed:
            await self.close()
            raise
        if received is None:
            await self.close()
        self._ready = chunks[::-1]

    def _collect(self, chunk: dict[str, Any]) -> None:
        for value in chunk.get("data", ()):
            for key in self._concatenate:
                value = _member(value, key)
            if value is not None and value != "":
                self.concatenated += value if type(value) is str else encode(value).decode()


def _member(value: Any, key: str) -> Any:
    if type(value) is dict:
        return value.get(key)
    if type(value) is list and key.isdecimal() and int(key) < len(value):
        return value[int(key)]
    return None
