"""Whoever locks several rows locks them in one order: crossing purchases and decisions never wait for each other."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest
from flask import Flask

from marketplace.clock import today
from tests.serving import Site, running_site

DELIVER_TO = {"name": "王老师", "phone": "13800000000", "address": "平凉市崆峒区"}
BUYERS = 16
EACH = 3


@pytest.fixture(scope="module")
def site(app: Flask) -> Iterator[Site]:
    with running_site(app.config["TEST_ENVIRONMENT"]) as site:
        for user in ("canteen.buyer", "canteen.manager"):
            site.token(user)
        yield site


def deadlocks(owner: psycopg.Connection) -> int:
    """As the server counted them; `retrying` would hide them from every caller."""
    found = owner.execute(
        "select deadlocks from pg_stat_database where datname = current_database()"
    ).fetchone()
    assert found
    return int(found[0])


def test_the_servers_count_of_deadlocks_is_one_that_grows(owner: psycopg.Connection, app: Flask) -> None:
    """The oracle of this file: two who lock two rows crosswise are counted."""
    before = deadlocks(owner)
    rows = [row[0] for row in owner.execute("select id from stock order by id limit 2").fetchall()]

    def lock(row: Any, other: Any) -> bool:
        with psycopg.connect(owner.info.dsn, password=owner.info.password) as connection:
            connection.execute("select 1 from stock where id = %s for update", (row,))
            time.sleep(0.5)
            try:
                connection.execute("select 1 from stock where id = %s for update", (other,))
            except psycopg.errors.DeadlockDetected:
                return True
            return False

    with ThreadPoolExecutor(2) as pool:
        lost = [pool.submit(lock, *rows), pool.submit(lock, *reversed(rows))]
        assert sorted(one.result() for one in lost) == [False, True]

    deadline = time.monotonic() + 10
    while deadlocks(owner) == before and time.monotonic() < deadline:
        time.sleep(0.1)
    assert deadlocks(owner) == before + 1


def test_purchases_of_the_same_goods_in_any_order_and_their_ends_never_deadlock(
    site: Site, owner: psycopg.Connection, app: Flask
) -> None:
    before = deadlocks(owner)
    products = site.get("/products?available=true")["items"][:8]
    assert len(products) >= 6

    def buy(seed: int) -> list[int]:
        """Purchases of the same goods, each time in another order; approved or cancelled meanwhile."""
        dice = random.Random(seed)
        codes = []
        for _ in range(EACH):
            goods = dice.sample(products, len(products))
            body = {
                "purpose": "canteen",
                "deliver_on": today().isoformat(),
                "deliver_to": DELIVER_TO,
                "lines": [{"product_id": p["id"], "quantity": p["min_order_quantity"]} for p in goods],
            }
            bought = site.call("POST", "/purchases", "canteen.buyer", json=body)
            codes.append(bought.status_code)
            if bought.status_code == 201:
                path = f"/purchases/{bought.json()['id']}"
                if dice.random() < 0.5:
                    ended = site.call("POST", f"{path}/approve", "canteen.manager")
                else:
                    ended = site.call("POST", f"{path}/cancel", "canteen.buyer", json={"reason": "不要了"})
                codes.append(ended.status_code)
        return codes

    with ThreadPoolExecutor(BUYERS) as pool:
        codes = [code for codes in pool.map(buy, range(BUYERS)) for code in codes]

    assert codes.count(201) >= BUYERS, codes
    assert set(codes) <= {200, 201, 409}, site.defects()
    time.sleep(1.5)  # A session tells its counts once a second at most.
    assert deadlocks(owner) == before
    assert app.test_cli_runner().invoke(args=["verify"]).exit_code == 0
