"""The queue of one socket, in front of a transport that takes as much as the test says."""
from __future__ import annotations

import asyncio
from types import SimpleNamespace

from gateway.feed import frames
from gateway.feed.outbox import Outbox


class Transport:
    """Buffers nothing until `is_stuck`; then `drained` tells when it wants more."""

    def __init__(self) -> None:
        self.writes: list[bytes] = []
        self.is_stuck = False
        self.drained = asyncio.Event()

    def write(self, data: bytes) -> None:
        self.writes.append(data)

    def is_closing(self) -> bool:
        return False

    def get_write_buffer_size(self) -> int:
        return 1_000_000 if self.is_stuck else 0

    async def drain(self) -> None:
        await self.drained.wait()


def an_event(position: int, body: bytes = b"{}"):
    return SimpleNamespace(position=position, body=body, persistent=True, frames={}, event={"id": str(position)})


def an_outbox(transport: Transport, *, max_frames: int = 10, max_bytes: int = 10_000) -> tuple[Outbox, list[str]]:
    full: list[str] = []
    return Outbox(transport, transport.drain, max_frames=max_frames, max_bytes=max_bytes, overflow=lambda: full.append("full")), full


async def turn() -> None:
    for _ in range(3):
        await asyncio.sleep(0)


async def test_what_happens_in_one_turn_leaves_in_one_write():
    transport = Transport()
    outbox, _ = an_outbox(transport)
    events = [an_event(n) for n in range(3)]
    outbox.send(b"first")
    for event in events:
        outbox.deliver(event, "f")
    outbox.send_now(b"last")
    await turn()
    assert transport.writes == [b"first" + b"".join(frames.live_event(event, ("f",)) for event in events) + b"last"]
    assert str(outbox.written) == "2"


async def test_a_frame_is_encoded_once_for_sockets_that_name_it_alike():
    transports = [Transport(), Transport()]
    event = an_event(1)
    for transport in transports:
        an_outbox(transport)[0].deliver(event, "f")
    await turn()
    assert transports[0].writes[0] is transports[1].writes[0] is event.frames["f",]


async def test_nothing_is_written_while_the_reader_is_behind_and_all_of_it_after():
    transport = Transport()
    outbox, full = an_outbox(transport)
    transport.is_stuck = True
    outbox.deliver(an_event(1), "f")
    await turn()
    outbox.deliver(an_event(2), "f")
    outbox.deliver(an_event(3), "f")
    await turn()
    assert len(transport.writes) == 1 and str(outbox.written) == "1"
    assert outbox.unwritten() == {"f": (1, "")}
    transport.is_stuck = False
    transport.drained.set()
    await turn()
    assert len(transport.writes) == 2 and str(outbox.written) == "3" and not full


async def test_one_frame_too_many_overflows_once_and_nothing_more_is_written():
    transport = Transport()
    outbox, full = an_outbox(transport, max_frames=2)
    for position in range(1, 6):
        outbox.deliver(an_event(position), "f")
    assert not full
    await turn()
    assert full == ["full"] and not transport.writes
    assert outbox.unwritten() == {"f": (0, "")}


async def test_answers_nobody_reads_overflow_too():
    transport = Transport()
    transport.is_stuck = True
    outbox, full = an_outbox(transport, max_bytes=100)
    outbox.send_now(b"x" * 50)
    await turn()
    for _ in range(3):
        outbox.send_now(b"x" * 50)
    await turn()
    assert full == ["full"]


async def test_a_replay_waits_for_its_reader_and_is_not_bounded():
    transport = Transport()
    outbox, full = an_outbox(transport, max_frames=1, max_bytes=10)
    transport.is_stuck = True
    replaying = asyncio.ensure_future(outbox.replay([b"x" * 100] * 3))
    await turn()
    assert transport.writes == [b"x" * 300] and not replaying.done() and not full
    transport.is_stuck = False
    transport.drained.set()
    await replaying


async def test_the_end_says_goodbye_instead_of_what_waited():
    transport = Transport()
    outbox, _ = an_outbox(transport)
    outbox.deliver(an_event(1), "f")
    outbox.end(b"bye")
    outbox.deliver(an_event(2), "f")
    outbox.send(b"more")
    await turn()
    assert transport.writes == [b"bye"]
