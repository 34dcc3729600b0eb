"""Histories of concurrent calls are linearizable, document by document; and the checker that says so knows a bad one."""
from __future__ import annotations

import asyncio
from collections import defaultdict
from itertools import count, permutations
from typing import Any

import pytest
from contract.witness import Witness
from hypothesis import example, given, settings
from hypothesis import strategies as st
from kit import ALICE, BOB, NOBODY, endpoint, origin, put
from linearizability import EMPTY, PENDING, Operation, cell, is_linearizable

from runtime.errors import AutomationsError
from runtime.testing import Sandbox
from store.protocol import Store

# the checker

LOST_UPDATE = [Operation(0, 5, "add", 1, [1]), Operation(1, 6, "add", 1, [1])]
STALE_READ = [Operation(0, 1, "write", 5, [5]), Operation(2, 3, "read", None, [0])]
READ_BACK_IN_TIME = [Operation(0, 9, "write", 5, [5]), Operation(1, 2, "read", None, [5]), Operation(3, 4, "read", None, [0])]
TWO_ORDERS = [Operation(0, 9, "push", "a", [0, "a"]), Operation(0, 9, "push", "b", [0, "a", "b"]), Operation(10, 11, "read", None, [0, "b", "a"])]
FROM_NOWHERE = [Operation(0, 1, "write", 1, [1]), Operation(0, 1, "read", None, [2])]
TOO_EARLY = [Operation(0, 1, "read", None, [3]), Operation(2, 3, "write", 3, [3])]
UNDONE = [Operation(0, PENDING, "push", "a"), Operation(1, 2, "read", None, [0, "a"]), Operation(3, 4, "read", None, [0])]


@pytest.mark.parametrize("history", [LOST_UPDATE, STALE_READ, READ_BACK_IN_TIME, TWO_ORDERS, FROM_NOWHERE, TOO_EARLY, UNDONE])
def test_a_history_that_no_order_explains_is_rejected(history: list[Operation]) -> None:
    assert not is_linearizable(history, EMPTY, cell)


@pytest.mark.parametrize("history", [
    [], [Operation(0, 5, "add", 1, [2]), Operation(1, 6, "add", 1, [1])], [Operation(0, 9, "write", 5, [5]), Operation(1, 2, "read", None, [0])],
    [Operation(0, PENDING, "push", "a"), Operation(1, 2, "read", None, [0])], [Operation(0, PENDING, "push", "a"), Operation(1, 2, "read", None, [0, "a"])]])
def test_a_history_that_some_order_explains_is_accepted(history: list[Operation]) -> None:
    assert is_linearizable(history, EMPTY, cell)


ACTIONS = st.one_of(st.tuples(st.just("add"), st.integers(1, 2)), st.tuples(st.just("write"), st.integers(0, 2)),
                    st.tuples(st.just("push"), st.sampled_from("ab")), st.tuples(st.just("read"), st.none()))


@st.composite
def histories(draw: st.DrawFn) -> list[Operation]:
    """Of clients who really took turns, told with less precision than that; sometimes with one answer that nobody gave."""
    state, history = EMPTY, []
    for moment, (name, argument) in enumerate(draw(st.lists(ACTIONS, max_size=6))):
        state, result = cell(state, name, argument)
        end = draw(st.sampled_from([moment + 0.4, moment + 1.5, moment + 3.5, PENDING]))
        history.append(Operation(moment - draw(st.sampled_from([0.4, 1.5, 3.5])), end, name, argument, result))
    return history


@settings(max_examples=80, deadline=None)
@given(histories())
def test_what_clients_saw_who_took_turns_is_accepted(history: list[Operation]) -> None:
    assert is_linearizable(history, EMPTY, cell)


def is_explained(history: list[Operation]) -> bool:
    """The same by trying everything."""
    told = [operation for operation in history if operation.end != PENDING]
    untold = [operation for operation in history if operation.end == PENDING]
    for chosen in range(1 << len(untold)):
        happened = told + [operation for n, operation in enumerate(untold) if chosen >> n & 1]
        for order in permutations(happened):
            state, fits = EMPTY, all(not later.end < earlier.begin for n, earlier in enumerate(order) for later in order[n + 1:])
            for operation in order if fits else ():
                state, result = cell(state, operation.name, operation.argument)
                fits = fits and (operation.end == PENDING or result == operation.result)
            if fits:
                return True
    return False


