"""Steps that have to wait for their turn, because their workspace may work only so fast."""
from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from runtime.instructions.step import Break, Outcome


async def after(turn: Awaitable[None], begin: Callable[..., Outcome | Awaitable[Outcome]], *arguments: Any) -> Outcome:
    """What `begin` comes to when it is called at its turn."""
    await turn
    outcome = begin(*arguments)
    return outcome if outcome is None or type(outcome) is Break else await outcome
