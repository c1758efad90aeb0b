"""Deadlines: holds that run out, orders that no seller confirmed, and orders that no buyer evaluated."""

from __future__ import annotations

from uuid import UUID

import sqlalchemy as sa

from marketplace import clock
from marketplace.actors import system
from marketplace.database import db
from marketplace.errors import Conflict
from marketplace.jobs import task
from marketplace.orders.deciding import end_overdue_holds, expire_purchase
from marketplace.orders.evaluating import evaluate_silent_order, silent_orders
from marketplace.orders.fulfilment import lapse_order
from marketplace.orders.models import Order
from marketplace.orders.states import OrderState

BATCH = 200


@task("orders.expire_hold")
def expire_hold(purchase_id: str) -> None:
    """The job made with a purchase: ends its hold when nobody has decided by then."""
    try:
        expire_purchase(system(), UUID(purchase_id))
    except Conflict:
        return  # Decided before its time, or by the sweep.


@task("orders.sweep_holds", cron="* * * * *")
def sweep_holds() -> None:
    """Every minute: whatever a lost job left."""
    end_overdue_holds()


@task("orders.lapse_orders", cron="* * * * *")
def lapse_orders() -> None:
    """Every minute: orders that their seller did not confirm in time lapse, and the stock returns."""
    ids = list(
        db.session.scalars(
            sa.select(Order.id)
            .where(Order.state == OrderState.PLACED, Order.confirm_by <= clock.now())
            .order_by(Order.confirm_by)
            .limit(BATCH)
        )
    )
    db.session.rollback()
    for order_id in ids:
        try:
            lapse_order(system(), order_id)
        except Conflict:
            continue  # Confirmed or cancelled since the list was read.


@task("orders.evaluate_silent", cron="40 17 * * *")
def evaluate_silent() -> None:
    """Daily at 01:40 in Shanghai: orders accepted, paid and left unevaluated for the policy's days count without it.

    What one run leaves beyond its batches, the next takes; an order that another evaluates meanwhile is passed over.
    """
    while True:
        ids = silent_orders(db.session(), clock.now(), BATCH)
        db.session.rollback()
        evaluated = 0
        for order_id in ids:
            try:
                evaluate_silent_order(system(), order_id)
            except Conflict:
                continue
            evaluated += 1
        if len(ids) < BATCH or not evaluated:
            return
