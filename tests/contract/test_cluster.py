"""What store/protocol.py promises of `Cluster`, sentence by sentence, of every store that several nodes may share."""
from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence

import pytest

import store as stores
from runtime.values import decode
from store.errors import Conflict, Fenced
from store.memory_cluster import MemoryCluster
from store.protocol import Store
from store.records import Delivered, Event, Fact, Member, RunHeld, RunLeft, SessionEnded, Tick, Volatile, WorkspaceDeleted
from tests.contract.facts import CELL, NOON, change, delivery, documents, event, workspace

KINDS = ("memory", "mongodb")
RUN = RunHeld("w1", "c1")


class Party:
    """Nodes that join one after the other, and what each of them hears."""

    def __init__(self, kind: str, url: str) -> None:
        self._memory = MemoryCluster() if kind == "memory" else None
        self._url = url
        self.opened: list[Store] = []

    async def store(self) -> Store:
        """One that nobody has joined with."""
        store = self._memory.node() if self._memory is not None else await stores.open(self._url)
        self.opened.append(store)
        return store

    async def join(self, id: str) -> tuple[Store, list[tuple[int, Sequence[Fact]]]]:
        store, heard = await self.store(), []
        await store.cluster.join(member(id), lambda first, facts: heard.append((first, tuple(facts))))
        return store, heard


def member(id: str) -> Member:
    return Member(id, f"http://{id}", "host", 1)


def facts_of(heard: list[tuple[int, Sequence[Fact]]]) -> list[Fact]:
    return [fact for _, facts in heard for fact in facts]


@pytest.fixture(params=KINDS)
async def party(request: pytest.FixtureRequest) -> AsyncIterator[Party]:
    party = Party(request.param, request.getfixturevalue("mongodb") if request.param == "mongodb" else "")
    yield party
    for store in party.opened:
        await store.close()


# hearing

async def test_what_one_commits_the_others_hear_and_itself_does_not(party: Party) -> None:
    (one, own), (_, heard), (third, also) = [await party.join(id) for id in ("n1", "n2", "n3")]
    facts = [event(1), change("replace", ["a"], 1), SessionEnded("s1"), Volatile("w1", b'{"id":"v"}')]
    await one.commit(facts)
    for node in party.opened:
        await node.cluster.catch_up()
    assert facts_of(heard) == facts_of(also) == facts
    assert facts_of(own) == []


async def test_what_is_heard_tells_the_position_of_its_first_event(party: Party) -> None:
    (one, _), (two, heard) = await party.join("n1"), await party.join("n2")
    positions = [await one.commit([change("replace", ["a"], 1), event(number), event(number + 1)]) for number in (1, 3)]
    await two.cluster.catch_up()
    told = [first + nth for first, facts in heard for nth, fact in enumerate(fact for fact in facts if type(fact) is Event)]
    assert told == [p + n for p in positions for n in (0, 1)]


async def test_everything_acknowledged_before_was_heard_when_catching_up_is_done(party: Party) -> None:
    (one, _), (two, heard) = await party.join("n1"), await party.join("n2")
    for number in range(1, 6):
        await one.commit([event(number)])
        await two.cluster.catch_up()
        assert len(facts_of(heard)) == number


async def test_a_node_is_told_of_its_own_commits_and_those_of_others_in_one_order(party: Party) -> None:
    (one, _), (two, _) = await party.join("n1"), await party.join("n2")
    rows: dict[str, list[int]] = {"n1": [], "n2": []}
    for id, node in (("n1b", one), ("n2b", two)):
        row = rows[id[:2]]
        await node.cluster.join(member(id), lambda first, facts, row=row: row.extend(decode(f.body)["payload"]["number"] for f in facts))

    async def write(node: Store, row: list[int], number: int) -> None:
        future = node.commit([event(number)])
        future.add_done_callback(lambda done: row.append(number))
        await future
    await asyncio.gather(*(write(node, row, number * 10 + nth) for number in range(15) for nth, (node, row) in
                           enumerate(((one, rows["n1"]), (two, rows["n2"])))))
    for node in (one, two):
        await node.cluster.catch_up()
    assert rows["n1"] == rows["n2"]
    assert len(rows["n1"]) == 30


async def test_a_document_read_after_hearing_of_a_change_has_it(party: Party) -> None:
    (one, _), (two, _) = await party.join("n1"), await party.join("n2")
    await one.commit([change("add", ["n"], 1)])
    await two.commit([change("add", ["n"], 1)])
    await one.cluster.catch_up()
    assert await documents(one, [CELL], NOON) == await documents(two, [CELL], NOON) == [{"n": 2}]


async def test_volatile_events_have_no_position_and_are_not_stored(party: Party) -> None:
    (one, _), (two, heard) = await party.join("n1"), await party.join("n2")
    before = await one.head()
    assert await one.commit([Volatile("w1", b"{}")]) == 0
    await two.cluster.catch_up()
    assert facts_of(heard) == [Volatile("w1", b"{}")]
    assert await two.head() == before


