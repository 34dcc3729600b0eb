"""Request bodies and query strings as automations see them. Everything is bounded before it is believed."""
from __future__ import annotations

import asyncio
import base64
import re
from collections.abc import Iterable
from typing import Any, NamedTuple

import orjson
from aiohttp import hdrs, web

from gateway import multipart
from gateway.errors import TooSlow, invalid
from runtime.errors import InvalidUpload, TooLarge
from runtime.values import decode

DEEPEST = 200
"""Levels of nesting a body may have."""
_DEEPEST_WRITTEN = 254
"""What can be encoded has no more levels."""

_ESCAPE = re.compile(rb"%([0-9a-fA-F]{2})")
_PIECE = 16_384
_MOST_FIELDS = 1000
_DEEPEST_NAME = 20


PATIENCE = web.AppKey("patience", float | None)
"""For how many seconds a body may be on its way; None is for ever."""


class Limits:
    """Largest bodies, in bytes: `text` for JSON, forms and texts, `upload` for each file and for binary bodies; and how many files."""

    __slots__ = ("text", "upload", "files")

    def __init__(self, text: int, upload: int, *, files: int = multipart.MOST_PARTS) -> None:
        self.text = text
        self.upload = upload
        self.files = files


class Body(NamedTuple):
    """What an automation sees of a body, and the bytes as they were sent: a signature is made of those."""

    value: Any
    raw: bytes


async def parse(request: web.Request, limits: Limits) -> Body:
    """The body by its content type: JSON, form, multipart and text as values, anything else as
    `{base64, mimetype, size}`; `{}` when there is none. Raises `InvalidRequest`, `TooLarge`."""
    if request.content.at_eof():
        return Body({}, b"")
    kind = request.headers.get(hdrs.CONTENT_TYPE, "")
    if kind != "application/json":
        kind = kind.partition(";")[0].strip().lower()
    if kind == "application/json" or kind.endswith("+json"):
        raw = await read(request, limits.text)
        return Body(json(raw) if raw else {}, raw)
    if kind == "application/x-www-form-urlencoded":
        raw = await read(request, limits.text)
        return Body(form(raw.decode("utf-8", "replace")) if raw else {}, raw)
    if kind == "multipart/form-data":
        return await _multipart(request, limits)
    if kind.startswith("text/"):
        raw = await read(request, limits.text)
        return Body(_text(raw, request.charset) if raw else {}, raw)
    raw = await read(request, limits.upload)
    return Body(_binary(raw, kind or "application/octet-stream") if raw else {}, raw)


async def json_object(request: web.Request, limit: int) -> dict[str, Any]:
    """The body of a management route: a JSON object, `{}` when there is none."""
    raw = await read(request, limit)
    value = json(raw) if raw else {}
    if type(value) is not dict:
        raise invalid("The body must be a JSON object")
    return value


async def read(request: web.Request, limit: int) -> bytes:
    """The whole body. Raises `TooLarge` as soon as it is known to be longer than `limit`, `TooSlow` when it takes too long to come."""
    length = request.content_length
    if length is not None and length > limit:
        raise _too_large(length, limit)
    content = request.content
    if content.is_eof():                                    # all of it came along with the headers, as nearly always
        raw = content.read_nowait(-1)
        if len(raw) > limit:
            raise _too_large(len(raw), limit)
        return raw
    patience = request.app.get(PATIENCE)
    parts, size = [], 0
    try:
        async with asyncio.timeout(patience):
            while part := await content.readany():
                parts.append(part)
                size += len(part)
                if size > limit:
                    raise _too_large(size, limit)
    except TimeoutError:
        raise TooSlow(round((patience or 0) * 1000)) from None
    return b"".join(parts)


def json(raw: bytes) -> Any:
    """Any JSON value. Raises `InvalidRequest`, which says where the text stops making sense."""
    try:
        value = decode(raw)
    except orjson.JSONDecodeError as problem:
        message = f"Malformed JSON: {problem.msg} (line {problem.lineno}, column {problem.colno})"
        raise invalid(message) from None
    # More levels than brackets there cannot be, and counting bytes costs next to nothing.
    if raw.count(b"{") + raw.count(b"[") > DEEPEST and _is_too_deep(value):
        raise invalid(f"The body is nested deeper than {DEEPEST} levels")
    return value


