"""What an evaluation may ask of the world around it; nothing else is within its reach."""
from __future__ import annotations

from typing import Any, Protocol


class Scope(Protocol):
    """The variables an expression sees, the defaults of `date()`, and chance."""

    locals: dict[str, Any]
    locale: str
    timezone: str

    def read(self, context: str, path: tuple[str | int, ...]) -> Any:
        """The value at `path` in a shared context, not copied; UNDEFINED when there is none."""

    def random(self) -> float:
        """In [0, 1)."""

    def uuid(self) -> str:
        """A fresh one, with dashes."""
