"""For operators: /livez (the process answers), /readyz (it can do its work), /metrics.

/readyz opens a connection of its own, so that a full pool is no reason to take a worker out, and a database that is
gone is seen within 2 s. It turns to 503 as soon as SIGTERM arrives; in production the worker goes on for 2 s more,
so that the proxy sees it before connections are refused.

/metrics answers 404 to all but callers on this machine that came through no proxy: routes and rates are nobody
else's business.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import psycopg
import structlog
from alembic.script import ScriptDirectory
from flask import Flask, Response, current_app, jsonify, request
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from marketplace.config import Settings
from marketplace.database import db
from marketplace.errors import NotFound
from marketplace.journal.sealing import UnsealedWatch
from marketplace.web import metrics
from marketplace.web.edge import operations

log = structlog.get_logger("marketplace.health")

DRAIN_SECONDS = 2.0
_REMEMBERED_SECONDS = 0.5
_PROXY_HEADERS = ("X-Forwarded-For", "Forwarded", "X-Real-Ip")


@dataclass
class Readiness:
    """The checks of one worker; a result holds for half a second, so that probes can't exhaust the database."""

    database_url: str
    state_folder: Path
    migrations: str
    draining: bool = False
    _checked_at: float = float("-inf")
    _trouble: str | None = None
    _head: str | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def trouble(self) -> str | None:
        """Why this worker should get no requests, or None."""
        if self.draining:
            return "draining"
        with self._lock:
            if time.monotonic() - self._checked_at > _REMEMBERED_SECONDS:
                self._trouble = self._check()
                self._checked_at = time.monotonic()
            return self._trouble

    def _check(self) -> str | None:
        if not os.access(self.state_folder, os.W_OK):
            return "state-folder"
        try:
            with psycopg.connect(
                self.database_url,
                connect_timeout=2,
                tcp_user_timeout=1000,
                options="-c statement_timeout=1000",
                application_name="marketplace-ready",
                autocommit=True,
            ) as connection:
                row = connection.execute("select version_num from alembic_version").fetchone()
        except psycopg.errors.UndefinedTable:
            return "migrations"
        except psycopg.Error:
            return "database"
        return None if row is not None and row[0] == self._newest() else "migrations"

    def _newest(self) -> str | None:
        if self._head is None:
            self._head = ScriptDirectory(self.migrations).get_current_head()
        return self._head


def register_health(app: Flask) -> None:
    settings: Settings = app.config["SETTINGS"]
    readiness = Readiness(
        settings.database_url.replace("postgresql+psycopg://", "postgresql://", 1),
        settings.state_folder,
        str(Path(app.root_path) / "migrations"),
    )
    app.extensions["marketplace.readiness"] = readiness
    watch = UnsealedWatch()

    @operations
    def livez() -> Response:
        return Response("ok\n", mimetype="text/plain")

    @operations
    def readyz() -> Response:
        trouble = readiness.trouble()
        answer = jsonify({"ready": trouble is None, "reason": trouble})
        if trouble is not None:
            log.warning("not_ready", reason=trouble)
            answer.status_code = 503
            answer.headers["Retry-After"] = "2"
        return answer

    @operations
    def metrics_text() -> Response:
        """Raises NotFound for everybody who is not on this machine."""
        if not _is_local():
            raise NotFound
        _measure(watch)
        return Response(generate_latest(), mimetype=None, content_type=CONTENT_TYPE_LATEST)

    app.add_url_rule("/livez", "livez", livez)
    app.add_url_rule("/readyz", "readyz", readyz)
    app.add_url_rule("/metrics", "metrics", metrics_text)
    _watch_for_sigterm(readiness, DRAIN_SECONDS if settings.production else 0.0)


def _is_local() -> bool:
    if any(name in request.headers for name in _PROXY_HEADERS):
        return False
    try:
        return ip_address(request.remote_addr or "").is_loopback
    except ValueError:
        return False


def _measure(watch: UnsealedWatch) -> None:
    with current_app.app_context():
        pool: Any = db.engine.pool
        metrics.POOL_CHECKED_OUT.labels(metrics.worker()).set(pool.checkedout())
        try:
            with Session(db.engine) as session:
                watch.measure(session)
        except SQLAlchemyError:
            log.warning("unsealed_not_measured")


def _watch_for_sigterm(readiness: Readiness, seconds: float) -> None:
    """Under gunicorn: say "not ready" at once, and let gunicorn's own handler stop the worker `seconds` later.

    gunicorn sets its handler before it loads the application; where there is none (commands, tests) nothing is done.
    """
    if threading.current_thread() is not threading.main_thread():
        return
    before = signal.getsignal(signal.SIGTERM)
    if not callable(before) or getattr(before, "__module__", "").split(".")[0] != "gunicorn":
        return
    stop: Any = before

    def draining(number: int, frame: Any) -> None:
        if readiness.draining or seconds == 0:
            readiness.draining = True
            stop(number, frame)
            return
        readiness.draining = True
        # The second signal, from ourselves, runs gunicorn's handler in the main thread, as it expects.
        again = threading.Timer(seconds, os.kill, (os.getpid(), signal.SIGTERM))
        again.daemon = True
        again.start()

    signal.signal(signal.SIGTERM, draining)
