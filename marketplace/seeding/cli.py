"""`flask --app wsgi seed`: the demo data, or what production begins with, as often as wanted."""

from __future__ import annotations

import sys

import click
import sqlalchemy as sa
from flask import Flask

from marketplace.accounts.models import Organisation, User
from marketplace.config import Settings
from marketplace.database import db
from marketplace.seeding.loader import missing
from marketplace.seeding.reading import choosing, rows
from marketplace.seeding.reference import DEMO_PASSWORD


def register(app: Flask) -> None:
    @app.cli.command("seed")
    @click.option("--quiet", is_flag=True, help="No progress, only what was loaded.")
    @click.option(
        "--reference-only",
        is_flag=True,
        help="Only regions, townships, policies, eligible counties, categories and the public price list.",
    )
    def seed_command(quiet: bool, reference_only: bool) -> None:
        """Load catalog_seed/ through the services, and print the demo accounts.

        What is there is left alone: a second run writes nothing, a broken one is finished by the next. With the
        settings of production only --reference-only runs, since everybody knows the password of the demo accounts;
        but the sandbox, where nobody signs in, is filled there too.
        """
        settings: Settings = app.config["SETTINGS"]
        if settings.production and not settings.sandbox and not reference_only:
            raise click.ClickException(
                "seed makes demo accounts and synthetic data: not in production, where --reference-only loads the rest"
            )
        with choosing(small=settings.sandbox):
            _load(quiet, reference_only)
        if reference_only:
            click.echo("Reference data is loaded, no account was made.")
            return
        for line in demo_logins():
            click.echo(line)


def _load(quiet: bool, reference_only: bool) -> None:
    # Beside what was asked for: the accounts alone are what this command prints.
    progress = sys.stderr
    for name, acts in missing(real_only=reference_only):
        if not quiet and acts and progress.isatty():
            with click.progressbar(length=len(acts), label=f"{name:<18}", file=progress) as bar:
                for act in acts:
                    act()
                    bar.update(1)
            continue
        if not quiet and acts:
            click.echo(f"{name}: {len(acts)}", err=True)
        for act in acts:
            act()


def demo_logins() -> list[str]:
    """The demo accounts as they stand in the tables: username, role, organisation; then their password."""
    names = [row["username"] for row in rows("accounts")]
    statement = (
        sa.select(User.username, User.role, Organisation.name)
        .join(Organisation, Organisation.id == User.organisation_id)
        .where(User.username.in_(names))
        .order_by(User.username)
    )
    with db.engine.connect() as connection:
        accounts = connection.execute(statement).all()
    lines = [f"{row.username:<18} {row.role.value:<18} {row.name}" for row in accounts]
    return ["Demo accounts:", *lines, f"Password of all: {DEMO_PASSWORD}"]
