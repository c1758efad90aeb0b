"""A purchase goes past the library and the schema where they cost most: the bytes and the rows are the same."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import timedelta
from typing import Any
from uuid import UUID

import psycopg
import pytest
from flask import Flask
from flask.testing import FlaskClient

from marketplace import clock
from marketplace.actors import ROLE_PERMISSIONS, Actor, Door, Role
from marketplace.database import db
from marketplace.orders import queries
from marketplace.orders.schemas import PurchaseOut
from tests.statements import sent_statements

SignIn = Callable[[str], dict[str, str]]


def counted(app: Flask) -> AbstractContextManager[list[str]]:
    with app.app_context():
        return sent_statements(db.engine)


def on_sale(client: FlaskClient, count: int) -> list[dict[str, Any]]:
    """Products of several sellers with stock, each with its least quantity."""
    items = client.get("/api/v1/products?available=true&limit=100").get_json()["items"]
    chosen: dict[str, list[dict[str, Any]]] = {}
    for item in items:
        chosen.setdefault(item["seller"]["id"], []).append(item)
    mixed = [goods.pop() for _ in range(20) for goods in chosen.values() if goods]
    assert len(mixed) >= count
    return mixed[:count]


def body(products: list[dict[str, Any]], **changes: Any) -> dict[str, Any]:
    return {
        "purpose": "canteen",
        "deliver_on": clock.today().isoformat(),
        "deliver_to": {"name": "食堂“库房”", "phone": "0933-0000000", "address": "平凉市{崆峒区},\\1"},
        "lines": [{"product_id": p["id"], "quantity": p["min_order_quantity"]} for p in products],
        "reference": "采购/\"1\"-'x'",
        "note": "送到\n后门",
    } | changes


def buyer_of(owner: psycopg.Connection, username: str) -> Actor:
    row = owner.execute(
        "select u.id, u.organisation_id, o.region_code from app_user u join organisation o"
        " on o.id = u.organisation_id where u.username = %s",
        (username,),
    ).fetchone()
    assert row is not None
    permissions = ROLE_PERMISSIONS[Role.BUYER]
    return Actor(row[0], username, row[1], "agency", row[2], Role.BUYER, permissions, Door.API)


@pytest.mark.parametrize("lines", [1, 9])
def test_the_answer_is_what_the_schema_would_dump_of_the_rows(
    app: Flask, client: FlaskClient, sign_in: SignIn, owner: psycopg.Connection, lines: int
) -> None:
    headers = sign_in("canteen.buyer") | {"Idempotency-Key": f"bytes-{lines}"}
    wish = body(on_sale(client, lines), reference=f"采购/\"{lines}\"-'x'")

    made = client.post("/api/v1/purchases", json=wish, headers=headers)

    assert made.status_code == 201, made.get_data(as_text=True)
    with app.app_context():
        view = queries.purchase_view(
            db.session(), buyer_of(owner, "canteen.buyer"), UUID(made.get_json()["id"])
        )
    dumped = json.dumps(PurchaseOut().dump(view), ensure_ascii=False, separators=(",", ":"))
    assert made.get_data(as_text=True) == dumped
    assert made.headers["ETag"] == '"1"'
    again = client.post("/api/v1/purchases", json=wish, headers=headers)
    assert (again.status_code, again.data, again.headers["ETag"]) == (201, made.data, '"1"')
    assert again.headers["Idempotent-Replayed"] == "true"
    kept = owner.execute(
        "select deliver_name, deliver_address, reference, note from purchase where id = %s",
        (made.get_json()["id"],),
    ).fetchone()
    assert kept == ("食堂“库房”", "平凉市{崆峒区},\\1", f"采购/\"{lines}\"-'x'", "送到\n后门")


def test_a_purchase_takes_the_same_statements_however_long_it_is(
    app: Flask, client: FlaskClient, sign_in: SignIn
) -> None:
    headers = sign_in("canteen.buyer")
    few, many = on_sale(client, 1), on_sale(client, 12)
    client.get("/api/v1/me", headers=headers)  # the rate limit's batch is taken
    told = []
    for number, products in enumerate((few, many)):
        wish = body(products, reference=None, deliver_on=(clock.today() + timedelta(days=1)).isoformat())
        del wish["reference"]
        with counted(app) as sent:
            made = client.post(
                "/api/v1/purchases", json=wish, headers=headers | {"Idempotency-Key": f"count-{number}"}
            )
        assert made.status_code == 201, made.get_data(as_text=True)
        told.append(len(sent))
    # The token, the claim, its answer, what the purchase stands on, its products, their stock, and all it writes.
    assert told == [7, 7]


def test_a_refused_purchase_leaves_the_stock_unlocked_and_unchanged(
    client: FlaskClient, sign_in: SignIn, owner: psycopg.Connection
) -> None:
    (product,) = on_sale(client, 1)
    stock = "select sum(s.reserved) from stock s join lot l on l.id = s.lot_id where l.product_id = %s"
    before = owner.execute(stock, (product["id"],)).fetchone()
    wish = body([product], reference="一次")
    wish["lines"][0]["quantity"] = 9_999_999 // product["order_multiple"] * product["order_multiple"]

    refused = client.post("/api/v1/purchases", json=wish, headers=sign_in("canteen.buyer"))

    assert refused.status_code == 409
    assert refused.get_json()["type"].endswith("/insufficient-stock")
    assert owner.execute(stock, (product["id"],)).fetchone() == before
    waiting = (
        "select count(*) from pg_stat_activity where datname = current_database() and state like 'idle in%'"
    )
    assert owner.execute(waiting).fetchone() == (0,)
