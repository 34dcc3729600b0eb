"""Several real processes on one real store: what one node holds the others hand over, and what one knows all know."""
from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientConnectionError, ClientSession, TCPConnector
from server import RealServer

SHARED = """
name: Shared
id: shared1
automations:
  talk:
    when: {endpoint: true}
    do:
      - set: {name: run.pages, value: 1}
      - set: {name: $http, value: {chunk: {n: 1}}}
      - wait: {oneOf: [{event: go}], output: got, timeout: 60}
      - set: {name: $http, value: {chunk: '{{got.payload}}'}}
  turn:
    when: {endpoint: true}
    do: [{set: {name: run.pages, type: add, value: 1}}]
    output: {pages: '{{run.pages}}', body: '{{body}}', ip: '{{run.ip}}'}
"""
ROOT = Path(__file__).parents[2]
PATH = "/v2/workspaces/shared1"
OWNER = {"authorization": f"Bearer {RealServer.token}"}
KEPT = {"OVERWRITE_CORRELATION_ID_HEADER": "no", "RUN_LEASE_SECONDS": "2", "SHUTDOWN_GRACE_SECONDS": "1"}
JOB = {"x-correlation-id": "job-1"}


async def asked(client: ClientSession, method: str, url: str, status: int = 200, **more: Any) -> Any:
    async with client.request(method, url, **more) as response:
        assert response.status == status, await response.text()
        return await response.json()


@pytest.fixture
async def client() -> AsyncIterator[ClientSession]:
    async with ClientSession(connector=TCPConnector(force_close=True)) as session:
        yield session


async def test_two_nodes_are_one_server(tmp_path: Path, mongodb: str, client: ClientSession) -> None:
    (tmp_path / "shared.yml").write_text(SHARED)
    with RealServer(tmp_path, str(tmp_path), STORAGE_URL=mongodb, **KEPT) as one:
        with RealServer(tmp_path, STORAGE_URL=mongodb, API_URL=f"{one.base}/v2", **KEPT) as other:
            login = await asked(client, "POST", f"{one.base}/v2/login/anonymous", json={})
            token = {"authorization": f"Bearer {login['token']}"}
            assert (await asked(client, "GET", f"{other.base}/v2/me", headers=token))["id"] == login["id"]
            async with client.get(f"{other.base}{PATH}/events", headers={**token, "accept": "text/event-stream"}) as feed, \
                    client.post(f"{one.base}{PATH}/webhooks/talk", headers=JOB) as stream:
                assert await stream.content.readuntil(b"\n\n") == b'data: {"n":1}\n\n'
                # The run waits on the first node; what the second is asked is answered by the first.
                turned = await asked(client, "POST", f"{other.base}{PATH}/webhooks/turn", headers=JOB, json={"a": [1]})
                assert turned == {"pages": 2, "body": {"a": [1]}, "ip": "127.0.0.1"}
                events = {"events": [{"type": "go", "payload": {"n": 2}, "target": {"userId": login["id"]}}]}
                await asked(client, "POST", f"{other.base}{PATH}/events", json=events, headers={**OWNER, **JOB})
                assert await stream.read() == b'data: {"n":2}\n\n'
                assert b"event: go\n" in await feed.content.readuntil(b"\n\n") + await feed.content.readuntil(b"\n\n")
                await asked(client, "POST", f"{one.base}/v2/logout", headers=token)
                await feed.content.read()                 # ends, because its session has ended on the other node
            async with client.post(f"{one.base}{PATH}/webhooks/talk", headers=JOB) as stream:
                await stream.content.readuntil(b"\n\n")
                one.kill()
            async with asyncio.timeout(10):
                await _taken_over(client, f"{other.base}{PATH}/webhooks/turn")


async def _taken_over(client: ClientSession, url: str) -> None:
    """Until the survivor goes on with the run; before that it says when to come back."""
    while True:
        async with client.post(url, headers=JOB) as response:
            if response.status == 200:
                return
            assert response.status == 503 and response.headers["retry-after"], await response.text()


# --- workers ---------------------------------------------------------------------------------------


class Workers:
    """`serve --workers 2` as a process; `lines` is what it printed until it was ready."""

    def __init__(self, process: asyncio.subprocess.Process, lines: list[str]) -> None:
        self.process = process
        self.lines = lines
        self.base = next(word for word in lines[-1].split(" ") if word.startswith("http://"))

    def pids(self) -> set[int]:
        return {int(pid) for pid in Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()}


@asynccontextmanager
async def workers(storage_url: str, *folder: str) -> AsyncIterator[Workers]:
    environment = {**os.environ, "STORAGE_URL": storage_url, "PORT": "0", "DISABLE_RATE_LIMIT": "true", **KEPT}
    environment.pop("ADMIN_TOKEN", None)
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", "gateway", "serve", *folder, "--workers", "2", cwd=ROOT,
                                                   env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    lines = [(await process.stdout.readline()).decode()]
    while "serves" not in lines[-1]:
        assert lines[-1], (await process.communicate())[1].decode()
        lines.append((await process.stdout.readline()).decode())
    started = Workers(process, lines)
    try:
        yield started
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
        await process.communicate()


async def test_workers_share_a_port_and_are_started_again_and_end_together(tmp_path: Path, mongodb: str, client: ClientSession) -> None:
    (tmp_path / "shared.yml").write_text(SHARED)
    async with workers(mongodb, str(tmp_path)) as crew:
        assert len(crew.lines) == 2 and "admin token" in crew.lines[0] and "serves 1 workspaces" in crew.lines[1]
        first = crew.pids()
        assert len(first) == 2
        turns = [await asked(client, "POST", f"{crew.base}{PATH}/webhooks/turn", headers=JOB) for _ in range(12)]
        assert [turn["pages"] for turn in turns] == list(range(1, 13))
        os.kill(min(first), signal.SIGKILL)
        async with asyncio.timeout(20):
            while len(crew.pids()) < 2 or min(first) in crew.pids():
                await asyncio.sleep(0.05)
            await _all_ready(client, crew)
        crew.process.send_signal(signal.SIGTERM)
        assert await crew.process.wait() == 0
        with pytest.raises(ClientConnectionError):
            await asked(client, "GET", f"{crew.base}/sys/healthcheck")


async def _all_ready(client: ClientSession, crew: Workers) -> None:
    """Until the new one answers too: a dozen connections in a row."""
    good = 0
    while good < 12:
        async with client.get(f"{crew.base}/v2/readiness") as response:
            good = good + 1 if response.status == 200 else 0


async def test_workers_do_not_outlive_who_started_them(mongodb: str) -> None:
    async with workers(mongodb) as crew:
        pids = crew.pids()
        crew.process.kill()
        await crew.process.wait()
        async with asyncio.timeout(20):
            while any(_is_alive(pid) for pid in pids):
                await asyncio.sleep(0.05)


def _is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
