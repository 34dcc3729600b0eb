"""Members of a context document that live for a while: when they end stands in the stored document, under a name nobody reads."""
from __future__ import annotations

from typing import Any

from runtime.values import decode, encode
from store.records import Change, ContextKey

Path = tuple[str, ...]
Ends = dict[Path, int]
"""Path → milliseconds. Every key is a text, as keys of maps are."""

_MEMBER = "$lifespans"


def normal(path: tuple[str | int, ...]) -> Path:
    return tuple(map(str, path))


def taken_from(document: dict[str, Any]) -> Ends | None:
    """When members of a document that was read from the store end; the document is without it afterwards."""
    written = document.pop(_MEMBER, None)
    if not isinstance(written, dict):
        return None
    return {path: end for text, end in written.items() if isinstance(end, int) and (path := _path(text)) is not None} or None


def _path(text: str) -> Path | None:
    """None for what an automation may have written there itself."""
    try:
        steps = decode(text)
    except ValueError:
        return None
    return normal(tuple(steps)) if isinstance(steps, list) else None


def stored_with(document: dict[str, Any], ends: Ends | None) -> dict[str, Any]:
    """The document as the store keeps it, with when members of it end."""
    return document if not ends else {**document, _MEMBER: {encode(path).decode(): end for path, end in ends.items()}}


def limited(key: ContextKey, path: Path, end: int, expires_at: int | None) -> Change:
    """What the store must know of a new end."""
    return Change(key, "replace", encode((_MEMBER, encode(path).decode())), encode(end), expires_at)


def unlimited(key: ContextKey, path: Path, expires_at: int | None) -> Change:
    return Change(key, "delete", encode((_MEMBER, encode(path).decode())), b"null", expires_at)
