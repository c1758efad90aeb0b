"""The application as it runs in production: gunicorn with two workers on a database of its own."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import requests

CHECKOUT = Path(__file__).resolve().parent.parent
PASSWORD = "pingliang-demo-2026"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Site:
    """A client of one running site that keeps the tokens of its users."""

    def __init__(self, base: str) -> None:
        self.base = base
        self.tokens: dict[str, str] = {}

    def call(self, method: str, path: str, user: str | None = None, **kwargs: Any) -> requests.Response:
        headers = dict(kwargs.pop("headers", {}))
        if user is not None:
            headers["Authorization"] = f"Bearer {self.token(user)}"
        return requests.request(method, f"{self.base}/api/v1{path}", headers=headers, timeout=120, **kwargs)

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
def running_site(env: dict[str, str]) -> Iterator[Site]:
    """Start gunicorn with `env`; stopped by SIGTERM at the end."""
    port = free_port()
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "gunicorn",
            "-c",
            "marketplace/serving.py",
            "-b",
            f"127.0.0.1:{port}",
            "wsgi:app",
        ],
        cwd=CHECKOUT,
        env={**os.environ, **env, "PORT": str(port)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    site = Site(f"http://127.0.0.1:{port}")
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
