"""The command line, from the outside: what it prints, and with which status it ends."""
from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
from server import RealServer

from gateway.cli import MISUSE, OK, PROBLEMS, main

GREET = "name: Greet\nid: greet-1\nautomations:\n  hello:\n    when: {endpoint: true}\n    do:\n      - emit: {event: greeted, payload: {who: '{{who}}'}}\n" \
        "    output: {text: 'Hi {{who}}'}\n  bad:\n    do: [{missing: {}}]\n"


@pytest.fixture
def greet(tmp_path: Path) -> Path:
    file = tmp_path / "greet.yml"
    file.write_text(GREET)
    return file


def test_check_says_nothing_bad_about_a_good_file(greet: Path, capsys: pytest.CaptureFixture[str]) -> None:
    greet.write_text(GREET.replace("missing", "hello"))
    assert main(["check", str(greet)], {}) == OK
    assert capsys.readouterr().out == ""


def test_check_prints_every_problem_with_its_place(greet: Path, capsys: pytest.CaptureFixture[str]) -> None:
    greet.write_text("name: Greet\nautomations:\n  hello:\n    do: 7\n  other:\n    private: 3\n")
    assert main(["check", str(greet)], {}) == PROBLEMS
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(": ")[0] for line in lines] == [f"{greet}:4:9", f"{greet}:5:3", f"{greet}:6:14"]


def test_check_warns_of_what_fails_when_it_is_reached_and_accepts_it(greet: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(greet.parent)], {}) == OK
    out = capsys.readouterr().out
    assert f"{greet}:10:" in out and "(warning)" in out


def test_check_tells_what_is_no_yaml(greet: Path, capsys: pytest.CaptureFixture[str]) -> None:
    greet.write_text("automations: [\n")
    assert main(["check", str(greet)], {}) == PROBLEMS
    assert f"{greet}:2:1: not-yaml" in capsys.readouterr().out


def test_check_of_nothing_is_no_success(tmp_path: Path) -> None:
    assert main(["check", str(tmp_path / "absent.yml")], {}) == MISUSE
    assert main(["check", str(tmp_path)], {}) == PROBLEMS


def test_run_prints_events_and_then_the_output(greet: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", str(greet), "hello", "--payload", '{"who": "Ada"}'], {}) == OK
    out, err = capsys.readouterr()
    assert json.loads(out) == {"text": "Hi Ada"}
    types = [line.split(" ")[1] for line in err.splitlines()]
    assert types == ["runtime.interactions.triggered", "greeted", "runtime.automations.executed"]


@pytest.mark.parametrize(("arguments", "told"), [
    (["bad"], "ObjectNotFoundError"), (["absent"], "ObjectNotFoundError"), (["hello", "--payload", "{"], "Malformed JSON"),
    (["hello", "--payload", "[1]"], "must be a JSON object")])
def test_run_tells_why_it_failed(greet: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], told: str) -> None:
    assert main(["run", str(greet), *arguments], {}) == PROBLEMS
    out, err = capsys.readouterr()
    assert out == "" and told in err


def test_schema_prints_what_editors_read(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["schema"], {}) == OK
    schema = json.loads(capsys.readouterr().out)
    assert schema["$schema"].startswith("https://json-schema.org/") and "fetch" in schema["$defs"]["instruction"]["properties"]


def test_a_reader_that_has_enough_is_no_error() -> None:
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "w") as nobody_listens:
        done = subprocess.run([sys.executable, "-m", "gateway", "config"], stdout=nobody_listens, stderr=subprocess.PIPE, text=True,
                              cwd=Path(__file__).parents[2], check=False)
    assert (done.returncode, done.stderr) == (OK, "")


def test_schema_and_config_print_what_they_are_for(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["schema"], {}) == OK
    assert "automations" in json.loads(capsys.readouterr().out)["properties"]
    assert main(["config"], {"PORT": "9000", "JWT_SECRET": "hush"}) == OK
    out = capsys.readouterr().out
    assert "PORT=9000  # environment: port to listen on" in out and "hush" not in out


def test_a_bad_setting_ends_every_command_that_reads_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["config"], {"PORT": "x"}) == MISUSE == main(["serve"], {"PORT": "x"})
    assert "PORT='x': expected a whole number" in capsys.readouterr().err


def test_serve_keeps_its_facts_and_reloads_its_files(greet: Path, tmp_path: Path) -> None:
    def hello() -> dict[str, str]:
        request = urllib.request.Request(f"{server.base}/v2/workspaces/greet-1/webhooks/hello", b"{}", {"content-type": "application/json"})
        with urllib.request.urlopen(request, timeout=5) as answer:
            return json.loads(answer.read())

    with RealServer(tmp_path / "data", str(greet.parent)) as server:
        assert hello() == {"text": "Hi "}
        greet.write_text(GREET.replace("Hi", "Hello"))
        deadline = time.monotonic() + 5
        while hello() != {"text": "Hello "}:
            assert time.monotonic() < deadline
        server.stop()
        assert server.process is not None and server.process.returncode == 0
        server.start()
        assert hello() == {"text": "Hello "}


def test_serve_prints_the_admin_token_once_and_where_to_look(tmp_path: Path) -> None:
    def serve() -> list[str]:
        environment = {**os.environ, "PORT": "0", "STORAGE_URL": f"file:{tmp_path / 'data'}"}
        environment.pop("ADMIN_TOKEN", None)
        process = subprocess.Popen([sys.executable, "-m", "gateway", "serve"], env=environment, cwd=Path(__file__).parents[2],
                                   stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        assert process.stdout is not None
        lines = [process.stdout.readline()]
        while "serves" not in lines[-1]:
            lines.append(process.stdout.readline())
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 0
        process.stdout.close()
        return lines

    first, second = serve(), serve()
    assert len(first) == 2 and (tmp_path / "data" / "admin-token").read_text() in first[0]
    assert len(second) == 1 and "http://127.0.0.1:" in second[0]


def test_a_port_that_is_taken_is_told_in_one_line(tmp_path: Path) -> None:
    with RealServer(tmp_path / "data") as server:
        environment = {**os.environ, "PORT": str(server.port), "STORAGE_URL": f"file:{tmp_path / 'other'}", "ADMIN_TOKEN": "x"}
        ended = subprocess.run([sys.executable, "-m", "gateway", "serve"], env=environment, cwd=Path(__file__).parents[2],
                               capture_output=True, text=True, timeout=20, check=False)
    assert ended.returncode == PROBLEMS and "cannot listen on 127.0.0.1" in ended.stderr and "Traceback" not in ended.stderr
