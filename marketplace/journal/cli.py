"""`flask --app wsgi journal …`: keys, seals, checkpoints and the export that others verify."""

from __future__ import annotations

from pathlib import Path

import click
from flask import Flask

from marketplace.config import Settings
from marketplace.database import db
from marketplace.journal import keys, publishing, sealing
from marketplace.journal.checkpoints import BadKey, make_key, verifier_key


def register(app: Flask) -> None:
    settings: Settings = app.config["SETTINGS"]

    @app.cli.group("journal")
    def journal() -> None:
        """The sealed journal: keys, seals, checkpoints, export."""

    @journal.command("keygen")
    @click.option(
        "--name", default=None, help="Origin the key speaks for; the host of PUBLIC_BASE_URL otherwise."
    )
    def keygen(name: str | None) -> None:
        """Print a new signing key (for CHECKPOINT_KEY, to be kept secret) and the key others verify with."""
        try:
            signer, vkey = make_key(name or keys.origin(settings))
        except BadKey as refusal:
            raise click.ClickException(str(refusal)) from None
        click.echo(f"CHECKPOINT_KEY={signer}")
        click.echo(f"vkey={vkey}")

    @journal.command("vkey")
    def vkey() -> None:
        """Print the key with which others verify our checkpoints."""
        click.echo(verifier_key(keys.signing_key(settings)))

    @journal.command("seal")
    def seal() -> None:
        """Seal what is committed, as the worker does every second."""
        click.echo(f"sealed {sealing.seal_pending()}")

    @journal.command("checkpoint")
    def checkpoint() -> None:
        """Sign how far the journal is sealed, keep the note and print it."""
        try:
            note = sealing.make_checkpoint(keys.signing_key(settings))
        except sealing.JournalBroken as finding:
            raise click.ClickException(f"nothing is signed: {finding}") from None
        if note is None:
            raise click.ClickException("nothing is sealed yet")
        publishing.publish(settings, note)
        click.echo(note, nl=False)

    @journal.command("export")
    @click.argument("folder", type=click.Path(path_type=Path))
    def export(folder: Path) -> None:
        """Write facts, seals and checkpoints to a new folder, as verifier.py reads them."""
        try:
            count = sealing.export(folder, db.session())
        except FileExistsError:
            raise click.ClickException(f"{folder} holds an export already; name a new folder") from None
        click.echo(f"exported {count} facts to {folder}")
