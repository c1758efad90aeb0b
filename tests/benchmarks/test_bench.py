"""The benchmark itself: every subject is measured beside its floor, and nothing is left behind."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import psycopg

from tests.conftest import Server

ROOT = Path(__file__).resolve().parent.parent.parent
SUBJECTS = [
    "list of 24",
    "product detail",
    "search",
    "trace lookup",
    "quota summary",
    "catalogue page",
    "quota page",
    "purchase placed",
    "placed and approved",
]
# The real entry makes sure of the environment first; a test runs in one already.
ENTRY = "import sys; from bench_support.run import main; sys.exit(main(sys.argv[1:]))"


def _bench_databases(server: Server) -> set[str]:
    with psycopg.connect(server.owner_url.replace("+psycopg:", ":", 1)) as connection:
        rows = connection.execute("select datname from pg_database where datname like 'bench\\_%'").fetchall()
    return {str(row[0]) for row in rows}


def test_a_small_benchmark_measures_every_subject_and_removes_its_database(
    server: Server, tmp_path: Path
) -> None:
    before = _bench_databases(server)
    out = tmp_path / "bench.json"
    sizes = ["--products", "130", "--lots", "200", "--buyers", "2", "--connections", "2"]
    times = ["--seconds", "0.2", "--runs", "1"]
    done = subprocess.run(
        [sys.executable, "-c", ENTRY, *sizes, *times, "--out", str(out)],
        cwd=ROOT,
        env={
            **os.environ,
            "PYTHONPATH": f"{ROOT}:{ROOT / 'script'}",
            "DATABASE_URL": server.app_url,
            "DATABASE_OWNER_URL": server.owner_url,
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(out.read_text(encoding="utf-8"))
    assert [row["what"] for row in told["results"]] == SUBJECTS
    assert [row["errors"] for row in told["results"]] == [0] * len(SUBJECTS)
    assert all(row["rate"] > 0 and row["floor_rate"] > 0 for row in told["results"])
    assert told["settings"]["products"] == 130
    assert done.stdout.startswith("what")
    assert _bench_databases(server) <= before
