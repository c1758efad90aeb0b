"""Runs migrations as the owner of the tables (DATABASE_OWNER_URL), then gives the application its rights.

The schema `sandbox`, where partners try things out, is moved along with the main one by every upgrade and downgrade.

The application's role can read and insert; it may update and delete only where `rights.py` says so.
"""

import os

import sqlalchemy as sa
from alembic import context
from flask import current_app

import marketplace.models  # noqa: F401
from marketplace.config import _driver
from marketplace.database import MAIN_SCHEMA, SANDBOX_SCHEMA, Base
from marketplace.migrations.rights import grant_rights

# Tables that the library's own schema brings; they are pinned with its version, outside the drift test.
FOREIGN_PREFIX = "procrastinate_"


def include_name(name, type_, parent_names):
    return not (type_ == "table" and name and name.startswith(FOREIGN_PREFIX))


def include_object(obj, name, type_, reflected, compare_to):
    return not (type_ == "table" and name and name.startswith(FOREIGN_PREFIX))


def moves_tables() -> bool:
    """Whether the command goes to a revision; comparing and showing look at the main schema alone."""
    try:
        context.get_revision_argument()
    except KeyError:
        return False
    return True


def run(schema: str) -> None:
    owner_url = os.environ.get("DATABASE_OWNER_URL") or current_app.config["SQLALCHEMY_DATABASE_URI"]
    app_role = sa.make_url(current_app.config["SQLALCHEMY_DATABASE_URI"]).username
    engine = sa.create_engine(_driver(owner_url), poolclass=sa.pool.NullPool)
    with engine.connect() as connection:
        if schema != MAIN_SCHEMA:
            # Ahead of everything else, so that tables that are made without a schema's name come to stand in it.
            connection.execute(sa.text(f"create schema if not exists {schema}"))
            connection.execute(sa.text(f"set search_path to {schema}"))
            connection.commit()
            connection.dialect.default_schema_name = schema
        context.configure(
            connection=connection,
            target_metadata=Base.metadata,
            include_name=include_name,
            include_object=include_object,
            compare_type=True,
        )
        with context.begin_transaction():
            # Two deployments at once: the second waits and finds nothing to do.
            connection.execute(sa.text("select pg_advisory_xact_lock(8020832)"))
            context.run_migrations()
            grant_rights(connection, app_role)
    engine.dispose()


run(MAIN_SCHEMA)
if moves_tables():
    run(SANDBOX_SCHEMA)
