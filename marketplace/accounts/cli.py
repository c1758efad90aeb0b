"""`flask --app wsgi first-administrator` and `add-organisation`: what a new deployment has no page for."""

from __future__ import annotations

import click
import sqlalchemy as sa
from flask import Flask

from marketplace.accounts import security, service
from marketplace.accounts.models import Organisation, OrganisationKind, User
from marketplace.actors import Door, Role, system
from marketplace.database import db
from marketplace.errors import MarketplaceError


def register(app: Flask) -> None:
    @app.cli.command("first-administrator")
    @click.argument("username")
    @click.option("--name", required=True, help="The person's name.")
    @click.option("--office", required=True, help="Name of the office that operates the platform.")
    @click.option("--code", default="PLATFORM", show_default=True, help="The office's code on the platform.")
    @click.option(
        "--region", default="620800", show_default=True, help="Code of the office's region (GB/T 2260)."
    )
    def first_administrator(username: str, name: str, office: str, code: str, region: str) -> None:
        """Make the operating office and its administrator, and print a password for the first sign-in.

        The password has to be changed and the second factor set up before anything else. Refused when there is an
        administrator already: further ones are made by him.
        """
        with db.engine.connect() as connection:
            taken = sa.select(User.username).where(User.role == Role.PLATFORM_ADMIN).limit(1)
            if connection.scalar(taken) is not None:
                raise click.ClickException("there is an administrator already, who makes the other accounts")
            office_id = connection.scalar(sa.select(Organisation.id).where(Organisation.code == code))
        actor = system(Door.CLI)
        password = security.new_secret()
        try:
            if office_id is None:
                office_id = service.add_organisation(
                    actor,
                    code=code,
                    name=office,
                    kind="office",
                    subkind="platform_operator",
                    region_code=region,
                ).result["id"]
            service.add_user(
                actor,
                username=username,
                name=name,
                password=password,
                organisation_id=office_id,
                role=Role.PLATFORM_ADMIN.value,
                initial=True,
            )
        except MarketplaceError as refused:
            raise _told(refused) from None
        click.echo(f"Administrator: {username}")
        click.echo(f"Password for the first sign-in: {password}")

    @app.cli.command("add-organisation")
    @click.option("--code", required=True, help="The organisation's code on the platform.")
    @click.option("--name", required=True, help="Its legal name.")
    @click.option("--kind", required=True, type=click.Choice([kind.value for kind in OrganisationKind]))
    @click.option("--subkind", help="For example school, cooperative, poverty_office.")
    @click.option("--region", required=True, help="Code of its region (GB/T 2260).")
    @click.option("--credit-code", help="Unified social credit code (GB 32100).")
    @click.option("--parent", help="Code of the organisation above it.")
    @click.option("--level", help="Of an agency: central, provincial, city or county.")
    @click.option("--counts-in-city", is_flag=True, help="Its reserve counts in the city's figures.")
    @click.option("--canteen", help="Of an agency: own, none, shared or outsourced.")
    def add_organisation(
        code: str,
        name: str,
        kind: str,
        subkind: str | None,
        region: str,
        credit_code: str | None,
        parent: str | None,
        level: str | None,
        counts_in_city: bool,
        canteen: str | None,
    ) -> None:
        """Add an organisation, of which the administrator then makes the accounts."""
        parent_id = None
        if parent is not None:
            with db.engine.connect() as connection:
                parent_id = connection.scalar(sa.select(Organisation.id).where(Organisation.code == parent))
            if parent_id is None:
                raise click.ClickException(f"there is no organisation with the code {parent}")
        try:
            service.add_organisation(
                system(Door.CLI), code=code, name=name, kind=kind, subkind=subkind, region_code=region,
                credit_code=credit_code, parent_id=parent_id, level=level, counts_in_city=counts_in_city,
                canteen_mode=canteen,
            )  # fmt: skip
        except MarketplaceError as refused:
            raise _told(refused) from None
        click.echo(f"Organisation: {code} {name}")


def _told(refused: MarketplaceError) -> click.ClickException:
    """A refusal as one line for the terminal: slug, reason, and each wrong field."""
    wrong = "".join(f"; {error['pointer']}: {error['detail']}" for error in refused.data.get("errors", []))
    return click.ClickException(f"{refused.code}: {refused}{wrong}")
