"""A real server process for tests that need one: its own port, its own data folder, killed or stopped at the end."""
from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path


class RealServer:
    """`with RealServer(folder) as server:` gives `server.base` and `server.token`. `module` is what Python runs."""

    token = "token-of-the-tests"

    def __init__(self, data: Path, *arguments: str, module: tuple[str, ...] = ("gateway", "serve"), **environment: str) -> None:
        self.module, self._arguments = module, arguments
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.base = f"http://127.0.0.1:{self.port}"
        self._environment = {**os.environ, "PORT": str(self.port), "API_URL": f"{self.base}/v2", "STORAGE_URL": f"file:{data}",
                             "ADMIN_TOKEN": self.token, "DISABLE_RATE_LIMIT": "true", "FETCH_ALLOWED_HOSTS": "127.0.0.1", **environment}
        self.process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> RealServer:
        self.start()
        return self

    def __exit__(self, *failure: object) -> None:
        self.stop()

    def begin(self) -> None:
        """Start it, and do not wait until it answers."""
        self._output = tempfile.TemporaryFile()            # a pipe that nobody reads would stop a server that has much to say
        self.process = subprocess.Popen([sys.executable, "-m", *self.module, *self._arguments], env=self._environment,
                                        cwd=Path(__file__).parents[1], stdout=subprocess.DEVNULL, stderr=self._output)

    def start(self) -> None:
        self.begin()
        deadline = time.monotonic() + 20
        while True:
            try:
                urllib.request.urlopen(self.base + "/sys/healthcheck", timeout=1).close()
                return
            except OSError:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    self.process.kill()
                    self._output.seek(0)
                    raise AssertionError(self._output.read().decode()) from None
                time.sleep(0.02)

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.communicate(timeout=20)

    def kill(self) -> None:
        """As a power cut would."""
        self.process.kill()
        self.process.communicate(timeout=20)