def form(text: str) -> dict[str, Any]:
    """`a=1&b=2` as an object: a repeated `k` and `k[]` give a list, `k[a]` an object."""
    if text.count("&") >= _MOST_FIELDS:
        raise invalid(f"More than {_MOST_FIELDS} fields")
    pairs = (piece.partition("=") for piece in text.split("&") if piece)
    return assemble((_unquoted(name), _unquoted(value)) for name, _, value in pairs)


def _unquoted(text: str) -> str:
    """Without escapes; what is none stays as it is."""
    text = text.replace("+", " ")
    if "%" not in text:
        return text
    raw, pieces, start = text.encode("utf-8", "replace"), [], 0
    while start < len(raw):                                  # a piece at a time: escapes take room until they are joined
        end = start + _PIECE
        cut = raw.rfind(b"%", end - 2, end)
        end = cut if cut >= 0 else end                      # not in the middle of one
        pieces.append(_ESCAPE.sub(_escaped, raw[start:end]))
        start = end
    return b"".join(pieces).decode("utf-8", "replace")


def _escaped(match: re.Match[bytes]) -> bytes:
    return bytes.fromhex(match[1].decode())


def assemble(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """Names and values as one object. Values that meet under one name are kept in a list, in their order."""
    result: dict[str, Any] = {}
    for name, value in pairs:
        if name not in result and "[" not in name:
            result[name] = value
        else:
            _place(result, _path(name), value)
    return result


def _path(name: str) -> list[str]:
    """`a[b][]` → `a`, `b` and an empty key. A name whose brackets do not pair is taken literally."""
    head, bracket, rest = name.partition("[")
    if not bracket or not head or not rest.endswith("]"):
        return [name]
    keys = rest[:-1].split("][")
    return [head, *keys] if len(keys) < _DEEPEST_NAME and not any("[" in k or "]" in k for k in keys) else [name]


def _place(target: dict[str, Any], path: list[str], value: Any) -> None:
    *parents, last = path
    if last == "" and parents:
        *parents, last = parents
        value = [value]
    for key in parents:
        below = target.get(key)
        if type(below) is not dict:
            below = {}
            _meet(target, key, below)
        target = below
    _meet(target, last, value)


def _meet(target: dict[str, Any], key: str, value: Any) -> None:
    if key not in target:
        target[key] = value
        return
    before = target[key] if type(target[key]) is list else [target[key]]
    target[key] = before + value if type(value) is list else [*before, value]


def _is_too_deep(value: Any) -> bool:
    """Writing stops at a depth of its own, so it stops at ours with as many levels around as make up the difference."""
    for _ in range(_DEEPEST_WRITTEN - DEEPEST):
        value = [value]
    try:
        orjson.dumps(value)
    except orjson.JSONEncodeError:
        return True
    return False


def _text(raw: bytes, charset: str | None) -> str:
    try:
        return raw.decode(charset or "utf-8", "replace")
    except LookupError:
        raise invalid(f"Unknown charset {charset!r}") from None


def _binary(raw: bytes, mimetype: str) -> dict[str, Any]:
    return {"base64": base64.b64encode(raw).decode("ascii"), "mimetype": mimetype, "size": len(raw)}


async def _multipart(request: web.Request, limits: Limits) -> Body:
    """Fields as texts, files as `{originalname, encoding, mimetype, size, base64}`. The body as a whole is bounded too."""
    try:
        raw = await read(request, limits.upload + limits.text)
    except TooLarge:
        raise InvalidUpload(f"A file may have {limits.upload} bytes at most", {"limit": limits.upload}) from None
    parts = multipart.split(raw, request.headers[hdrs.CONTENT_TYPE], largest_file=limits.upload)
    if sum(part.filename is not None for part in parts) > limits.files:
        raise InvalidUpload(f"Too many files: {limits.files} may be sent here", {"limit": limits.files})
    return Body(assemble((part.name, _part(part)) for part in parts), raw)


def _part(part: multipart.Part) -> Any:
    if part.filename is None:
        return _text(part.content, part.charset)
    return {"originalname": part.filename, "encoding": part.encoding, **_binary(part.content, part.mimetype)}


def _too_large(length: int, limit: int) -> TooLarge:
    return TooLarge(f"The body may have {limit} bytes at most", {"length": length, "limit": limit})
