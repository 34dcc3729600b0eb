"""Slugs: the short names that stand in addresses and instructions; made from labels, and checked."""
from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from itertools import count
from typing import Any

_WORKSPACE = re.compile(r"[/a-z0-9-]+")
_OTHER = re.compile(r"[/a-zA-Z0-9 _-]+")
_DROPPED = re.compile(r"[^a-zA-Z0-9 _-]+")
_GAPS = re.compile(r"[ _-]+")

MAXIMUM_LENGTH = 20
"""Of a slug made here, before a number makes it unique; one that somebody wrote may be longer."""

Taken = Callable[[str], bool]


def is_workspace_slug(slug: Any) -> bool:
    """Workspace slugs become host names, hence the small letters."""
    return type(slug) is str and _WORKSPACE.fullmatch(slug) is not None


def is_slug(slug: Any) -> bool:
    """Of an automation, a page, an app or an instance."""
    return type(slug) is str and _OTHER.fullmatch(slug) is not None


def for_workspace(name: Any, taken: Taken) -> str:
    """`Mon Été, 2` → `mon-ete-2`, with `-1`, `-2`… where that is taken."""
    return _free(_GAPS.sub("-", _plain(name).lower())[:MAXIMUM_LENGTH].strip("-") or "workspace", taken)


def for_automation(name: Any, taken: Taken) -> str:
    """`Été, 1` → `Ete 1`, with `-1`, `-2`… where that is taken."""
    return _free(_plain(name)[:MAXIMUM_LENGTH].strip() or "automation", taken)


def label(name: Any) -> str:
    """The text of a name, which may be a map of languages: its first one then."""
    if type(name) is dict:
        name = next(iter(name.values()), "")
    return name if type(name) is str else ""


def _plain(name: Any) -> str:
    """Accents removed, other characters dropped."""
    return _DROPPED.sub("", unicodedata.normalize("NFKD", label(name))).strip()


def _free(slug: str, taken: Taken) -> str:
    if not taken(slug):
        return slug
    return next(numbered for number in count(1) if not taken(numbered := f"{slug}-{number}"))
