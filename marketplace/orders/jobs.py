"""Deadlines: holds that run out and orders that no seller confirmed."""

from __future__ import annotations

from uuid import UUID

import sqlalchemy as sa

from marketplace import clock
from marketplace.actors import system
from marketplace.database import db
from marketplace.errors import Conflict
from marketplace.jobs import task
from marketplace.orders.deciding import end_overdue_holds, expire_purchase
from marketplace.orders.fulfilment import lapse_order
from marketplace.orders.models import Order
from marketplace.orders.states import OrderState


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
            .limit(200)
        )
    )
    db.session.rollback()
    for order_id in ids:
        try:
            lapse_order(system(), order_id)
        except Conflict:
            continue  # Confirmed or cancelled since the list was read.
