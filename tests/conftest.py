"""Fixtures on a real PostgreSQL: a database per test module, cloned from a migrated and seeded template.

Rows are committed for real, so that locks, triggers and rights are those of production. Tests of one module
share its database and make their own data where they change it; `fresh_app` gives a test a database of its own.
"""

from __future__ import annotations

import csv
import fcntl
import hashlib
import os
import secrets
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import CodeType

import hypothesis
import psycopg
import pytest
from flask import Flask
from flask.testing import FlaskClient
from jinja2.bccache import Bucket, BytecodeCache
from psycopg import sql

from marketplace import embedded, values
from marketplace.embedded_host import make_folder

# How long one example takes says something of the machine's other work, not of the code. Every run tries the same
# examples; `script/properties` looks for new ones.
hypothesis.settings.register_profile(
    "house", deadline=None, derandomize=True, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("house")

PASSWORD = "pingliang-demo-2026"
RUN = os.environ.get("PYTEST_XDIST_TESTRUNUID", "")[:12] or secrets.token_hex(6)


# The tests' own server, beside the one of `script/server`. What a commit promises to other sessions stays; only the
# loss of power, which no test plays, could undo it. Statistics, and with them plans, change at no time of their own.
HASTY = {
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
    "autovacuum": "off",
    "max_wal_size": "1GB",
    "max_connections": "200",
    "jit": "off",
}
MEMORY = Path("/dev/shm")
ROOM_BYTES = 2 * 1024**3


def _has_room(folder: Path) -> bool:
    """Whether a cluster fits there and its programs may run there."""
    if not os.access(folder, os.W_OK):
        return False
    told = os.statvfs(folder)
    return told.f_bavail * told.f_frsize >= ROOM_BYTES and not told.f_flag & os.ST_NOEXEC


# Known to the workers too, and the same for every run of a user, wherever the rest lies.
NOTES = Path(os.environ.setdefault("MARKETPLACE_TEST_NOTES", tempfile.gettempdir()))
if "TMPDIR" not in os.environ and _has_room(MEMORY):
    # Clusters, browsers' profiles and checkouts that tests make for themselves: on a disk they cost as much again.
    os.environ["TMPDIR"] = tempfile.tempdir = str(MEMORY)


@dataclass(frozen=True)
class Server:
    """Where tests make their databases: owner and application URL of any database on it."""

    owner_url: str
    app_url: str


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    if os.environ.get("DATABASE_URL"):
        owner = os.environ.get("DATABASE_OWNER_URL") or os.environ["DATABASE_URL"]
        yield Server(owner, os.environ["DATABASE_URL"])
        return
    with embedded.running(_place_of_the_server(), HASTY) as running, _under_way():
        _drop_what_runs_left(running.owner_url)
        yield Server(running.owner_url, running.app_url)


def _place_of_the_server() -> Path:
    """In memory where the system has room for it: several hundred databases are cloned in a run, and each clone on a
    disk costs fifteen times the processor. `MARKETPLACE_STATE` chooses another place.
    """
    mode = 0o711 if os.geteuid() == 0 else 0o700
    state = embedded.default_state()
    place = MEMORY / f"marketplace-tests-{hashlib.sha256(os.fsencode(state)).hexdigest()[:12]}"
    if not os.environ.get("MARKETPLACE_STATE") and (place.exists() or _has_room(MEMORY)):
        place.mkdir(mode=mode, exist_ok=True)
        if place.stat().st_uid == os.geteuid():
            return place
    make_folder(state, mode)
    return state / "tests"


def _notes() -> Path:
    """What the workers of a run, and runs beside each other, tell one another."""
    folder = NOTES / f"marketplace-tests-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder


@contextmanager
def _under_way() -> Iterator[None]:
    """A run's lock is held by each of its workers, and let go by the system when one is killed."""
    with (_notes() / f"{RUN}.run").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_SH)
        yield


