"""repeat: once per item, so many times, or once per message of a stream."""
from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from typing import Any

from runtime.errors import AutomationsError, InvalidInstruction
from runtime.expressions import to_number, truthy
from runtime.instructions import parallel
from runtime.instructions.body import as_map
from runtime.instructions.step import At, Break, Frame, Outcome, Step
from runtime.instructions.turns import after
from runtime.outbound.streams import EventStream
from runtime.throttles import REPEATS
from runtime.values import UNDEFINED

Ends = Callable[[Frame], bool]
_MOST_COUNTED = 10 ** 9
_SHARED = frozenset((dict, list))
"""What an item still has in common with the list it comes from."""


def build(body: Any, at: At, c: Any) -> Step:
    body = as_map("repeat", body)
    on, until, batch = c.value(body.get("on")), c.recomputed(body.get("until")), c.value(body.get("batch"))
    block = c.block(body.get("do"), (*at, "do"))
    has_list, has_until = "on" in body, body.get("until") is not None
    counts = not has_list and not _is_expression(body.get("until"))
    weight = max(1, len(body.get("do") or ()))

    def run(frame: Frame) -> Outcome | Awaitable[Outcome]:
        items = on(frame) if has_list else UNDEFINED
        if isinstance(items, EventStream):
            return stream(frame, items, block)
        most, ends = _limit(frame, until, counts=counts) if has_until else (None, None)
        if batch_of := batch(frame):
            return batches(frame, list(_items(items, most, has_list)), batch_of, block, ends)
        return iterate(frame, _items(items, most, has_list), block, ends, weight)
    return run


def _is_expression(until: Any) -> bool:
    return isinstance(until, str) and until.startswith("{%") and until.endswith("%}")


def _limit(frame: Frame, until: Callable, *, counts: bool) -> tuple[int | None, Ends | None]:
    """`until` is a count, or an expression that ends the loop when it holds (looked at after each iteration). A variable alone
    `counts`: one that is not there makes no iteration, rather than as many as a run may have."""
    limit = until(frame)
    if counts and (limit is None or limit is UNDEFINED):
        return 0, None
    kind = type(limit)
    if kind is int or kind is float or kind is str and limit.strip():
        number = to_number(limit)
        if number == number:
            if number > _MOST_COUNTED:
                raise InvalidInstruction("Invalid repeat instruction : until is too large", {"until": limit, "limit": _MOST_COUNTED})
            return max(0, int(number)), None
    return None, lambda frame: truthy(until(frame))


def _items(items: Any, most: int | None, has_list: bool) -> Iterator[Any]:
    """The list is taken as it is before the first iteration; changing it in the body changes nothing here."""
    if not has_list:
        return iter(range(_MOST_COUNTED if most is None else most))
    kind = type(items)
    if kind is dict:
        items = [{"key": k, "value": v} for k, v in items.items()]
    elif kind is list:
        items = items.copy()
    elif kind is not str:
        return iter(())
    return iter(items if most is None else items[:most])


def iterate(frame: Frame, items: Iterator[Any], block: Step, ends: Ends | None, weight: int,
            index: int = 0) -> Outcome | Awaitable[Outcome]:
    """Iterations as long as nothing waits and it is nobody else's turn; the rest in a coroutine."""
    variables, throttle = frame.locals, frame.throttle
    for item in items:
        if throttle is not None and (turn := throttle.turn(REPEATS)) is not None:
            return _later(frame, after(turn, _iteration, frame, item, index, block), items, block, ends, weight, index + 1)
        variables["item"] = item
        if type(item) in _SHARED:
            frame.borrow("item")
        variables["$index"] = index
        index += 1
        outcome = block(frame)
        if outcome is not None:
            if type(outcome) is not Break:
                return _later(frame, outcome, items, block, ends, weight, index)
            variables.pop("item", None)
            return None if outcome.scope == "repeat" else outcome
        if ends is not None and ends(frame):
            break
        if frame.spend(weight):
            return _later(frame, frame.rest(), items, block, ends, weight, index)
    variables.pop("item", None)
    return None


def _iteration(frame: Frame, item: Any, index: int, block: Step) -> Outcome | Awaitable[Outcome]:
    frame.locals["item"] = item
    if type(item) in _SHARED:
        frame.borrow("item")
    frame.locals["$index"] = index
    return block(frame)


async def _later(frame: Frame, pending: Awaitable[Outcome], items: Iterator[Any], block: Step, ends: Ends | None, weight: int,
                 index: int) -> Outcome:
    """Goes on from an iteration that waits; every further one that waits is awaited here, so the stack never grows."""
    throttle = frame.throttle
    outcome = await pending
    while outcome is None and not (ends is not None and ends(frame)):
        item = next(items, UNDEFINED)
        if item is UNDEFINED:
            break
        if throttle is not None and (turn := throttle.turn(REPEATS)) is not None:
            await turn
        outcome = _iteration(frame, item, index, block)
        index += 1
        if outcome is not None and type(outcome) is not Break:
            outcome = await outcome
        if frame.spend(weight):
            await frame.rest()
    frame.locals.pop("item", None)
    return None if outcome is not None and outcome.scope == "repeat" else outcome


async def batches(frame: Frame, items: list[Any], batch: Any, block: Step, ends: Ends | None) -> Outcome:
    """`size` items at a time, side by side, each with `item` and `$index` of its own; `interval` milliseconds between batches."""
    size, interval = (to_number(batch.get(key, default)) for key, default in (("size", 1), ("interval", 0))) if isinstance(batch, dict) else (0, 0)
    if not (1 <= size <= 10_000 and 0 <= interval <= 86_400_000):
        raise InvalidInstruction("Invalid repeat instruction : batch needs a size of 1 or more and an interval in milliseconds", {"batch": batch})
    size = int(size)
    for start in range(0, len(items), size):
        def one(index: int) -> Step:
            return lambda branch: _in_turn(branch, items[index], index, block)
        end = min(start + size, len(items))
        outcome = parallel.start(frame, [one(i) for i in range(start, end)])
        frame.locals["$index"] = end - 1
        if outcome is not None and type(outcome) is not Break:
            outcome = await outcome
        if outcome is not None:
            return None if outcome.scope == "repeat" else outcome
        if ends is not None and ends(frame):
            break
        if interval and end < len(items):
            await frame.leave()
            await frame.clock.sleep(interval / 1000)
        frame.spend(size)
    frame.locals.pop("item", None)
    return None


def _in_turn(frame: Frame, item: Any, index: int, block: Step) -> Outcome | Awaitable[Outcome]:
    frame.scoped({"item": item, "$index": index})
    if frame.throttle is not None and (turn := frame.throttle.turn(REPEATS)) is not None:
        return after(turn, block, frame)
    return block(frame)


async def stream(frame: Frame, source: EventStream, block: Step) -> Outcome:
    """One iteration per message until the stream ends. A failing body is reported and does not stop the loop."""
    index = 0
    outcome: Outcome = None
    async for item in source:
        if frame.throttle is not None and (turn := frame.throttle.turn(REPEATS)) is not None:
            await turn
        frame.locals["item"] = item
        frame.locals["$index"] = index
        index += 1
        try:
            pending = block(frame)
            outcome = pending if pending is None or type(pending) is Break else await pending
        except AutomationsError as error:
            frame.report(error.wire, error.message, error.details)
        if outcome is not None:
            await source.close()
            break
        if frame.spend(1):
            await frame.rest()
    frame.locals.pop("item", None)
    return None if outcome is not None and outcome.scope == "repeat" else outcome
