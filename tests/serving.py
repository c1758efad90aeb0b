"""The application as it runs in production: gunicorn with two workers on a database of its own."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import requests

CHECKOUT = Path(__file__).resolve().parent.parent
PASSWORD = "pingliang-demo-2026"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Site:
    """A client of one running site that keeps the tokens of its users."""

    def __init__(
        self, base: str, log: IO[bytes] | None = None, process: subprocess.Popen[bytes] | None = None
    ) -> None:
        self.base = base
        self.process = process
        self._log = log
        self.tokens: dict[str, str] = {}

    def call(self, method: str, path: str, user: str | None = None, **kwargs: Any) -> requests.Response:
        headers = dict(kwargs.pop("headers", {}))
        if user is not None:
            headers["Authorization"] = f"Bearer {self.token(user)}"
        return requests.request(method, f"{self.base}/api/v1{path}", headers=headers, timeout=120, **kwargs)

    def defects(self) -> list[str]:
        """What the server logged of errors that it did not expect: for a test that saw a 500."""
        if self._log is None:
            return []
        # At a place of its own: the server goes on writing at the end.
        said = os.pread(self._log.fileno(), os.fstat(self._log.fileno()).st_size, 0).decode(errors="replace")
        return [line for line in said.splitlines() if '"error"' in line or "Traceback" in line]

    def token(self, user: str) -> str:
        if user not in self.tokens:
            answer = self.call("POST", "/tokens", json={"username": user, "password": PASSWORD})
            assert answer.status_code == 201, answer.text
            self.tokens[user] = answer.json()["token"]
        return self.tokens[user]

    def get(self, path: str, user: str | None = None, **kwargs: Any) -> Any:
        answer = self.call("GET", path, user, **kwargs)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def post(self, path: str, user: str, body: Any = None, status: int = 200, **kwargs: Any) -> Any:
        answer = self.call("POST", path, user, json=body, **kwargs)
        assert answer.status_code == status, f"{path}: {answer.status_code} {answer.text}"
        return answer.json()


@contextmanager
def running_site(env: dict[str, str], application: str = "wsgi:app") -> Iterator[Site]:
    """Start gunicorn with `env`; stopped by SIGTERM at the end, unless the test has stopped it."""
    port = free_port()
    log = tempfile.TemporaryFile()  # noqa: SIM115 - closed below, once the process has ended
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "gunicorn",
            "-c",
            "marketplace/serving.py",
            "-b",
            f"127.0.0.1:{port}",
            application,
        ],
        cwd=CHECKOUT,
        env={**os.environ, **env, "PORT": str(port)},
        stdout=log,
        stderr=subprocess.STDOUT,
    )
    site = Site(f"http://127.0.0.1:{port}", log, process)
    try:
        deadline = time.monotonic() + 120
        while True:
            try:
                if requests.get(f"{site.base}/livez", timeout=10).status_code == 200:
                    break
            except (requests.ConnectionError, requests.Timeout):
                pass
            assert process.poll() is None, "gunicorn ended before it answered"
            assert time.monotonic() < deadline, "gunicorn did not answer in 120 s"
            time.sleep(0.1)
        yield site
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(120)
        log.close()
