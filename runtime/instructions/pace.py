"""A stream of items slowed down to a pace: what arrives too early is joined with what comes next."""
from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from runtime.clock import Clock
from runtime.outbound.streams import EventStream

Item = dict[str, Any]


async def paced(stream: EventStream, seconds: float, clock: Clock) -> AsyncIterator[Item]:
    """The items of `stream`, with at least `seconds` between two of them. Nothing is held back for longer than that."""
    if seconds <= 0:
        async for item in stream:
            yield item
        return
    held: Item | None = None
    arriving = resting = None
    try:
        while True:
            arriving = arriving or asyncio.ensure_future(_next(stream))
            awaited = {arriving} if held is None or resting is None else {arriving, resting}
            await asyncio.wait(awaited, return_when=asyncio.FIRST_COMPLETED)
            if arriving.done():
                item, arriving = arriving.result(), None
                if item is None:
                    break
                held = item if held is None else _joined(held, item)
            if held is not None and (resting is None or resting.done()):
                yield held
                held, resting = None, asyncio.ensure_future(clock.sleep(seconds))
        if held is not None:
            yield held
    finally:
        for task in (arriving, resting):
            if task is not None:
                task.cancel()


async def _next(stream: EventStream) -> Item | None:
    return await anext(stream, None)


def _joined(earlier: Item, later: Item) -> Item:
    chunk = {**earlier["chunk"], **later["chunk"], "data": earlier["chunk"]["data"] + later["chunk"]["data"]}
    return {**later, "chunk": chunk}
