"""What `{{config}}` holds: environment under definition under the import's own, resolved once when a workspace is loaded."""
from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from runtime.errors import VariableNameError
from runtime.expressions import follow, parse_path, to_text
from runtime.values import UNDEFINED, copy

_REFERENCE = re.compile(r"\{\{\s*(config|secret)((?:[.\[][^{}]*)?)\s*\}\}")


def resolve_config(definition: dict[str, Any], environment: Mapping[str, str], slug: str, secrets: Mapping[str, str], *,
                   over: Any = None, parent: dict[str, Any] | None = None) -> dict[str, Any]:
    """The config of a workspace, or of an app instance (`over` is the import's config, `parent` the config around it).

    References to `{{config.x}}` and `{{secret.x}}` are filled in; those that lead nowhere stay as they are, and expressions
    are not evaluated.
    """
    written = (definition.get("config") or {}).get("value")
    value = {**_from_environment(environment, slug), **(written if isinstance(written, dict) else {})}
    if over is not None:
        own = _fill(over, {"config": parent or {}, "secret": {}})
        value.update(own if isinstance(own, dict) else {})
    return _fill(value, {"config": value, "secret": secrets})


def _from_environment(environment: Mapping[str, str], slug: str) -> dict[str, str]:
    prefix = slug.replace(" ", "") + "_"
    return {key[len(prefix):]: value for key, value in environment.items() if key.startswith(prefix)}


def _fill(value: Any, roots: Mapping[str, Any]) -> Any:
    if isinstance(value, dict):
        return {key: _fill(item, roots) for key, item in value.items()}
    if isinstance(value, list):
        return [_fill(item, roots) for item in value]
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


def _look_up(match: re.Match[str], roots: Mapping[str, Any]) -> Any:
    try:
        path = parse_path(match[1] + match[2])
    except VariableNameError:
        return UNDEFINED
    return follow(roots, path)
