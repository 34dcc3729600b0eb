"""What `{{config}}` holds: environment under definition under the import's own, resolved once when a workspace is loaded."""
from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from runtime.errors import VariableNameError
from runtime.expressions import follow, parse_path, to_text
from runtime.values import UNDEFINED, copy

_REFERENCE = re.compile(r"\{\{\s*(config|secret)((?:[.\[][^{}]*)?)\s*\}\}")

Root = Mapping[str, Any]


def resolve_config(definition: dict[str, Any], environment: Mapping[str, str], slug: str, secrets: Mapping[str, str], *,
                   over: Any = None, parent: dict[str, Any] | None = None) -> dict[str, Any]:
    """The config of a workspace, or of an app instance (`over` is the import's config, `parent` the config around it).

    References to `{{config.x}}` and `{{secret.x}}` are filled in; those that lead nowhere stay as they are, and expressions
    are not evaluated. The secrets are those of whoever wrote the reference: of the importer for what the import says, and for what
    a workspace says of itself; an app has none. What is filled in is never read again, whatever braces it has.
    """
    written = (definition.get("config") or {}).get("value")
    value = {**_from_environment(environment, slug), **(written if isinstance(written, dict) else {})}
    if over is None:
        return _filled(value, [{"config": value, "secret": secrets}])
    raw = {**value, **over} if isinstance(over, dict) else value
    own = _filled(over, [{"config": parent or {}, "secret": secrets}, {"config": raw}])
    if not isinstance(own, dict):
        own = {}
    merged = {**value, **own}
    return {key: member if key in own else _filled(member, [{"config": merged}]) for key, member in merged.items()}


def _from_environment(environment: Mapping[str, str], slug: str) -> dict[str, str]:
    prefix = slug.replace(" ", "") + "_"
    return {key[len(prefix):]: value for key, value in environment.items() if key.startswith(prefix)}


def _filled(value: Any, roots: Sequence[Root]) -> Any:
    """`value` with its references filled in, each from the first of `roots` that has something there."""
    if isinstance(value, dict):
        return {key: _filled(item, roots) for key, item in value.items()}
    if isinstance(value, list):
        return [_filled(item, roots) for item in value]
    if not isinstance(value, str) or "{{" not in value:
        return value
    whole = _REFERENCE.fullmatch(value)
    if whole:
        found = _look_up(whole, roots)
        return value if found is UNDEFINED else copy(found)

    def text(match: re.Match[str]) -> str:
        found = _look_up(match, roots)
        return match[0] if found is UNDEFINED else to_text(found)
    return _REFERENCE.sub(text, value)


def _look_up(match: re.Match[str], roots: Sequence[Root]) -> Any:
    try:
        path = parse_path(match[1] + match[2])
    except VariableNameError:
        return UNDEFINED
    if path == ("secret",):
        return UNDEFINED                                 # one at a time, by its name
    return next((found for root in roots if (found := follow(root, path)) is not UNDEFINED), UNDEFINED)
