"""Migrations on a database of their own: up, down, up again; the models they give; the rights they grant."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from flask import Flask
from flask_migrate import downgrade, upgrade
from psycopg import sql

from marketplace import embedded
from marketplace.config import _driver
from marketplace.database import Base
from marketplace.migrations.rights import APPEND_ONLY, DELETABLE
from tests.conftest import RUN, Server, dispose, environment, make_app

MIGRATIONS = Path(__file__).resolve().parent.parent / "marketplace" / "migrations"
PRIVILEGES = ("select", "insert", "update", "delete", "truncate", "references", "trigger")


@pytest.fixture(scope="module")
def migrated(server: Server, state_folder: Path) -> Iterator[Flask]:
    """A fresh database that went up, down to nothing, and up again."""
    name = f"test_{RUN}_{secrets.token_hex(5)}"
    embedded.create_database(server.owner_url, name)
    env = environment(server, name, state_folder)
    app = make_app(env)
    app.config["TEST_ENVIRONMENT"] = env
    before = os.environ.get("DATABASE_OWNER_URL")
    os.environ["DATABASE_OWNER_URL"] = env["DATABASE_OWNER_URL"]
    try:
        with app.app_context():
            upgrade()
            downgrade(revision="base")
            app.config["LEFT_BY_DOWNGRADE"] = left_over(env["DATABASE_OWNER_URL"])
            upgrade()
        yield app
    finally:
        if before is None:
            del os.environ["DATABASE_OWNER_URL"]
        else:
            os.environ["DATABASE_OWNER_URL"] = before
        dispose(app)
        embedded.drop_database(server.owner_url, name)


def connect(url: str) -> psycopg.Connection:
    return psycopg.connect(url.replace("+psycopg:", ":", 1), autocommit=True)


def left_over(owner_url: str) -> dict[str, list[str]]:
    found = {}
    with connect(owner_url) as connection:
        for what, query in {
            "tables": "select tablename from pg_tables where schemaname = 'public'",
            "sequences": "select sequencename from pg_sequences where schemaname = 'public'",
            "functions": "select proname from pg_proc where pronamespace = 'public'::regnamespace",
            "types": "select typname from pg_type where typnamespace = 'public'::regnamespace and typtype = 'e'",
        }.items():
            rows = connection.execute(query).fetchall()
            found[what] = sorted(row[0] for row in rows if row[0] != "alembic_version")
    return found


@pytest.fixture
def as_owner(migrated: Flask) -> Iterator[psycopg.Connection]:
    with connect(migrated.config["TEST_ENVIRONMENT"]["DATABASE_OWNER_URL"]) as connection:
        yield connection


@pytest.fixture
def as_application(migrated: Flask) -> Iterator[psycopg.Connection]:
    with connect(migrated.config["TEST_ENVIRONMENT"]["DATABASE_URL"]) as connection:
        yield connection


def test_a_downgrade_to_base_leaves_nothing(migrated: Flask) -> None:
    assert migrated.config["LEFT_BY_DOWNGRADE"] == {
        "tables": [],
        "sequences": [],
        "functions": [],
        "types": [],
    }


def test_the_migrations_have_one_head_and_it_is_applied(as_owner: psycopg.Connection) -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    heads = ScriptDirectory.from_config(config).get_heads()
    assert len(heads) == 1
    assert as_owner.execute("select version_num from alembic_version").fetchall() == [(heads[0],)]


def test_migrated_tables_are_those_of_the_models(migrated: Flask) -> None:
    engine = sa.create_engine(_driver(migrated.config["TEST_ENVIRONMENT"]["DATABASE_OWNER_URL"]))

    def ours(name: str | None, kind: str, parents: object) -> bool:
        return not (kind == "table" and name is not None and name.startswith("procrastinate_"))

    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"include_name": ours, "compare_type": True})
        drift = compare_metadata(context, Base.metadata)
    engine.dispose()
    assert drift == []


def test_the_application_has_exactly_the_rights_of_each_table(as_application: psycopg.Connection) -> None:
    query = (
        "select tablename, array(select p from unnest(%s::text[]) p"
        " where has_table_privilege(format('public.%%I', tablename), p))"
        " from pg_tables where schemaname = 'public'"
    )
    rights = {
        table: set(granted) for table, granted in as_application.execute(query, [list(PRIVILEGES)]).fetchall()
    }
    expected = {}
    for table in rights:
        if table == "alembic_version":
            expected[table] = {"select"}
        elif table.startswith("procrastinate_"):
            expected[table] = {"select", "insert", "update", "delete"}
        elif table in APPEND_ONLY:
            expected[table] = {"select", "insert"}
        elif table in DELETABLE:
            expected[table] = {"select", "insert", "update", "delete"}
        else:
            expected[table] = {"select", "insert", "update"}
    assert rights == expected


def test_the_lists_of_rights_name_tables_that_exist_and_exclude_each_other() -> None:
    assert set(Base.metadata.tables) >= APPEND_ONLY | DELETABLE
    assert not APPEND_ONLY & DELETABLE


@pytest.mark.parametrize("table", ["fact", "seal", "reserve_entry", "stock_movement"])
@pytest.mark.parametrize("act", ["update", "delete", "truncate"])
def test_the_application_cannot_rewrite_what_is_recorded(
    as_application: psycopg.Connection, table: str, act: str
) -> None:
    column = list(Base.metadata.tables[table].columns)[-1].name
    form = {"update": "update {0} set {1} = {1}", "delete": "delete from {0}", "truncate": "truncate {0}"}[
        act
    ]
    statement = sql.SQL(form).format(sql.Identifier(table), sql.Identifier(column))
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        as_application.execute(statement)


FACT = """
    insert into fact (id, kind, recorded_at, door, subject_type, subject_id, parties, body)
    values (gen_random_uuid(), 'region.added', now(), 'import', 'region', gen_random_uuid(), '{}', '{}')
"""


@pytest.mark.parametrize(
    "statement", ["update fact set kind = kind", "delete from fact", "truncate fact cascade"]
)
def test_even_the_owner_is_refused_to_rewrite_facts(as_owner: psycopg.Connection, statement: str) -> None:
    if as_owner.execute("select count(*) from fact").fetchone() == (0,):
        as_owner.execute(FACT)
    before = as_owner.execute("select * from fact").fetchall()
    assert len(before) == 1
    with pytest.raises(psycopg.errors.InsufficientPrivilege, match="fact is append-only"):
        as_owner.execute(statement)
    assert as_owner.execute("select * from fact").fetchall() == before
