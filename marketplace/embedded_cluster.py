"""One state folder's PostgreSQL server: made, started, joined, stopped, recovered."""

import fcntl
import json
import os
import re
import secrets
import shlex
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg

from marketplace.embedded_host import (
    EmbeddedFailure,
    attached,
    free_port,
    make_folder,
    plain_words,
    programs_for,
    reason,
    run,
    write_private,
)

OWNER_ROLE = "marketplace_owner"
APP_ROLE = "marketplace_app"
DATABASE = "marketplace"
START_SECONDS = 60
LOG_BYTES = 10_000_000
SETTINGS = {
    "listen_addresses": "127.0.0.1",
    # A postmaster that was killed and never reaped keeps its socket's lock file busy; a TCP port is freed by the kernel.
    "unix_socket_directories": "",
    "shared_buffers": "256MB",
    "max_connections": "100",
    "fsync": "on",
    "synchronous_commit": "on",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_line_prefix": "%m [%p] ",
}


@dataclass(frozen=True)
class Embedded:
    """A running server: `owner_url` migrates (owns the tables), `app_url` serves (owns nothing)."""

    owner_url: str
    app_url: str
    state: Path
    port: int


class Cluster:
    """One state folder's server. Whatever changes it is called inside `alone()`.

    `settings` are PostgreSQL's, in place of those above or beside them, should this be the one who starts the server.
    """

    def __init__(self, state: Path, settings: Mapping[str, str] | None = None) -> None:
        self.state = Path(os.path.abspath(state))
        self.settings = {**SETTINGS, **(settings or {})}
        self.home = self.state / "postgresql"
        self.data = self.home / "data"
        self.log = self.home / "server.log"
        self.passwords = self.state / "passwords.json"
        self.port_file = self.state / "port"
        self.kept = self.state / "kept"

    @contextmanager
    def alone(self) -> Iterator[None]:
        """One process at a time starts or stops the server, and no signal can leave it half started."""
        signals = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}
        before = signal.pthread_sigmask(signal.SIG_BLOCK, signals)
        try:
            with plain_words(self.state):
                # Others may enter the folder of root, where the system user's data lies, but not list it.
                make_folder(self.state, 0o711 if os.geteuid() == 0 else 0o700)
                lock = self.open_lock("start.lock")
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX)
                    yield
                finally:
                    os.close(lock)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def open_lock(self, name: str) -> int:
        """A lock file that both root and the state folder's own user can open; returns its descriptor."""
        descriptor = os.open(self.state / name, os.O_RDWR | os.O_CREAT, 0o600)
        if os.geteuid() == 0:
            owner = self.state.stat()
            os.fchown(descriptor, owner.st_uid, owner.st_gid)
        return descriptor

    def server(self) -> Embedded:
        """The addresses of the two roles, from the stored port and passwords."""
        return Embedded(self._url(OWNER_ROLE), self._url(APP_ROLE), self.state, self._port())

    def answers(self) -> bool:
        """Whether this very server takes sessions: it knows our password and serves our folder."""
        if not (self.passwords.exists() and self.port_file.exists()):
            return False
        try:
            with psycopg.connect(self._url("postgres", "postgres"), connect_timeout=5) as connection:
                row = connection.execute("SHOW data_directory").fetchone()
        except psycopg.OperationalError:
            return False
        return row is not None and os.path.realpath(row[0]) == os.path.realpath(self.data)

    def join_or_start(self) -> Embedded:
        deadline = time.monotonic() + START_SECONDS
        # A server that is there but doesn't answer yet is recovering, or on its way down.
        while not self.answers():
            if self.postmaster() is None:
                self._start()
                break
            if time.monotonic() > deadline:
                raise EmbeddedFailure(f"PostgreSQL runs but does not answer; its log: {self.log}")
            time.sleep(0.1)
        return self.server()

    def stop(self) -> bool:
        self.kept.unlink(missing_ok=True)
        if self.postmaster() is None:
            return False
        programs, user = programs_for(self.state, self.data)
        order = [str(programs / "pg_ctl"), "stop", "-D", str(self.data), "-w", "-t", "30", "-m"]
        if run([*order, "fast"], user).returncode and run([*order, "immediate"], user).returncode:
            raise EmbeddedFailure(f"PostgreSQL does not stop; its log: {self.log}")
        return True

    def leave(self, users: int) -> None:
        """Give up the shared lock; stop the server if nobody else has it and nobody asked for it to stay."""
        try:
            # Asking for the lock alone tells whether anyone else is still here.
            fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if not self.kept.exists():
                self.stop()
        except BlockingIOError:
            pass  # Someone is: the last one to leave stops the server.
        finally:
            os.close(users)

    def postmaster(self) -> int | None:
        """The id of the process that serves our folder. A dead process, an unreaped one, and a stranger that got the
        same id after a reboot don't count: where one of these stands in `postmaster.pid`, that file is stale.
        """
        try:
            pid = int((self.data / "postmaster.pid").read_text().split("\n", 1)[0])
        except (FileNotFoundError, ValueError):
            return None
        try:
            command = Path(f"/proc/{pid}/cmdline").read_bytes()
        except FileNotFoundError:
            return None
        return pid if os.fsencode(self.data) in command.split(b"\0") else None

    def _start(self) -> None:
        programs, user = programs_for(self.state, self.data)
        if not self.data.exists():
            self._create(programs, user)
        if not self.passwords.exists():
            raise EmbeddedFailure(
                f"{self.passwords} is gone, so nobody can log in to the data in {self.data}"
            )
        self._check_version(programs)
        self._remove_stale_pid_file()
        if self.log.exists() and self.log.stat().st_size > LOG_BYTES:
            self.log.replace(self.log.with_suffix(".log.1"))
        preferred = self._port() if self.port_file.exists() else 0
        for port in (free_port(preferred), free_port(0), free_port(0)):
            options = " ".join(f"-c {name}={shlex.quote(value)}" for name, value in self.settings.items())
            order = ["start", "-D", str(self.data), "-l", str(self.log), "-w", "-t", str(START_SECONDS)]
            log_end = self.log.stat().st_size if self.log.exists() else 0
            done = run([str(programs / "pg_ctl"), *order, "-o", f"-p {port} {options}"], user)
            if done.returncode == 0:
                write_private(self.port_file, str(port), self.state)
                self.kept.unlink(missing_ok=True)
                return
            complaint = done.stderr + (
                self.log.read_text(errors="replace")[log_end:] if self.log.exists() else ""
            )
            if "Address already in use" not in complaint:
                break
        raise EmbeddedFailure(reason("PostgreSQL does not start", complaint, self.log))

    def _create(self, programs: Path, user: int | None) -> None:
        """Make the data folder, its two roles and the database; it takes its place only when all of it is there."""
        unfinished = self.home / "data.unfinished"
        shutil.rmtree(unfinished, ignore_errors=True)
        make_folder(self.home, 0o700, user)
        make_folder(unfinished, 0o700, user)
        passwords = {role: secrets.token_urlsafe(24) for role in ("postgres", OWNER_ROLE, APP_ROLE)}
        write_private(self.passwords, json.dumps(passwords), self.state)
        password_file = self.home / "superuser"
        try:
            write_private(password_file, passwords["postgres"], self.home)
            order = [
                str(programs / "initdb"),
                "--username=postgres",
                "--auth=scram-sha-256",
                "--encoding=UTF8",
            ]
            order += ["--locale=C.UTF-8", f"--pwfile={password_file}", "-D", str(unfinished)]
            made = run(order, user)
        finally:
            password_file.unlink(missing_ok=True)
        if made.returncode:
            raise EmbeddedFailure(reason("PostgreSQL's data folder can't be made", made.stderr, unfinished))
        order = [
            str(programs / "postgres"),
            "--single",
            "-D",
            str(unfinished),
            "-c",
            "exit_on_error=on",
            "postgres",
        ]
        roles = run(order, user, _role_statements(passwords))
        if roles.returncode:
            raise EmbeddedFailure(reason("PostgreSQL's roles can't be made", roles.stderr, unfinished))
        unfinished.rename(self.data)

    def _check_version(self, programs: Path) -> None:
        stored = (self.data / "PG_VERSION").read_text().strip()
        shown = subprocess.run(
            [programs / "postgres", "--version"], capture_output=True, text=True, check=True
        ).stdout
        found = re.search(r"\d+", shown)
        if found is None or found[0] != stored:
            raise EmbeddedFailure(
                f"{self.data} was made by PostgreSQL {stored}, the installed one is: {shown.strip()}"
            )

    def _remove_stale_pid_file(self) -> None:
        """PostgreSQL keeps away from a folder whose last postmaster's id is in use, even by an unreaped or a foreign
        process. It is ours to say that it is free, once no orphaned session has the shared memory any more.
        """
        pid_file = self.data / "postmaster.pid"
        if not pid_file.exists():
            return
        lines = pid_file.read_text().split("\n")
        segment = lines[6].split()[1:] if len(lines) > 6 else []
        deadline = time.monotonic() + 10
        while segment and attached(segment[0]):
            if time.monotonic() > deadline:
                raise EmbeddedFailure(
                    "sessions of a killed PostgreSQL are still at work; try again in a moment"
                )
            time.sleep(0.05)
        pid_file.unlink()

    def _port(self) -> int:
        return int(self.port_file.read_text())

    def _url(self, role: str, database: str = DATABASE) -> str:
        password = json.loads(self.passwords.read_text())[role]
        return f"postgresql://{role}:{password}@127.0.0.1:{self._port()}/{database}"


def _role_statements(passwords: dict[str, str]) -> str:
    # One statement a line is what the single-user server reads. The passwords are URL-safe: no quote can be in them.
    return "\n".join(
        (
            f"CREATE ROLE {OWNER_ROLE} LOGIN CREATEDB PASSWORD '{passwords[OWNER_ROLE]}'",
            f"CREATE ROLE {APP_ROLE} LOGIN PASSWORD '{passwords[APP_ROLE]}'",
            # Lets the owner drop a test's database while the application is still connected to it.
            f"GRANT pg_signal_backend TO {OWNER_ROLE}",
            f"CREATE DATABASE {DATABASE} OWNER {OWNER_ROLE}",
            f"REVOKE ALL ON DATABASE {DATABASE} FROM PUBLIC",
            f"GRANT CONNECT ON DATABASE {DATABASE} TO {APP_ROLE}",
            "",
        )
    )
