"""Several workers behind one port: the process that starts them, starts those again that die, and ends them together."""
from __future__ import annotations

import asyncio
import logging
import signal
import socket
import sys
from asyncio.subprocess import Process
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from runtime.clock import Clock

_log = logging.getLogger("motorik.workers")
_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 30.0
_STABLE_SECONDS = 60.0
"""A worker that lived this long is started again at once."""
_LONGEST_WORD = 32


class Failed(Exception):
    """A worker ended before it was ready; it has said why."""


class Link:
    """The worker's end of what ties it to the process that started it."""

    def __init__(self, descriptor: int) -> None:
        self._socket = socket.socket(fileno=descriptor)
        self._socket.setblocking(False)

    def ready(self, workspaces: int) -> None:
        """Requests are answered now, for so many workspaces."""
        with suppress(BrokenPipeError):                       # then it is cut, too
            self._socket.send(b"%d" % workspaces)

    async def cut(self) -> None:
        """Until the process that started this one is gone, however it went."""
        await asyncio.get_running_loop().sock_recv(self._socket, 1)


class _Worker(NamedTuple):
    process: Process
    link: socket.socket
    workspaces: int
    started_at: float


def reserve(host: str, port: int) -> socket.socket:
    """A socket that keeps the port for the workers, and no connection from them: it does not listen. Raises `OSError`."""
    family, kind, protocol, _, address = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    # Without sharing first: another server that shares its port would be joined, not noticed.
    with socket.socket(family, kind, protocol) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(address)
        address = probe.getsockname()
    kept = socket.socket(family, kind, protocol)
    kept.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    kept.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    kept.bind(address)
    return kept


class Crew:
    """The workers of one port. The first one applies the folder; the others hear of what it does."""

    def __init__(self, environment: Mapping[str, str], clock: Clock, *, port: int, folder: Path | None) -> None:
        self._environment = {**environment, "PORT": str(port)}
        self._clock = clock
        self._folder = folder
        self._ending = asyncio.Event()
        self._workers: dict[int, _Worker] = {}
        self._kept: list[asyncio.Task[int]] = []

    async def start(self, count: int) -> int:
        """All workers are ready when this returns the number of their workspaces. Raises `Failed` when one of them ends."""
        first = 0
        if self._folder is not None:
            await self._start(0)                              # it brings the workspaces that the others find
            first = 1
        for failure in await asyncio.gather(*map(self._start, range(first, count)), return_exceptions=True):
            if failure is not None:
                raise failure
        self._kept = [asyncio.create_task(self._keep(number)) for number in range(count)]
        return self._workers[0].workspaces

    async def ended(self) -> int:
        """Until all workers have ended; the highest of their statuses."""
        if self._kept:
            return max(await asyncio.gather(*self._kept))
        return max([max(await worker.process.wait(), 0) for worker in self._workers.values()], default=0)

    @property
    def is_ending(self) -> bool:
        return self._ending.is_set()

    def end(self) -> None:
        """Tell all to stop. A second time they stop at once."""
        self._ending.set()
        for worker in self._workers.values():
            if worker.process.returncode is None:
                worker.process.send_signal(signal.SIGTERM)

    async def _start(self, number: int) -> None:
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        folder = [str(self._folder)] if self._folder is not None and number == 0 else []
        with theirs:
            # A session of its own: what is typed at the terminal goes to the parent alone, which passes it on.
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "gateway", "serve", *folder, "--link", str(theirs.fileno()), env=self._environment,
                pass_fds=(theirs.fileno(),), start_new_session=True)
        self._workers[number] = _Worker(process, ours, 0, self._clock.monotonic())
        if self._ending.is_set():
            process.send_signal(signal.SIGTERM)
        word = await asyncio.get_running_loop().sock_recv(ours, _LONGEST_WORD)
        if not word:
            await process.wait()
            ours.close()
            raise Failed(f"worker {number + 1} ended with status {process.returncode} before it was ready")
        self._workers[number] = self._workers[number]._replace(workspaces=int(word))

    async def _keep(self, number: int) -> int:
        """Start the worker again whenever it ends, until all shall end; its last status."""
        pause = _FIRST_PAUSE
        while True:
            worker = self._workers[number]
            status = await worker.process.wait()
            worker.link.close()
            if self._ending.is_set():
                return max(status, 0)
            if self._clock.monotonic() - worker.started_at >= _STABLE_SECONDS:
                pause = _FIRST_PAUSE
            _log.error("worker %d (process %d) has ended with status %d; it is started again in %g s",
                       number + 1, worker.process.pid, status, pause)
            if await self._told_to_end(pause):
                return max(status, 0)
            pause = min(2 * pause, _LONGEST_PAUSE)
            try:
                await self._start(number)
            except Failed as failure:
                _log.error("%s", failure)

    async def _told_to_end(self, seconds: float) -> bool:
        try:
            async with asyncio.timeout(seconds):
                return await self._ending.wait()
        except TimeoutError:
            return False
