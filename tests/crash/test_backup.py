"""A backup of a real server under load: what was acknowledged before it began is in it."""
from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from server import RealServer

from gateway.cli import main

WORKSPACE = {
    "name": "Backup", "id": "backupws", "automations": {
        "write": {"when": {"endpoint": True}, "do": [{"set": {"name": "global.numbers[]", "value": "{{body.n}}"}}],
                  "output": {"n": "{{body.n}}"}},
        "read": {"when": {"endpoint": True}, "do": [], "output": {"numbers": "{{global.numbers}}"}}}}


def ask(server: RealServer, path: str, body: Any) -> Any:
    request = urllib.request.Request(server.base + path, json.dumps(body).encode(), headers={
        "content-type": "application/json", "authorization": f"Bearer {server.token}"})
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.loads(answer.read())


def motorik(data: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "gateway", *arguments], cwd=Path(__file__).parents[2], capture_output=True, text=True,
                          env={**os.environ, "STORAGE_URL": f"file:{data}"}, check=False)


def test_a_backup_under_load_is_restored_elsewhere_with_everything_acknowledged_before_it(
        tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first, second, file = tmp_path / "first", tmp_path / "second", tmp_path / "backup"
    acknowledged: list[int] = []
    with RealServer(first) as server:
        workspace = ask(server, "/v2/workspaces/import", WORKSPACE)["workspace"]["id"]

        def write(start: int) -> None:
            for n in range(start, start + 10_000):
                try:
                    acknowledged.append(ask(server, f"/v2/workspaces/{workspace}/webhooks/write", {"n": n})["n"])
                except (OSError, urllib.error.URLError):
                    return

        writers = [threading.Thread(target=write, args=(number * 10_000,)) for number in range(3)]
        for writer in writers:
            writer.start()
        while len(acknowledged) < 60:
            writers[0].join(0.005)
        before = set(acknowledged)
        made = motorik(first, "backup", str(file))
        assert made.returncode == 0, made.stderr
        assert "complete" in made.stdout
        assert main(["restore", str(file), "--force"], {"STORAGE_URL": f"file:{first}"}) == 1
        assert "in use by process" in capsys.readouterr().err
        server.kill()
        for writer in writers:
            writer.join()
    assert len(acknowledged) > len(before)
    assert main(["backup", str(file)], {"STORAGE_URL": f"file:{first}"}) == 1
    assert "--force" in capsys.readouterr().err
    assert main(["restore", str(file)], {"STORAGE_URL": f"file:{second}"}) == 0
    with RealServer(second) as server:
        kept = ask(server, f"/v2/workspaces/{workspace}/webhooks/read", {})
    assert before <= set(kept["numbers"])
    assert len(kept["numbers"]) == len(set(kept["numbers"]))


def test_only_a_folder_is_copied(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["backup", str(tmp_path / "file")], {"STORAGE_URL": "memory:"}) == 1
    assert "folder" in capsys.readouterr().err
