"""Keeps secrets out of what is told about a run: which fields hold them, and their texts wherever they turn up."""
from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Iterable
from functools import lru_cache
from typing import Any
from urllib.parse import quote, quote_plus, unquote, unquote_plus

REDACTED = "REDACTED"
_SHORT = 4
"""Texts below this length are too common to be looked for inside other texts."""
_BEGINNING = 16
"""So much of a secret tells of it, where a text was cut off."""
_ENCODED_BYTES = 8
"""Shorter ones are not looked for in base64: what stays of them there could be anything."""

_URL_SAFE = str.maketrans("+/", "-_")

_EACH = None
"""In a path: every item of a list."""

NO_TEXTS: frozenset[str] = frozenset()

SecretPaths = tuple[tuple[str | None, ...], ...]
"""Where the marked fields lie; empty, and so false, when there are none."""


def secret_fields(schema: Any) -> SecretPaths:
    """The fields with `secret: true`, of the `arguments` of an automation or of a `config.schema`: their texts are hidden everywhere."""
    return _marked(schema, "secret")


def redacted_fields(schema: Any) -> SecretPaths:
    """The fields with `redact: true`: hidden in their place, and only there, see `redact_fields`."""
    return _marked(schema, "redact")


def collect(paths: SecretPaths, values: Any) -> set[str]:
    """The texts that `values` has at these paths, and below. Blank ones, and what is no text, are no secrets."""
    found: set[str] = set()
    for path in paths:
        _collect(path, values, found)
    return found


def redact_fields(paths: SecretPaths, payload: Any) -> Any:
    """`payload` with REDACTED in place of what lies at these paths; the same object when nothing does."""
    for path in paths:
        payload = _cover(path, payload)
    return payload


class Redactor:
    """Hides the secret texts of a run, from values as they are before they become JSON.

    A secret is found as it is, escaped as inside JSON text, percent-encoded as inside a URL, and in base64; where a text was cut off,
    so is its beginning. It is hidden in the keys of maps, too. Where secrets overlap, everything that belongs to any of them goes, so
    that no rest tells of another.
    """

    __slots__ = ("_added", "_long", "_short", "_shortest")

    def __init__(self, texts: Iterable[str] = ()) -> None:
        self._short: frozenset[str] = frozenset()
        self._long: tuple[str, ...] = ()
        self._shortest = 0
        self._added: Iterable[str] = NO_TEXTS
        self.add(texts)

    def add(self, texts: Iterable[str]) -> None:
        """From here on these are hidden as well. The same set again costs nothing."""
        if texts is self._added or not texts:
            return
        self._added = texts
        texts = {text for text in texts if text.strip()}
        self._short |= {text for text in texts if len(text) < _SHORT}
        forms = {form for text in texts if len(text) >= _SHORT for form in _forms(text)}
        if not forms.issubset(self._long):
            # The shortest first: the search of a text ends where secrets become longer than the text.
            self._long = tuple(sorted(forms.union(self._long), key=len))
            self._shortest = len(self._long[0])

    def redact(self, value: Any) -> Any:
        """`value` without secrets. Never changes it: what holds none is returned itself, the rest is copied."""
        return self._value(value) if self._short or self._long else value

    def _value(self, value: Any) -> Any:
        kind = type(value)
        if kind is str:
            return REDACTED if value in self._short else self._text(value)
        if kind is dict:
            return self._map(value)
        if kind is list:
            return self._list(value)
        return value

    def _map(self, value: dict[Any, Any]) -> dict[Any, Any]:
        """Short secrets are looked for in values alone: a key like `id` is more often the name of something."""
        shown, has_secret_key = value, False
        for key, member in value.items():
            safe = self._value(member)
            if safe is not member:
                if shown is value:
                    shown = value.copy()
                shown[key] = safe
            if type(key) is str and self._text(key) is not key:
                has_secret_key = True
        if has_secret_key:
            return {self._text(key) if type(key) is str else key: member for key, member in shown.items()}
        return shown

    def _list(self, value: list[Any]) -> list[Any]:
        shown = value
        for index, member in enumerate(value):
            safe = self._value(member)
            if safe is not member:
                if shown is value:
                    shown = value.copy()
                shown[index] = safe
        return shown

    def _text(self, text: str) -> str:
        if len(text) < self._shortest:
            return text
        shown = _cut(text, self._long) if self._is_in(text) else text
        for secret in self._long:
            if len(secret) > _BEGINNING and secret[:_BEGINNING] in shown:
                shown = _without_beginning(shown, secret)
        if "%" in shown:
            # Each client has its own opinion on what has to be encoded.
            for plain in (unquote(shown), unquote_plus(shown)):
                if plain != shown and self._is_in(plain):
                    return _cut(plain, self._long)
        return shown

    def _is_in(self, text: str) -> bool:
        size = len(text)
        for secret in self._long:
            if len(secret) > size:
                break
            if secret in text:
                return True
        return False


