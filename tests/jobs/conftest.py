"""A worker as people run it: `flask worker` in a process of its own, on the test's database."""

import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from uuid import UUID

import psycopg
import pytest

from marketplace.actors import Permission, system
from marketplace.unit_of_work import transaction
from marketplace.values import uuid7

ROOT = Path(__file__).parents[2]
# After so long without a sign of life a worker counts as dead; a busy machine stops nobody for half a minute.
STALLED_SECONDS = 30


class Worker:
    def __init__(self, environment: dict[str, str], log: Path, stalled: int) -> None:
        self.log = log
        with log.open("wb") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "flask", "--app", "tests.jobs.worker_app", "worker"],
                cwd=ROOT,
                env={**os.environ, **environment, "WORKER_STALLED_SECONDS": str(stalled)},
                stdout=out,
                stderr=subprocess.STDOUT,
            )

    def said(self) -> str:
        return self.log.read_text()

    def end(self, number: int = signal.SIGTERM) -> tuple[int, float]:
        """Exit code and seconds that the end took."""
        begun = time.monotonic()
        if self.process.poll() is None:
            self.process.send_signal(number)
        code = self.process.wait(60)
        return code, time.monotonic() - begun


class House:
    """The database as its owner sees it, and the transactions that defer jobs."""

    def __init__(self, app, connection, folder: Path) -> None:
        self.app = app
        self.connection = connection
        self.folder = folder
        self.workers: list[Worker] = []

    @property
    def environment(self) -> dict[str, str]:
        return {**self.app.config["TEST_ENVIRONMENT"], "MARKETPLACE_STATE": str(self.folder)}

    def start(self, stalled: int = STALLED_SECONDS) -> Worker:
        worker = Worker(self.environment, self.folder / f"worker-{len(self.workers)}.log", stalled)
        self.workers.append(worker)
        wait_for(lambda: "worker is ready" in worker.said(), worker)
        return worker

    def defer(self, task: str, **arguments: str) -> UUID:
        """Commit an act that defers a job; the answer is the act's subject."""
        subject = uuid7()
        with self.app.app_context(), transaction(system(), Permission.SYSTEM) as tx:
            tx.record("test.asked", "test", subject)
            tx.defer(task, **arguments)
        return subject

    def noted(self, subject: UUID) -> int:
        return self.value(
            "select count(*) from fact where kind = 'test.noted' and subject_id = %s", [subject]
        )

    def value(self, query: str, parameters: list = ()):
        row = self.connection.execute(query, parameters).fetchone()
        return None if row is None else row[0]

    def invoke(self, *arguments: str):
        return self.app.test_cli_runner().invoke(args=arguments)


def wait_for(seen, worker: Worker | None = None, seconds: float = 120):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if value := seen():
            return value
        if worker is not None and worker.process.poll() is not None:
            raise AssertionError(worker.said())
        time.sleep(0.05)
    raise AssertionError(f"not seen in {seconds} s\n{worker.said() if worker else ''}")


@contextmanager
def house_of(app, folder: Path):
    url = app.config["TEST_ENVIRONMENT"]["DATABASE_OWNER_URL"]
    with psycopg.connect(url, autocommit=True) as connection:
        house = House(app, connection, folder)
        try:
            yield house
        finally:
            for worker in house.workers:
                if worker.process.poll() is None:
                    worker.process.kill()
                    worker.process.wait()


@pytest.fixture(scope="module")
def house(empty_app, tmp_path_factory):
    with house_of(empty_app, tmp_path_factory.mktemp("house")) as house:
        yield house