def _drop_what_runs_left(owner_url: str) -> None:
    """The databases of runs that are no longer under way: templates, and what a killed run could not remove."""
    with psycopg.connect(owner_url.replace("+psycopg:", ":", 1), autocommit=True) as connection:
        names = connection.execute(
            r"select datname from pg_database where datname like 'test\_%\_%'"
        ).fetchall()
    for (name,) in names:
        with (_notes() / f"{name.split('_')[1]}.run").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            embedded.drop_database(owner_url, name)


@pytest.fixture(scope="module", autouse=True)
def _ids_of_these_days() -> None:
    """Ids go on from the latest that a process made: after a module that travelled into the future, all that this
    process makes would come later than what a server makes beside it.
    """
    values._last_tick = 0


@contextmanager
def _once_per_run(name: str) -> Iterator[Path]:
    """Workers of one run make a template once: the first under the lock makes it, the others find the mark."""
    with (_notes() / f"{RUN}-{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield _notes() / f"{RUN}-{name}.made"


def environment(server: Server, name: str, state: Path) -> dict[str, str]:
    """The settings of a test application on database `name`."""
    return {
        "MARKETPLACE_ENV": "test",
        "DATABASE_URL": embedded.with_database(server.app_url, name),
        "DATABASE_OWNER_URL": embedded.with_database(server.owner_url, name),
        "MARKETPLACE_STATE": str(state),
        "READ_CACHE_SECONDS": "0",
        "RATE_PER_MINUTE": "1000000",
        "RATE_BURST": "1000000",
    }


class _Compiled(BytecodeCache):
    """Templates as this process compiled them for the application of an earlier module. A key and a checksum name
    the template and its very text.
    """

    def __init__(self) -> None:
        self._kept: dict[tuple[str, str], CodeType] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        bucket.code = self._kept.get((bucket.key, bucket.checksum))

    def dump_bytecode(self, bucket: Bucket) -> None:
        assert bucket.code is not None
        self._kept[bucket.key, bucket.checksum] = bucket.code


_COMPILED = _Compiled()


def make_app(env: dict[str, str]) -> Flask:
    from marketplace.app import create_app
    from marketplace.config import from_environment

    app = create_app(from_environment(env))
    app.testing = True
    app.jinja_env.bytecode_cache = _COMPILED
    return app


def migrate(env: dict[str, str]) -> None:
    from flask_migrate import upgrade

    before = os.environ.get("DATABASE_OWNER_URL")
    os.environ["DATABASE_OWNER_URL"] = env["DATABASE_OWNER_URL"]
    try:
        app = make_app(env)
        with app.app_context():
            upgrade()
        dispose(app)
    finally:
        if before is None:
            del os.environ["DATABASE_OWNER_URL"]
        else:
            os.environ["DATABASE_OWNER_URL"] = before


def dispose(app: Flask) -> None:
    from marketplace.database import db
    from marketplace.trace import scans

    # Left to itself it would ask for a database that is gone, once a second until the process ends.
    watch = app.extensions.get("marketplace.watch")
    if watch is not None:
        watch.stop()
    with app.app_context():
        db.session.remove()
        for engine in db.engines.values():
            scans.close(engine)
            engine.dispose()


@pytest.fixture(scope="session")
def state_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Secrets and files of the run, shared by its workers (trace codes of the template need one key)."""
    folder = _notes() / f"{RUN}-state"
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def empty_template(server: Server, state_folder: Path) -> str:
    """A migrated database without rows."""
    name = f"test_{RUN}_empty"
    with _once_per_run("empty") as made:
        if not made.exists():
            embedded.create_database(server.owner_url, name)
            migrate(environment(server, name, state_folder))
            made.touch()
    return name


@pytest.fixture(scope="session")
def seeded_template(server: Server, empty_template: str, state_folder: Path) -> str:
    """The same with `catalog_seed/` and the demo accounts, loaded through the services."""
    name = f"test_{RUN}_seeded"
    with _once_per_run("seeded") as made:
        if not made.exists():
            embedded.create_database(server.owner_url, name, template=empty_template)
            app = make_app(environment(server, name, state_folder))
            result = app.test_cli_runner().invoke(args=["seed", "--quiet"])
            assert result.exit_code == 0, result.output
            dispose(app)
            _analyse(server, name)
            made.touch()
    return name


def _analyse(server: Server, name: str) -> None:
    url = embedded.with_database(server.owner_url, name).replace("+psycopg:", ":", 1)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("analyze")


@contextmanager
def cloned_app(server: Server, template: str, state: Path) -> Iterator[Flask]:
    name = f"test_{RUN}_{secrets.token_hex(5)}"
    embedded.create_database(server.owner_url, name, template=template)
    # What a commit promises to other sessions stays; only the loss of power, which no test plays, could undo it.
    with psycopg.connect(server.owner_url.replace("+psycopg:", ":", 1), autocommit=True) as connection:
        connection.execute(
            sql.SQL("ALTER DATABASE {} SET synchronous_commit = off").format(sql.Identifier(name))
        )
    app = make_app(environment(server, name, state))
    app.config["TEST_ENVIRONMENT"] = environment(server, name, state)
    try:
        yield app
    finally:
        dispose(app)
        embedded.drop_database(server.owner_url, name)


@pytest.fixture(scope="module")
def app(server: Server, seeded_template: str, state_folder: Path) -> Iterator[Flask]:
    with cloned_app(server, seeded_template, state_folder) as app:
        yield app


@pytest.fixture
def fresh_app(server: Server, seeded_template: str, state_folder: Path) -> Iterator[Flask]:
    with cloned_app(server, seeded_template, state_folder) as app:
        yield app


@pytest.fixture(scope="module")
def empty_app(server: Server, empty_template: str, state_folder: Path) -> Iterator[Flask]:
    with cloned_app(server, empty_template, state_folder) as app:
        yield app


@pytest.fixture
def context(app: Flask) -> Iterator[Flask]:
    """An application context for calling services and queries directly."""
    with app.app_context():
        yield app


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


@pytest.fixture
def owner(app: Flask) -> Iterator[psycopg.Connection]:
    """A connection as the owner of the tables, for looking at rows and for tampering."""
    with psycopg.connect(app.config["TEST_ENVIRONMENT"]["DATABASE_OWNER_URL"], autocommit=True) as connection:
        yield connection


@pytest.fixture(scope="module")
def sign_in(app: Flask) -> Callable[[str], dict[str, str]]:
    """`sign_in("canteen.buyer")` -> headers with a bearer token, made once per module and user."""
    known: dict[str, dict[str, str]] = {}

    def headers(username: str) -> dict[str, str]:
        if username not in known:
            answer = app.test_client().post(
                "/api/v1/tokens", json={"username": username, "password": PASSWORD}
            )
            assert answer.status_code == 201, answer.get_data(as_text=True)
            known[username] = {"Authorization": f"Bearer {answer.get_json()['token']}"}
        return dict(known[username])

    return headers


# It needs no template: a worker is busy with it while another makes them.
BESIDE_THE_TEMPLATES = "tests/test_script_server.py"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest files begin first, so that no worker is left alone with one at the end; see tests/order.csv."""
    with (Path(__file__).parent / "order.csv").open(encoding="utf-8", newline="") as file:
        seconds = {row["path"]: int(row["seconds"]) for row in csv.DictReader(file)}
    first = max(seconds, key=lambda path: seconds[path])

    def place(item: pytest.Item) -> tuple[int, int]:
        path = item.nodeid.partition("::")[0]
        return (0 if path == first else 1 if path == BESIDE_THE_TEMPLATES else 2), -seconds.get(path, 0)

    items.sort(key=place)
