"""The Python environment of this checkout: made with nothing but the standard library, brought up to date when a
requirements file changed. As a command it prints the environment's folder: `script/environment.py FILE...`.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import NoReturn

ROOT = Path(__file__).resolve().parent.parent
NEEDED_BYTES = 600_000_000


def fail(line: str) -> NoReturn:
    """Say in one line what is wrong and what to do, and end with exit code 1."""
    print(line, file=sys.stderr)
    sys.exit(1)


def environment(*files: str) -> Path:
    """The environment's folder, in which the releases that `files` lock are installed."""
    if sys.version_info < (3, 11):  # noqa: UP036, an older Python reads this file before it can refuse it
        fail("Python 3.11 or newer is needed; this is " + sys.version.split()[0])
    wanted = {name: hashlib.sha256((ROOT / name).read_bytes()).hexdigest() for name in files}
    checkout = os.open(ROOT, os.O_RDONLY)
    try:
        fcntl.flock(checkout, fcntl.LOCK_EX)
        folder = ROOT / ".venv"
        if _installed(folder, wanted):
            return folder
        if folder.exists() and folder.stat().st_uid != os.geteuid():
            # Another user's environment, and it is not what we need: leave it as it is and make our own beside it.
            folder = ROOT / f".venv-{os.geteuid()}"
        if not _installed(folder, wanted):
            _install(folder, wanted)
        return folder
    finally:
        os.close(checkout)


def _stamp(folder: Path) -> dict[str, str]:
    try:
        return dict(json.loads((folder / "installed.json").read_text()))
    except (OSError, ValueError):
        return {}


def _installed(folder: Path, wanted: dict[str, str]) -> bool:
    return os.access(folder / "bin" / "python", os.X_OK) and wanted.items() <= _stamp(folder).items()


def _install(folder: Path, wanted: dict[str, str]) -> None:
    missing = [name for name in ("venv", "ensurepip") if find_spec(name) is None]
    if missing:
        fail(f"Python's {missing[0]} module is missing (Debian, Ubuntu: apt-get install python3-venv)")
    if not os.access(ROOT, os.W_OK):
        fail(f"{ROOT} can't be written by this user: copy the checkout to a folder of your own")
    known = _stamp(folder)
    free = shutil.disk_usage(ROOT).free
    if not known and free < NEEDED_BYTES:
        fail(
            f"the disk that holds {ROOT} has {free // 1_000_000} MB free; {NEEDED_BYTES // 1_000_000} are needed"
        )
    python = folder / "bin" / "python"
    if not os.access(python, os.X_OK):
        print(f"Making the Python environment {folder.name} ...", file=sys.stderr, flush=True)
        _run([sys.executable, "-m", "venv", "--clear", str(folder)], "the Python environment can't be made")
    print("Installing what the requirements name ...", file=sys.stderr, flush=True)
    order = [
        str(python),
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--require-hashes",
    ]
    if any(name.startswith("tests/") for name in wanted):
        # Whatever the tests never import need not be compiled: half of the time that an installation takes. What
        # they do import is compiled by them.
        order.append("--no-compile")
    for name in wanted:
        order += ["-r", str(ROOT / name)]
    _run(order, "the requirements can't be installed")
    # Written last: an installation that was interrupted is done again.
    (folder / "installed.json").write_text(json.dumps({**known, **wanted}))


def _run(order: list[str], trouble: str) -> None:
    done = subprocess.run(
        order,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "PIP_USER": "0"},
        check=False,
    )
    if done.returncode == 0:
        return
    if "No space left on device" in done.stdout:
        fail(f"{trouble}: the disk is full")
    lines = [line.strip() for line in done.stdout.splitlines() if line.strip()]
    reasons = [line for line in lines if line.startswith(("ERROR", "Error"))] or lines or ["no reason given"]
    fail(f"{trouble}: {reasons[0]}")


if __name__ == "__main__":
    print(environment(*(sys.argv[1:] or ["requirements.txt"])))
