"""Kills real servers over and over while they work, and looks each time whether they kept what they had said they keep."""
from __future__ import annotations

import argparse
import asyncio
import itertools
import os
import random
import signal
import sqlite3
import sys
import tempfile
import time
from collections import Counter
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiohttp import ClientError, ClientResponseError, ClientSession, ClientTimeout

from runtime.values import decode
from tests.crash.model import WORKSPACE, Found, Ledger, problems
from tests.crash.network import Line, Reader
from tests.crash.victim import CHECKPOINT, EMBEDDED, EVERYWHERE, EXPIRY
from tests.server import RealServer

ANY_MOMENT, STARTING = "any-moment", "while-starting"
PAUSED, STALLED, CUT_OFF = DISTURBED = ("paused", "stalled", "cut-off")
"""A node that is no longer heard of, is taken for dead, and lives: its process stands still, or its connection to the database."""
_LEASE_SECONDS = 1
CYCLES_OF_A_TRIAL = 25
"""Then another store: what is checked grows with every cycle."""
_WRITERS, _SENDERS = 4, 2
_QUIET_SECONDS = 20.0
_REACHED_SECONDS = 20.0
_ENVIRONMENT = {"API_URL": "http://crash.test/v2", "CONTEXT_RUN_EXPIRE_TIME": "1", "CONTEXT_GLOBAL_MAX_SIZE": "50mb", "CONTEXT_USER_MAX_SIZE": "50mb",
                "RUN_LEASE_SECONDS": str(_LEASE_SECONDS)}
"""The address is the same for all nodes: it is in the tokens."""
_SELDOM = ("during-compaction", CHECKPOINT, EXPIRY)
"""Points that are reached once in a while; the others, with every call."""
_FILL = "x" * 20_000
"""Makes the log large, where the point is that it is copied."""


@dataclass(slots=True)
class Summary:
    """What came of all cycles."""

    cycles: int = 0
    facts: int = 0
    begun_again: int = 0
    refused: int = 0
    deaths: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def __str__(self) -> str:
        deaths = ", ".join(f"{name} {times}" for name, times in sorted(self.deaths.items()))
        return (f"{self.cycles} cycles in {self.seconds:.0f} s ({deaths})\n"
                f"{self.facts} facts acknowledged, {self.refused} calls refused, {self.begun_again} deliveries begun again after a crash\n"
                f"{len(self.problems)} losses or repeats")


