"""Whether what concurrent clients saw of one object could have come from one client after the other, none of it out of its time.

The search of Wing and Gong, with the memory of Lowe: an operation may come first when no other one had ended before it began;
where the rest of a history has been tried from a state before, it is not tried again.
"""
from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import Any, NamedTuple

PENDING = float("inf")


class Operation(NamedTuple):
    """What one client did between two moments. Nobody was told the end of one that is pending: it may have happened, or not."""

    begin: float
    end: float
    name: str
    argument: Any
    result: Any = None


Step = Callable[[Hashable, str, Any], tuple[Hashable, Any]]
"""(state, name, argument) → the next state and the result, of the object when only one client uses it."""


def is_linearizable(history: Sequence[Operation], initial: Hashable, step: Step) -> bool:
    """Whether some order of the operations, each at one moment of its time, gives all the results that were seen."""
    everything = (1 << len(history)) - 1
    needed = sum(1 << n for n, operation in enumerate(history) if operation.end != PENDING)
    tried: set[tuple[int, Hashable]] = set()
    pending = [(everything, initial)]
    while pending:
        left, state = pending.pop()
        if not left & needed:
            return True
        if (left, state) in tried:
            continue
        tried.add((left, state))
        for n in _first(history, left):
            after, result = step(state, history[n].name, history[n].argument)
            if history[n].end == PENDING or result == history[n].result:
                pending.append((left & ~(1 << n), after))
    return False


def _first(history: Sequence[Operation], left: int) -> Iterable[int]:
    """Those of the remaining operations that none of the others had to come before."""
    remaining = [n for n in range(len(history)) if left >> n & 1]
    earliest = min(history[n].end for n in remaining)
    return [n for n in remaining if history[n].begin <= earliest]


def cell(state: Hashable, name: str, argument: Any) -> tuple[Hashable, Any]:
    """A context document that counts and lists: what its operations do, and what they answer with."""
    number, listed = state
    match name:
        case "add":
            number += argument
        case "write":
            number = argument
        case "push":
            listed = (*listed, argument)
    return (number, listed), [number, *listed]


EMPTY: Hashable = (0, ())
