"""A real server, killed as by a power cut while it works: whatever it had acknowledged is there when it is back, and happened once."""
from __future__ import annotations

from tests.crash.loop import ANY_MOMENT, STARTING, crash, deaths
from tests.crash.victim import EMBEDDED


async def test_what_was_acknowledged_survives_and_every_event_is_heard_once() -> None:
    summary = await crash(5)
    assert summary.problems == []
    assert (summary.cycles, summary.refused) == (5, 0)
    assert summary.facts > 100


def test_a_server_dies_at_every_named_point_in_turn() -> None:
    died = deaths(50, embedded=True)
    assert set(died) == {*EMBEDDED, ANY_MOMENT, STARTING}
    assert died.count(ANY_MOMENT) == 25