class Trial:
    """One store and its servers."""

    def __init__(self, folder: Path, summary: Summary, *, storage: str, nodes: int, chance: random.Random) -> None:
        self._folder, self._summary, self._chance = folder, summary, chance
        self._file = folder / "motorik.db" if storage.startswith("file:") else None
        self._storage, self._nodes = storage, nodes
        self._lines: list[Line] = []
        self._servers: list[RealServer] = []
        self._ledger = Ledger()
        self._numbers = itertools.count(1)
        self._senders = itertools.count(1)
        self._workspace = self._token = ""
        self._is_over = False

    async def run(self, deaths: list[str]) -> None:
        """Start, and die each of these deaths."""
        begun_again = 0
        await self._connect()
        async with ClientSession(timeout=ClientTimeout(total=30)) as self._client:
            for server in self._servers[1:]:
                await self._start(server, ANY_MOMENT)
            for index, death in enumerate([*deaths, ANY_MOMENT]):
                victim = self._servers[index % len(self._servers)]
                await self._start(victim, death)
                if not self._workspace:
                    await self._prepare(victim)
                found = await self._check(victim)
                begun_again = found.begun_again
                if index < len(deaths):
                    await self._die(victim, death)
            for server in self._servers:
                server.stop()
        for line in self._lines:
            line.close()
        self._summary.facts += self._ledger.facts
        self._summary.begun_again += begun_again

    async def _connect(self) -> None:
        """Several nodes reach their database over lines that can be cut."""
        addresses = [self._storage]
        if self._nodes > 1:
            self._lines = [Line(self._storage) for _ in range(self._nodes)]
            addresses = [await line.open() for line in self._lines]
        self._servers = [RealServer(self._folder, **_ENVIRONMENT, STORAGE_URL=address) for address in addresses]

    async def _start(self, server: RealServer, death: str) -> None:
        if server.process is not None and server.process.poll() is None:
            if death in DISTURBED:
                return
            server.kill()                                  # another one's turn has come round; it dies idle
        if death == STARTING:
            server.begin()
            await asyncio.sleep(self._chance.uniform(0.2, 1.0))
            server.kill()
        server.module = ("tests.crash.victim", death, str(self._chance.randint(1, 40) if death not in _SELDOM else 1))
        await asyncio.to_thread(server.start)

    async def _prepare(self, server: RealServer) -> None:
        self._workspace = (await self._ask(server, "/workspaces/import", WORKSPACE, server.token))["workspace"]["id"]
        self._token = (await self._ask(server, "/login/anonymous", {}))["token"]

    # --- dying ---------------------------------------------------------------------------------------

    async def _die(self, victim: RealServer, death: str) -> None:
        """Work until the victim is dead."""
        self._is_over = False
        fill = _FILL if death == CHECKPOINT else ""
        lanes = [asyncio.create_task(self._write(server, fill)) for server in self._servers for _ in range(_WRITERS)]
        lanes += [asyncio.create_task(self._send(server)) for server in self._servers for _ in range(_SENDERS)]
        if death in DISTURBED:
            await self._disturb(victim, death)
        elif death in EMBEDDED:
            victim.process.send_signal(signal.SIGUSR1)
            await self._until_dead(victim, death)
        else:
            await asyncio.sleep(self._chance.uniform(0.01, 0.4))
        self._is_over = True
        if death not in DISTURBED:
            victim.kill()
        await asyncio.gather(*lanes)
        self._summary.cycles += 1
        self._summary.deaths[death] += 1

    async def _disturb(self, victim: RealServer, way: str) -> None:
        """Until the others have gone on without the victim, and then until it is one of them again."""
        line, others = self._lines[self._servers.index(victim)], [server for server in self._servers if server is not victim]
        reader = Reader(self._client, [f"{server.base}/v2/workspaces/{self._workspace}/events?types=number.sent" for server in (victim, *others)],
                        victim.token)
        before = await self._events(victim, "number.sent")
        following = asyncio.create_task(reader.follow("0", _LEASE_SECONDS))
        await asyncio.sleep(self._chance.uniform(0.2, 0.5))
        victim.process.send_signal(signal.SIGSTOP) if way == PAUSED else line.cut(stalls=way == STALLED)
        await asyncio.sleep(3 * _LEASE_SECONDS + self._chance.random())
        victim.process.send_signal(signal.SIGCONT) if way == PAUSED else line.mend()
        try:
            async with asyncio.timeout(_QUIET_SECONDS):
                while not await self._is_done(victim, f"/workspaces/{self._workspace}/webhooks/read", {}):
                    await asyncio.sleep(0.05)
        except TimeoutError:
            self._summary.problems.append(f"a node that was {way} did not come back within {_QUIET_SECONDS} s")
        self._is_over = True
        await self._read_to_the_end(victim, reader, before)
        following.cancel()

    async def _read_to_the_end(self, victim: RealServer, reader: Reader, before: list[int]) -> None:
        """What the reader has seen over all servers is what is stored."""
        deadline = time.monotonic() + _QUIET_SECONDS
        while (stored := await self._events(victim, "number.sent")) != reader.seen and time.monotonic() < deadline:
            await asyncio.sleep(0.1)
        if stored != reader.seen:
            self._summary.problems.append(f"a reader of {len(stored)} events saw {len(reader.seen)}, beginning with {len(before)}, on {reader.changes} streams")

    async def _until_dead(self, victim: RealServer, death: str) -> None:
        deadline = time.monotonic() + _REACHED_SECONDS
        while victim.process.poll() is None:
            if time.monotonic() > deadline:
                self._summary.problems.append(f"{death} was never reached")
                return
            await asyncio.sleep(0.005)

    async def _write(self, server: RealServer, fill: str) -> None:
        """Call the automation that writes, one call after another."""
        while not self._is_over:
            n = next(self._numbers)
            self._ledger.written.add(n)
            if await self._is_done(server, f"/workspaces/{self._workspace}/webhooks/write", {"n": n, "fill": fill}):
                self._ledger.acknowledged.add(n)

    async def _send(self, server: RealServer) -> None:
        """Post events, one after another."""
        mine = self._ledger.sent[next(self._senders)] = []
        while not self._is_over:
            n = next(self._numbers)
            mine.append(n)
            if await self._is_done(server, f"/workspaces/{self._workspace}/events", {"events": [{"type": "number.sent", "payload": {"n": n}}]}):
                self._ledger.sent_acknowledged.add(n)

    async def _is_done(self, server: RealServer, path: str, body: Any) -> bool:
        try:
            await self._ask(server, path, body)
        except (ClientError, OSError, TimeoutError) as error:
            self._summary.refused += isinstance(error, ClientResponseError)
            await asyncio.sleep(0.02)
            return False
        return True

    async def _ask(self, server: RealServer, path: str, body: Any, token: str = "") -> Any:
        headers = {"authorization": f"Bearer {token or self._token}"} if token or self._token else {}
        async with self._client.post(f"{server.base}/v2{path}", json=body, headers=headers) as answer:
            answer.raise_for_status()
            return decode(await answer.read())

    # --- looking -------------------------------------------------------------------------------------

    async def _check(self, server: RealServer) -> Found:
        deadline = time.monotonic() + _QUIET_SECONDS
        found = await self._found(server)
        while not found.is_quiet and time.monotonic() < deadline:
            await asyncio.sleep(0.02)
            found = await self._found(server)
        broken = problems(self._ledger, found)
        if self._file is not None:
            broken += await asyncio.to_thread(self._broken_file, self._file)
        self._summary.problems += [f"after cycle {self._summary.cycles}: {problem}" for problem in broken]
        return found

    async def _found(self, server: RealServer) -> Found:
        contexts = await self._ask(server, f"/workspaces/{self._workspace}/webhooks/read", {})
        return Found(contexts, await self._events(server, "number.written"), await self._events(server, "number.sent"))

    async def _events(self, server: RealServer, type: str) -> list[int]:
        path = f"{server.base}/v2/workspaces/{self._workspace}/events/export?types={type}&format=ndjson"
        deadline = time.monotonic() + _QUIET_SECONDS
        while True:
            async with self._client.get(path, headers={"authorization": f"Bearer {server.token}"}) as answer:
                if answer.status == 503 and time.monotonic() < deadline:      # it is joining the others again
                    await asyncio.sleep(0.1)
                    continue
                answer.raise_for_status()
                return [decode(line)["payload"]["n"] for line in (await answer.read()).splitlines()]

    def _broken_file(self, file: Path) -> list[str]:
        """Beside the running server: opened alone, the file would be put in order by being looked at."""
        with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as connection:
            verdict = connection.execute("PRAGMA integrity_check").fetchall()
        return [] if verdict == [("ok",)] else [f"the file is broken: {verdict[:3]}"]


