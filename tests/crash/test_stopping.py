"""A server that is told to stop under load: whoever was let in is answered, nothing is done twice, and nobody is left hanging."""
from __future__ import annotations

import asyncio
import json
import signal
import time
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import pytest
from server import RealServer

WORKSPACE = """
name: Load
id: loading
automations:
  count: {when: {endpoint: true}, do: [{set: {name: global.n, value: 1, type: add}}], output: {n: '{{global.n}}'}}
  slow:
    when: {endpoint: true}
    do: [{wait: {oneOf: [{event: never}], timeout: 1}}, {set: {name: global.n, value: 1, type: add}}]
    output: {ok: 1}
  read: {when: {endpoint: true}, do: [], output: {n: '{{global.n}}'}}
"""


@dataclass
class Tally:
    """What became of the requests. `lost` were sent on an open connection and never answered."""

    done: int = 0
    refused: int = 0
    never_accepted: int = 0
    lost: list[str] = field(default_factory=list)


async def client(server: RealServer, path: str, tally: Tally, *, keeps: bool) -> None:
    """Ask without end, until there is nobody to connect to."""
    request = (f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 2\r\n"
               f"{'' if keeps else 'Connection: close' + chr(13) + chr(10)}\r\n{{}}").encode()
    while True:
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        except OSError:
            return
        is_first, goes_on = True, True
        while goes_on:
            try:
                writer.write(request)
                head = await reader.readuntil(b"\r\n\r\n")
                headers = dict(line.lower().split(": ", 1) for line in head.decode().split("\r\n")[1:] if line)
                body = json.loads(await reader.readexactly(int(headers["content-length"])))
            except (OSError, asyncio.IncompleteReadError) as error:
                if is_first and not getattr(error, "partial", b""):
                    tally.never_accepted += 1              # it was still queueing for the listening socket
                else:
                    tally.lost.append(repr(error))
                break
            status, is_first = int(head.split(b" ", 2)[1]), False
            if status == 200:
                tally.done += 1
            else:
                assert (status, body["error"], headers.get("retry-after")) == (503, "ServiceUnavailable", "1"), (head, body)
                tally.refused += 1
            goes_on = headers.get("connection") != "close"
        writer.close()


def serving(folder: Path, **environment: str) -> RealServer:
    (folder / "load.yml").write_text(WORKSPACE)
    return RealServer(folder / "data", str(folder), **environment)


async def counted(server: RealServer) -> int:
    async with aiohttp.ClientSession() as session, session.post(f"{server.base}/v2/workspaces/loading/webhooks/read") as answer:
        return (await answer.json())["n"]


async def close_code(socket: aiohttp.ClientWebSocketResponse) -> int | None:
    """Once the server has closed the connection."""
    async for _ in socket:
        pass
    return socket.close_code


@pytest.mark.parametrize("slow", [0, 8])
async def test_every_request_that_was_accepted_is_answered_and_counted_once(tmp_path: Path, slow: int) -> None:
    tally = Tally()
    with serving(tmp_path) as server:
        path = "/v2/workspaces/loading/webhooks/"
        clients = [asyncio.create_task(client(server, path + "count", tally, keeps=number % 4 != 0)) for number in range(16)]
        clients += [asyncio.create_task(client(server, path + "slow", tally, keeps=True)) for _ in range(slow)]
        async with aiohttp.ClientSession(headers={"authorization": f"Bearer {server.token}"}) as session, \
                session.ws_connect(f"{server.base}/v2/workspaces/loading/events") as socket:
            await socket.send_json({"op": "hello"})
            hearing = asyncio.create_task(close_code(socket))
            while tally.done < 200 and not any(one.done() for one in clients):
                await asyncio.sleep(0.01)
            server.process.send_signal(signal.SIGTERM)
            assert await asyncio.wait_for(hearing, 20) == 1012
        await asyncio.wait_for(asyncio.gather(*clients), 20)
        assert await asyncio.to_thread(server.process.wait, 20) == 0
        assert not tally.lost
        server.start()
        assert await counted(server) == tally.done


async def test_a_second_signal_ends_at_once(tmp_path: Path) -> None:
    with serving(tmp_path, SHUTDOWN_GRACE_SECONDS="60") as server:
        slow = asyncio.create_task(client(server, "/v2/workspaces/loading/webhooks/slow", Tally(), keeps=True))
        await asyncio.sleep(0.3)
        server.process.send_signal(signal.SIGTERM)
        await asyncio.sleep(0.2)
        began = time.monotonic()
        server.process.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(server.process.wait, 10) == -signal.SIGTERM
        assert time.monotonic() - began < 0.7
        await slow
