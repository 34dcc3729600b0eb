"""Real processes that are killed or stopped: connections are taken up again after it, and waits go on."""
from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession, ClientWebSocketResponse, TCPConnector, WSMsgType
from server import RealServer

WORKSPACE = """
name: Patient
id: patient
automations:
  hears:
    when: {events: [go]}
    do:
      - wait: {oneOf: [{event: answer}], output: got, timeout: 60}
      - emit: {event: ended, payload: {n: '{{got.payload.n}}', delivery: '{{run.deliveryId}}'}}
"""
PATH = "/v2/workspaces/patient/events"
OWNER = {"authorization": f"Bearer {RealServer.token}"}


@pytest.fixture
async def client() -> AsyncIterator[ClientSession]:
    async with ClientSession(headers=OWNER, connector=TCPConnector(force_close=True)) as session:
        yield session


async def _open(client: ClientSession, server: RealServer, *frames: dict[str, Any]) -> tuple[ClientWebSocketResponse, dict[str, Any]]:
    socket = await client.ws_connect(server.base + PATH)
    for frame in frames:
        await socket.send_json(frame)
    return socket, await _hear(socket, "welcome")


async def _hear(socket: ClientWebSocketResponse, op: str) -> dict[str, Any]:
    """The next frame of this kind."""
    while True:
        message = await socket.receive(timeout=5)
        assert message.type is WSMsgType.TEXT, message
        frame = json.loads(message.data)
        if frame["op"] == op:
            return frame


async def _emit(client: ClientSession, server: RealServer, type: str, n: int) -> None:
    async with client.post(server.base + PATH, json={"events": [{"type": type, "payload": {"n": n}}]}) as response:
        assert response.status == 200, await response.text()


async def test_after_a_kill_a_connection_is_resumed_and_a_wait_goes_on(tmp_path: Path, client: ClientSession) -> None:
    (tmp_path / "patient.yml").write_text(WORKSPACE)
    with RealServer(tmp_path / "data", str(tmp_path), SHUTDOWN_GRACE_SECONDS="1") as server:
        socket, welcome = await _open(client, server, {"op": "subscribe", "id": "f", "filters": {"types": ["go", "ended"]}})
        await _hear(socket, "subscribed")
        await _emit(client, server, "go", 1)
        assert (await _hear(socket, "event"))["event"]["payload"] == {"n": 1}
        server.kill()
        server.start()
        await _emit(client, server, "answer", 2)
        socket, again = await _open(client, server, {"op": "hello", "resume": welcome["resumeToken"]})
        assert (again["resumed"], again["socketId"]) == (True, welcome["socketId"])
        event = (await _hear(socket, "event"))["event"]
        if event["type"] == "go":                          # it may have come after the last save
            event = (await _hear(socket, "event"))["event"]
        assert event["payload"]["n"] == 2 and event["payload"]["delivery"].endswith(":hears")
        await socket.close()


async def test_a_connection_wanders_between_nodes_and_nothing_is_missed_or_comes_twice(tmp_path: Path, mongodb: str, client: ClientSession) -> None:
    (tmp_path / "patient.yml").write_text(WORKSPACE)
    with RealServer(tmp_path, str(tmp_path), STORAGE_URL=mongodb) as one:
        other = RealServer(tmp_path, STORAGE_URL=mongodb, API_URL=f"{one.base}/v2")
        with other:
            first, welcome = await _open(client, one, {"op": "subscribe", "id": "f", "filters": {"types": ["n"]}})
            await _hear(first, "subscribed")
            await _emit(client, other, "n", 1)
            assert (await _hear(first, "event"))["event"]["payload"] == {"n": 1}
            second, again = await _open(client, other, {"op": "hello", "resume": welcome["resumeToken"]})
            assert (again["resumed"], again["socketId"]) == (True, welcome["socketId"])
            assert (await _hear(first, "bye"))["code"] == 4010
            await first.close()
            await _hear(second, "caught_up")
            await _emit(client, one, "n", 2)
            assert (await _hear(second, "event"))["event"]["payload"] == {"n": 2}
            stopping = asyncio.create_task(asyncio.to_thread(other.stop))
            assert (await _hear(second, "bye"))["code"] == 1012
            await second.close()
            await stopping
        await _emit(client, one, "n", 3)
        third, again = await _open(client, one, {"op": "hello", "resume": welcome["resumeToken"]})
        assert again["resumed"] is True
        assert (await _hear(third, "event"))["event"]["payload"] == {"n": 3}
        await third.close()
