"""The stage: a database of its own, the web server and the worker as deployed, the bare server; all removed after."""

from __future__ import annotations

import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from bench_support.load import Broken, ask, get
from marketplace import embedded

ROOT = Path(__file__).resolve().parent.parent.parent
READY_SECONDS = 60
STOP_SECONDS = 30


class Trouble(Exception):
    """One line that says what could not be brought up."""


@dataclass(frozen=True)
class Stage:
    owner_url: str
    environ: dict[str, str]
    folder: Path
    trace_keys: list[str]


@dataclass(frozen=True)
class Server:
    port: int
    pid: int

    def spread(self, client_ports: Sequence[int]) -> list[int]:
        """How many of the connections each worker holds; empty where the system does not tell."""
        children = Path(f"/proc/{self.pid}/task/{self.pid}/children")
        try:
            inodes = _inodes(self.port, set(client_ports))
            workers = children.read_text().split()
            return [len(inodes & _sockets(worker)) for worker in workers]
        except OSError:
            return []


def _inodes(port: int, client_ports: set[int]) -> set[str]:
    found = set()
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        parts = line.split()
        if int(parts[1][-4:], 16) == port and int(parts[2][-4:], 16) in client_ports:
            found.add(parts[9])
    return found


def _sockets(pid: str) -> set[str]:
    found = set()
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(OSError):
            target = os.readlink(entry)
            if target.startswith("socket:["):
                found.add(target[8:-1])
    return found


@contextmanager
def stage(cache_seconds: str) -> Iterator[Stage]:
    """A migrated and seeded database on the embedded server, or on the one that DATABASE_URL names."""
    with ExitStack() as stack:
        owner, app = os.environ.get("DATABASE_OWNER_URL"), os.environ.get("DATABASE_URL")
        if not app:
            running = stack.enter_context(embedded.running())
            owner, app = running.owner_url, running.app_url
        owner = owner or app
        name = f"bench_{secrets.token_hex(5)}"
        stack.callback(embedded.drop_database, owner, name)
        embedded.create_database(owner, name)
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="marketplace-bench-")))
        key = secrets.token_hex(32)
        environ = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "script")]),
            "MARKETPLACE_ENV": "development",
            "DATABASE_URL": embedded.with_database(app, name),
            "DATABASE_OWNER_URL": embedded.with_database(owner, name),
            "MARKETPLACE_STATE": str(folder),
            "TRACE_KEYS": key,
            "READ_CACHE_SECONDS": cache_seconds,
            "RATE_PER_MINUTE": "1000000000",
            "RATE_BURST": "1000000000",
        }
        for command in (["db", "upgrade"], ["seed", "--quiet"]):
            order = [sys.executable, "-m", "flask", "--app", "wsgi", *command]
            done = subprocess.run(order, cwd=ROOT, env=environ, capture_output=True, text=True, check=False)
            if done.returncode:
                raise Trouble(
                    f"flask {' '.join(command)}: {(done.stderr.strip() or 'failed').splitlines()[-1]}"
                )
        yield Stage(environ["DATABASE_OWNER_URL"].replace("+psycopg:", ":", 1), environ, folder, [key])


@contextmanager
def beside(stage: Stage, name: str, *order: str) -> Iterator[subprocess.Popen[bytes]]:
    """A process of the stage in a session of its own, its output in a file; ended with all its children."""
    environ = {k: v for k, v in stage.environ.items() if k != "DATABASE_OWNER_URL"}
    with (stage.folder / f"{name}.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", *order],
            cwd=ROOT,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


@contextmanager
def gunicorn(stage: Stage, name: str, application: str, probe: str) -> Iterator[Server]:
    """`application` under the settings of deployment, ready when `probe` answers 200."""
    port = _free_port()
    settings = ("--config", "marketplace/serving.py", "--bind", f"127.0.0.1:{port}")
    with beside(stage, name, "gunicorn", *settings, application) as process:
        until = time.monotonic() + READY_SECONDS
        while not _answers(port, probe):
            if process.poll() is not None or time.monotonic() > until:
                last = (stage.folder / f"{name}.log").read_text(errors="replace").strip().splitlines()[-1:]
                raise Trouble(f"{name} did not come up: {' '.join(last)}")
            time.sleep(0.1)
        yield Server(port, process.pid)


def _answers(port: int, path: str) -> bool:
    try:
        return ask(port, get(path))[0] == 200
    except (OSError, Broken):
        return False


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
