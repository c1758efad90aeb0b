"""What becomes of a submitted purchase: approved, rejected, cancelled, or expired with its hold."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from marketplace import clock
from marketplace.actors import Actor, Permission, system
from marketplace.database import db
from marketplace.errors import Conflict, Forbidden, NotFound, WrongState
from marketplace.orders import queries
from marketplace.orders.holding import release_orders
from marketplace.orders.models import Order, OrderLine, Purchase
from marketplace.orders.states import ORDER_MOVES, PURCHASE_MOVES, OrderState, PurchaseState, move
from marketplace.unit_of_work import NO_ONCE, Once, Reply, Transaction, transaction

DEFAULT_CONFIRM_HOURS = 48


class HoldExpired(Conflict):
    slug = "hold-expired"
    title = "保留时间已过，库存已退回"


class OwnPurchase(Forbidden):
    slug = "own-purchase"
    title = "不能审批自己提交的采购单"


def _locked_purchase(tx: Transaction, purchase_id: UUID, scope: sa.ColumnElement[bool]) -> Purchase:
    purchase = tx.session.scalars(
        sa.select(Purchase).where(Purchase.id == purchase_id, scope).with_for_update()
    ).one_or_none()
    if purchase is None:
        raise NotFound
    return purchase


def _locked_orders(tx: Transaction, purchase_id: UUID) -> list[Order]:
    return list(
        tx.session.scalars(
            sa.select(Order).where(Order.purchase_id == purchase_id).order_by(Order.id).with_for_update()
        )
    )


def approve_purchase(
    actor: Actor, purchase_id: UUID, *, once: Once = NO_ONCE, expected_version: int | None = None
) -> Reply:
    """Give the purchase to its sellers, who now see their orders and have the policy's hours to confirm.

    Raises OwnPurchase (`own-purchase`), WrongState (`wrong-state`), HoldExpired (`hold-expired`): approval after the
    hold has run out is refused even where no sweep has ended it yet.
    """
    with transaction(actor, Permission.PURCHASE_DECIDE, once) as tx:
        purchase = _locked_purchase(tx, purchase_id, queries.decidable(actor))
        queries.check_version(purchase.version, expected_version)
        if purchase.submitted_by == actor.user_id:
            raise OwnPurchase
        state = move(PURCHASE_MOVES, purchase.state, "approve")
        if purchase.hold_until is not None and purchase.hold_until <= tx.started_at:
            raise HoldExpired
        orders = _locked_orders(tx, purchase_id)
        hours = queries.policy_number(tx.session, "confirm_hours", tx.started_at, DEFAULT_CONFIRM_HOURS)
        confirm_by = clock.add_working_hours(tx.started_at, hours)
        for order in orders:
            order.state = move(ORDER_MOVES, order.state, "place")
            order.confirm_by = confirm_by
            order.version += 1
        _decide(tx, purchase, state, None)
        _record_decision(tx, "purchase.approved", purchase, orders)
        tx.session.flush()
        return tx.answer(queries.purchase_view(tx.session, actor, purchase_id))


def reject_purchase(actor: Actor, purchase_id: UUID, reason: str, *, once: Once = NO_ONCE) -> Reply:
    """Refuse the purchase with a reason; the stock goes back. Raises WrongState (`wrong-state`)."""
    with transaction(actor, Permission.PURCHASE_DECIDE, once) as tx:
        purchase = _locked_purchase(tx, purchase_id, queries.decidable(actor))
        state = move(PURCHASE_MOVES, purchase.state, "reject")
        _end(tx, purchase, state, reason, "purchase.rejected")
        return tx.answer(queries.purchase_view(tx.session, actor, purchase_id))


def cancel_purchase(actor: Actor, purchase_id: UUID, reason: str, *, once: Once = NO_ONCE) -> Reply:
    """The buyer withdraws the whole purchase, alone while no seller has confirmed.

    Orders that ended before, by themselves, stay as they are. Raises WrongState (`wrong-state`) once an order is
    confirmed, as its own cancellation needs the seller then, and when no order is left to withdraw.
    """
    with transaction(actor, Permission.PURCHASE_CANCEL, once) as tx:
        purchase = _locked_purchase(tx, purchase_id, Purchase.buyer_id == actor.organisation_id)
        state = move(PURCHASE_MOVES, purchase.state, "cancel")
        _end(tx, purchase, state, reason, "purchase.cancelled")
        return tx.answer(queries.purchase_view(tx.session, actor, purchase_id))


def expire_purchase(actor: Actor, purchase_id: UUID) -> bool:
    """End an overdue hold; False when somebody else has decided meanwhile or the hold still runs."""
    with transaction(actor, Permission.SYSTEM) as tx:
        purchase = _locked_purchase(tx, purchase_id, sa.true())
        overdue = purchase.hold_until is not None and purchase.hold_until <= tx.started_at
        if purchase.state is not PurchaseState.AWAITING_APPROVAL or not overdue:
            raise WrongState(state=purchase.state.value, event="expire")
        _end(tx, purchase, move(PURCHASE_MOVES, purchase.state, "expire"), None, "purchase.expired")
        tx.answer(None)
    return True


def overdue_purchases(
    at: datetime, product_ids: Sequence[UUID] | None = None, limit: int = 200
) -> list[UUID]:
    """Purchases whose hold has run out at `at`, all or those with lines of these products; oldest first."""
    statement = (
        sa.select(Purchase.id)
        .where(Purchase.state == PurchaseState.AWAITING_APPROVAL, Purchase.hold_until <= at)
        .order_by(Purchase.hold_until, Purchase.id)
        .limit(limit)
    )
    if product_ids is not None:
        lines = sa.exists().where(OrderLine.purchase_id == Purchase.id, OrderLine.product_id.in_(product_ids))
        statement = statement.where(lines)
    ids = list(db.session.scalars(statement))
    db.session.rollback()
    return ids


def end_overdue_holds(product_ids: Sequence[UUID] | None = None) -> int:
    """Expire what is overdue now; the number of purchases ended."""
    ended = 0
    for purchase_id in overdue_purchases(clock.now(), product_ids):
        try:
            expire_purchase(system(), purchase_id)
        except WrongState:
            continue  # Approved, cancelled or expired by another since the list was read: that is its end too.
        ended += 1
    return ended


def _end(tx: Transaction, purchase: Purchase, state: PurchaseState, reason: str | None, kind: str) -> None:
    every = _locked_orders(tx, purchase.id)
    # An order that was cancelled or lapsed by itself does not bind the others.
    orders = [order for order in every if order.state not in (OrderState.CANCELLED, OrderState.LAPSED)]
    for order in orders:
        if order.state not in (OrderState.AWAITING_APPROVAL, OrderState.PLACED):
            raise WrongState("有供应商已经接单，请按订单协商取消", state=order.state.value, event="cancel")
    if not orders:
        raise WrongState("各订单都已取消", state=purchase.state.value, event="cancel")
    released = release_orders(tx, [order.id for order in orders])
    for order in orders:
        order.state = move(ORDER_MOVES, order.state, "cancel")
        order.version += 1
    _decide(tx, purchase, state, reason)
    _record_decision(tx, kind, purchase, orders, moves=released.moves, lines=released.lines)
    tx.session.flush()


def _decide(tx: Transaction, purchase: Purchase, state: PurchaseState, reason: str | None) -> None:
    purchase.state = state
    purchase.decided_at = tx.started_at
    purchase.decided_by = tx.actor.user_id
    purchase.decision_reason = reason
    purchase.hold_until = None if state is PurchaseState.APPROVED else purchase.hold_until
    purchase.version += 1


def _record_decision(
    tx: Transaction, kind: str, purchase: Purchase, orders: Sequence[Order], **data: Any
) -> None:
    tx.record(
        kind,
        "purchase",
        purchase.id,
        parties=[purchase.buyer_id, purchase.quota_agency_id, *(order.seller_id for order in orders)],
        number=purchase.number,
        occurred_on=clock.business_day(tx.started_at).isoformat(),
        orders=[str(order.id) for order in orders],
        reason_given=purchase.decision_reason is not None,
        **data,
    )
