"""Many runs that write one context do not get in each other's way."""
from __future__ import annotations

import asyncio
import time
from pathlib import Path

import store as stores
from runtime.calls import Identity
from tests.kit import endpoint, put, sandbox

RUNS, AT_ONCE = 1500, 50


async def seconds(folder: Path, users: int) -> float:
    """The CPU that the runs take, by so many users; scripts/bench-store does the same with ten thousand of them."""
    store = await stores.open(f"file:{folder}", durability="relaxed")
    async with sandbox({"main": endpoint(put("user.n", 1, type="add")), "read": endpoint(output="{{user.n}}")}, on=store) as box:
        async def caller(first: int) -> None:
            for n in range(first, RUNS, AT_ONCE):
                await box.call("main", identity=Identity(f"user-{n % users}", f"session-{n}"))

        started = time.process_time()
        await asyncio.gather(*map(caller, range(AT_ONCE)))
        spent = time.process_time() - started
        assert await box.call("read", identity=Identity("user-0", "session-0")) == RUNS // users
    await store.close()
    return spent


async def test_runs_on_one_context_take_at_most_twice_as_long_as_runs_on_their_own(tmp_path: Path) -> None:
    hot, cold = await seconds(tmp_path / "hot", 1), await seconds(tmp_path / "cold", RUNS)
    assert hot < 2 * cold
