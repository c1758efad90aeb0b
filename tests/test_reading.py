"""Reads sent by the driver itself: the same rows, no transaction, and a lost server costs one answer."""

from __future__ import annotations

from datetime import date
from uuid import UUID

import psycopg
import pytest
import sqlalchemy as sa
from flask import Flask
from sqlalchemy.exc import OperationalError

from marketplace import reading
from marketplace.catalog.models import Category
from marketplace.database import db
from marketplace.wire import prepare

pytestmark = pytest.mark.usefixtures("context")


def end_every_connection(owner: psycopg.Connection) -> None:
    owner.execute(
        "select pg_terminate_backend(pid, 5000) from pg_stat_activity"
        " where datname = current_database() and application_name = 'marketplace'"
    )


def test_values_are_given_by_name_and_constants_stay() -> None:
    statement = sa.select(Category.name).where(
        Category.code == sa.bindparam("code"), Category.code.startswith("01")
    )
    kept = prepare(statement)

    asked = db.session().execute(statement, {"code": "0101"}).all()
    assert len(asked) == 1
    assert reading.fetch(kept, {"code": "0101", "other": 1}) == asked
    assert reading.fetch(kept, {"code": "02"}) == []


def test_a_read_leaves_its_connection_fit_for_transactions(owner: psycopg.Connection) -> None:
    assert reading.fetch_text("select $1::bigint + 1", (1,)) == [(2,)]

    with db.engine.begin() as connection:
        assert connection.connection.driver_connection.autocommit is False
        assert connection.scalar(sa.text("select count(*) from category")) > 0


def test_what_is_prepared_for_reads_outlives_the_transactions_of_others() -> None:
    text = "select $1::bigint + 2"
    for number in (1, 2):
        assert reading.fetch_text(text, (number,)) == [(number + 2,)]
        db.session().execute(sa.text("select 1"))
        db.session.rollback()

    planned = "select generic_plans, custom_plans from pg_prepared_statements where statement = $1"
    assert reading.fetch_text(planned, (text,)) == [(2, 0)]


def test_what_was_prepared_before_a_migration_or_is_gone_is_prepared_anew(owner: psycopg.Connection) -> None:
    owner.execute(
        "create table moved (n integer); insert into moved values (7); grant select on moved to public"
    )
    assert reading.fetch_text("select n from moved", ()) == [(7,)]
    owner.execute("alter table moved alter column n type text")
    assert reading.fetch_text("select n from moved", ()) == [("7",)]

    reading.fetch_text("deallocate all", ())
    assert reading.fetch_text("select n from moved", ()) == [("7",)]
    owner.execute("drop table moved")


def test_what_a_session_has_prepared_outlives_its_rollbacks() -> None:
    session = db.session()
    for number in range(5):
        assert session.scalar(sa.text("select cast(:n as bigint) + 3"), {"n": number}) == number + 3
        session.rollback()
    with pytest.raises(sa.exc.DataError):
        session.execute(sa.text("select 1 / cast(:n as bigint)"), {"n": 0})
    session.rollback()

    planned = "select generic_plans + custom_plans from pg_prepared_statements where statement like :text"
    assert session.scalar(sa.text(planned), {"text": "select cast($1 as bigint) + 3"}) == 3


def test_a_rollback_after_the_server_is_gone_costs_one_answer(owner: psycopg.Connection) -> None:
    session = db.session()
    session.execute(sa.text("select 1"))
    end_every_connection(owner)

    with pytest.raises(OperationalError):
        session.execute(sa.text("select 1"))
    session.rollback()
    assert session.scalar(sa.text("select 1")) == 1
    session.rollback()
    for engine in db.engines.values():
        engine.dispose()


def test_a_refused_statement_keeps_its_connection() -> None:
    before = reading.fetch_text("select pg_backend_pid()", ())

    with pytest.raises(OperationalError) as refused:
        reading.fetch_text("select 1 / $1::int", (0,))

    assert refused.value.orig.sqlstate == "22012"
    assert refused.value.connection_invalidated is False
    assert reading.fetch_text("select pg_backend_pid()", ()) == before


def test_a_lost_connection_costs_one_answer(app: Flask, owner: psycopg.Connection) -> None:
    end_every_connection(owner)

    with pytest.raises(OperationalError) as lost:
        reading.fetch_text("select 1", ())

    assert lost.value.connection_invalidated is True
    assert reading.fetch_text("select 1", ()) == [(1,)]


def test_a_lost_connection_is_an_unavailable_answer_and_the_next_one_is_good(
    app: Flask, owner: psycopg.Connection
) -> None:
    http, by_flask = app.test_client(), {"Range": "pages=1"}
    assert http.get("/api/v1/products", headers=by_flask).status_code == 200
    end_every_connection(owner)

    assert [http.get("/api/v1/products", headers=by_flask).status_code for _ in range(2)] == [503, 200]


def test_a_connection_lost_before_a_quick_read_is_no_matter(app: Flask, owner: psycopg.Connection) -> None:
    http = app.test_client()
    assert [http.get("/api/v1/products").status_code for _ in range(2)] == [200, 200]
    end_every_connection(owner)

    # Flask repeats the read, on a new connection.
    assert http.get("/api/v1/products").status_code == 200


def test_plain_rows_are_what_the_server_writes() -> None:
    statement = prepare(
        sa.text("select cast(:words as text[]), cast(:on as date), null, cast(:id as uuid), true")
    )
    words = ['a"b', "c\\d", "{e,f}", "苹果", ""]
    given = {"words": words, "on": date(2026, 2, 28), "id": UUID(int=7)}

    assert reading.fetch(statement, given) == [(words, given["on"], None, given["id"], True)]
    assert reading.fetch_plain(statement, given) == [
        ('{"a\\"b","c\\\\d","{e,f}",苹果,""}'.encode(), b"2026-02-28", None, str(given["id"]).encode(), b"t")
    ]


def test_a_connection_keeps_a_bounded_number_of_statements_also_where_some_were_cleared() -> None:
    reading.fetch_text("deallocate all", ())
    for number in range(reading.MOST_PREPARED + 5):
        assert reading.fetch_text(f"select {number}::bigint", ()) == [(number,)]

    kept = "select count(*) from pg_prepared_statements"
    assert reading.fetch_text(kept, ()) == [(reading.MOST_PREPARED,)]
