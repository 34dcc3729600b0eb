"""URLs and query strings."""
from __future__ import annotations

from typing import Any
from urllib.parse import SplitResult, parse_qsl, quote, quote_plus, urlsplit

from runtime.expressions.coercion import script_text
from runtime.expressions.limits import check_text
from runtime.values import UNDEFINED

_DEFAULT_PORTS = {"http": 80, "https": 443, "ws": 80, "wss": 443, "ftp": 21}
_KEPT_IN_PATH = "/%:@!$&'()*+,;=-._~|[]^"
_KEPT_IN_QUERY = "/%:@!$&()*+,;=-._~|[]^?`{}\\"


def search_params(field: str, source: Any = UNDEFINED) -> Any:
    """`URLSearchParams(source)`: `asJSON` gives an object of texts, `asString` the encoded text."""
    match field:
        case "asJSON":
            return dict(_pairs(source)) if type(source) is str else UNDEFINED
        case "asString" | "":
            return _encoded(source)
    return UNDEFINED


def _pairs(text: str) -> list[tuple[str, str]]:
    return parse_qsl(text.removeprefix("?"), keep_blank_values=True, errors="replace")


def _encoded(source: Any) -> Any:
    if type(source) is str:
        pairs = _pairs(source)
    elif type(source) is dict:
        pairs = [(script_text(name), script_text(value)) for name, value in source.items()]
    else:
        return UNDEFINED
    text = "&".join(f"{_form_encoded(name)}={_form_encoded(value)}" for name, value in pairs)
    check_text(len(text))
    return text


def _form_encoded(text: str) -> str:
    return quote_plus(text, safe="*", errors="replace").replace("~", "%7E")


def url(field: str, source: Any = UNDEFINED) -> Any:
    """`URL(source)`: all parts of an absolute URL, or one of them; undefined when it is none."""
    parts = _url_parts(source.strip()) if type(source) is str else None
    if parts is None:
        return UNDEFINED
    return parts.get(field, UNDEFINED) if field else parts


def _url_parts(source: str) -> dict[str, Any] | None:
    try:
        split = urlsplit(source)
        port = split.port
    except ValueError:
        return None
    if not split.scheme or (split.scheme in _DEFAULT_PORTS and not split.hostname):
        return None
    hostname = _hostname(split)
    shown_port = "" if port is None or port == _DEFAULT_PORTS.get(split.scheme) else str(port)
    host = f"{hostname}:{shown_port}" if shown_port else hostname
    search = f"?{quote(split.query, _KEPT_IN_QUERY, errors='replace')}" if split.query else ""
    parts: dict[str, Any] = {
        "href": "",
        "origin": f"{split.scheme}://{host}" if split.scheme in _DEFAULT_PORTS else "null",
        "protocol": f"{split.scheme}:",
        "username": split.username or "",
        "password": split.password or "",
        "host": host,
        "hostname": hostname,
        "port": shown_port,
        "pathname": _pathname(split),
        "search": search,
        "searchParams": dict(_pairs(split.query)),
        "hash": f"#{quote(split.fragment, _KEPT_IN_QUERY, errors='replace')}" if split.fragment else ""}
    parts["href"] = _href(parts, has_authority=bool(split.netloc))
    return parts


def _hostname(split: SplitResult) -> str:
    name = split.hostname or ""
    return f"[{name}]" if ":" in name else name


def _pathname(split: SplitResult) -> str:
    """Encoded, and for the web's own schemes absolute and without `.` and `..`."""
    path = quote(split.path, _KEPT_IN_PATH, errors="replace")
    if split.scheme not in _DEFAULT_PORTS:
        return path
    kept: list[str] = []
    segments = path.split("/")[1:]
    for segment in segments:
        if segment == "..":
            del kept[-1:]
        elif segment != ".":
            kept.append(segment)
    if segments and segments[-1] in (".", ".."):
        kept.append("")
    return "/" + "/".join(kept)


def _href(parts: dict[str, Any], *, has_authority: bool) -> str:
    login = parts["username"] + (f":{parts['password']}" if parts["password"] else "")
    authority = f"//{login}@{parts['host']}" if login else f"//{parts['host']}"
    return (f"{parts['protocol']}{authority if has_authority else ''}{parts['pathname']}{parts['search']}"
            f"{parts['hash']}")
