"""What is planned fires once, in time, and at most the latest of what was missed."""
from __future__ import annotations

import asyncio
import logging
from contextlib import asynccontextmanager
from datetime import datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.scheduler import Firing, Scheduler
from runtime.settings import RuntimeSettings
from runtime.testing import HandClock

MINUTE = 60_000


def at(text: str) -> int:
    return int(datetime.fromisoformat(f"2026-03-01 {text}+00:00").timestamp() * 1000)


class Fired(list[Firing]):
    """Keeps what is fired; each firing lasts until `over` is set."""

    def __init__(self) -> None:
        super().__init__()
        self.over = asyncio.Event()
        self.over.set()

    async def __call__(self, workspace_id: str, automation: str, cron: str, at_ms: int) -> None:
        self.append(Firing(workspace_id, automation, cron, at_ms))
        await self.over.wait()


def planner(now: int, fired: Fired | None = None, **options: object) -> tuple[Scheduler, HandClock, Fired]:
    clock, fired = HandClock(now), Fired() if fired is None else fired
    return Scheduler(clock, fire=fired, settings=RuntimeSettings(**options)), clock, fired


async def settle() -> None:
    """Let everything that can go on without the clock go on."""
    for _ in range(20):
        await asyncio.sleep(0)


@asynccontextmanager
async def running(scheduler: Scheduler):
    task = asyncio.create_task(scheduler.run())
    await settle()
    yield task
    await scheduler.stop()
    await asyncio.wait_for(task, 1)


def test_ticks_follow_the_quarter_hours_and_come_once():
    scheduler, _, _ = planner(at("03:14"))
    scheduler.plan("w", "job", ["*/20 * * * *"])
    assert scheduler.next_due() == at("03:20")
    assert scheduler.due(at("03:19:59")) == []
    assert scheduler.due(at("03:20")) == [Firing("w", "job", "*/20 * * * *", at("03:20"))]
    assert scheduler.due(at("03:20")) == []
    assert scheduler.next_due() == at("03:40")


def test_several_crons_on_one_mark_are_one_firing_named_after_the_first():
    scheduler, _, _ = planner(at("03:14"))
    scheduler.plan("w", "job", ["0 4 * * *", "* * * * *", "*/30 * * * *"])
    due = [firing for minute in range(60) for firing in scheduler.due(at("03:15") + minute * MINUTE)]
    assert [(firing.cron, firing.at) for firing in due] == [
        ("* * * * *", at("03:15")), ("* * * * *", at("03:30")), ("* * * * *", at("03:45")), ("0 4 * * *", at("04:00"))]


def test_automations_come_in_the_order_of_their_times():
    scheduler, _, _ = planner(at("03:14"), schedules_maximum_occurrence_pattern="")
    scheduler.plan("w", "late", ["17 * * * *"])
    scheduler.plan("w", "app.early", ["16 * * * *"])
    assert [firing.automation for firing in scheduler.due(at("03:17:30"))] == ["app.early", "late"]


def test_planning_again_replaces_and_forgetting_ends():
    scheduler, _, _ = planner(at("03:14"))
    scheduler.plan("w", "a", ["* * * * *"])
    scheduler.plan("w", "a", ["0 5 * * *"])
    assert scheduler.next_due() == at("05:00")
    scheduler.plan("w", "b", ["* * * * *"])
    scheduler.plan("v", "b", ["0 4 * * *"])
    scheduler.forget("w", "b")
    assert scheduler.next_due() == at("04:00")
    scheduler.forget("v")
    scheduler.forget("unknown")
    scheduler.plan("w", "a", [])
    assert scheduler.next_due() is None
    assert scheduler.due(at("23:00")) == []


def test_the_latest_missed_tick_is_made_up_for_while_it_is_young():
    scheduler, _, _ = planner(at("03:20"))
    scheduler.plan("w", "young", ["* * * * *"], at("01:00"))
    scheduler.plan("w", "old", ["0 3 * * *"], at("01:00"))
    scheduler.plan("w", "fired", ["15 * * * *"], at("03:15"))
    scheduler.plan("w", "new", ["15 * * * *"])
    assert scheduler.due(at("03:20")) == [Firing("w", "young", "* * * * *", at("03:15"))]
    assert scheduler.next_due() == at("03:30")


def test_without_catching_up_a_late_loop_still_fires():
    scheduler, _, _ = planner(at("03:20"), schedules_catchup_seconds=0)
    scheduler.plan("w", "job", ["* * * * *"], at("01:00"))
    assert scheduler.due(at("03:20")) == []
    assert [firing.at for firing in scheduler.due(at("03:30:02"))] == [at("03:30")]


