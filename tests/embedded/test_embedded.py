"""Real servers in folders of their own; what root does through a system user a plain user does itself."""

import multiprocessing
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from marketplace.embedded import (
    CHECKOUT,
    Embedded,
    create_database,
    current,
    drop_database,
    ensure_running,
    running,
    stop,
    with_database,
)
from marketplace.embedded_cluster import APP_ROLE, Cluster
from marketplace.embedded_host import EmbeddedFailure, programs_for

ROOT = os.geteuid() == 0


def make_state() -> Path:
    # pytest's own temporary folders are private, so root's system user could not enter them.
    folder = Path(tempfile.mkdtemp(prefix="embedded-"))
    folder.chmod(0o711)
    return folder


@pytest.fixture
def state() -> Iterator[Path]:
    folder = make_state()
    yield folder
    stop(folder)
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def server() -> Iterator[Embedded]:
    folder = make_state()
    yield ensure_running(folder)
    stop(folder)
    shutil.rmtree(folder)


def answer(url: str, query: str) -> object:
    with psycopg.connect(url, autocommit=True) as connection:
        cursor = connection.execute(query.encode())
        row = cursor.fetchone() if cursor.description else None
        return row[0] if row else None


def as_plain_user(work: Callable[[], str]) -> str:
    """What `work` returns, or the message of its failure, when a user without rights does it."""
    if not ROOT:
        return outcome(work)
    nobody = pwd.getpwnam("nobody")
    fork = multiprocessing.get_context("fork")
    receiver, sender = fork.Pipe(duplex=False)

    def child() -> None:
        os.setgroups([])
        os.setgid(nobody.pw_gid)
        os.setuid(nobody.pw_uid)
        sender.send(outcome(work))

    process = fork.Process(target=child)
    process.start()
    sender.close()
    try:
        return str(receiver.recv())
    finally:
        process.join()


def outcome(work: Callable[[], str]) -> str:
    try:
        return work()
    except EmbeddedFailure as failure:
        return str(failure)


def test_a_server_starts_is_joined_and_stops(state: Path) -> None:
    first = ensure_running(state)
    postmaster = Cluster(state).postmaster()
    assert postmaster is not None
    assert ensure_running(state) == first == current(state)
    assert Cluster(state).postmaster() == postmaster
    assert answer(first.app_url, "SELECT current_user::text") == APP_ROLE
    assert stop(state)
    assert current(state) is None
    assert not stop(state)


def test_a_killed_server_comes_back_with_what_was_committed(state: Path) -> None:
    before = ensure_running(state)
    answer(before.owner_url, "CREATE TABLE kept AS SELECT 7 AS number")
    postmaster = Cluster(state).postmaster()
    assert postmaster is not None
    os.kill(postmaster, signal.SIGKILL)
    after = ensure_running(state)
    assert Cluster(state).postmaster() != postmaster
    assert answer(after.owner_url, "SELECT number FROM kept") == 7


def test_a_stranger_with_the_old_process_id_does_not_hinder_the_start(state: Path) -> None:
    ensure_running(state)
    pid_file = state / "postgresql" / "data" / "postmaster.pid"
    lines = pid_file.read_text().split("\n")
    stop(state)
    pid_file.write_text("\n".join([str(os.getpid()), *lines[1:]]))
    assert answer(ensure_running(state).owner_url, "SELECT 1") == 1


