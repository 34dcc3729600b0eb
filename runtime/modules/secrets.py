"""run secrets: values kept out of sight. Automations hold references; only a fetch learns what they stand for."""
from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from runtime.errors import FetchFailed
from runtime.modules.around import Around, text
from runtime.values import encode

_REFERENCE = re.compile(r"\$secret:[0-9a-f]{48}")
_MAX_SECRETS = 1000
_MAX_BYTES = 20_000

NOT_FOUND = {"error": "not_found"}
USER_REQUIRED = {"error": "user_required"}

# A reference cannot be guessed: an automation that forwards what a stranger sends must not forward a secret in place of
# a name the stranger wrote. It stays the same as long as the secret lives, and stands for whatever was set last.


def set_secret(parameters: Mapping[str, Any], around: Around) -> Any:
    """Keep a value and return its reference."""
    name, path = text(parameters, "name"), _path(parameters, around)
    if path is None:
        return USER_REQUIRED
    value = parameters.get("value")
    content = value if type(value) is str else encode(value).decode()
    if not content or value is None or len(content) > _MAX_BYTES:
        return {"error": "invalid_value"}
    kept = _below(around.documents.read(), path)
    if name not in kept and len(kept) >= _MAX_SECRETS:
        return {"error": "too_many_secrets"}
    ttl = parameters.get("ttl")
    present = _live(kept.get(name), around.now)
    secret = {"reference": present["reference"] if present else f"$secret:{around.ids.token(24)}", "value": content}
    if type(ttl) in (int, float) and ttl > 0:
        secret["expiresAt"] = int(around.now + ttl * 1000)
    around.documents.change("replace", (*path, name), secret)
    return secret["reference"]


def get_secret(parameters: Mapping[str, Any], around: Around) -> Any:
    """The reference of a secret."""
    name, path = text(parameters, "name"), _path(parameters, around)
    if path is None:
        return USER_REQUIRED
    secret = _live(_below(around.documents.read(), path).get(name), around.now)
    return secret["reference"] if secret else NOT_FOUND


def delete_secret(parameters: Mapping[str, Any], around: Around) -> Any:
    name, path = text(parameters, "name"), _path(parameters, around)
    if path is None:
        return USER_REQUIRED
    if name not in _below(around.documents.read(), path):
        return NOT_FOUND
    around.documents.change("delete", (*path, name))
    return {"deleted": True}


FUNCTIONS = {"set": set_secret, "get": get_secret, "delete": delete_secret}


def mentions_secret(value: Any) -> bool:
    """Whether a reference stands anywhere in `value`."""
    kind = type(value)
    if kind is str:
        return "$secret:" in value and _REFERENCE.search(value) is not None
    if kind is dict:
        return any(mentions_secret(member) for member in value.values())
    return kind is list and any(mentions_secret(item) for item in value)


def look_up(document: Mapping[str, Any], reference: str, *, user_id: str | None, now: int) -> str:
    """The value that a reference stands for. Those of other users are as unknown as those that expired."""
    for path in (("workspace",), ("user", user_id)):
        for secret in _below(document, path).values():
            if secret["reference"] == reference and _live(secret, now):
                return secret["value"]
    raise FetchFailed("A secret reference is unknown or has expired")


def reveal(value: Any, look_up: Callable[[str], str]) -> Any:
    """`value` with every reference replaced by what it stands for."""
    kind = type(value)
    if kind is str:
        return _REFERENCE.sub(lambda found: look_up(found[0]), value) if "$secret:" in value else value
    if kind is dict:
        return {key: reveal(member, look_up) for key, member in value.items()}
    return [reveal(item, look_up) for item in value] if kind is list else value


def _path(parameters: Mapping[str, Any], around: Around) -> tuple[str, ...] | None:
    """Where the secrets of the asked scope stand, None for those of a user when there is none."""
    if parameters.get("scope") == "workspace":
        return ("workspace",)
    return ("user", around.user_id) if around.user_id else None


def _below(document: Mapping[str, Any], path: tuple[str | None, ...]) -> Mapping[str, Any]:
    for key in path:
        document = document.get(key) or {}
    return document


def _live(secret: Any, now: int) -> Any:
    return secret if secret and secret.get("expiresAt", now + 1) > now else None
