"""What is sold from a stock row is copied onto it: the copies follow their sources, also when two act at once."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from datetime import date, timedelta
from uuid import UUID

import psycopg
import pytest
from flask import Flask
from psycopg import sql

from marketplace.catalog import queries
from marketplace.clock import today
from marketplace.database import db
from tests.catalog import making

pytestmark = pytest.mark.usefixtures("context")

# Summed from the sources.
SUM = """
    select coalesce(sum(s.on_hand - s.reserved), 0)::bigint from lot l
    join stock s on s.lot_id = l.id join place o on o.id = s.place_id join product p on p.id = l.product_id
    where p.id = %s and l.state = 'released' and l.best_before >= %s and o.organisation_id = p.seller_id
"""
STATES = ("draft", "released", "held", "recalled")


@pytest.fixture
def shop(context: Flask) -> making.Actor:
    return making.person()


@pytest.fixture
def another(app: Flask) -> Iterator[psycopg.Connection]:
    """A second connection, whose transaction the test itself ends."""
    with psycopg.connect(app.config["TEST_ENVIRONMENT"]["DATABASE_OWNER_URL"]) as connection:
        yield connection
        connection.rollback()


def shown(product: dict, until: date) -> int:
    return queries.product_view(db.session(), UUID(product["id"]), until)["available_quantity"]


def test_what_is_for_sale_follows_lots_through_any_changes(shop, owner):
    draw = random.Random(20_261_124)
    products = [making.recognised(shop) for _ in range(3)]
    channel = making.organisation("channel")
    days = [today() + timedelta(days=n) for n in (0, 1, 10, 40)]
    lots: list[UUID] = []

    for _ in range(60):
        if len(lots) < 4 or draw.random() < 0.3:
            at = channel if draw.random() < 0.2 else None
            amount = draw.randrange(1, 500)
            lots.append(
                making.stock(
                    owner, draw.choice(products), amount, draw.choice(days),
                    reserved=draw.randrange(amount), state=draw.choice(STATES), at=at,
                )
            )  # fmt: skip
        else:
            changed, value = draw.choice(
                [
                    ("state", draw.choice(STATES)),
                    ("best_before", draw.choice(days)),
                    ("product_id", draw.choice(products)["id"]),
                ]
            )
            change = sql.SQL("update lot set {} = %s where id = %s").format(sql.Identifier(changed))
            owner.execute(change, (value, draw.choice(lots)))
        for product in products:
            for until in days:
                told = owner.execute(SUM, (product["id"], until)).fetchone()
                assert shown(product, until) == told[0]


def _waiting(owner: psycopg.Connection, other: psycopg.Connection) -> None:
    """Until the backend of `other` waits for a lock."""
    pid = other.info.backend_pid
    for _ in range(500):
        row = owner.execute("select wait_event_type from pg_stat_activity where pid = %s", (pid,)).fetchone()
        if row == ("Lock",):
            return
        threading.Event().wait(0.01)
    raise AssertionError("the second act does not wait")


def test_stock_that_comes_while_its_lot_is_taken_off_sale_is_not_for_sale(shop, owner, another):
    product = making.recognised(shop)
    lot = making.stock(owner, product, 10, today() + timedelta(days=9))
    place = making.place(owner, shop.organisation_id)
    with owner.transaction():
        owner.execute("update lot set state = 'held' where id = %s", (lot,))
        coming = threading.Thread(
            target=another.execute,
            args=(
                "insert into stock (lot_id, place_id, on_hand, reserved) values (%s, %s, 5, 0)",
                (lot, place),
            ),
        )
        coming.start()
        with psycopg.connect(owner.info.dsn, password=owner.info.password, autocommit=True) as looking:
            _waiting(looking, another)
    coming.join()
    another.commit()

    assert shown(product, today()) == 0


def test_a_lot_is_taken_off_sale_with_stock_that_comes_just_before(shop, owner, another):
    product = making.recognised(shop)
    lot = making.stock(owner, product, 10, today() + timedelta(days=9))
    place = making.place(owner, shop.organisation_id)
    with owner.transaction():
        owner.execute(
            "insert into stock (lot_id, place_id, on_hand, reserved) values (%s, %s, 5, 0)", (lot, place)
        )
        holding = threading.Thread(
            target=another.execute, args=("update lot set state = 'held' where id = %s", (lot,))
        )
        holding.start()
        with psycopg.connect(owner.info.dsn, password=owner.info.password, autocommit=True) as looking:
            _waiting(looking, another)
    holding.join()
    another.commit()

    assert shown(product, today()) == 0
