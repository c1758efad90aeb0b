"""The daily evaluation for silent buyers: who is evaluated, who not yet, and what it counts."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from uuid import UUID

import pytest
import sqlalchemy as sa
import time_machine
from flask import Flask

from marketplace.actors import Permission, system
from marketplace.database import db
from marketplace.jobs import TASKS
from marketplace.orders import jobs
from marketplace.orders.models import Order
from marketplace.orders.states import OrderState, PaymentState
from marketplace.unit_of_work import transaction
from tests.quota.world import DAY, Bought, City, Want, build

NIGHT = datetime(2026, 12, 30, 17, 40, tzinfo=UTC)
TODAY = date(2026, 12, 31)
LAST_DAY = TODAY - timedelta(days=30)


@pytest.fixture(scope="module")
def module_city(empty_app: Flask) -> City:
    with empty_app.app_context():
        return build()


@pytest.fixture
def city(empty_app: Flask, module_city: City) -> Iterator[City]:
    with empty_app.app_context(), time_machine.travel(NIGHT, tick=False):
        yield module_city


def traded(
    city: City,
    accepted_on: date,
    paid_on: date | None,
    *,
    state: OrderState = OrderState.ACCEPTED,
    payment: PaymentState = PaymentState.PAID,
) -> Bought:
    """An order of 10 packs, accepted and paid but not evaluated."""
    bought = city.buy("school", Want(10))
    city.confirm(bought)
    city.ship(bought)
    city.accept(bought)
    city.pay(bought)
    with transaction(system(), Permission.SYSTEM) as tx:
        order = tx.session.get_one(Order, bought.order)
        order.state, order.payment_state = state, payment
        order.accepted_on, order.paid_on = accepted_on, paid_on
        tx.record("test.changed", "order", bought.order)
    return bought


def evaluation_of(bought: Bought) -> str:
    found = db.session.execute(sa.select(Order.evaluation_state).where(Order.id == bought.order)).scalar_one()
    db.session.rollback()
    return str(found.value)


def counted(bought: Bought) -> list[tuple[int, int, date]]:
    rows = db.session.execute(
        sa.text(
            "select amount_fen, year, occurred_on from reserve_entry where order_id = :o and kind = 'counted'"
        ),
        {"o": bought.order},
    ).all()
    db.session.rollback()
    return [tuple(row) for row in rows]


def evaluations(order: UUID) -> list[bool]:
    bodies = db.session.scalars(
        sa.text("select body from fact where subject_id = :o and kind = 'order.evaluated'"), {"o": order}
    ).all()
    db.session.rollback()
    return [json.loads(body)["data"]["automatic"] for body in bodies]


def test_an_order_silent_for_the_days_since_acceptance_and_payment_is_evaluated_and_counts(
    city: City,
) -> None:
    due = [traded(city, LAST_DAY, LAST_DAY), traded(city, DAY, LAST_DAY), traded(city, LAST_DAY, DAY)]
    waits = [
        traded(city, LAST_DAY, LAST_DAY + timedelta(days=1)),
        traded(city, LAST_DAY + timedelta(days=1), DAY),
        traded(city, LAST_DAY, LAST_DAY, payment=PaymentState.PART_PAID),
        traded(city, LAST_DAY, LAST_DAY, payment=PaymentState.REFUND_DUE),
        traded(city, LAST_DAY, LAST_DAY, state=OrderState.PART_ACCEPTED),
        traded(city, LAST_DAY, None),
    ]

    jobs.evaluate_silent()

    assert [evaluation_of(b) for b in due] == ["automatic"] * 3
    assert [counted(b) for b in due] == [[(10_000, 2026, TODAY)]] * 3
    assert [evaluation_of(b) for b in waits] == ["none"] * 6
    assert [counted(b) for b in waits] == [[]] * 6


def test_a_second_run_evaluates_nothing_twice(city: City) -> None:
    bought = traded(city, LAST_DAY, LAST_DAY)

    jobs.evaluate_silent()
    jobs.evaluate_silent()

    assert evaluations(bought.order) == [True]
    assert counted(bought) == [(10_000, 2026, TODAY)]


def test_more_orders_than_a_batch_are_evaluated_in_one_run(
    city: City, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "BATCH", 2)
    due = [traded(city, LAST_DAY, LAST_DAY) for _ in range(5)]

    jobs.evaluate_silent()

    assert [evaluation_of(b) for b in due] == ["automatic"] * 5


def test_the_evaluation_runs_once_a_day_in_the_night_of_shanghai() -> None:
    assert TASKS["orders.evaluate_silent"].cron == "40 17 * * *"
