"""Who may start a run and who waits: nobody starves, and nobody who waits is forgotten."""
from __future__ import annotations

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kit import ALICE, endpoint, of_type, origin, sandbox

from runtime.admission import Admission
from runtime.calls import Call, Response
from runtime.errors import TooBusy
from runtime.testing import Sandbox

WAIT = {"wait": {"oneOf": [{"event": "never"}], "timeout": 10}}


class Doors:
    """Callers of an admission, and the order in which they got in."""

    def __init__(self, most: int, most_of_one: int) -> None:
        self.emptied = 0
        self.admission = Admission(most, most_of_one, on_empty=self._empty)
        self.entered: list[str] = []

    def _empty(self) -> None:
        self.emptied += 1

    async def come(self, name: str) -> None:
        await self.admission.enter(name[0])
        self.entered.append(name)

    def send(self, *names: str) -> list[asyncio.Task[None]]:
        return [asyncio.ensure_future(self.come(name)) for name in names]


async def turn_over() -> None:
    for _ in range(3):
        await asyncio.sleep(0)


async def test_turns_go_round_between_workspaces_and_in_order_within_one() -> None:
    doors = Doors(1, 1)
    doors.send("x0", "a1", "a2", "a3", "b1", "b2", "c1")
    await turn_over()
    for gone in "xabcaba":
        doors.admission.leave(gone)
        await turn_over()
    assert doors.entered == ["x0", "a1", "b1", "c1", "a2", "b2", "a3"]
    assert doors.admission.inside == doors.admission.waiting == 0


async def test_a_workspace_that_takes_all_it_may_leaves_room_for_others() -> None:
    doors = Doors(4, 2)
    doors.send(*[f"a{number}" for number in range(50)])
    await turn_over()
    doors.send("b0", "b1", "c0")
    await turn_over()
    assert doors.entered == ["a0", "a1", "b0", "b1"]
    doors.admission.leave("a")
    await turn_over()
    assert doors.entered[4:] == ["a2"]                     # its turn came before c had asked, and there is room for it
    doors.admission.leave("a")
    await turn_over()
    assert doors.entered[5:] == ["c0"]


async def test_who_gives_up_waiting_is_passed_over() -> None:
    doors = Doors(1, 1)
    _, second, third, _ = doors.send("a0", "a1", "a2", "a3")
    await turn_over()
    second.cancel()
    await turn_over()
    assert doors.admission.waiting == 2
    doors.admission.leave("a")                             # a2 is let in and leaves before it has noticed
    third.cancel()
    await turn_over()
    assert doors.entered == ["a0", "a3"] and (doors.admission.inside, doors.admission.waiting) == (1, 0)


async def test_a_flood_of_one_workspace_is_refused_before_the_others_find_no_place_to_wait() -> None:
    doors = Doors(1, 1)
    flood = doors.send("x0", *[f"a{number}" for number in range(5001)])
    await turn_over()
    assert doors.admission.waiting == 5000
    with pytest.raises(TooBusy) as refused:
        flood[-1].result()
    assert refused.value.details == {"retryAfter": 1}
    doors.send("b0")
    await turn_over()
    doors.admission.leave("x")
    doors.admission.leave("a")
    await turn_over()
    assert doors.entered == ["x0", "a0", "b0"]
    doors.admission.turn_away()
    await asyncio.gather(*flood, return_exceptions=True)


async def test_a_node_that_stops_lets_in_who_waits_and_nobody_else() -> None:
    doors = Doors(1, 1)
    *_, last = doors.send("a0", "b0", "b1")
    await turn_over()
    doors.admission.close()
    [late] = doors.send("c0")
    await turn_over()
    assert isinstance(late.exception(), TooBusy) and not doors.emptied
    doors.admission.leave("a")
    await turn_over()
    assert doors.entered == ["a0", "b0"]
    doors.admission.turn_away()
    doors.admission.leave("b")
    await turn_over()
    assert doors.entered == ["a0", "b0"] and doors.emptied == 1 and isinstance(last.exception(), TooBusy)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 4), st.integers(1, 4), st.lists(st.tuples(st.sampled_from(["come", "leave", "cancel"]), st.sampled_from("abc"), st.integers(0, 9)), max_size=60))
