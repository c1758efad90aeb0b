"""The seed loads everything once, through the services, and never twice."""

from __future__ import annotations

import json
from dataclasses import replace

import psycopg
import pytest
from flask import Flask
from psycopg import sql

from marketplace.config import Settings
from marketplace.seeding.reading import in_order, rows
from tests.timing import computing


def counts(connection: psycopg.Connection) -> dict[str, int]:
    """Rows of every table."""
    tables = connection.execute(
        "select table_name from information_schema.tables"
        " where table_schema = 'public' and table_type = 'BASE TABLE'"
    ).fetchall()
    found = {}
    for (table,) in tables:
        row = connection.execute(sql.SQL("select count(*) from {}").format(sql.Identifier(table))).fetchone()
        assert row is not None
        found[table] = row[0]
    return found


def test_every_row_of_the_seed_is_loaded(owner: psycopg.Connection) -> None:
    found = counts(owner)
    assert {name: found[name] for name in EXPECTED} == EXPECTED


EXPECTED = {
    "region": 12,
    "township": 102,
    "organisation": 51,
    "canteen": 10,
    "payer_profile": 56,
    "bank_account": 18,
    "policy": 31,
    "county_eligibility": 5,
    "category": 49,
    "price_list": 4,
    "channel_pair": 5,
    "channel_agreement": 5,
    "channel_item": 36,
    "app_user": 14,
    "product": 65,
    "product_certification": 28,
    "grower": 85,
    # Seven lots wait: their products aren't recognised.
    "lot": 155,
    "lot_certificate": 161,
    "inspection": 91,
}


def test_a_second_run_writes_no_row_and_is_quick(app: Flask, owner: psycopg.Connection) -> None:
    before = counts(owner)
    with computing() as spent:
        result = app.test_cli_runner().invoke(args=["seed", "--quiet"])
    assert result.exit_code == 0, result.output
    assert spent.seconds < 3
    assert counts(owner) == before


def test_lots_and_products_stand_where_the_seed_says(owner: psycopg.Connection) -> None:
    lots = dict(owner.execute("select code, state from lot").fetchall())
    assert lots == {row["code"]: row["state"] for row in rows("lots") if row["code"] in lots}
    products = dict(owner.execute("select sku, state from product").fetchall())
    assert products == {row["sku"]: row["state"] for row in rows("products")}


def test_the_lot_of_a_failed_sample_is_held_for_it(owner: psycopg.Connection) -> None:
    held = owner.execute(
        "select lot.code from lot_hold join lot on lot.id = lot_hold.lot_id where cause = 'failed_sample'"
    ).fetchall()
    assert held == [("LOT-0034-3",)]


def test_lots_of_a_product_that_is_not_recognised_wait(owner: psycopg.Connection) -> None:
    waiting = {row["sku"] for row in rows("products") if row["state"] != "recognised"}
    loaded = {code for (code,) in owner.execute("select code from lot").fetchall()}
    left_out = {row["sku"] for row in rows("lots") if row["code"] not in loaded}
    assert left_out == waiting == {"PL-0062", "PL-0064", "PL-0065"}


def test_stock_equals_the_quantities_of_the_lots(owner: psycopg.Connection) -> None:
    row = owner.execute(
        "select sum(on_hand), sum(reserved), (select sum(quantity) from lot) from stock"
    ).fetchone()
    assert row is not None
    on_hand, reserved, quantity = row
    assert on_hand == quantity
    assert reserved == 0


def test_every_fact_of_the_seed_came_through_the_import_and_names_no_grower(
    owner: psycopg.Connection,
) -> None:
    doors = owner.execute("select distinct door from fact").fetchall()
    assert doors == [("import",)]
    bodies = [json.loads(body) for (body,) in owner.execute("select body from fact").fetchall()]
    names = {row["name"] for row in rows("growers")}
    told = {value for body in bodies for value in body["data"].values() if isinstance(value, str)}
    assert not names & told


def test_the_demo_accounts_are_printed_and_sign_in(app: Flask, sign_in: object) -> None:
    result = app.test_cli_runner().invoke(args=["seed", "--quiet"])
    lines = result.stdout.splitlines()
    assert lines[0] == "Demo accounts:"
    assert {line.split()[0] for line in lines[1:-1]} == {row["username"] for row in rows("accounts")}
    assert lines[-1] == "Password of all: pingliang-demo-2026"
    assert callable(sign_in)
    assert "Authorization" in sign_in("canteen.buyer")


def test_production_refuses_the_demo_accounts_and_writes_nothing(
    app: Flask, owner: psycopg.Connection
) -> None:
    before = counts(owner)
    settings: Settings = app.config["SETTINGS"]
    app.config["SETTINGS"] = replace(settings, environment="production")
    try:
        result = app.test_cli_runner().invoke(args=["seed", "--quiet"])
    finally:
        app.config["SETTINGS"] = settings
    assert result.exit_code == 1
    assert "not in production" in result.output
    assert counts(owner) == before


def test_rows_come_after_what_they_need() -> None:
    given: list[dict[str, str | None]] = [
        {"code": "child", "parent": "mother"},
        {"code": "mother", "parent": None},
        {"code": "stranger", "parent": "elsewhere"},
    ]
    assert [row["code"] for row in in_order(given, "code", ["parent"])] == ["mother", "stranger", "child"]
    with pytest.raises(ValueError, match="need each other"):
        in_order([{"code": "a", "parent": "b"}, {"code": "b", "parent": "a"}], "code", ["parent"])
