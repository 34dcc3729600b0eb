"""Every store there is, for the tests that hold for all of them: fixtures, and the MongoDB server behind one of them."""
from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

import pytest
from pymongo import MongoClient
from pymongo.errors import PyMongoError

import store as stores
from store.protocol import Store

KINDS = ("memory", "file", "mongodb")
_PATIENCE_SECONDS = 30


@pytest.fixture(scope="session")
def mongodb_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a MongoDB server: the one of TEST_MONGODB_URL, else a `mongod` of our own, else one that speaks its language."""
    given = os.environ.get("TEST_MONGODB_URL")
    if given:
        yield given
        return
    folder, port = tmp_path_factory.mktemp("mongodb"), _free_port()
    is_real = shutil.which("mongod") is not None
    with (folder / "output").open("wb") as output:
        process = subprocess.Popen(_mongod(folder, port) if is_real else _nx(folder, port), cwd=folder, stdout=output, stderr=output)
    try:
        _wait_until_it_answers(process, port, folder, initiate=is_real)
        yield f"mongodb://127.0.0.1:{port}"
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _mongod(folder: Path, port: int) -> list[str]:
    """A replica set of one member: what MongoDB needs to tell what was acknowledged from what was only written."""
    data = folder / "data"
    data.mkdir()
    return ["mongod", "--replSet", "tests", "--port", str(port), "--bind_ip", "127.0.0.1", "--dbpath", str(data)]


def _nx(folder: Path, port: int) -> list[str]:
    return ["nx-27017", "--data-dir", str(folder / "data"), "-p", str(port), "--log-file", str(folder / "log"), "--pid-file", str(folder / "pid")]


def _wait_until_it_answers(process: subprocess.Popen[bytes], port: int, folder: Path, *, initiate: bool) -> None:
    deadline = time.monotonic() + _PATIENCE_SECONDS
    with closing(MongoClient(f"mongodb://127.0.0.1:{port}/?directConnection=true", serverSelectionTimeoutMS=500)) as client:
        while True:
            try:
                if client.admin.command("hello").get("isWritablePrimary"):
                    return
                if initiate:
                    initiate = False
                    client.admin.command("replSetInitiate", {"_id": "tests", "members": [{"_id": 0, "host": f"127.0.0.1:{port}"}]})
            except PyMongoError:
                pass                                       # not yet
            if process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError((folder / "output").read_text())
            time.sleep(0.05)


@pytest.fixture
def mongodb(mongodb_server: str) -> Iterator[str]:
    """The address of a database that nobody used before. It is dropped afterwards."""
    parts, name = urlsplit(mongodb_server), f"motorik-test-{uuid4().hex[:12]}"
    yield parts._replace(path=f"/{name}").geturl()
    with closing(MongoClient(mongodb_server, directConnection="," not in parts.netloc)) as client:
        client.drop_database(name)


@pytest.fixture(params=KINDS)
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of an empty store, of each kind in turn."""
    match request.param:
        case "memory":
            return "memory:"
        case "file":
            return f"file:{tmp_path}/data"
    return request.getfixturevalue("mongodb")


@pytest.fixture
async def store(store_url: str) -> AsyncIterator[Store]:
    opened = await stores.open(store_url)
    yield opened
    await opened.close()
