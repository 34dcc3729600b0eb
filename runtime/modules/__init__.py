"""The modules of the `run` instruction: name → functions. A function takes its parameters and what is around it."""
from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from runtime.modules import collections, crypto, secrets, text
from runtime.modules.around import Around

Function = Callable[[Mapping[str, Any], Around], Any]


@dataclass(frozen=True, slots=True)
class Module:
    """`keeps` names the document that its functions keep, if they keep one."""

    functions: Mapping[str, Function]
    keeps: str = ""


MODULES: dict[str, Module] = {
    "collections": Module(collections.FUNCTIONS, keeps="collections"),
    "crypto": Module(crypto.FUNCTIONS),
    "secrets": Module(secrets.FUNCTIONS, keeps="secrets"),
    "text": Module(text.FUNCTIONS),
}
