"""The command line: serve, check, run, schema, config."""
from __future__ import annotations

import argparse
import asyncio
import gc
import logging
import os
import signal
import sys
from collections.abc import Coroutine, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from gateway.config import BadSettings, Settings

_log = logging.getLogger("motorik")
OK, PROBLEMS, MISUSE = 0, 1, 2


def main(arguments: list[str] | None = None, environment: Mapping[str, str] = os.environ) -> int:
    """Run one command; its exit status."""
    options = _parser().parse_args(arguments)
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    _log.setLevel(logging.INFO)
    try:
        status = int(options.command(options, environment))
        sys.stdout.flush()
        return status
    except BrokenPipeError:
        # The reader has enough, as `head` does; what is still buffered must not fail once more at the exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return OK
    except BadSettings as error:
        print(error, file=sys.stderr)
        return MISUSE


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="motorik", description="Automations: YAML instructions behind webhooks, events and schedules.")
    parser.add_argument("--version", action="version", version=f"motorik {_version()}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    serve = commands.add_parser("serve", help="start the server, with the workspaces of a folder if one is given")
    serve.add_argument("folder", nargs="?", type=Path, metavar="DIR")
    serve.set_defaults(command=_serve)
    check = commands.add_parser("check", help="tell what is wrong with a workspace, as file:line:column")
    check.add_argument("place", type=Path, metavar="FILE|DIR")
    check.set_defaults(command=_check)
    run = commands.add_parser("run", help="run one automation in memory; events go to stderr, the output to stdout")
    run.add_argument("file", type=Path, metavar="FILE")
    run.add_argument("automation", metavar="AUTOMATION")
    run.add_argument("--payload", default="{}", metavar="JSON", help="the arguments, a JSON object")
    run.set_defaults(command=_run)
    schema = commands.add_parser("schema", help="print the JSON Schema of a workspace, for editors")
    schema.set_defaults(command=_schema)
    config = commands.add_parser("config", help="print every setting, its value, where it comes from and what it is for")
    config.set_defaults(command=_config)
    return parser


def _version() -> str:
    try:
        return version("motorik")
    except PackageNotFoundError:
        return "(not installed)"


def _in_loop(work: Coroutine[Any, Any, int]) -> int:
    """Run on the fastest event loop there is."""
    try:
        from uvloop import new_event_loop
    except ImportError:
        new_event_loop = asyncio.new_event_loop
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        return runner.run(work)


# --- serve -----------------------------------------------------------------------------------------


def _serve(options: argparse.Namespace, environment: Mapping[str, str]) -> int:
    settings = Settings.from_environment(environment)
    if options.folder is not None and not options.folder.exists():
        print(f"motorik: there is no {options.folder}", file=sys.stderr)
        return MISUSE
    return _in_loop(_served(settings, options.folder))


async def _served(settings: Settings, root: Path | None) -> int:
    from gateway import keys
    from gateway.app import build
    from gateway.folder import Folder
    from runtime.ids import RandomIds
    from store.errors import StoreError
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    secrets = keys.load(settings, RandomIds())
    try:
        server = await build(settings, secrets)
    except StoreError as error:
        print(f"motorik: the store cannot be opened: {error}", file=sys.stderr)
        return PROBLEMS
    gateway = server.gateway
    watching = None
    try:
        await server.open()
        if root is not None:
            folder = Folder(root, gateway.engine.catalog, gateway.clock, gateway.ids)
            await folder.refresh()
            watching = asyncio.create_task(folder.watch())
        await server.listen()
        _spare_the_collector()
        _say_where(settings, server.port, len(gateway.engine.catalog.all()), secrets)
        await stop.wait()
    except OSError as error:
        print(f"motorik: cannot listen on {settings.host}:{settings.port}: {error.strerror or error}", file=sys.stderr)
        return PROBLEMS
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)                # a second signal ends the process at once
        if watching is not None:
            watching.cancel()
        await server.stop()
    return OK


