"""A process is killed while it writes: whatever it had been told is written is there, and nothing is there by half."""
from __future__ import annotations

import asyncio
import itertools
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import store as stores
from runtime.values import decode
from store.query import EventQuery, Is
from store.records import ContextKey
from tests.contract.facts import NOON, change, delivery, documents, event

CHUNK = 4           # events in a batch
LANES = 8           # batches that are under way together


def cell_of(lane: int) -> ContextKey:
    return ContextKey("w1", "user", f"u{lane}")


async def write_for_ever(folder: str) -> None:
    """Run by the process that gets killed: says on its output which batches were acknowledged."""
    store = await stores.open(f"file:{folder}")

    async def lane(number: int) -> None:
        for count in itertools.count(1):
            id = f"{number}-{count}"
            await store.commit([event(n, correlation=id) for n in range(CHUNK)]
                               + [change("add", ["n"], 1, cell=cell_of(number)), delivery(id)])
            print(id, flush=True)

    await asyncio.gather(*map(lane, range(LANES)))


def kill_while_writing(folder: Path, after: int) -> dict[int, int]:
    """Kill the writer after so many acknowledgements: how many each lane got."""
    command = [sys.executable, "-m", "tests.crash.test_store_survives_kill", str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2]) as process:
        heard = [line for _, line in zip(range(after), process.stdout, strict=False)]
        process.send_signal(signal.SIGKILL)
        heard += list(process.stdout)
    lines = [line.strip().split("-") for line in heard if line.endswith("\n")]
    return {lane: max((int(count) for number, count in lines if int(number) == lane), default=0) for lane in range(LANES)}


@pytest.mark.parametrize("after", [1, 500, 4000])
async def test_what_was_acknowledged_survives_a_kill(tmp_path: Path, after: int) -> None:
    acknowledged = kill_while_writing(tmp_path, after)
    assert sum(acknowledged.values()) >= after
    store = await stores.open(f"file:{tmp_path}")
    found = await documents(store, [cell_of(lane) for lane in range(LANES)], NOON)
    kept = {lane: document["n"] if document else 0 for lane, document in enumerate(found)}
    for lane, count in acknowledged.items():
        assert count <= kept[lane] <= count + 1        # one more may have been written and not yet been said
        for id in (f"{lane}-{n}" for n in {1, count, kept[lane]} if n):
            found = await store.events(EventQuery("w1", Is(("source", "correlationId"), (id,)), ascending=True))
            assert [decode(e.body)["payload"]["number"] for e in found] == list(range(CHUNK))
    deliveries = {d.id for d in await store.deliveries()}
    assert deliveries == {f"{lane}-{n}" for lane in kept for n in range(1, kept[lane] + 1)}
    assert await store.head() == CHUNK * sum(kept.values())
    first = await store.commit([event(1, correlation="afterwards")])
    assert first == CHUNK * sum(kept.values()) + 1
    await store.close()


if __name__ == "__main__":
    asyncio.run(write_for_ever(sys.argv[1]))
