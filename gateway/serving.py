"""The command `serve`: a node as a process, or several of them behind one port."""
from __future__ import annotations

import asyncio
import gc
import signal
import socket
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from yarl import URL

import store as stores
from gateway import keys
from gateway.app import Server, build
from gateway.config import Settings, without_password
from gateway.folder import Folder
from gateway.keys import Keys
from gateway.workers import Crew, Failed, Link, reserve
from runtime.clock import SystemClock
from runtime.ids import RandomIds
from store.errors import StoreError
from store.protocol import Store

OK, PROBLEMS = 0, 1
_SIGNALS = (signal.SIGTERM, signal.SIGINT)


async def serve(settings: Settings, root: Path | None, link: Link | None = None) -> int:
    """Be a node until a signal comes; its exit status. `link` ties a worker to the process that started it."""
    stop = asyncio.Event()
    _on_signals(stop.set)
    try:
        opened = await stores.open(settings.storage_url, durability=settings.storage_durability, expire_by_index=True)
    except StoreError as error:
        return _problem(f"the store cannot be opened: {error}")
    door = url = None
    if link is not None or opened.cluster is not None and not settings.port:
        door, url = _own_door(settings)
        if not settings.runtime.internal_api_url:
            settings = replace(settings, runtime=replace(settings.runtime, internal_api_url=url + "/v2"))
    try:
        secrets = await _keys(settings, opened)
        server = await build(settings, secrets, store=opened, url=url or "")
    except StoreError as error:
        return _problem(f"the store failed: {error}")
    companions: list[asyncio.Task[None]] = []
    try:
        await server.open()
        if root is not None:
            companions.append(await _follow(root, server))
        await server.listen(door)
        _spare_the_collector()
        workspaces = len(server.gateway.engine.catalog.all())
        if link is None:
            _say_where(settings, server.port, workspaces)
        else:
            companions.append(asyncio.create_task(_tie(link, stop)))
            link.ready(workspaces)
        await stop.wait()
    except StoreError as error:
        return _problem(f"the store failed: {error}")
    except OSError as error:
        return _problem(f"cannot listen on {settings.host}:{settings.port}: {error.strerror or error}")
    finally:
        _off_signals()                                        # a second signal ends the process at once
        for companion in companions:
            companion.cancel()
        await server.stop()
    return OK


async def serve_together(settings: Settings, root: Path | None, count: int, environment: Mapping[str, str]) -> int:
    """Start `count` workers behind one port, and start those again that die, until a signal comes; the exit status."""
    try:
        port = reserve(settings.host, settings.port)
    except OSError as error:
        return _problem(f"cannot listen on {settings.host}:{settings.port}: {error.strerror or error}")
    with port:
        number = int(port.getsockname()[1])
        crew = Crew(environment, SystemClock(), port=number, folder=root)
        _on_signals(crew.end)
        try:
            opened = await stores.open(settings.storage_url, durability=settings.storage_durability, expire_by_index=True)
            try:
                await _keys(settings, opened)
            finally:
                await opened.close()
            _say_where(settings, number, await crew.start(count))
        except StoreError as error:
            return _problem(f"the store cannot be opened: {error}")
        except Failed as failure:
            status = OK if crew.is_ending else _problem(str(failure))
            crew.end()
            await crew.ended()
            return status
        return await crew.ended()


async def _keys(settings: Settings, opened: Store) -> Keys:
    """The keys; an admin token that was made just now is shown at once, since nobody ever shows it again."""
    ids = RandomIds()
    secrets = keys.load(settings, ids) if opened.cluster is None else await keys.agree(settings, ids, opened.cluster)
    if secrets.made_admin_token:
        print(f"The admin token, shown this once: {secrets.admin_token}", flush=True)
    return secrets


async def _follow(root: Path, server: Server) -> asyncio.Task[None]:
    """Serve what the folder holds, and what changes in it."""
    gateway = server.gateway
    folder = Folder(root, gateway.engine.catalog, gateway.clock, gateway.ids)
    await folder.refresh()
    return asyncio.create_task(folder.watch())


async def _tie(link: Link, stop: asyncio.Event) -> None:
    await link.cut()
    stop.set()


def _own_door(settings: Settings) -> tuple[socket.socket, str]:
    """A port of this node's own, for what the others pass on, and its address. It is open to other machines if NODE_URL is set."""
    host = settings.host if settings.node_url else "127.0.0.1"
    door = socket.create_server((host, 0), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    return door, str(URL(settings.node_url or "http://127.0.0.1").with_port(door.getsockname()[1])).rstrip("/")


def _on_signals(callback: Callable[[], None]) -> None:
    loop = asyncio.get_running_loop()
    for number in _SIGNALS:
        loop.add_signal_handler(number, callback)


def _off_signals() -> None:
    loop = asyncio.get_running_loop()
    for number in _SIGNALS:
        loop.remove_signal_handler(number)


def _spare_the_collector() -> None:
    """Workspaces stay as they are and runs free themselves: looking for circles can be rare, and need not look at what was loaded."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 100)


def _say_where(settings: Settings, port: int, workspaces: int) -> None:
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    facts = without_password(settings.storage_url)
    print(f"Motorik serves {workspaces} workspaces on http://{host}:{port} (facts in {facts})", flush=True)


def _problem(sentence: str) -> int:
    print(f"motorik: {sentence}", file=sys.stderr)
    return PROBLEMS
