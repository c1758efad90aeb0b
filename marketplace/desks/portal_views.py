"""A channel's orders and deliveries as its people look for them; what one order is, is read as its programs read it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from marketplace.actors import Actor
from marketplace.channels.models import ChangeRequest, PartnerOrder
from marketplace.channels.states import ChangeState
from marketplace.orders.models import Order, OrderLine, Purchase
from marketplace.orders.states import OrderState
from marketplace.paging import Key, paginate

_ENDED = (OrderState.CANCELLED, OrderState.LAPSED)
_TAKEN = (OrderState.ACCEPTED, OrderState.REFUSED)
# What of an order the list is cut to: something is still to come, all was taken over or refused, nothing is left of it.
STANDINGS = ("open", "done", "ended")
SORTS: Mapping[str, sa.SQLColumnExpression[Any]] = {
    "placed_at": PartnerOrder.__table__.c.placed_at,
    "deliver_on": Purchase.__table__.c.deliver_on,
    "goods_fen": Purchase.__table__.c.goods_fen,
}


def list_orders(
    session: Session,
    actor: Actor,
    *,
    q: str | None = None,
    standing: str | None = None,
    deliver_from: date | None = None,
    deliver_to: date | None = None,
    sort: str | None = None,
    limit: int = 24,
    after: str | None = None,
) -> dict[str, Any]:
    """The channel's own orders, newest first or by one of `SORTS`; one query.

    `q` is a part of either number; days are those of delivery, both ends within. Sums run over the sellers' parts.
    """
    found = _statement().where(PartnerOrder.channel_id == actor.organisation_id)
    if q:
        part = q.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
        found = found.where(
            sa.or_(PartnerOrder.partner_order_no.ilike(f"%{part}%"), Purchase.number.ilike(f"%{part}%"))
        )
    if standing in STANDINGS:
        found = found.where(_standing(standing))
    if deliver_from is not None:
        found = found.where(Purchase.deliver_on >= deliver_from)
    if deliver_to is not None:
        found = found.where(Purchase.deliver_on <= deliver_to)
    newest: Key = (PartnerOrder.__table__.c.id, True)
    column = SORTS.get((sort or "").removeprefix("-"))
    keys = [newest] if column is None else [(column, (sort or "").startswith("-")), newest]
    return paginate(session, found, keys, limit=limit, after=after, shape=_shape)


def _statement() -> Any:
    of_purchase = Order.purchase_id == PartnerOrder.purchase_id
    states = (
        sa.select(sa.func.array_agg(sa.distinct(sa.cast(Order.state, sa.Text)))).where(of_purchase)
    ).correlate(PartnerOrder)
    sums = [
        sa.select(sa.func.sum(column))
        .where(of_purchase)
        .correlate(PartnerOrder)
        .scalar_subquery()
        .label(name)
        for name, column in (("accepted_fen", Order.accepted_fen), ("paid_fen", Order.paid_fen))
    ]
    packs = (
        sa.select(sa.func.sum(OrderLine.quantity - OrderLine.cancelled_quantity))
        .where(OrderLine.purchase_id == PartnerOrder.purchase_id)
        .correlate(PartnerOrder)
        .scalar_subquery()
    )
    asked = (
        sa.exists()
        .where(ChangeRequest.partner_order_id == PartnerOrder.id, ChangeRequest.state == ChangeState.OPEN)
        .correlate(PartnerOrder)
    )
    return sa.select(
        PartnerOrder, Purchase, states.scalar_subquery().label("states"), *sums,
        packs.label("packs"), asked.label("asked"),
    ).join(Purchase, Purchase.id == PartnerOrder.purchase_id)  # fmt: skip


def _standing(wanted: str) -> sa.ColumnElement[bool]:
    def some(*conditions: sa.ColumnElement[bool]) -> sa.ColumnElement[bool]:
        return sa.exists().where(Order.purchase_id == PartnerOrder.purchase_id, *conditions)

    going = some(Order.state.not_in((*_ENDED, *_TAKEN)))
    if wanted == "open":
        return going
    taken = some(Order.state.in_(_TAKEN))
    return sa.and_(sa.not_(going), taken if wanted == "done" else sa.not_(taken))


def _shape(row: Any) -> dict[str, Any]:
    states = sorted(row.states or [])
    return {
        "partner_order_no": row.PartnerOrder.partner_order_no,
        "purchase_number": row.Purchase.number,
        "states": states,
        "deliver_on": row.Purchase.deliver_on,
        "placed_at": row.PartnerOrder.placed_at,
        "cut_off_at": row.PartnerOrder.cut_off_at,
        "packs": int(row.packs or 0),
        "goods_fen": row.Purchase.goods_fen,
        "accepted_fen": int(row.accepted_fen or 0),
        "paid_fen": int(row.paid_fen or 0),
        "asked": row.asked,
    }
