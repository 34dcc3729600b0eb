"""How values become HTTP answers: bytes and headers made once, nothing looked up twice."""
from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiohttp import web

from gateway import errors
from runtime.errors import AutomationsError
from runtime.values import UNDEFINED, encode

JSON = "application/json; charset=utf-8"
_HTML = "text/html; charset=utf-8"
_BINARY = "application/octet-stream"
_JSON_HEADERS = {"content-type": JSON}
_NO_HEADERS: dict[str, str] = {}
EMPTY = b"{}"


def answer(value: Any, status: int = 200, *, headers: Mapping[str, str] = _NO_HEADERS) -> web.Response:
    """`value` as JSON."""
    return web.Response(body=encode(value), status=status, headers={**_JSON_HEADERS, **headers} if headers else _JSON_HEADERS)


def refusal(error: AutomationsError, *, headers: Mapping[str, str] = _NO_HEADERS) -> web.Response:
    """`{error, message, details}` with the status of the error."""
    return answer(error.body(), errors.status_of(error), headers={**errors.headers_of(error), **headers})


def output_body(value: Any) -> tuple[bytes, str]:
    """The output of an automation as body and content type: text as it is, nothing at all as `{}`, the rest as JSON."""
    if value is None or value is UNDEFINED or value == "":
        return EMPTY, JSON
    if type(value) is str:
        return value.encode("utf-8", "replace"), _HTML
    if type(value) is bytes:
        return value, _BINARY
    return encode(value), JSON


def event_data(value: Any) -> bytes:
    """The output of an automation as the last event of its stream."""
    return EMPTY if value is None or value is UNDEFINED or value == "" else encode(value)
