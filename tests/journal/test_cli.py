"""The commands of the journal, and that what they export satisfies the verifier that knows nothing of us."""

import subprocess
import sys
import threading
from contextlib import contextmanager
from pathlib import Path

import pytest
import structlog

from marketplace.config import BadSettings, from_environment
from marketplace.journal import verifier
from marketplace.journal.checkpoints import Checkpoint, key_name, open_note, sign
from marketplace.values import uuid7

from .facts import record


@pytest.fixture(scope="module")
def run(empty_app):
    return lambda *arguments: empty_app.test_cli_runner().invoke(args=["journal", *arguments])


def keys_of(output: str) -> tuple[str, str]:
    lines = dict(line.split("=", 1) for line in output.splitlines())
    return lines["CHECKPOINT_KEY"], lines["vkey"]


@contextmanager
def log_of_another_thread():
    """A line of the log for each moment: what a command answers must stay whole beside it."""
    stopped, written = threading.Event(), threading.Event()

    def talk():
        while not stopped.is_set():
            structlog.get_logger("marketplace.test").warning("said_beside")
            written.set()

    thread = threading.Thread(target=talk)
    thread.start()
    assert written.wait(30)
    try:
        yield
    finally:
        stopped.set()
        thread.join()


def test_nothing_is_signed_while_nothing_is_sealed(run):
    answer = run("checkpoint")

    assert answer.exit_code == 1
    assert "nothing is sealed yet" in answer.output


def test_an_export_satisfies_the_verifier_alone(run, empty_app, tmp_path):
    with empty_app.app_context():
        for n in range(3):
            record("order.cancel_asked", uuid7(), number=f"CG-{n}")
    assert run("seal").stdout == "sealed 3\n"
    note = run("checkpoint").stdout
    vkey = run("vkey").stdout.strip()

    with log_of_another_thread():
        answer = run("export", str(tmp_path / "export"))

    assert answer.stdout == f"exported 3 facts to {tmp_path / 'export'}\n"
    assert open_note(note, vkey).size == 3
    checked = subprocess.run(
        [sys.executable, "-I", Path(verifier.__file__), tmp_path / "export", "--key", vkey],
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_a_signed_checkpoint_lies_in_the_folder_of_notes(run, empty_app):
    with empty_app.app_context():
        record("order.cancel_asked", uuid7())
    run("seal")

    note = run("checkpoint").stdout

    size = int(note.split("\n")[1])
    path = empty_app.config["SETTINGS"].state_folder / "checkpoints" / f"{size:012}.txt"
    assert path.read_text() == note


def test_an_export_does_not_mix_with_an_older_one(run, tmp_path):
    run("export", str(tmp_path / "export"))

    answer = run("export", str(tmp_path / "export"))

    assert answer.exit_code == 1
    assert "holds an export already" in answer.output


def test_a_generated_key_signs_what_its_public_half_opens(run):
    signer, vkey = keys_of(run("keygen", "--name", "pingliang.example").stdout)

    note = sign(Checkpoint("pingliang.example", 1, b"\x01" * 32), signer)

    assert key_name(vkey) == "pingliang.example"
    assert open_note(note, vkey) == Checkpoint("pingliang.example", 1, b"\x01" * 32)


def test_a_generated_key_speaks_for_the_host_of_the_public_address(run):
    signer, vkey = keys_of(run("keygen").stdout)

    assert (key_name(signer), key_name(vkey)) == ("localhost", "localhost")


def test_a_name_with_a_space_is_refused(run):
    assert run("keygen", "--name", "ping liang").exit_code == 1


def production(**more: str) -> dict[str, str]:
    secret = "0123456789abcdef" * 3
    return {
        "MARKETPLACE_ENV": "production",
        "DATABASE_URL": "postgresql://nobody@localhost/none",
        "SECRET_KEY": secret,
        "FIELD_KEY": secret,
        "KEY_PEPPER": secret,
        "TRACE_KEYS": secret,
        "PUBLIC_BASE_URL": "https://pingliang.example",
        **more,
    }


def test_production_refuses_to_start_without_a_checkpoint_key():
    with pytest.raises(BadSettings, match="CHECKPOINT_KEY must be set"):
        from_environment(production())


def test_a_damaged_checkpoint_key_is_refused():
    with pytest.raises(BadSettings, match="CHECKPOINT_KEY is not a signing key"):
        from_environment(production(CHECKPOINT_KEY="PRIVATE+KEY+pingliang.example+00000000+AAAA"))


def test_production_starts_with_a_generated_key(run):
    signer, _ = keys_of(run("keygen", "--name", "pingliang.example").stdout)

    assert from_environment(production(CHECKPOINT_KEY=signer)).checkpoint_key == signer