def test_two_commands_that_start_at_once_share_one_server(state: Path) -> None:
    order = [sys.executable, "-m", "marketplace.embedded", "start"]
    environ = {**os.environ, "MARKETPLACE_STATE": str(state)}
    commands = [
        subprocess.Popen(order, cwd=CHECKOUT, env=environ, stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    said = [command.communicate(timeout=200)[0] for command in commands]
    server = current(state)
    assert server is not None
    assert said == [f"running on 127.0.0.1:{server.port}, data in {state}\n"] * 2
    log = (state / "postgresql" / "server.log").read_text()
    assert log.count("database system is ready to accept connections") == 1


def test_the_last_one_to_leave_stops_the_server(state: Path) -> None:
    with running(state) as first:
        with running(state) as second:
            assert second == first
        assert current(state) == first
    assert current(state) is None


def test_a_server_that_was_started_to_stay_outlives_those_who_join_it(state: Path) -> None:
    started = ensure_running(state)
    with running(state) as joined:
        assert joined == started
    assert current(state) == started


def test_a_command_runs_beside_a_server_that_is_there_for_it_alone(state: Path) -> None:
    order = [sys.executable, "-m", "marketplace.embedded", "run", "sh", "-c", "echo $DATABASE_URL; exit 3"]
    environ = {**os.environ, "MARKETPLACE_STATE": str(state)}
    done = subprocess.run(order, cwd=CHECKOUT, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 3
    assert done.stdout.startswith(f"postgresql://{APP_ROLE}:")
    assert current(state) is None


def test_folders_that_were_there_keep_their_owner_and_their_permissions(state: Path) -> None:
    inner = state / "inner"
    inner.mkdir()
    inner.chmod(0o755)
    before = [(path.stat().st_mode, path.stat().st_uid, path.stat().st_gid) for path in (state, inner)]
    ensure_running(inner)
    stop(inner)
    assert [
        (path.stat().st_mode, path.stat().st_uid, path.stat().st_gid) for path in (state, inner)
    ] == before


def test_passwords_are_private_and_the_server_never_runs_as_root(server: Embedded) -> None:
    assert (server.state / "passwords.json").stat().st_mode & 0o777 == 0o600
    postmaster = Cluster(server.state).postmaster()
    runner = Path(f"/proc/{postmaster}").stat().st_uid
    assert runner == (server.state / "postgresql" / "data").stat().st_uid
    assert runner != 0
    assert (runner == os.geteuid()) is not ROOT


def test_a_plain_user_runs_a_server_of_its_own(server: Embedded, monkeypatch: pytest.MonkeyPatch) -> None:
    # Lent, since the checkout may lie in a home that the plain user can't enter.
    programs, _ = programs_for(server.state, server.state / "postgresql" / "data")
    monkeypatch.setenv("MARKETPLACE_POSTGRES_BIN", str(programs))
    with tempfile.TemporaryDirectory(prefix="embedded-") as folder:
        if ROOT:
            os.chown(folder, pwd.getpwnam("nobody").pw_uid, -1)

        def work() -> str:
            with running(Path(folder, "state")) as own:
                postmaster = Cluster(own.state).postmaster()
                assert Path(f"/proc/{postmaster}").stat().st_uid == os.geteuid()
                return str(answer(own.app_url, "SELECT 'served'"))

        assert as_plain_user(work) == "served"


def test_a_folder_that_cannot_be_written_is_named_in_one_line() -> None:
    message = as_plain_user(lambda: str(ensure_running(Path("/usr/state"))))
    assert message == "/usr/state can't be written: set MARKETPLACE_STATE to a folder of your own"


def test_programs_that_are_missing_are_named(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MARKETPLACE_POSTGRES_BIN", str(state))
    with pytest.raises(EmbeddedFailure, match=f"^MARKETPLACE_POSTGRES_BIN: there is no initdb in {state}$"):
        ensure_running(state)
    assert not (state / "postgresql").exists()


def test_a_folder_that_the_system_user_cannot_enter_is_refused_to_root_alone(state: Path) -> None:
    state.chmod(0o700)
    said = outcome(lambda: str(answer(ensure_running(state).app_url, "SELECT 'served'")))
    if ROOT:
        assert said.endswith(
            f"can't run programs in {state}: set MARKETPLACE_STATE to a folder that every user may enter"
        )
    else:
        assert said == "served"


@pytest.mark.parametrize("password", ["", "wrong"])
@pytest.mark.parametrize("role", ["postgres", "marketplace_owner", "marketplace_app"])
def test_a_session_without_the_right_password_is_refused(server: Embedded, role: str, password: str) -> None:
    with pytest.raises(psycopg.OperationalError, match="password"):
        psycopg.connect(
            host="127.0.0.1", port=server.port, user=role, password=password, dbname="marketplace"
        )


def test_chinese_text_is_stored_as_utf8_and_commits_are_durable(server: Embedded) -> None:
    assert answer(server.app_url, "SHOW server_encoding") == "UTF8"
    assert answer(server.app_url, "SELECT octet_length('平凉')") == 6
    assert answer(server.app_url, "SHOW fsync") == "on"
    assert answer(server.app_url, "SHOW synchronous_commit") == "on"


def test_the_application_role_owns_nothing_and_makes_nothing(server: Embedded) -> None:
    rights = "SELECT rolsuper OR rolcreatedb OR rolcreaterole OR rolbypassrls FROM pg_roles WHERE rolname=current_user"
    assert answer(server.app_url, rights) is False
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        answer(server.app_url, "CREATE TABLE mine (id int)")
    assert answer(server.owner_url, "SELECT to_regclass('public.mine')") is None


def test_a_database_is_cloned_from_a_template_and_dropped_under_its_users(server: Embedded) -> None:
    template = create_database(server.owner_url, "template_of_a_test")
    answer(template, "CREATE TABLE kept AS SELECT 7 AS number")
    clone = create_database(server.owner_url, "clone_of_a_test", template="template_of_a_test")
    assert answer(clone, "SELECT number FROM kept") == 7
    with psycopg.connect(with_database(server.app_url, "clone_of_a_test")) as user:
        drop_database(server.owner_url, "clone_of_a_test")
        with pytest.raises(psycopg.OperationalError):
            user.execute("SELECT 1")
    left = "SELECT string_agg(datname, ',') FROM pg_database WHERE datname LIKE '%of_a_test'"
    assert answer(server.owner_url, left) == "template_of_a_test"