# conflicts

async def test_a_run_lives_on_one_node_until_that_one_lets_go(party: Party) -> None:
    (one, _), (two, _) = await party.join("n1"), await party.join("n2")
    await one.commit([RUN])
    await one.commit([RUN])
    with pytest.raises(Conflict):
        await two.commit([RUN, event(1)])
    await two.cluster.catch_up()
    assert two.cluster.owner("w1", "c1") == member("n1")
    assert one.cluster.owner("w1", "c1") is None
    assert two.cluster.owner("w1", "other") is None
    await one.commit([RunLeft("w1", "c1")])
    await two.cluster.catch_up()
    assert two.cluster.owner("w1", "c1") is None
    await two.commit([RUN])
    await one.cluster.catch_up()
    assert one.cluster.owner("w1", "c1") == member("n2")


async def test_a_revision_is_made_once(party: Party) -> None:
    (one, _), (two, _) = await party.join("n1"), await party.join("n2")
    await one.commit([workspace("w1", "shop", 1)])
    await one.commit([workspace("w1", "shop", 2)])
    with pytest.raises(Conflict):
        await two.commit([workspace("w1", "shop", 2)])
    await two.commit([workspace("w1", "shop", 3)])
    await two.commit([WorkspaceDeleted("w1")])
    assert await one.workspaces() == []


async def test_a_tick_fires_on_one_node(party: Party) -> None:
    (one, _), (two, _) = await party.join("n1"), await party.join("n2")
    results = await asyncio.gather(*(node.commit([Tick("w1", "greet", NOON)]) for node in (one, two)), return_exceptions=True)
    assert [type(result) for result in results].count(Conflict) == 1


# life and death

async def test_a_beat_tells_of_the_others_and_grows(party: Party) -> None:
    (one, _), (two, _) = await party.join("n1"), await party.join("n2")
    first = (await one.cluster.beat())["n2"]
    assert await one.cluster.beat() == {"n2": first}
    assert list(await two.cluster.beat()) == ["n1"]
    assert (await one.cluster.beat())["n2"] > first


async def test_a_node_declared_dead_writes_nothing_and_holds_nothing(party: Party) -> None:
    (one, _), (two, _) = await party.join("n1"), await party.join("n2")
    await one.commit([RUN])
    await two.cluster.take_over("n1")
    assert await two.cluster.beat() == {}
    with pytest.raises(Fenced):
        await one.commit([event(1)])
    with pytest.raises(Fenced):
        await one.cluster.beat()
    assert two.cluster.owner("w1", "c1") is None
    await two.commit([RUN])
    assert await two.head() == 0


async def test_a_node_declared_dead_comes_back_under_another_name(party: Party) -> None:
    (one, _), (two, heard) = await party.join("n1"), await party.join("n2")
    await two.cluster.take_over("n1")
    again: list[Fact] = []
    await one.cluster.join(member("n1 again"), lambda first, facts: again.extend(facts))
    await one.commit([event(1)])
    await two.commit([event(2)])
    await one.cluster.catch_up()
    await two.cluster.catch_up()
    assert facts_of(heard) == [event(1)]
    assert event(2) in again
    assert list(await two.cluster.beat()) == ["n1 again"]


async def test_the_unfinished_deliveries_of_a_dead_node_go_to_the_first_who_says_so(party: Party) -> None:
    (one, _), (two, _), (three, _) = [await party.join(id) for id in ("n1", "n2", "n3")]
    await one.commit([delivery("d1"), delivery("d2"), delivery("d3")])
    await three.commit([delivery("d4")])
    await one.commit([Delivered("d2")])
    assert [d.id for d in await two.cluster.take_over("n1")] == ["d1", "d3"]
    assert await three.cluster.take_over("n1") == []
    await three.cluster.take_over("n2")
    assert await three.cluster.take_over("") == []


async def test_what_a_node_that_left_has_not_finished_is_given_out_too(party: Party) -> None:
    (one, _), (two, _) = await party.join("n1"), await party.join("n2")
    await one.commit([RUN, delivery("d1")])
    await one.cluster.leave()
    await two.cluster.catch_up()
    assert two.cluster.owner("w1", "c1") is None
    assert await two.cluster.beat() == {}
    assert [d.id for d in await two.cluster.take_over("")] == ["d1"]
    await two.commit([RUN])


async def test_all_nodes_agree_on_the_first_value(party: Party) -> None:
    (one, _), (two, _) = await party.join("n1"), await party.join("n2")
    first = await asyncio.gather(one.cluster.agree("key", "a"), two.cluster.agree("key", "b"))
    assert first[0] == first[1] in ("a", "b")
    assert await two.cluster.agree("key", "c") == first[0]
    assert await two.cluster.agree("other", "c") == "c"
