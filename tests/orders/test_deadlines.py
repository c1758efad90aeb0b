"""Holds that run out and orders that no seller confirmed: the jobs end them, and the stock is free again."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any

import psycopg
import pytest
from flask import Flask
from flask.testing import FlaskClient

from marketplace import clock
from marketplace.jobs import TASKS
from tests.story import Teller

QUANTITY = 3


class Desk:
    """Purchases of the demo canteen, their deadlines moved as the owner of the tables, and what is left of them."""

    def __init__(self, teller: Teller, owner: psycopg.Connection) -> None:
        self.teller, self.owner = teller, owner
        self.product: str = str(self.row("select id from product where sku = %s", "PL-0001")[0])

    def row(self, query: str, *values: object) -> tuple[Any, ...]:
        found = self.owner.execute(query, values).fetchone()
        assert found is not None
        return found

    def buy(self) -> dict[str, Any]:
        body = {
            "purpose": "canteen",
            "deliver_on": (clock.today() + timedelta(days=3)).isoformat(),
            "deliver_to": {"name": "王芳", "phone": "13800000000", "address": "崆峒区柳湖路1号"},
            "lines": [{"product_id": self.product, "quantity": QUANTITY}],
        }
        return self.teller.ask("POST", "/purchases", "canteen.buyer", body)

    def approved(self) -> dict[str, Any]:
        bought = self.buy()
        return self.teller.ask("POST", f"/purchases/{bought['id']}/approve", "canteen.manager")

    def confirmed(self) -> dict[str, Any]:
        bought = self.approved()
        self.teller.ask("POST", f"/orders/{bought['orders'][0]['id']}/confirm", "coop.seller")
        return bought

    def hold_until(self, bought: dict[str, Any], at: datetime) -> None:
        self.owner.execute("update purchase set hold_until = %s where id = %s", (at, bought["id"]))

    def confirm_by(self, bought: dict[str, Any], at: datetime) -> None:
        self.owner.execute("update orders set confirm_by = %s where purchase_id = %s", (at, bought["id"]))

    def reserved(self) -> int:
        query = "select sum(reserved) from stock where product_id = %s"
        return int(self.row(query, self.product)[0])

    def states(self, bought: dict[str, Any]) -> tuple[Any, ...]:
        query = (
            "select p.state, o.state from purchase p join orders o on o.purchase_id = p.id where p.id = %s"
        )
        return self.row(query, bought["id"])

    def wait_for_one_that_waits(self) -> None:
        """Until another connection waits for a row that this one has locked."""
        query = "select count(*) from pg_locks where not granted and pg_backend_pid() = any(pg_blocking_pids(pid))"
        until = time.monotonic() + 20
        while not self.row(query)[0]:
            assert time.monotonic() < until, "nobody waits"
            time.sleep(0.02)

    def facts(self, subject: str, kind: str) -> int:
        return int(
            self.row("select count(*) from fact where subject_id = %s and kind = %s", subject, kind)[0]
        )


@pytest.fixture
def desk(context: Flask, owner: psycopg.Connection, sign_in: Callable[[str], dict[str, str]]) -> Desk:
    return Desk(Teller(context, sign_in), owner)


def ago(**span: float) -> datetime:
    return clock.now() - timedelta(**span)


def ahead(**span: float) -> datetime:
    return clock.now() + timedelta(**span)


def test_a_purchase_makes_the_job_that_ends_its_hold_for_the_time_it_runs_out(desk: Desk) -> None:
    before = clock.now()
    bought = desk.buy()
    after = clock.now()
    (hold,) = desk.row("select hold_until from purchase where id = %s", bought["id"])
    assert clock.add_working_hours(before, 72) <= hold <= clock.add_working_hours(after, 72)
    jobs_of = desk.owner.execute(
        "select task_name, scheduled_at, status from procrastinate_jobs where args->>'purchase_id' = %s",
        (bought["id"],),
    ).fetchall()
    assert jobs_of == [("orders.expire_hold", hold, "todo")]


def test_a_hold_that_has_run_out_ends_the_purchase_and_frees_its_stock(desk: Desk) -> None:
    free = desk.reserved()
    bought = desk.buy()
    assert desk.reserved() == free + QUANTITY
    desk.hold_until(bought, ago(minutes=1))

    TASKS["orders.expire_hold"].handler(purchase_id=bought["id"])

    assert desk.states(bought) == ("expired", "cancelled")
    assert desk.reserved() == free
    assert desk.facts(bought["id"], "purchase.expired") == 1
    # A job runs at least once.
    TASKS["orders.expire_hold"].handler(purchase_id=bought["id"])
    assert desk.reserved() == free
    assert desk.facts(bought["id"], "purchase.expired") == 1


def test_a_job_before_its_time_or_after_the_decision_ends_nothing(desk: Desk) -> None:
    free = desk.reserved()
    waiting, approved = desk.buy(), desk.approved()
    desk.hold_until(waiting, ahead(seconds=30))
    desk.hold_until(approved, ago(days=1))

    for bought in (waiting, approved):
        TASKS["orders.expire_hold"].handler(purchase_id=bought["id"])

    assert desk.states(waiting) == ("awaiting_approval", "awaiting_approval")
    assert desk.states(approved) == ("approved", "placed")
    assert desk.reserved() == free + 2 * QUANTITY


def test_the_sweep_ends_every_hold_that_has_run_out_and_no_other(desk: Desk) -> None:
    free = desk.reserved()
    overdue, waiting, approved = [desk.buy(), desk.buy()], desk.buy(), desk.approved()
    for bought in (*overdue, approved):
        desk.hold_until(bought, ago(minutes=1))
    desk.hold_until(waiting, ahead(seconds=30))

    TASKS["orders.sweep_holds"].handler()

    assert [desk.states(bought) for bought in overdue] == [("expired", "cancelled")] * 2
    assert desk.states(waiting) == ("awaiting_approval", "awaiting_approval")
    assert desk.states(approved) == ("approved", "placed")
    assert desk.reserved() == free + 2 * QUANTITY


def test_a_purchase_is_not_approved_once_its_hold_has_run_out_even_before_the_sweep(
    desk: Desk, client: FlaskClient, sign_in: Callable[[str], dict[str, str]]
) -> None:
    bought = desk.buy()
    desk.hold_until(bought, ago(seconds=1))
    answer = client.post(f"/api/v1/purchases/{bought['id']}/approve", headers=sign_in("canteen.manager"))
    assert answer.status_code == 409
    assert answer.get_json()["type"].endswith("hold-expired")
    assert desk.states(bought) == ("awaiting_approval", "awaiting_approval")


def test_an_approved_order_is_to_be_confirmed_within_48_working_hours(desk: Desk) -> None:
    before = clock.now()
    bought = desk.approved()
    after = clock.now()
    (confirm_by,) = desk.row("select confirm_by from orders where purchase_id = %s", bought["id"])
    assert clock.add_working_hours(before, 48) <= confirm_by <= clock.add_working_hours(after, 48)


def test_orders_that_no_seller_confirmed_in_time_lapse_and_free_their_stock(desk: Desk) -> None:
    free = desk.reserved()
    silent, waiting, confirmed, undecided = desk.approved(), desk.approved(), desk.confirmed(), desk.buy()
    for bought in (silent, confirmed, undecided):
        desk.confirm_by(bought, ago(minutes=1))
    desk.confirm_by(waiting, ahead(seconds=30))

    TASKS["orders.lapse_orders"].handler()
    TASKS["orders.lapse_orders"].handler()

    assert desk.states(silent) == ("approved", "lapsed")
    assert desk.states(waiting) == ("approved", "placed")
    assert desk.states(confirmed) == ("approved", "confirmed")
    assert desk.states(undecided) == ("awaiting_approval", "awaiting_approval")
    assert desk.reserved() == free + 3 * QUANTITY
    assert desk.facts(silent["orders"][0]["id"], "order.lapsed") == 1


def test_an_order_confirmed_since_the_list_was_read_is_passed_over_and_the_rest_lapse(
    desk: Desk, context: Flask
) -> None:
    first, second = desk.approved(), desk.approved()
    desk.confirm_by(first, ago(minutes=2))
    desk.confirm_by(second, ago(minutes=1))

    def lapse() -> None:
        with context.app_context():
            TASKS["orders.lapse_orders"].handler()

    with ThreadPoolExecutor(1) as pool:
        with desk.owner.transaction():
            desk.owner.execute("update orders set state = 'confirmed' where purchase_id = %s", (first["id"],))
            job = pool.submit(lapse)
            desk.wait_for_one_that_waits()
        job.result(20)

    assert desk.states(first) == ("approved", "confirmed")
    assert desk.states(second) == ("approved", "lapsed")


def test_the_sweeps_run_every_minute() -> None:
    names = ("orders.sweep_holds", "orders.lapse_orders")
    assert [TASKS[name].cron for name in names] == ["* * * * *"] * 2
