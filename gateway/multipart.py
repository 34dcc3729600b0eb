"""multipart/form-data, from bytes to parts. Synchronous and bounded; what a part means is not its business."""
from __future__ import annotations

import re
import warnings
from typing import NamedTuple

from aiohttp import BadContentDispositionHeader, BadContentDispositionParam, content_disposition_filename, parse_content_disposition

from gateway.errors import invalid
from runtime.errors import InvalidUpload, TooLarge

MOST_PARTS = 50
_LARGEST_FIELD = 1_048_576
_LARGEST_HEAD = 16_384
_BOUNDARY = re.compile(r';\s*boundary=(?:"([^"]{1,70})"|([^\s;"]{1,70}))', re.IGNORECASE)
_CHARSET = re.compile(r';\s*charset="?([^\s;"]{1,40})', re.IGNORECASE)


class Part(NamedTuple):
    """`filename` is None for a field."""

    name: str
    filename: str | None
    mimetype: str
    charset: str | None
    encoding: str
    content: bytes


def split(body: bytes, content_type: str, *, largest_file: int) -> list[Part]:
    """The parts in their order. Raises `InvalidRequest`, `TooLarge` or `InvalidUpload`."""
    found = _BOUNDARY.search(content_type)
    if found is None:
        raise _malformed("no boundary in the content type")
    delimiter = b"\r\n--" + (found[1] or found[2]).encode("utf-8", "replace")
    _, *pieces = (b"\r\n" + body).split(delimiter, MOST_PARTS + 2)
    parts: list[Part] = []
    for piece in pieces:
        if piece.startswith(b"--"):
            return parts
        if len(parts) == MOST_PARTS:
            raise TooLarge(f"More than {MOST_PARTS} parts", {"length": len(parts) + 1, "limit": MOST_PARTS})
        parts.append(_part(piece, largest_file))
    raise _malformed("it ends before its last boundary")


def _part(piece: bytes, largest_file: int) -> Part:
    start = piece.lstrip(b" \t")
    head, blank, content = start.partition(b"\r\n\r\n")
    if not blank or not head.startswith(b"\r\n") and head or len(head) > _LARGEST_HEAD:
        raise _malformed("a part without headers")
    headers = _headers(head)
    name, filename = _names(headers.get("content-disposition", ""))
    limit = _LARGEST_FIELD if filename is None else largest_file
    if len(content) > limit:
        message, details = f"A part may have {limit} bytes at most", {"length": len(content), "limit": limit}
        raise TooLarge(message, details) if filename is None else InvalidUpload(message, {"limit": limit})
    kind = headers.get("content-type", "text/plain" if filename is None else "application/octet-stream")
    charset = _CHARSET.search(kind)
    return Part(name or "file", filename, kind.partition(";")[0].strip(), charset[1] if charset else None,
                headers.get("content-transfer-encoding", "7bit"), content)


def _headers(head: bytes) -> dict[str, str]:
    headers: dict[str, str] = {}
    for line in head.decode("utf-8", "replace").split("\r\n"):
        name, colon, value = line.partition(":")
        if colon:
            headers[name.strip().lower()] = value.strip()
    return headers


def _names(disposition: str) -> tuple[str | None, str | None]:
    """The name of the field, and of the file without the folders some clients send along."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", BadContentDispositionHeader)
        warnings.simplefilter("ignore", BadContentDispositionParam)
        kind, parameters = parse_content_disposition(disposition)
    if kind is None:
        raise _malformed("a part without a readable Content-Disposition")
    filename = content_disposition_filename(parameters, "filename")
    return parameters.get("name"), None if filename is None else re.split(r"[/\\]", filename)[-1]


def _malformed(why: str) -> Exception:
    return invalid(f"Malformed multipart body: {why}")
