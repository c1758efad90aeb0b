"""Background jobs: which tasks there are, how they are run, retried and parked.

A job comes into being in the transaction of its cause (`tx.defer("name", id=…)`), so it exists exactly when the
change does. It runs at least once: a worker that dies after the effect and before the note of it leaves the job to be
run again. A handler therefore asks for the state before it acts, as every service does.

    @task("orders.sweep_holds", cron="* * * * *")
    def sweep_holds() -> None: ...
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypeVar

import procrastinate
import sqlalchemy as sa
from flask import Flask
from procrastinate.jobs import Job
from sqlalchemy.exc import InterfaceError, OperationalError

from marketplace.config import Settings
from marketplace.database import schema_of
from marketplace.errors import Conflict, NotFound, Unavailable, UpstreamFailure
from marketplace.unit_of_work import housekeeping, retrying

log = logging.getLogger("marketplace.jobs")

Handler = TypeVar("Handler", bound=Callable[..., None])

# Waits of 5, 10, 20 … seconds, at most an hour: ten tries span about 80 minutes.
MAX_ATTEMPTS = 10
FIRST_WAIT_SECONDS = 5
LONGEST_WAIT_SECONDS = 3_600
# What another try can cure: the other side, a lock held too long, a database that restarts.
CURABLE = (UpstreamFailure, Unavailable, OperationalError, InterfaceError)


@dataclass(frozen=True)
class Task:
    name: str
    handler: Callable[..., None]
    cron: str | None = None


TASKS: dict[str, Task] = {}


def task(name: str, *, cron: str | None = None) -> Callable[[Handler], Handler]:
    """Make a function the handler of the jobs called `name`; it is called with the arguments of `tx.defer`.

    With `cron` (five fields, UTC; a sixth is seconds) it also runs by the clock, once in the whole installation.
    Raises ValueError when another function has the name.
    """

    def declare(handler: Handler) -> Handler:
        known = TASKS.get(name)
        if known is not None and known.handler is not handler:
            raise ValueError(f"two tasks are called {name}")
        TASKS[name] = Task(name, handler, cron)
        return handler

    return declare


class BackOff(procrastinate.BaseRetryStrategy):
    """Try again what another try can cure, each time later; anything else is parked at once."""

    def get_retry_decision(self, *, exception: BaseException, job: Job) -> procrastinate.RetryDecision | None:
        if not isinstance(exception, CURABLE) or job.attempts + 1 >= MAX_ATTEMPTS:
            return None
        wait = min(FIRST_WAIT_SECONDS * 2**job.attempts, LONGEST_WAIT_SECONDS)
        return procrastinate.RetryDecision(retry_in={"seconds": wait})


def build_queue(app: Flask) -> procrastinate.App:
    """The queue on the application's database, with every registered task."""
    settings: Settings = app.config["SETTINGS"]
    connector = procrastinate.PsycopgConnector(
        conninfo=settings.database_url.replace("postgresql+psycopg://", "postgresql://", 1),
        min_size=1,
        max_size=4,
        kwargs={
            "application_name": "marketplace-worker",
            "connect_timeout": 5,
            "options": f"-c search_path={schema_of(settings)}",
        },
    )
    queue = procrastinate.App(connector=connector)
    for each in TASKS.values():
        # The lock keeps a slow run from being overtaken by the next tick; it is none of a business job's.
        registered = queue.task(
            name=each.name,
            queue="default",
            pass_context=True,
            retry=BackOff(),
            lock=each.name if each.cron else None,
        )(_runner(app, each))
        if each.cron:
            queue.periodic(cron=each.cron, periodic_id="clock")(registered)
    return queue


def _runner(app: Flask, each: Task) -> Callable[..., None]:
    handler = retrying(each.handler)

    def run(context: procrastinate.JobContext, **arguments: Any) -> None:
        if each.cron:
            arguments.pop("timestamp", None)
        identity = {"job": context.job.id, "task": each.name, "attempt": context.job.attempts + 1}
        try:
            with app.app_context():
                handler(**arguments)
        except CURABLE as error:
            log.warning("job %(job)s %(task)s failed at attempt %(attempt)s", identity, exc_info=error)
            raise
        except Exception:
            log.exception("job %(job)s %(task)s is parked", identity)
            raise

    return run


_NO_HEARTBEAT = sa.text(
    "update procrastinate_jobs j set scheduled_at = now(), attempts = attempts + 1,"
    " status = case when attempts + 1 >= :most then 'failed' else 'todo' end::procrastinate_job_status"
    " where status = 'doing' and not exists (select from procrastinate_workers w where w.id = j.worker_id"
    " and w.last_heartbeat > now() - make_interval(secs => :seconds))"
    " returning id, task_name, status::text as state"
)
_REMOVE_FINISHED = sa.text(
    "delete from procrastinate_jobs where id in (select j.id from procrastinate_jobs j"
    " where j.status in ('succeeded', 'cancelled', 'aborted') and not exists"
    " (select from procrastinate_events e where e.job_id = j.id and e.at > :before)"
    " order by j.id limit 2000)"
)
_FAILED = sa.text(
    "select j.id, j.task_name, j.args, j.attempts,"
    " (select max(e.at) from procrastinate_events e where e.job_id = j.id) as parked_at"
    " from procrastinate_jobs j where j.status = 'failed' order by j.id"
)
_STATE = sa.text("select status::text from procrastinate_jobs where id = :id for update")
_AGAIN = sa.text(
    "update procrastinate_jobs set status = 'todo', attempts = 0, scheduled_at = null where id = :id"
)


def retry_stalled(seconds: float) -> int:
    """Jobs of workers that gave no sign of life for `seconds` are free to be taken again; returns how many.

    One guarded statement, so that two workers that look at once free a job once. A job that took its worker down
    MAX_ATTEMPTS times is parked.
    """
    with housekeeping(["procrastinate_jobs"]) as session:
        rows = session.execute(_NO_HEARTBEAT, {"seconds": seconds, "most": MAX_ATTEMPTS}).all()
    for row in rows:
        log.warning("job %s %s lost its worker; it is %s now", row.id, row.task_name, row.state)
    return len(rows)


def remove_finished(now: datetime, keep: timedelta) -> int:
    """Forget jobs that ended well, or were cancelled, before `now - keep`. Parked ones stay until they are retried."""
    removed = 0
    while True:
        with housekeeping(["procrastinate_jobs"]) as session:
            result = session.execute(_REMOVE_FINISHED, {"before": now - keep})
            count: int = result.rowcount  # type: ignore[attr-defined]
        removed += count
        if count < 2_000:
            return removed


def failed_jobs() -> list[dict[str, Any]]:
    """The parked jobs, oldest first: id, task, arguments, attempts, parked_at."""
    with housekeeping(["procrastinate_jobs"]) as session:
        rows = session.execute(_FAILED).all()
    return [
        {
            "id": row.id,
            "task": row.task_name,
            "arguments": row.args,
            "attempts": row.attempts,
            "parked_at": row.parked_at,
        }
        for row in rows
    ]


def retry_failed(job_id: int) -> None:
    """Free a parked job to be taken again. Raises NotFound, or Conflict (`not-parked`) for one in another state."""
    with housekeeping(["procrastinate_jobs"]) as session:
        state = session.execute(_STATE, {"id": job_id}).scalar_one_or_none()
        if state is None:
            raise NotFound(f"没有任务 {job_id}")
        if state != "failed":
            raise Conflict(f"任务 {job_id} 的状态是 {state}，不需要重试", slug="not-parked", state=state)
        session.execute(_AGAIN, {"id": job_id})
