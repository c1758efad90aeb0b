"""The application with a few more tasks, for a worker in a process of its own."""

import time
from pathlib import Path
from uuid import UUID

from marketplace.actors import Permission, system
from marketplace.app import create_app
from marketplace.errors import UpstreamFailure
from marketplace.jobs import task
from marketplace.unit_of_work import transaction


@task("test.note")
def note(subject: str) -> None:
    with transaction(system(), Permission.SYSTEM) as tx:
        tx.record("test.noted", "test", UUID(subject))


@task("test.slow_at_first")
def slow_at_first(subject: str, mark: str) -> None:
    with transaction(system(), Permission.SYSTEM) as tx:
        tx.record("test.noted", "test", UUID(subject))
        tx.session.flush()
        if not Path(mark).exists():
            Path(mark).touch()
            time.sleep(14)


@task("test.defect")
def defect() -> None:
    raise ValueError("a defect of the handler")


@task("test.upstream")
def upstream() -> None:
    raise UpstreamFailure("the other side is silent")


app = create_app()