@settings(max_examples=80, deadline=None)
@given(histories().filter(lambda history: len(history) <= 4), st.data())
def test_the_checker_says_what_trying_everything_says(history: list[Operation], data: st.DataObject) -> None:
    if history:
        at, answers = data.draw(st.integers(0, len(history) - 1)), [operation.result for operation in history]
        history[at] = history[at]._replace(result=data.draw(st.sampled_from([*answers, [0], [1, "a"]])))
    assert is_linearizable(history, EMPTY, cell) == is_explained(history)


# what the engine does

CLIENTS = {"alice": ALICE, "bob": BOB, "nobody": NOBODY}
PLACES = {"global": "", "user": "alice", "session": "alice"}


def automations() -> dict[str, Any]:
    """One instruction each, and the document as it was then."""
    found = {}
    for context in PLACES:
        seen = ["{{%s.n}}" % context, "{{%s.list}}" % context]
        found |= {f"{context}-add": endpoint(put(f"{context}.n", "{{body}}", type="add"), output=seen),
                  f"{context}-write": endpoint(put(f"{context}.n", "{{body}}"), output=seen),
                  f"{context}-push": endpoint(put(f"{context}.list[]", "{{body}}"), output=seen), f"{context}-read": endpoint(output=seen)}
    return found


class Recorder:
    """Clients who call at once, and when they called, when they were answered, and what."""

    def __init__(self) -> None:
        self.moments = count()
        self.histories: dict[tuple[str, str], list[Operation]] = defaultdict(list)

    async def act(self, box: Sandbox, run: str, who: str, context: str, name: str, argument: Any) -> None:
        document = (context, "" if context == "global" else who)
        begin, at = next(self.moments), len(self.histories[document])
        self.histories[document].append(Operation(begin, PENDING, name, argument))
        number, listed = await box.call(f"{context}-{name}", argument, origin=origin(run, CLIENTS[who]))
        self.histories[document][at] = Operation(begin, next(self.moments), name, argument, [number or 0, *(listed or ())])

    def check(self) -> None:
        for document, history in self.histories.items():
            assert is_linearizable(history, EMPTY, cell), (document, history)


CALLS = st.lists(st.tuples(st.sampled_from(["r1", "r2", "r3"]), st.sampled_from(["alice", "bob"]), st.sampled_from(list(PLACES)), ACTIONS, st.integers(0, 6)),
                 min_size=2, max_size=10)


@settings(settings.get_profile("model"))
@given(rounds=st.lists(CALLS, min_size=1, max_size=3), cut=st.none() | st.integers(1, 25))
@example(rounds=[[(f"r{n}", "alice", "global", ("add", 1), 0) for n in range(10)]], cut=None)
@example(rounds=[[("r1", "alice", "global", ("push", "a"), 0), ("r2", "bob", "global", ("read", None), 0)] * 4] * 2, cut=8)
def test_histories_of_concurrent_calls_are_linearizable_over_restarts_and_cuts(place: Any, rounds: list[Any], cut: int | None) -> None:
    """Each round is one process; the first one may end in the middle of its work."""
    place.run(play(place.store, place.name(), rounds, cut))


async def play(store: Store, name: str, rounds: list[Any], cut: int | None) -> None:
    recorder, definition = Recorder(), {"name": name, "id": name, "automations": automations()}
    async with Sandbox(definition, store=store):
        pass
    for number, calls in enumerate(rounds):
        witness = Witness(store, cut_after=cut if number == 0 else None)
        box = Sandbox(definition, store=witness)
        await box.__aenter__()
        running = []
        for run, who, context, (action, argument), turns in calls:
            running.append(asyncio.create_task(recorder.act(box, run, who, context, action, argument)))
            for _ in range(turns):
                await asyncio.sleep(0)
        while not witness.is_cut and not all(task.done() for task in running):
            await asyncio.sleep(0)
        for task in running if witness.is_cut else ():
            task.cancel()
        for outcome in await asyncio.gather(*running, return_exceptions=True):
            if isinstance(outcome, Exception) and not isinstance(outcome, AutomationsError):
                raise outcome
        await box.__aexit__()
    recorder.check()