def test_a_suspended_machine_fires_the_latest_tick_only():
    scheduler, _, _ = planner(at("03:14"))
    scheduler.plan("w", "often", ["* * * * *"])
    scheduler.plan("w", "once", ["30 3 * * *"])
    assert scheduler.due(at("09:07")) == [Firing("w", "often", "* * * * *", at("09:00"))]


def test_a_last_tick_that_lies_ahead_does_not_silence_the_automation():
    scheduler, _, _ = planner(at("03:14"))
    scheduler.plan("w", "job", ["* * * * *"], at("03:14") + 10**9)
    assert scheduler.next_due() == at("03:15")


def test_a_cron_that_is_none_is_left_out_and_reported(caplog: pytest.LogCaptureFixture):
    scheduler, _, _ = planner(at("03:14"))
    scheduler.plan("w", "job", ["every day", "* * * * *"])
    assert scheduler.next_due() == at("03:15")
    assert "every day" in caplog.text


def test_replanning_for_ever_does_not_grow():
    scheduler, _, _ = planner(at("03:14"))
    for _ in range(1000):
        scheduler.plan("w", "job", ["0 0 1 1 *"])
    assert len(scheduler._heap) < 200


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from(["* * * * *", "*/20 * * * *", "7 * * * *", "0 4 * * *"]), min_size=1, max_size=3, unique=True),
       st.lists(st.integers(0, 40 * MINUTE), min_size=1, max_size=12))
def test_whenever_one_looks_no_tick_comes_twice_early_or_older_than_may_be(crons: list[str], pauses: list[int]):
    now = at("03:14")
    scheduler, _, _ = planner(now)
    scheduler.plan("w", "job", crons)
    seen = [now]
    for pause in pauses:
        now += pause
        firings = scheduler.due(now)
        assert len(firings) <= 1
        for firing in firings:
            assert max(seen) < firing.at <= now < firing.at + 15 * MINUTE
            seen.append(firing.at)
        assert scheduler.next_due() > now


async def test_the_task_sleeps_until_the_next_tick_and_an_earlier_one_wakes_it():
    scheduler, clock, fired = planner(at("03:14"))
    async with running(scheduler):
        scheduler.plan("w", "hourly", ["0 * * * *"])
        await settle()
        scheduler.plan("w", "job", ["* * * * *"])
        await settle()
        assert fired == []
        for _ in range(60):
            clock.advance(1)
            await settle()
        assert fired == [Firing("w", "job", "* * * * *", at("03:15"))]


async def test_what_was_missed_fires_at_once():
    scheduler, _, fired = planner(at("03:20"))
    scheduler.plan("w", "job", ["* * * * *"], at("03:00"))
    async with running(scheduler):
        assert [firing.at for firing in fired] == [at("03:15")]


async def test_at_most_so_many_fire_at_once():
    scheduler, clock, fired = planner(at("03:14"), schedules_concurrency=2)
    for number in range(5):
        scheduler.plan("w", f"job{number}", ["* * * * *"])
    fired.over.clear()
    async with running(scheduler):
        clock.advance(60)
        await settle()
        assert len(fired) == 2
        fired.over.set()
        await settle()
        assert len(fired) == 5


async def test_a_failing_firing_is_reported_and_harms_nobody(caplog: pytest.LogCaptureFixture):
    fired = Fired()

    async def fire(workspace_id: str, automation: str, cron: str, at_ms: int) -> None:
        if automation == "bad":
            raise ValueError("broken")
        await fired(workspace_id, automation, cron, at_ms)

    clock = HandClock(at("03:14"))
    scheduler = Scheduler(clock, fire=fire, settings=RuntimeSettings(schedules_concurrency=1))
    scheduler.plan("w", "bad", ["* * * * *"])
    scheduler.plan("w", "good", ["* * * * *"])
    with caplog.at_level(logging.ERROR):
        async with running(scheduler):
            for _ in range(2):
                clock.advance(15 * 60)
                await settle()
    assert [firing.automation for firing in fired] == ["good", "good"]
    assert "broken" in caplog.text


async def test_stopping_fires_nothing_more_and_lets_what_runs_end():
    scheduler, clock, fired = planner(at("03:14"), schedules_concurrency=1)
    scheduler.plan("w", "first", ["* * * * *"])
    scheduler.plan("w", "second", ["* * * * *"])
    fired.over.clear()
    task = asyncio.create_task(scheduler.run())
    await settle()
    clock.advance(60)
    await settle()
    await scheduler.stop()
    await settle()
    assert not task.done()
    fired.over.set()
    await settle()
    assert task.done()
    assert [firing.automation for firing in fired] == ["first"]


async def test_cancelling_the_task_cancels_what_it_fired():
    scheduler, clock, fired = planner(at("03:14"))
    scheduler.plan("w", "job", ["* * * * *"])
    fired.over.clear()
    task = asyncio.create_task(scheduler.run())
    await settle()
    clock.advance(60)
    await settle()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