def _spare_the_collector() -> None:
    """Workspaces stay as they are and runs free themselves: looking for circles can be rare, and need not look at what was loaded."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 100)


def _say_where(settings: Settings, port: int, workspaces: int, secrets: Any) -> None:
    if secrets.made_admin_token:
        print(f"The admin token, shown this once: {secrets.admin_token}", flush=True)
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    print(f"Motorik serves {workspaces} workspaces on http://{host}:{port} (facts in {settings.storage_url})", flush=True)


# --- check -----------------------------------------------------------------------------------------


def _check(options: argparse.Namespace, environment: Mapping[str, str]) -> int:
    from gateway import folder
    from runtime.language.check import check_workspace
    try:
        places = list(folder.scan(options.place))
    except OSError as error:
        print(f"motorik: {options.place}: {error.strerror}", file=sys.stderr)
        return MISUSE
    broken = checked = 0
    for place in places:
        try:
            source = folder.read(place)
        except folder.Unreadable as error:
            print(error)
            broken, checked = broken + 1, checked + 1
            continue
        if place != options.place and place.is_file() and not folder.is_workspace(source.data):
            continue                                         # some other YAML file of the folder
        report = check_workspace(source)
        checked += 1
        broken += not report.is_accepted
        for problem in report.problems:
            print(problem)
        for warning in report.warnings:
            print(f"{warning} (warning)")
    print(f"{checked} checked, {broken} refused", file=sys.stderr)
    return PROBLEMS if broken or not checked else OK


# --- run -------------------------------------------------------------------------------------------


def _run(options: argparse.Namespace, environment: Mapping[str, str]) -> int:
    from gateway.bodies import json
    from gateway.folder import Unreadable
    from runtime.errors import AutomationsError
    settings = Settings.from_environment(environment)
    try:
        payload = json(options.payload.encode())
        if type(payload) is not dict:
            raise AutomationsError("--payload must be a JSON object")
        return _in_loop(_ran(settings, options.file, options.automation, payload))
    except (AutomationsError, Unreadable, OSError) as error:
        print(f"motorik: {error}", file=sys.stderr)
        return PROBLEMS


async def _ran(settings: Settings, file: Path, slug: str, payload: dict[str, Any]) -> int:
    """One run on a node that lives in memory, with everything it sets off."""
    from gateway import folder
    from gateway.auth import ADMIN
    from runtime.calls import Origin, Response
    from runtime.clock import SystemClock
    from runtime.engine import Engine
    from runtime.errors import AutomationsError
    from runtime.ids import RandomIds
    from runtime.outbound import Outbound
    from runtime.values import UNDEFINED, encode_indented
    from store import open as open_store
    from store.query import EVERYTHING
    clock, ids = SystemClock(), RandomIds()
    store = await open_store("memory:")
    engine = Engine(store=store, clock=clock, ids=ids, settings=settings.runtime, outbound=Outbound(settings.runtime),
                    mint_token=lambda identity, correlation_id, workspace_id, depth: "")
    await engine.start()
    status, output = OK, UNDEFINED
    try:
        origin = Origin(ids.correlation_id(clock.now()), ADMIN)
        result = await engine.catalog.import_definition(folder.read(file), owner=str(ADMIN.user_id), origin=origin)
        engine.feed(result.workspace.id).subscribe(EVERYTHING, _show)
        output = await engine.test(result.workspace.id, slug, payload, Origin(ids.correlation_id(clock.now()), ADMIN), Response())
    except AutomationsError as error:
        print(f"{error.wire}: {error.message}" + (f" {encode_indented(error.details).decode()}" if error.details else ""), file=sys.stderr)
        status = PROBLEMS
    finally:
        await engine.stop(settings.shutdown_grace_seconds)
        await store.close()
    if status == OK:
        print(encode_indented({} if output is UNDEFINED else output).decode())
    return status


def _show(live: Any) -> None:
    """One event as one line."""
    from runtime.values import encode
    event = live.event
    print(event["createdAt"][11:23], event["type"], encode(event.get("payload")).decode(), file=sys.stderr)


# --- schema, config --------------------------------------------------------------------------------


def _schema(options: argparse.Namespace, environment: Mapping[str, str]) -> int:
    from runtime.language.schema import document_schema
    from runtime.values import encode_indented
    print(encode_indented(document_schema()).decode())
    return OK


def _config(options: argparse.Namespace, environment: Mapping[str, str]) -> int:
    for name, value, origin, meaning in Settings.from_environment(environment).describe():
        print(f"{name}={value}  # {origin}: {meaning}")
    return OK
