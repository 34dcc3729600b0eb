"""Bodies of requests and replies: values become bytes and bytes become values, by their content type."""
from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable
from typing import Any, NamedTuple
from urllib.parse import quote, quote_plus

from runtime.errors import InvalidInstruction
from runtime.values import UNDEFINED, decode, encode

JSON = "application/json"
FORM = "application/x-www-form-urlencoded"

_BASE64 = re.compile(r"(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?")
_CHARSET = re.compile(r"charset\s*=\s*\"?([A-Za-z0-9_.:-]+)", re.IGNORECASE)
_BINARY = frozenset(("application", "image", "audio", "video", "font"))


class Encoded(NamedTuple):
    """A body, and the content type to send when the request names none."""

    body: bytes
    content_type: str


def as_text(value: Any) -> str:
    """A value as it stands in a header, a query or a form."""
    if type(value) is str:
        return value
    return "" if value is None else encode(value).decode()


def pairs(values: Any) -> Iterable[tuple[str, str]]:
    """The members of a map; a list repeats its key, null and undefined are left out."""
    for name, value in values.items():
        for one in value if type(value) is list else (value,):
            if one is not None and one is not UNDEFINED:
                yield name, as_text(one)


def add_query(url: str, query: Any) -> str:
    """`url` with the members of `query` after those it has."""
    if type(query) is dict:
        added = "&".join(f"{quote(name, safe='~')}={quote(value, safe='~')}" for name, value in pairs(query))
    else:
        added = query.removeprefix("?") if type(query) is str else ""
    if not added:
        return url
    url, hash_sign, fragment = url.partition("#")
    joint = "" if url.endswith(("?", "&")) else "&" if "?" in url else "?"
    return f"{url}{joint}{added}{hash_sign}{fragment}"


def encode_body(value: Any, content_type: str) -> Encoded:
    """`content_type` is the one the request names, in any case, or empty."""
    if type(value) is bytes:
        return Encoded(value, "application/octet-stream")
    if type(value) is dict and content_type.lower().startswith(FORM):
        return Encoded("&".join(f"{quote_plus(name)}={quote_plus(text)}" for name, text in pairs(value)).encode(), FORM)
    return Encoded(as_text(value).encode("utf-8", "replace"), JSON)


def encode_multipart(parts: Any, boundary: str) -> Encoded:
    """A list of `{fieldname, value, filename?, contentType?}`."""
    if type(parts) is not list:
        raise InvalidInstruction("Invalid fetch instruction : multipart must be a list", {"instructionName": "fetch"})
    written = []
    for part in parts:
        if type(part) is not dict or not part.get("fieldname"):
            raise InvalidInstruction("Invalid fetch instruction : a part needs a fieldname", {"instructionName": "fetch"})
        head = f'Content-Disposition: form-data; name="{_quoted(part["fieldname"])}"'
        if part.get("filename"):
            head += f'; filename="{_quoted(part["filename"])}"'
        content_type = part.get("contentType") or ("application/octet-stream" if part.get("filename") else None)
        if content_type:
            head += f"\r\nContent-Type: {_quoted(content_type)}"
        written.append(f"--{boundary}\r\n{head}\r\n\r\n".encode() + _part_body(part.get("value")) + b"\r\n")
    return Encoded(b"".join(written) + f"--{boundary}--\r\n".encode(), f"multipart/form-data; boundary={boundary}")


def decode_body(body: bytes, content_type: str) -> Any:
    """JSON as a value, text as text, other files as bytes."""
    mime = mime_of(content_type)
    if mime == JSON or mime.endswith("+json"):
        try:
            return decode(body)
        except ValueError:
            return _decode_text(body, content_type)
    return body if mime.partition("/")[0] in _BINARY else _decode_text(body, content_type)


def as_base64(body: bytes) -> str:
    return base64.b64encode(body).decode()


def as_data_url(body: bytes, content_type: str) -> str:
    return f"data:{mime_of(content_type)};base64,{as_base64(body)}"


def mime_of(content_type: str) -> str:
    return content_type.partition(";")[0].strip().lower()


def _decode_text(body: bytes, content_type: str) -> str:
    named = _CHARSET.search(content_type)
    try:
        return body.decode(named[1] if named else "utf-8", "replace")
    except LookupError:
        return body.decode("utf-8", "replace")


def _part_body(value: Any) -> bytes:
    """Text that is base64 stands for the bytes it encodes, as does a list of numbers."""
    if type(value) is str:
        if value and value not in ("true", "false") and len(value) % 4 == 0 and _BASE64.fullmatch(value):
            try:
                return base64.b64decode(value, validate=True)
            except binascii.Error:
                return value.encode()
        return value.encode("utf-8", "replace")
    if type(value) is bytes:
        return value
    if type(value) is list and all(type(item) is int and 0 <= item < 256 for item in value):
        return bytes(value)
    return as_text(value).encode()


def _quoted(value: Any) -> str:
    return as_text(value).replace("\r", "%0D").replace("\n", "%0A").replace('"', "%22")