def deaths(cycles: int, *, embedded: bool, nodes: int = 1) -> list[str]:
    """Every named point in turn, and between two of them a death at any moment."""
    points = itertools.cycle([*(DISTURBED if nodes > 1 else ()), *(EMBEDDED if embedded else EVERYWHERE), STARTING])
    return [next(points) if cycle % 2 else ANY_MOMENT for cycle in range(cycles)]


async def crash(cycles: int, *, storage: str = "", nodes: int = 1, seed: int = 0, only: str = "") -> Summary:
    """So many deaths. Without a `storage`, on embedded stores in folders that are gone afterwards."""
    summary, chance, began = Summary(), random.Random(seed), time.monotonic()
    dying = [only] * cycles if only else deaths(cycles, embedded=not storage, nodes=nodes)
    for number, first in enumerate(range(0, cycles, CYCLES_OF_A_TRIAL)):
        with tempfile.TemporaryDirectory(prefix="crash-") as folder:
            address = f"{storage}-{os.getpid()}-{number}" if storage else f"file:{folder}"
            trial = Trial(Path(folder), summary, storage=address, nodes=nodes, chance=chance)
            await trial.run(dying[first:first + CYCLES_OF_A_TRIAL])
        if summary.cycles < cycles:
            print(f"{summary.cycles} cycles, {len(summary.problems)} losses or repeats so far", file=sys.stderr, flush=True)
    summary.seconds = time.monotonic() - began
    return summary


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="scripts/crash-loop", description=(
        "Kill a server that works, again and again, at random moments and at the worst ones, and check after each restart that every "
        "acknowledged fact is there and nothing happened twice. The status is 0 when no cycle found a loss."))
    parser.add_argument("cycles", type=int, metavar="N", help="how many times to kill")
    parser.add_argument("--storage", default="", metavar="URL", help="mongodb://HOST:PORT/NAME, where NAME is the beginning of the names of "
                        "databases to be made; default: embedded stores in temporary folders")
    parser.add_argument("--seed", type=int, default=0, help="of the random moments (default: 0)")
    parser.add_argument("--nodes", type=int, default=1, metavar="K", help="servers on the same store, which must be MongoDB (default: 1)")
    parser.add_argument("--point", default="", choices=[*EMBEDDED, *DISTURBED, ANY_MOMENT, STARTING], help="die at this point only")
    options = parser.parse_args(arguments)
    if options.nodes > 1 and not options.storage:
        parser.error("an embedded store belongs to one server: --nodes needs --storage mongodb://…")
    if options.point in DISTURBED and options.nodes < 2:
        parser.error(f"{options.point} is seen by other nodes: it needs --nodes 2")
    summary = asyncio.run(crash(options.cycles, storage=options.storage, nodes=options.nodes, seed=options.seed, only=options.point))
    print(summary)
    for problem in summary.problems:
        print(problem, file=sys.stderr)
    return 1 if summary.problems else 0
