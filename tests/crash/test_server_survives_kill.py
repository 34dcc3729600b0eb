"""A real server, killed as by a power cut while it works: whatever it had acknowledged is there when it is back."""
from __future__ import annotations

import json
import threading
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from server import RealServer

WORKSPACE = {
    "name": "Crash", "id": "crashws", "automations": {
        "write": {"when": {"endpoint": True}, "do": [
            {"set": {"name": "global.numbers[]", "value": "{{body.n}}"}},
            {"emit": {"event": "number.written", "payload": {"n": "{{body.n}}"}}}], "output": {"n": "{{body.n}}"}},
        "hear": {"when": {"events": ["number.written"]}, "do": [{"set": {"name": "global.heard[]", "value": "{{payload.n}}"}}]},
        "read": {"when": {"endpoint": True}, "do": [], "output": {"numbers": "{{global.numbers}}", "heard": "{{global.heard}}"}}}}


def ask(server: RealServer, path: str, body: Any = None, method: str = "POST") -> Any:
    data = json.dumps(body).encode() if body is not None else None
    request = urllib.request.Request(server.base + path, data, method=method, headers={
        "content-type": "application/json", "authorization": f"Bearer {server.token}"})
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.loads(answer.read())


def test_what_was_acknowledged_survives_and_every_event_is_heard(tmp_path: Path) -> None:
    server = RealServer(tmp_path)
    server.start()
    workspace = ask(server, "/v2/workspaces/import", WORKSPACE)["workspace"]["id"]
    acknowledged: list[int] = []
    for cycle in range(3):
        def write(start: int) -> None:
            for n in range(start, start + 10_000):
                try:
                    acknowledged.append(ask(server, f"/v2/workspaces/{workspace}/webhooks/write", {"n": n})["n"])
                except (OSError, urllib.error.URLError):
                    return
        writers = [threading.Thread(target=write, args=(cycle * 100_000 + writer * 10_000,)) for writer in range(4)]
        enough = len(acknowledged) + 60 * (cycle + 1)
        for writer in writers:
            writer.start()
        while len(acknowledged) < enough:
            writers[0].join(0.005)
        server.kill()
        for writer in writers:
            writer.join()
        server.start()
    kept = ask(server, f"/v2/workspaces/{workspace}/webhooks/read", {})
    assert set(acknowledged) <= set(kept["numbers"])
    assert len(kept["numbers"]) == len(set(kept["numbers"]))
    found = ask(server, f"/v2/workspaces/{workspace}/events?types=number.written&limit=1000&sort=asc", method="GET")["result"]["events"]
    assert {event["payload"]["n"] for event in found} == set(kept["numbers"]) == set(kept["heard"])
    server.stop()
