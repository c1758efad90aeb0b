"""`flask --app wsgi worker`: one process that runs jobs, seals facts and signs checkpoints.

Any number of these may run: jobs are taken with SKIP LOCKED, the sealer and the notary take locks in the database.
At SIGTERM or SIGINT no new job is taken and the running ones have STOP_SECONDS to end. One that takes longer is left:
its connection drops, its transaction is rolled back, and it is retried as the job of a dead worker.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

import click
import procrastinate
from flask import Flask
from procrastinate.exceptions import ConnectorException
from sqlalchemy.exc import SQLAlchemyError

from marketplace import upkeep as _upkeep  # noqa: F401
from marketplace.channels.relay import Relay, hand_out
from marketplace.config import Settings
from marketplace.documents.storage import store_of
from marketplace.errors import MarketplaceError
from marketplace.jobs import build_queue, failed_jobs, retry_failed, retry_stalled
from marketplace.journal.checkpoints import BadKey
from marketplace.journal.keys import signing_key
from marketplace.journal.publishing import publish
from marketplace.journal.sealing import JournalBroken, Notary, Sealer
from marketplace.notices.following import follow

log = logging.getLogger("marketplace.worker")

CONCURRENCY = 2
POLL_SECONDS = 0.5
SEAL_SECONDS = 1.0
STOP_SECONDS = 3.5
PAUSE_SECONDS = 2.0  # before the queue is opened again after the database went away


@dataclass
class Repeated:
    """A function that is called again and again in a thread of its own, inside the application's context."""

    app: Flask
    name: str
    every: float
    function: Callable[[], object]
    stop: threading.Event
    thread: threading.Thread = field(init=False)

    def __post_init__(self) -> None:
        self.thread = threading.Thread(target=self._run, name=self.name, daemon=True)
        self.thread.start()

    def _run(self) -> None:
        due = time.monotonic()
        while not self.stop.wait(max(0.0, due - time.monotonic())):
            due = time.monotonic() + self.every
            try:
                with self.app.app_context():
                    self.function()
            except (SQLAlchemyError, OSError, MarketplaceError, JournalBroken, BadKey):
                # A thread that ended would leave facts unsealed in silence; the next round tries again.
                log.exception("%s failed", self.name)


@dataclass
class Signing:
    """Makes a checkpoint when the tree grew; after the commit the note goes to the folder and the bucket.

    A store that fails is tried again at the next round, since the notary gives the last note once more.
    """

    settings: Settings
    notary: Notary
    published: str | None = None

    def __call__(self) -> None:
        note = self.notary.make_checkpoint()
        if note is not None and note != self.published:
            path = publish(self.settings, note)
            if self.settings.s3_bucket:
                store_of(self.settings).put(f"checkpoints/{path.name}", note.encode(), "text/plain")
            self.published = note


def run_worker(app: Flask) -> bool:
    """Work until a signal asks to stop. True when every job that was begun has ended."""
    settings: Settings = app.config["SETTINGS"]
    for name in ("procrastinate.worker", "procrastinate.retry"):
        logging.getLogger(name).addFilter(_not_an_outcome)
    logging.getLogger("procrastinate").setLevel(logging.WARNING)
    stop = threading.Event()
    signing = Signing(settings, Notary(signing_key(settings)))
    stalled = settings.stalled_seconds
    relay = Relay(settings)
    threads = [
        Repeated(app, "sealer", SEAL_SECONDS, Sealer().seal_pending, stop),
        Repeated(app, "notary", 60.0 if settings.production else 5.0, signing, stop),
        Repeated(
            app,
            "notices",
            SEAL_SECONDS,
            partial(follow, webhook=settings.notice_webhook_url is not None),
            stop,
        ),
        Repeated(app, "webhook-followers", SEAL_SECONDS, hand_out, stop),
        Repeated(app, "webhook-relay", SEAL_SECONDS, relay.tick, stop),
        Repeated(app, "rescue", min(60.0, stalled), partial(retry_stalled, stalled), stop),
    ]
    try:
        return asyncio.run(_take_jobs(build_queue(app), stalled))
    finally:
        stop.set()
        for each in threads:
            each.thread.join(1.0)
        relay.close()


def _not_an_outcome(record: logging.LogRecord) -> bool:
    """The runner of a job logs its failure, once and with less in it."""
    return getattr(record, "action", None) not in {"job_error", "job_error_retry"}


async def _take_jobs(queue: procrastinate.App, stalled: float) -> bool:
    asked = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, asked.set)
    waiting = asyncio.create_task(asked.wait())
    log.info("worker is ready")
    async with queue.open_async():
        while not asked.is_set():
            worker = asyncio.create_task(
                queue.run_worker_async(
                    concurrency=CONCURRENCY,
                    fetch_job_polling_interval=POLL_SECONDS,
                    listen_notify=False,
                    install_signal_handlers=False,
                    update_heartbeat_interval=stalled / 3,
                    stalled_worker_timeout=stalled,
                )
            )
            await asyncio.wait({worker, waiting}, return_when=asyncio.FIRST_COMPLETED)
            if worker.done():
                _explain(worker)
                await asyncio.wait({waiting}, timeout=PAUSE_SECONDS)
                continue
            worker.cancel()
            await asyncio.wait({worker}, timeout=STOP_SECONDS)
            if not worker.done():
                _leave()
    return True


def _explain(worker: asyncio.Task[None]) -> None:
    """Say why the queue's loop ended by itself; anything but a lost database ends the process."""
    error = worker.exception()
    if error is not None and not isinstance(error, ConnectorException):
        raise error
    log.warning("the queue lost its database and is opened again", exc_info=error)


def _leave() -> None:
    """End now. A thread cannot be stopped from outside, and waiting for it would outlast what platforms allow."""
    log.warning("a job is still running and is left to be retried")
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


def register(app: Flask) -> None:
    """`flask --app wsgi worker` and `flask --app wsgi jobs …`."""

    @app.cli.command("worker")
    def worker() -> None:
        """Run jobs, seal facts and sign checkpoints until SIGTERM."""
        if not logging.getLogger().handlers:
            logging.basicConfig(
                level=app.config["SETTINGS"].log_level, format="%(levelname)s %(name)s %(message)s"
            )
        run_worker(app)

    @app.cli.group("jobs")
    def jobs() -> None:
        """Look at parked jobs and retry them."""

    @jobs.command("list-failed")
    def list_failed() -> None:
        """One parked job a line: id, task, time, attempts, arguments."""
        for each in failed_jobs():
            at = each["parked_at"].isoformat(timespec="seconds")
            click.echo(f"{each['id']}\t{each['task']}\t{at}\t{each['attempts']}\t{each['arguments']}")

    @jobs.command("retry")
    @click.argument("job_id", type=int)
    def retry(job_id: int) -> None:
        """Free a parked job to be taken again."""
        try:
            retry_failed(job_id)
        except MarketplaceError as refusal:
            raise click.ClickException(str(refusal)) from None
        click.echo(f"job {job_id} will be run again")