def _cut(text: str, secrets: Iterable[str]) -> str:
    """`text` with REDACTED for every stretch that secrets cover."""
    pieces, shown_to, hidden_to = [], 0, 0
    for start, end in sorted(span for secret in secrets for span in _spans(text, secret)):
        if start >= hidden_to:
            pieces += text[shown_to:start], REDACTED
        shown_to = hidden_to = max(hidden_to, end)
    return "".join((*pieces, text[shown_to:]))


def _spans(text: str, secret: str) -> Iterable[tuple[int, int]]:
    """Where `secret` stands in `text`; occurrences that overlap are one span."""
    start, size = text.find(secret), len(secret)
    while start >= 0:
        end, following = start + size, text.find(secret, start + 1)
        while 0 <= following < end:
            end, following = following + size, text.find(secret, following + 1)
        yield start, end
        start = following


def _without_beginning(text: str, secret: str) -> str:
    """`text` without the part of a secret that is left where somebody has cut it off."""
    start = text.rfind(secret[:_BEGINNING])
    end = start + next((size for size, (a, b) in enumerate(zip(text[start:], secret)) if a != b), min(len(secret), len(text) - start))
    return f"{text[:start]}{REDACTED}{text[end:]}" if text[end:end + 1] in ("", "…") else text


@lru_cache(maxsize=1024)
def _forms(text: str) -> frozenset[str]:
    escaped = json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1]
    in_python = "".join(repr(letter)[1:-1] for letter in text)
    in_url = quote(text, safe="!'()*", errors="surrogatepass"), quote_plus(text, errors="surrogatepass")
    return frozenset((text, *escaped, in_python, in_python.replace("'", "\\'"), *in_url, *_encoded(text.encode(errors="surrogatepass"))))


def _encoded(content: bytes) -> Iterable[str]:
    """What stays of a text in base64, wherever it begins in what was encoded: without the ends that its neighbours change."""
    if len(content) < _ENCODED_BYTES:
        return
    for before in range(3):
        size = before + len(content)
        text = b64encode(b"\0" * before + content).decode()[(0, 2, 3)[before]:size * 8 // 6]
        yield text
        yield text.translate(_URL_SAFE)


def _marked(schema: Any, mark: str) -> SecretPaths:
    """`schema` maps names to fields; an object schema with `properties` is understood as well."""
    paths: list[tuple[str | None, ...]] = []
    if isinstance(schema, dict):
        is_object = isinstance(schema.get("type"), str) and isinstance(schema.get("properties"), dict)
        _mark({"properties": schema["properties"] if is_object else schema}, mark, (), paths)
    return tuple(paths)


def _mark(field: Any, mark: str, path: tuple[str | None, ...], paths: list[tuple[str | None, ...]]) -> None:
    if not isinstance(field, dict):
        return
    if path and field.get(mark) is True:
        paths.append(path)
    properties = field.get("properties")
    for name, below in properties.items() if isinstance(properties, dict) else ():
        _mark(below, mark, (*path, name), paths)
    _mark(field.get("items"), mark, (*path, _EACH), paths)


def _collect(path: tuple[str | None, ...], value: Any, found: set[str]) -> None:
    if not path:
        _collect_all(value, found)
        return
    step, rest = path[0], path[1:]
    if step is _EACH:
        for item in value if isinstance(value, list) else ():
            _collect(rest, item, found)
    elif isinstance(value, dict) and step in value:
        _collect(rest, value[step], found)


def _collect_all(value: Any, found: set[str]) -> None:
    if isinstance(value, str):
        if value.strip():
            found.add(value)
    elif isinstance(value, (dict, list)):
        for member in value.values() if isinstance(value, dict) else value:
            _collect_all(member, found)


def _cover(path: tuple[str | None, ...], value: Any) -> Any:
    if not path:
        return REDACTED
    step, rest = path[0], path[1:]
    if step is _EACH:
        return [_cover(rest, item) for item in value] if isinstance(value, list) else value
    if not isinstance(value, dict) or step not in value:
        return value
    member = _cover(rest, value[step])
    return value if member is value[step] else {**value, step: member}