def test_whatever_happens_the_limits_hold_and_there_is_no_room_for_anybody_who_waits(most: int, most_of_one: int, steps: list[tuple[str, str, int]]) -> None:
    async def play() -> None:
        doors = Doors(most, most_of_one)
        came: dict[str, list[str]] = {"a": [], "b": [], "c": []}
        inside, waiting = dict.fromkeys("abc", 0), {name: [] for name in "abc"}
        for number, (what, workspace, which) in enumerate(steps):
            before = len(doors.entered)
            if what == "come":
                waiting[workspace].append((f"{workspace}{number}", doors.send(f"{workspace}{number}")[0]))
            elif what == "leave" and inside[workspace]:
                doors.admission.leave(workspace)
                inside[workspace] -= 1
            elif what == "cancel" and waiting[workspace]:
                waiting[workspace].pop(which % len(waiting[workspace]))[1].cancel()
            await turn_over()
            for name in doors.entered[before:]:
                assert waiting[name[0]].pop(0)[0] == name  # first come, first served
                inside[name[0]] += 1
                came[name[0]].append(name)
            assert sum(inside.values()) == doors.admission.inside <= most and max(inside.values()) <= most_of_one
            assert doors.admission.waiting == sum(map(len, waiting.values()))
            if sum(inside.values()) < most:
                assert all(inside[name] == most_of_one for name in "abc" if waiting[name])
        doors.admission.turn_away()
        await turn_over()
        for name in "abc":
            assert all(isinstance(task.exception(), TooBusy) for _, task in waiting[name])
    asyncio.run(play())


def call(workspace_id: str, correlation_id: str) -> Call:
    return Call(workspace_id, "main", {"body": {}, "headers": {}, "method": "POST", "query": {}}, origin(correlation_id, ALICE), Response())


async def second_workspace(box: Sandbox) -> str:
    result = await box.engine.catalog.import_definition({"name": "Other", "automations": {"main": endpoint(output="other")}}, owner="admin",
                                                        origin=origin("import"))
    return result.workspace.id


async def test_runs_beyond_the_limit_of_their_workspace_wait_and_those_of_others_do_not() -> None:
    async with sandbox({"main": endpoint(WAIT, output="mine")}, workspace_max_concurrent_runs=2) as box:
        other = await second_workspace(box)
        mine = [asyncio.ensure_future(box.engine.call(call(box.id, f"c{number}"))) for number in range(5)]
        await turn_over()
        assert await box.engine.call(call(other, "c9")) == "other"
        seen = []
        for _ in range(3):
            for _ in range(50):
                await asyncio.sleep(0)
            seen.append(len(await of_type(box, "runtime.webhooks.triggered")))
            box.clock.advance(10)
        assert seen == [2, 4, 5] and await asyncio.gather(*mine) == ["mine"] * 5


async def test_a_run_that_goes_on_without_its_caller_keeps_its_place() -> None:
    async with sandbox({"main": endpoint(WAIT, output="done")}, run_max_concurrency=1) as box:
        first = asyncio.ensure_future(box.engine.call(call(box.id, "c0")))
        for _ in range(20):
            await asyncio.sleep(0)
        first.cancel()
        tested = asyncio.ensure_future(box.engine.test(box.id, "main", {}, origin("c1", ALICE)))
        for _ in range(20):
            await asyncio.sleep(0)
        admission = box.engine._supervisor.admission
        assert (admission.inside, admission.waiting) == (1, 1)
        box.clock.advance(10)
        for _ in range(30):
            await asyncio.sleep(0)
        assert (admission.inside, admission.waiting) == (1, 0)
        box.clock.advance(10)
        assert await tested == "done" and admission.inside == 0


async def test_who_waits_when_the_node_stops_is_served_within_the_grace_period_or_told() -> None:
    for grace, outcome in ((30, "done"), (5, TooBusy)):
        async with sandbox({"main": endpoint(WAIT, output="done")}, run_max_concurrency=1) as box:
            calls = [asyncio.ensure_future(box.engine.call(call(box.id, f"c{number}"))) for number in range(2)]
            await turn_over()
            stopping = asyncio.ensure_future(box.engine.stop(grace))
            for _ in range(12):
                for _ in range(30):
                    await asyncio.sleep(0)
                box.clock.advance(2)
            await stopping
            answers = await asyncio.gather(*calls, return_exceptions=True)
            assert answers == ["done"] * 2 if outcome == "done" else [type(answer) for answer in answers] == [TooBusy] * 2
