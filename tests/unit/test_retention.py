"""Events are kept as long as the settings say, on any store."""
from __future__ import annotations

from collections.abc import Sequence

import pytest

from runtime.retention import Retention
from runtime.settings import RuntimeSettings
from runtime.testing import HandClock
from store.memory import MemoryStore
from store.query import EventQuery
from store.records import WorkspaceDeleted
from tests.contract.facts import event, workspace

DAY = 24 * 3600
START = HandClock().now()


def at(days: float) -> int:
    """A moment so many days after the clock's beginning."""
    return START + int(days * DAY * 1000)


async def store_with(*days: Sequence[float]) -> MemoryStore:
    """One workspace for each list: w1, w2, … with an event at each of those days."""
    store = MemoryStore()
    for number, moments in enumerate(days, start=1):
        await store.commit([workspace(f"w{number}", f"slug{number}"),
                            *(event(n, workspace=f"w{number}", at=at(day)) for n, day in enumerate(moments))])
    return store


async def left(store: MemoryStore, workspace_id: str = "w1") -> int:
    return len(await store.events(EventQuery(workspace_id, limit=10_000)))


def settings(**given: int) -> RuntimeSettings:
    """Nothing goes, but for what is said."""
    nothing = {"events_retention_days": -1, "events_retention_max": 0, "events_scheduled_deletion_days": -1,
               "events_cleanup_workspace_inactivity_days": -1}
    return RuntimeSettings(**{**nothing, **given})


async def test_events_older_than_the_limit_go() -> None:
    store, clock = await store_with([0, 1, 2, 9], [0]), HandClock(at(10))
    assert await Retention(store, clock, settings(events_retention_days=8)).tidy() == 3
    assert [await left(store, id) for id in ("w1", "w2")] == [2, 0]


async def test_by_default_events_stay_for_180_days() -> None:
    store, clock = await store_with([0] * 200), HandClock(at(179))
    retention = Retention(store, clock, RuntimeSettings())
    assert await retention.tidy() == 0
    clock.advance(2 * DAY)
    assert await retention.tidy() == 200


async def test_each_workspace_keeps_its_newest_events() -> None:
    store, clock = await store_with(range(10), range(3)), HandClock(at(10))
    assert await Retention(store, clock, settings(events_retention_max=4)).tidy() == 6
    assert [await left(store, id) for id in ("w1", "w2")] == [4, 3]
    assert await store.oldest("w1") == 7


async def test_the_events_of_a_deleted_workspace_go_after_a_while() -> None:
    store, clock = await store_with([0, 5], [0]), HandClock(at(94))
    await store.commit([WorkspaceDeleted("w1")])
    retention = Retention(store, clock, settings(events_scheduled_deletion_days=90))
    assert await retention.tidy() == 0
    clock.advance(1.5 * DAY)
    assert await retention.tidy() == 2
    assert await left(store, "w2") == 1


@pytest.mark.parametrize(("events", "gone"), [(99, 99), (100, 0)])
async def test_an_idle_workspace_loses_its_few_events(events: int, gone: int) -> None:
    store, clock = await store_with([0] * events, [0, 1]), HandClock(at(15.5))
    given = settings(events_cleanup_workspace_inactivity_days=15, events_cleanup_workspace_max_events=100)
    assert await Retention(store, clock, given).tidy() == gone
    assert await left(store, "w2") == 2


async def test_nothing_goes_when_nothing_is_limited() -> None:
    store, clock = await store_with([0] * 3), HandClock(at(10_000))
    assert await Retention(store, clock, settings()).tidy() == 0
    assert await left(store) == 3


async def test_everything_is_looked_at_once_an_hour() -> None:
    store, clock = await store_with([0]), HandClock(at(0))
    retention = Retention(store, clock, settings(events_retention_max=1))
    await retention.tidy()
    await store.commit([event(1, at=at(0))])
    clock.advance(3000)
    assert await retention.tidy() == 0
    clock.advance(600)
    assert await retention.tidy() == 1
