"""A lane takes what is waiting as one group and answers all of it at once."""
from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence

import pytest

from store.embedded.lane import Lane
from store.errors import Unavailable


class Work:
    """Doubles numbers; waits at the gate before each group, and keeps what the groups were."""

    def __init__(self) -> None:
        self.gate = threading.Semaphore(0)
        self.groups: list[list[int]] = []

    def __call__(self, jobs: Sequence[int]) -> list[int | Exception]:
        self.gate.acquire()
        self.groups.append(list(jobs))
        if 13 in jobs:
            raise LookupError("unlucky")
        return [job * 2 if job >= 0 else ValueError(job) for job in jobs]


async def test_what_arrives_while_a_group_is_under_way_is_the_next_group() -> None:
    work = Work()
    lane = Lane("test", asyncio.get_running_loop(), work)
    first = [lane.submit(1), lane.submit(2)]
    await asyncio.sleep(0)
    rest = [lane.submit(n) for n in (3, 4, 5)]
    work.gate.release(2)
    assert await asyncio.gather(*first, *rest) == [2, 4, 6, 8, 10]
    assert work.groups == [[1, 2], [3, 4, 5]]
    await lane.close()


async def test_the_loop_is_told_between_groups() -> None:
    work, seen = Work(), []
    lane = Lane("test", asyncio.get_running_loop(), work, after=lambda: seen.append(len(work.groups)))
    first = lane.submit(1)
    await asyncio.sleep(0)
    second = lane.submit(2)
    work.gate.release(2)
    await asyncio.gather(first, second)
    assert seen == [1, 2]
    await lane.close()


async def test_an_answer_that_is_an_exception_is_raised_at_its_own_job() -> None:
    work = Work()
    work.gate.release(1)
    lane = Lane("test", asyncio.get_running_loop(), work)
    good, bad = lane.submit(1), lane.submit(-1)
    assert await good == 2
    with pytest.raises(ValueError, match="-1"):
        await bad
    await lane.close()


async def test_a_group_that_fails_is_answered_and_the_next_one_is_done() -> None:
    work = Work()
    work.gate.release(2)
    lane = Lane("test", asyncio.get_running_loop(), work)
    with pytest.raises(LookupError):
        await lane.submit(13)
    assert await lane.submit(1) == 2
    await lane.close()


async def test_a_job_nobody_waits_for_is_done_all_the_same() -> None:
    work = Work()
    work.gate.release(1)
    lane = Lane("test", asyncio.get_running_loop(), work)
    lane.submit(1).cancel()
    assert await lane.submit(2) == 4
    assert work.groups == [[1, 2]]
    await lane.close()


async def test_closing_finishes_what_was_submitted_and_refuses_the_rest() -> None:
    work = Work()
    work.gate.release(9)
    lane = Lane("test", asyncio.get_running_loop(), work)
    waiting = lane.submit(1)
    await lane.close()
    await lane.close()
    assert waiting.result() == 2
    with pytest.raises(Unavailable):
        await lane.submit(2)
