"""The command line: serve, check, run, backup, restore, schema, config."""
from __future__ import annotations

import argparse
import asyncio
import logging
import os
import sys
from collections.abc import Coroutine, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from gateway import logs
from gateway.config import BadSettings, Settings
from gateway.tracing import NoTracing

_log = logging.getLogger("motorik")
OK, PROBLEMS, MISUSE = 0, 1, 2
_MOST_WORKERS = 64


def main(arguments: list[str] | None = None, environment: Mapping[str, str] = os.environ) -> int:
    """Run one command; its exit status."""
    options = _parser().parse_args(arguments)
    logs.configure()
    try:
        status = int(options.command(options, environment))
        sys.stdout.flush()
        return status
    except BrokenPipeError:
        # The reader has enough, as `head` does; what is still buffered must not fail once more at the exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return OK
    except (BadSettings, NoTracing) as error:
        print(error, file=sys.stderr)
        return MISUSE


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="motorik", description="Automations: YAML instructions behind webhooks, events and schedules.")
    parser.add_argument("--version", action="version", version=f"motorik {_version()}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    serve = commands.add_parser("serve", help="start the server, with the workspaces of a folder if one is given")
    serve.add_argument("folder", nargs="?", type=Path, metavar="DIR")
    serve.add_argument("--workers", type=_count, default=1, metavar="N", help="processes behind the one port (needs MongoDB; default 1)")
    serve.add_argument("--link", type=int, help=argparse.SUPPRESS)
    serve.set_defaults(command=_serve)
    check = commands.add_parser("check", help="tell what is wrong with a workspace, as file:line:column")
    check.add_argument("place", type=Path, metavar="FILE|DIR")
    check.set_defaults(command=_check)
    run = commands.add_parser("run", help="run one automation in memory; events go to stderr, the output to stdout")
    run.add_argument("file", type=Path, metavar="FILE")
    run.add_argument("automation", metavar="AUTOMATION")
    run.add_argument("--payload", default="{}", metavar="JSON", help="the arguments, a JSON object")
    run.set_defaults(command=_run)
    backup = commands.add_parser("backup", help="copy all facts into one file, beside a server that goes on working")
    backup.set_defaults(command=_backup)
    restore = commands.add_parser("restore", help="put the facts of a backup into the folder of STORAGE_URL; no server may hold it")
    restore.set_defaults(command=_restore)
    for command in (backup, restore):
        command.add_argument("file", type=Path, metavar="FILE")
        command.add_argument("--force", action="store_true", help="replace what is there")
    schema = commands.add_parser("schema", help="print the JSON Schema of a workspace, for editors")
    schema.set_defaults(command=_schema)
    config = commands.add_parser("config", help="print every setting, its value, where it comes from and what it is for")
    config.add_argument("--json", action="store_true", help="as a JSON list of {name, value, origin, meaning}")
    config.set_defaults(command=_config)
    return parser


def _count(text: str) -> int:
    number = int(text) if text.isdecimal() else 0
    if not 1 <= number <= _MOST_WORKERS:
        raise argparse.ArgumentTypeError(f"expected a whole number from 1 to {_MOST_WORKERS}")
    return number


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
    from gateway import serving
    from gateway.workers import Link
    settings = Settings.from_environment(environment)
    logs.configure(settings.log_format, settings.log_level)
    if options.folder is not None and not options.folder.exists():
        print(f"motorik: there is no {options.folder}", file=sys.stderr)
        return MISUSE
    if options.workers > 1 and not settings.is_shared:
        print(f"motorik: {settings.storage_url} belongs to one process; for {options.workers} workers use MongoDB, as in "
              "STORAGE_URL=mongodb://localhost:27017/motorik", file=sys.stderr)
        return MISUSE
    if options.workers > 1:
        return asyncio.run(serving.serve_together(settings, options.folder, options.workers, environment))
    link = Link(options.link) if options.link is not None else None
    return _in_loop(serving.serve(settings, options.folder, link))


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


# --- backup, restore -------------------------------------------------------------------------------


def _backup(options: argparse.Namespace, environment: Mapping[str, str]) -> int:
    from gateway.backup import backup
    return backup(Settings.from_environment(environment).storage_url, options.file, force=options.force)


def _restore(options: argparse.Namespace, environment: Mapping[str, str]) -> int:
    from gateway.backup import restore
    return restore(Settings.from_environment(environment).storage_url, options.file, force=options.force)


# --- schema, config --------------------------------------------------------------------------------


def _schema(options: argparse.Namespace, environment: Mapping[str, str]) -> int:
    from runtime.language.schema import document_schema
    from runtime.values import encode_indented
    print(encode_indented(document_schema()).decode())
    return OK


def _config(options: argparse.Namespace, environment: Mapping[str, str]) -> int:
    described = Settings.from_environment(environment).describe()
    if options.json:
        from runtime.values import encode_indented
        print(encode_indented([setting._asdict() for setting in described]).decode())
        return OK
    for name, value, origin, meaning in described:
        print(f"{name}={value}  # {origin}: {meaning}")
    return OK
