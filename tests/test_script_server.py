"""`script/server` in a copy of the checkout: it comes up, stops whole, comes up again quickly, and refuses in one line.

The copy borrows the packages of the running Python, so no registry is asked but for the trial gateway, where the checkout
has none. Comes up three times: about three quarters of a minute.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import sysconfig
import tempfile
import time
import venv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest
import requests

from tests.faults.speed import SiteTrader
from tests.serving import CHECKOUT, free_port
from tests.serving import Site as Client

TREE = ("marketplace", "catalog_seed", "script", "wsgi.py", "Procfile", "requirements.txt")
PROGRAMS = ("flask", "gunicorn", "honcho")


@dataclass
class Copy:
    """A copy of the checkout with a state folder of its own."""

    root: Path
    state: Path

    def environment(self, port: int) -> dict[str, str]:
        settings = ("DATABASE_URL", "DATABASE_OWNER_URL", "MARKETPLACE_ENV")
        inherited = {name: value for name, value in os.environ.items() if name not in settings}
        return {**inherited, "MARKETPLACE_STATE": str(self.state), "PORT": str(port)}

    def run(self, port: int, *interpreter: str) -> subprocess.CompletedProcess[str]:
        """A start that is expected to end by itself."""
        return subprocess.run(
            [sys.executable, *interpreter, str(self.root / "script" / "server")],
            env=self.environment(port),
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )


@pytest.fixture
def copy() -> Iterator[Copy]:
    # pytest's own temporary folders are private, so root's system user could not enter them.
    folder = Path(tempfile.mkdtemp(prefix="script-server-"))
    folder.chmod(0o711)
    root = folder / "checkout"
    root.mkdir()
    for name in TREE:
        source = CHECKOUT / name
        if source.is_dir():
            shutil.copytree(source, root / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy2(source, root / name)
    yield Copy(root, folder / "state")
    shutil.rmtree(folder)


def lend_packages(copy: Copy) -> None:
    """A Python environment for the copy that has everything installed already."""
    folder = copy.root / ".venv"
    venv.create(folder, symlinks=True)
    packages = folder / "lib" / f"python3.{sys.version_info.minor}" / "site-packages"
    (packages / "lent.pth").write_text(sysconfig.get_path("purelib") + "\n")
    for name in PROGRAMS:
        (folder / "bin" / name).symlink_to(Path(sysconfig.get_path("scripts")) / name)
    locked = hashlib.sha256((copy.root / "requirements.txt").read_bytes()).hexdigest()
    (folder / "installed.json").write_text(json.dumps({"requirements.txt": locked}))


class Site:
    """`script/server`, running."""

    def __init__(self, copy: Copy, *wishes: str) -> None:
        self.copy = copy
        self.port = free_port()
        self.begun = time.monotonic()
        self.log = copy.root.parent / f"log-{self.port}"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, str(copy.root / "script" / "server"), *wishes],
                env=copy.environment(self.port),
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def ready(self, seconds: float) -> float:
        """Waits until it says that it is up; returns the seconds since its start."""
        while "The marketplace is up" not in self.log.read_text():
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < self.begun + seconds, self.log.read_text()
            time.sleep(0.05)
        return time.monotonic() - self.begun

    def computed(self) -> float:
        """Seconds of computing that the start itself took, with the commands that it waited for."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")

    def get(self, path: str) -> requests.Response:
        return requests.get(f"http://127.0.0.1:{self.port}{path}", timeout=60)

    def facts(self) -> tuple[int, int]:
        """How many facts there are, and the number of the last one."""
        printed = subprocess.run(
            [sys.executable, "-m", "marketplace.embedded", "urls"],
            cwd=self.copy.root,
            env=self.copy.environment(self.port),
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        url = printed.split("DATABASE_OWNER_URL=")[1].strip()
        with psycopg.connect(url) as connection:
            found = connection.execute("select count(*), max(number) from fact").fetchone()
        assert found
        return int(found[0]), int(found[1])

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(120)

    def left(self) -> list[str]:
        """Commands of processes that name the copy or its state in their command or environment."""
        found = []
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                command = (entry / "cmdline").read_bytes()
                told = command + (entry / "environ").read_bytes()
            except OSError:
                continue
            if os.fsencode(self.copy.root.parent) in told and int(entry.name) != os.getpid():
                found.append(command.replace(b"\0", b" ").decode(errors="replace"))
        return found


def test_it_comes_up_stops_whole_and_comes_up_again_quickly(copy: Copy) -> None:
    lend_packages(copy)

    first = Site(copy)
    try:
        first.ready(300)
        told = first.log.read_text()
        assert "\nproducts: 65\n" in told
        assert told.index("products: 65") < told.index("Demo accounts:") < told.index("The marketplace is up")
        page = first.get("/")
        assert (page.status_code, page.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
        assert first.get("/api/v1/products").json()["items"]
        seeded = first.facts()
        assert seeded[0] > 1_000
    finally:
        code = first.stop()
    assert (code, first.left()) == (0, [])
    with pytest.raises(requests.ConnectionError):
        first.get("/")

    second = Site(copy)
    try:
        # Up in under 10 s on a machine that does nothing else. Here others compute too, so the clock proves nothing:
        # loading the application once is 3 s, and what is left of the 10 s is for the processes that serve.
        second.ready(300)
        assert second.computed() < 10
        assert second.get("/").status_code == 200
        assert second.facts() == seeded
    finally:
        code = second.stop()
    assert (code, second.left()) == (0, [])


def pay(trader: SiteTrader, payment: str, means: str) -> Any:
    """The payment once the attempt by `means` has ended."""
    trader.call("POST", f"/payments/{payment}/pay", "canteen.buyer", {"means": means}, 202)
    deadline = time.monotonic() + 60
    while True:
        view = trader.call("GET", f"/payments/{payment}", "canteen.buyer")
        attempt = next(row for row in view["attempts"] if row["means"] == means)
        if attempt["ended_at"] is not None:
            return view
        assert time.monotonic() < deadline, view
        time.sleep(0.2)


def test_with_a_gateway_an_order_is_paid_through_it_and_nothing_is_left_running(copy: Copy) -> None:
    lend_packages(copy)
    gateway = CHECKOUT / ".venv-gateway"
    if (gateway / "bin" / "localstripe").exists():
        (copy.root / gateway.name).symlink_to(gateway)

    running = Site(copy, "--with-gateway")
    try:
        running.ready(300)
        trader = SiteTrader(Client(f"http://127.0.0.1:{running.port}"))
        order = trader.accepted_order()
        wish = {"method": "gateway", "orders": [{"order_id": order["id"]}]}
        payment = trader.call("POST", "/payments", "canteen.buyer", wish, 201)
        declined = pay(trader, payment["id"], "pm_card_chargeCustomerFail")
        paid = pay(trader, payment["id"], "pm_card_visa")
    finally:
        code = running.stop()
    assert (declined["state"], [row["state"] for row in declined["attempts"]]) == ("open", ["failed"])
    assert paid["state"] == "paid"
    assert sorted((row["state"], row["captured_fen"]) for row in paid["attempts"]) == [
        ("captured", order["accepted_fen"]), ("failed", 0),
    ]  # fmt: skip
    assert (code, running.left()) == (0, [])


def test_a_taken_port_is_refused_in_one_line(copy: Copy) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        ended = copy.run(port)
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr == (
        f"port {port} can't be used (Address already in use): choose another, such as PORT=8010 script/server\n"
    )
    assert not copy.state.exists()


def test_a_port_that_is_no_number_is_refused_in_one_line(copy: Copy) -> None:
    ended = subprocess.run(
        [sys.executable, str(copy.root / "script" / "server")],
        env={**copy.environment(0), "PORT": "acht"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (ended.returncode, ended.stderr) == (1, "PORT must be a number from 1 to 65535, not 'acht'\n")


# What a machine lacks is taken away from the interpreter before it runs the script.
LACKING = "import {module}, runpy, sys; {change}; sys.argv = sys.argv[1:]; sys.path.insert(0, '{scripts}');"
LACKING += " runpy.run_path(sys.argv[0], run_name='__main__')"


def lacking(copy: Copy, module: str, change: str) -> str:
    return LACKING.format(module=module, change=change, scripts=copy.root / "script")


def test_a_python_without_venv_is_refused_in_one_line(copy: Copy) -> None:
    change = "importlib.util.find_spec = lambda name: None"
    ended = copy.run(free_port(), "-c", lacking(copy, "importlib.util", change))
    assert (ended.returncode, ended.stderr) == (
        1,
        "Python's venv module is missing (Debian, Ubuntu: apt-get install python3-venv)\n",
    )
    assert not (copy.root / ".venv").exists()


def test_a_disk_without_room_is_refused_in_one_line(copy: Copy) -> None:
    change = "shutil.disk_usage = lambda folder: type('Usage', (), {'free': 41_000_000})"
    ended = copy.run(free_port(), "-c", lacking(copy, "shutil", change))
    assert (ended.returncode, ended.stderr) == (
        1,
        f"the disk that holds {copy.root} has 41 MB free; 600 are needed\n",
    )
    assert not (copy.root / ".venv").exists()
