from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest
from flask import Flask

from marketplace.migrations.rights import APPEND_ONLY
from tests.conftest import Server, cloned_app
from tests.quota.world import City, build


@pytest.fixture(scope="module")
def city_app(empty_app: Flask) -> tuple[Flask, City]:
    with empty_app.app_context():
        city = build()
    return empty_app, city


@pytest.fixture
def city(city_app: tuple[Flask, City]) -> Iterator[City]:
    """The city of the module, in an application context; tests of one module share its trade."""
    app, city = city_app
    with app.app_context():
        yield city


@pytest.fixture
def fresh_city(server: Server, empty_template: str, state_folder) -> Iterator[City]:
    """A city of one's own, without trade."""
    with cloned_app(server, empty_template, state_folder) as app, app.app_context():
        yield build()


@pytest.fixture
def tables_owner(fresh_city: City) -> Iterator[psycopg.Connection]:
    """The owner of the tables of `fresh_city`, with triggers and the seal's reference off: all that he may do."""
    from flask import current_app

    url = current_app.config["TEST_ENVIRONMENT"]["DATABASE_OWNER_URL"]
    with psycopg.connect(url, autocommit=True) as connection:
        for table in APPEND_ONLY:
            connection.execute(f"alter table {table} disable trigger user")
        connection.execute("alter table seal drop constraint fk_seal_fact_id")
        yield connection
