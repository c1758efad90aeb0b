"""`flask --app wsgi verify`: do the tables say what the sealed facts say?"""

from __future__ import annotations

import sys

import click
from flask import Flask

from marketplace.database import db
from marketplace.journal.checkpoints import BadKey, key_name, verifier_key
from marketplace.journal.keys import signing_key
from marketplace.quota.verify import verify


def register(app: Flask) -> None:
    @app.cli.command("verify")
    @click.option("--key", "keys", multiple=True, metavar="VKEY", help="Verifier key of the checkpoints.")
    @click.option("--shown", default=200, show_default=True, help="How many differences are printed.")
    def verify_command(keys: tuple[str, ...], shown: int) -> None:
        """Rebuild stock, lines, the reserve ledger and declarations from the facts, and compare all tables.

        Prints one line of counts and `ok` with exit 0, or every difference with exit 1. Facts that are not
        sealed yet are replayed too and counted apart. Without --key (which may be given several times, after a
        change of key) the checkpoints must be signed by this installation's own key.
        """
        try:
            vkeys = [*keys] or [verifier_key(signing_key(app.config["SETTINGS"]))]
            for vkey in vkeys:
                key_name(vkey)
        except BadKey as error:
            raise click.BadParameter(str(error)) from None
        report = verify(db.engine, vkeys)
        if not report.differences:
            click.echo(f"{report.counts()} ok")
            return
        for difference in report.differences[:shown]:
            click.echo(difference.line())
        click.echo(f"{report.counts()} differences={len(report.differences)}")
        sys.exit(1)
