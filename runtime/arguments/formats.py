"""What the `format` of a field accepts. Formats of text say nothing of other values; unknown formats accept anything."""
from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from datetime import date
from typing import Any

from runtime.errors import ExpressionError
from runtime.expressions.patterns import compile_pattern

Check = Callable[[Any], object]
"""Truthy when the value is of the format."""


def _full(pattern: str) -> Check:
    """The whole text matches, whatever the case of its letters. Every pattern here takes time in proportion to the text."""
    return re.compile(pattern, re.ASCII | re.IGNORECASE).fullmatch


_TIME = re.compile(r"(\d\d):(\d\d):(\d\d)(?:\.\d+)?(z|[+-]\d\d(?::?\d\d)?)?", re.ASCII | re.IGNORECASE)
_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_HOST = rf"{_LABEL}(?:\.{_LABEL})*"
_ATOM = r"[a-z0-9!#$%&'*+/=?^_`{|}~-]+"
_URI_TEXT = r"(?:[a-z0-9._~:/?\[\]@!$&'()*+,;=-]|%[0-9a-f]{2})*"
_URI_FRAGMENT = rf"(?:#{_URI_TEXT})?"
_NAME = r"(?:[a-z0-9_.]|%[0-9a-f]{2})+(?::[1-9]\d{0,3}|\*)?"
_TEMPLATE_TEXT = r"[^\x00-\x20\x7f\"'<>%\\^`{|}]|%[0-9a-f]{2}"
_POINTER = r"(?:/(?:[^~/]|~[01])*)*"

_email = _full(rf"{_ATOM}(?:\.{_ATOM})*@(?:{_LABEL}\.)+{_LABEL}")
_hostname = _full(rf"{_HOST}\.?")
_url = _full(rf"(?:https?|ftp)://(?:[^\s/?#@]*@)?(?:{_HOST}|\[[0-9a-f:.]+\])(?::\d{{1,5}})?(?:[/?#]\S*)?")


def _is_date(text: str) -> bool:
    if not _DATE.fullmatch(text):
        return False
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True


def _is_time(text: str, *, with_zone: bool = False) -> bool:
    """A 60th second is allowed before midnight only, as leap seconds are."""
    match = _TIME.fullmatch(text)
    if match is None or (with_zone and match[4] is None):
        return False
    hour, minute, second = int(match[1]), int(match[2]), int(match[3])
    return (hour < 24 and minute < 60 and second < 60) or (hour, minute, second) == (23, 59, 60)


def _is_date_time(text: str) -> bool:
    return _is_date(text[:10]) and text[10:11] in ("T", "t", " ") and _is_time(text[11:], with_zone=True)


def _is_ipv4(text: str) -> bool:
    return _is_address(text, ipaddress.IPv4Address)


def _is_ipv6(text: str) -> bool:
    return "%" not in text and _is_address(text, ipaddress.IPv6Address)


def _is_address(text: str, kind: Callable[[str], object]) -> bool:
    try:
        kind(text)
    except ValueError:
        return False
    return True


def _is_regex(text: str) -> bool:
    try:
        compile_pattern(text)
    except ExpressionError:
        return False
    return True


def _is_whole(number: float) -> bool:
    return isinstance(number, int) or number.is_integer()


def _is_int32(number: float) -> bool:
    return _is_whole(number) and -2**31 <= number < 2**31


TEXT_FORMATS: dict[str, Check] = {
    "date": _is_date,
    "time": _is_time,
    "date-time": _is_date_time,
    "duration": _full(r"p(?!$)(?:(?:\d+y)?(?:\d+m)?(?:\d+d)?(?:t(?=\d)(?:\d+h)?(?:\d+m)?(?:\d+s)?)?|\d+w)"),
    "uri": _full(rf"[a-z][a-z0-9+.-]*:{_URI_TEXT}{_URI_FRAGMENT}"),
    "uri-reference": _full(rf"{_URI_TEXT}{_URI_FRAGMENT}"),
    "uri-template": _full(rf"(?:{_TEMPLATE_TEXT}|\{{[+#./;?&=,!@|]?{_NAME}(?:,{_NAME})*\}})*"),
    "url": _url,
    "email": lambda text: len(text) <= 320 and _email(text),
    "hostname": lambda text: len(text) <= 254 and _hostname(text),
    "ipv4": _is_ipv4,
    "ipv6": _is_ipv6,
    "regex": _is_regex,
    "uuid": _full(r"(?:urn:uuid:)?[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"),
    "json-pointer": _full(_POINTER),
    "relative-json-pointer": _full(rf"(?:0|[1-9]\d*)(?:#|{_POINTER})"),
    "byte": _full(r"(?:[a-z0-9+/]{4})*(?:[a-z0-9+/]{2}==|[a-z0-9+/]{3}=)?"),
    "workspaceId": _full(r"[\w-]{7}"),
    "objectId": _full(r"[0-9a-f]{24}"),
    "identifier": _full(r"[a-z_$][\w$.-]*"),
    "name": str.strip,
}

NUMBER_FORMATS: dict[str, Check] = {"int32": _is_int32, "int64": _is_whole}
"""`float` and `double` are any number, `password` and `binary` any text."""
