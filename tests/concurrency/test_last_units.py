"""Many buyers at once against gunicorn and committed rows: nothing is oversold, nothing is undersold."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import psycopg
import pytest
from flask import Flask

from marketplace.clock import today
from tests.serving import Site, running_site

DELIVER_TO = {"name": "王老师", "phone": "13800000000", "address": "平凉市崆峒区"}


@pytest.fixture(scope="module")
def site(app: Flask) -> Any:
    with running_site(app.config["TEST_ENVIRONMENT"]) as site:
        site.token("canteen.buyer")
        yield site


def scarce(site: Site, owner: psycopg.Connection, index: int, portions: int) -> dict[str, Any]:
    """A product of which exactly `portions` minimum quantities are left, spread over its lots."""
    seller = site.get("/me", "coop.seller")["organisation"]["id"]
    product = site.get(f"/products?seller={seller}&available=true&sort=price")["items"][index]
    left = portions * product["min_order_quantity"]
    rows = owner.execute(
        "select s.id, s.on_hand - s.reserved from stock s join lot l on l.id = s.lot_id"
        " where l.product_id = %s and l.state = 'released' order by s.id",
        (product["id"],),
    ).fetchall()
    for stock_id, free in rows:
        keep = min(free, left)
        left -= keep
        owner.execute("update stock set on_hand = on_hand - %s where id = %s", (free - keep, stock_id))
        owner.execute(
            "insert into stock_movement (stock_id, kind, on_hand_delta, reserved_delta, moved_at)"
            " values (%s, 'stocktake', %s, 0, now())",
            (stock_id, keep - free),
        )
    assert left == 0
    return dict(product)


def buy_at_once(site: Site, product: dict[str, Any], buyers: int) -> list[Any]:
    barrier = Barrier(buyers)
    body = {
        "purpose": "canteen",
        "deliver_on": today().isoformat(),
        "deliver_to": DELIVER_TO,
        "lines": [{"product_id": product["id"], "quantity": product["min_order_quantity"]}],
    }

    def buy(_: int) -> Any:
        barrier.wait()
        return site.call("POST", "/purchases", "canteen.buyer", json=body)

    with ThreadPoolExecutor(buyers) as pool:
        return list(pool.map(buy, range(buyers)))


def test_of_fifty_buyers_of_the_last_unit_one_wins(site: Site, owner: psycopg.Connection) -> None:
    product = scarce(site, owner, 0, 1)

    answers = buy_at_once(site, product, 50)

    assert sorted(a.status_code for a in answers) == [201] + [409] * 49
    refusals = [a.json() for a in answers if a.status_code == 409]
    assert {r["type"].rsplit("/", 1)[1] for r in refusals} == {"insufficient-stock"}
    assert refusals[0]["shortages"] == [
        {"product_id": product["id"], "asked": product["min_order_quantity"], "available": 0}
    ]


def test_fifteen_buyers_of_exactly_fifteen_portions_all_win(site: Site, owner: psycopg.Connection) -> None:
    product = scarce(site, owner, 1, 15)

    answers = buy_at_once(site, product, 15)

    assert [a.status_code for a in answers] == [201] * 15
    free, moved = owner.execute(
        "select sum(s.on_hand - s.reserved), sum(s.reserved - coalesce((select sum(reserved_delta) from stock_movement"
        " m where m.stock_id = s.id), 0)) from stock s join lot l on l.id = s.lot_id where l.product_id = %s"
        " and l.state = 'released'",
        (product["id"],),
    ).fetchone()
    assert (free, moved) == (0, 0)


def test_one_key_sent_twice_at_once_has_one_effect(site: Site, owner: psycopg.Connection) -> None:
    seller = site.get("/me", "coop.seller")["organisation"]["id"]
    product = site.get(f"/products?seller={seller}&available=true&sort=-price")["items"][0]
    body = {
        "purpose": "canteen",
        "deliver_on": today().isoformat(),
        "deliver_to": DELIVER_TO,
        "lines": [{"product_id": product["id"], "quantity": product["min_order_quantity"]}],
    }
    before = owner.execute("select count(*) from purchase").fetchone()[0]
    barrier = Barrier(8)

    def buy(_: int) -> Any:
        barrier.wait()
        return site.call(
            "POST", "/purchases", "canteen.buyer", json=body, headers={"Idempotency-Key": "one-effect"}
        )

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(buy, range(8)))

    assert owner.execute("select count(*) from purchase").fetchone()[0] == before + 1
    assert {a.status_code for a in answers} <= {201, 409}
    assert len({a.content for a in answers if a.status_code == 201}) == 1


def test_a_purchase_that_waits_for_a_hold_takes_nothing_of_what_is_held(
    site: Site, owner: psycopg.Connection
) -> None:
    product = scarce(site, owner, 2, 3)
    with (
        psycopg.connect(owner.info.dsn, password=owner.info.password) as holding,
        ThreadPoolExecutor(1) as pool,
    ):
        held = holding.execute(
            "update lot set state = 'held' where product_id = %s and state = 'released' returning id",
            (product["id"],),
        ).fetchall()
        buying = pool.submit(buy_at_once, site, product, 1)
        until = time.monotonic() + 30
        while not owner.execute("select 1 from pg_locks where not granted").fetchone():
            assert time.monotonic() < until
            time.sleep(0.01)
        holding.commit()
        answer = buying.result()[0]
    owner.execute("update lot set state = 'released' where id = any(%s)", ([row[0] for row in held],))

    assert answer.status_code == 409, answer.text
    assert answer.json()["shortages"][0]["available"] == 0
