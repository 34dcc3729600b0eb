"""The examples and every command whose output the pages show, played against a server as a reader would."""
from __future__ import annotations

import os
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from documents import ROOT, Command, blocks, commands, pages, request
from server import RealServer

from gateway.cli import OK, main

EXAMPLES = ROOT / "examples"
_WORKSPACE = "yaml workspace "
"""Behind a fence: the block is a file, whose path in the clone follows."""


class Served:
    """A server with the examples and the workspaces of the pages, and a free port for the stand-in that it fetches."""

    def __init__(self, server: RealServer, clone: Path, slack_port: int) -> None:
        self._clone = clone
        self.variables = {"ADMIN_TOKEN": server.token}
        self.environment = {**os.environ, "MOTORIK": server.base, "SLACK_PORT": str(slack_port), "PYTHONPATH": str(ROOT)}
        self._base = server.base

    def prints(self, command: Command) -> str:
        if command.words[0] == "curl":
            return self._curl(command.words)
        before, arguments = command.words[:command.words.index("motorik")], command.words[command.words.index("motorik") + 1:]
        settings = dict(word.split("=", 1) for word in before if word != "env")
        done = subprocess.run([sys.executable, "-m", "gateway", *arguments], cwd=self._clone, env={**self.environment, **settings},
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        return done.stdout

    def _curl(self, words: list[str]) -> str:
        asked = request(words)
        call = urllib.request.Request(self._base + asked.path, asked.data, asked.headers, method=asked.method)
        try:
            with urllib.request.urlopen(call, timeout=30) as answer:
                return answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.read().decode()


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    clone = tmp_path_factory.mktemp("clone")
    folder = clone / EXAMPLES.name
    folder.mkdir()
    for index in EXAMPLES.glob("*/index.yml"):
        (folder / index.parent.name).symlink_to(index.parent)
    for page in pages():
        for block in blocks(page):
            if block.kind.startswith(_WORKSPACE):
                (clone / block.kind.removeprefix(_WORKSPACE)).write_text(block.text)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    slack = {"WORKSPACE_CONFIG_hubspot-to-slack_slackUrl": f"http://127.0.0.1:{port}/services/T000/B000/XXXX"}
    with RealServer(tmp_path_factory.mktemp("data"), str(folder), **slack) as server:
        yield Served(server, clone, port)


@pytest.mark.parametrize("example", sorted(path.parent.name for path in EXAMPLES.glob("*/drive.py")))
def test_an_example_does_what_its_script_expects(served: Served, example: str) -> None:
    done = subprocess.run([sys.executable, EXAMPLES / example / "drive.py"], env=served.environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.relative_to(ROOT).as_posix())
def test_a_page_shows_what_its_commands_print(served: Served, page: Path) -> None:
    for command in commands(page, served.variables):
        printed = served.prints(command)
        assert command.matches(printed), f"{command.block}: {' '.join(command.words)}\nshows:  {command.shown}\nprints: {printed}"


def test_nothing_is_wrong_with_the_examples(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(EXAMPLES)], {}) == OK
    assert capsys.readouterr().out == ""


def test_every_example_has_a_script_and_a_page_and_is_listed() -> None:
    listed = (EXAMPLES / "README.md").read_text()
    for index in EXAMPLES.glob("*/index.yml"):
        assert (index.parent / "drive.py").is_file() and (index.parent / "README.md").is_file()
        assert f"]({index.parent.name})" in listed
