"""Between the servers of a crash loop and those who need them: a connection that can fail, and a reader who changes servers."""
from __future__ import annotations

import asyncio
from asyncio import StreamReader, StreamWriter
from collections.abc import Sequence
from contextlib import suppress
from urllib.parse import urlsplit

from aiohttp import ClientError, ClientSession, ClientTimeout

from runtime.values import decode

_BLOCK = 65_536


class Line:
    """A TCP connection to a database, for one server. While it is down nothing comes through; it stalls or is refused."""

    def __init__(self, url: str) -> None:
        self._parts = urlsplit(url)
        self._is_up = asyncio.Event()
        self._is_up.set()
        self._writers: set[StreamWriter] = set()
        self._server: asyncio.Server | None = None

    async def open(self) -> str:
        """The address to give to the server in place of that of the database."""
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        port = self._server.sockets[0].getsockname()[1]
        return self._parts._replace(netloc=f"127.0.0.1:{port}", query="directConnection=true").geturl()

    def cut(self, *, stalls: bool) -> None:
        """What stalls comes through later, however late."""
        self._is_up.clear()
        if not stalls:
            self._drop()

    def mend(self) -> None:
        self._is_up.set()

    def close(self) -> None:
        if self._server is not None:
            self._server.close()
        self._drop()

    def _drop(self) -> None:
        for writer in self._writers:
            writer.transport.abort()

    async def _connected(self, reader: StreamReader, writer: StreamWriter) -> None:
        with suppress(OSError, asyncio.CancelledError):    # cancelled when the loop ends
            if not self._is_up.is_set():
                writer.transport.abort()
                return
            onward = await asyncio.open_connection(self._parts.hostname, self._parts.port)
            ends = {writer, onward[1]}
            self._writers |= ends
            await asyncio.gather(self._carry(reader, onward[1]), self._carry(onward[0], writer))
            self._writers -= ends

    async def _carry(self, reader: StreamReader, writer: StreamWriter) -> None:
        with suppress(OSError):
            while block := await reader.read(_BLOCK):
                await self._is_up.wait()
                writer.write(block)
                await writer.drain()
        writer.close()


class Reader:
    """Follows the events of a workspace as a browser does: when its stream ends or falls silent, it goes on at the next server,
    behind the last event it has seen."""

    def __init__(self, client: ClientSession, addresses: Sequence[str], token: str) -> None:
        self._client = client
        self._addresses = addresses
        self._token = token
        self._last = ""
        self.seen: list[int] = []
        self.changes = 0
        """How often it went to another server."""

    async def follow(self, since: str, silent_seconds: float) -> None:
        """Until cancelled."""
        self._last = since
        while True:
            with suppress(ClientError, OSError, TimeoutError):
                await self._read(self._addresses[self.changes % len(self._addresses)], silent_seconds)
            self.changes += 1
            await asyncio.sleep(0.05)

    async def _read(self, address: str, silent_seconds: float) -> None:
        headers = {"authorization": f"Bearer {self._token}", "accept": "text/event-stream", "last-event-id": self._last}
        timeout = ClientTimeout(total=None, sock_connect=silent_seconds, sock_read=silent_seconds)
        async with self._client.get(address, headers=headers, timeout=timeout) as stream:
            stream.raise_for_status()
            while message := await stream.content.readuntil(b"\n\n"):
                lines = dict(line.split(": ", 1) for line in message.decode().splitlines() if ": " in line)
                if "data" in lines:
                    self.seen.append(decode(lines["data"])["payload"]["n"])
                    self._last = lines["id"]
