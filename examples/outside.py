"""What the driving scripts share: HTTP calls to the server, and a stand-in for somebody else's API."""
from __future__ import annotations

import json
import os
import threading
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

BASE = os.environ.get("MOTORIK", "http://127.0.0.1:8700")


def post(path: str, body: Any = None, headers: dict[str, str] | None = None, raw: bytes | None = None) -> tuple[int, Any]:
    """POST JSON; status and decoded answer, error statuses included."""
    data = raw if raw is not None else json.dumps({} if body is None else body).encode()
    request = urllib.request.Request(BASE + path, data, {"content-type": "application/json", **(headers or {})})
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, json.loads(answer.read() or b"null")
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read() or b"null")


def webhook(workspace: str, endpoint: str) -> str:
    return f"/v2/workspaces/{workspace}/webhooks/{endpoint}"


class StandIn:
    """A little HTTP server that prints and keeps what it is sent, and answers "ok" as Slack does."""

    def __init__(self, port: int) -> None:
        received = self.received = []

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers.get("content-length", 0))))
                received.append(body)
                print("the stand-in received:", json.dumps(body, indent=2))
                self.send_response(200)
                self.send_header("content-type", "text/plain")
                self.end_headers()
                self.wfile.write(b"ok")

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
