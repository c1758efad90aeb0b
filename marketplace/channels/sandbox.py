"""What a partner's engineer lets the other side do in the sandbox: the seller confirms, ships short, refuses, and more.

Each act is the one that a seller's own people would do, by the same service; nothing here writes rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from marketplace.accounts.models import Organisation, User
from marketplace.actors import ROLE_PERMISSIONS, Actor, Door, Role
from marketplace.catalog.models import Lot
from marketplace.channels.consignment_models import Consignment, ConsignmentLine
from marketplace.channels.order_views import own_order
from marketplace.channels.statements import issue_due
from marketplace.errors import NotFound, WrongState, refuse_fields
from marketplace.orders.deciding import end_overdue_holds
from marketplace.orders.fulfilment import ShipWish, cancel_order, confirm_order, ship_order
from marketplace.orders.jobs import lapse_orders
from marketplace.orders.models import Order, OrderLine, Shipment, ShipmentLine
from marketplace.orders.shipping import ShipLine
from marketplace.orders.states import OrderState
from marketplace.trace.service import hold_lot, move_stock

CARRIER = "沙箱物流"
_OPEN = (OrderState.PLACED, OrderState.CONFIRMED, OrderState.PART_SHIPPED)


@dataclass(frozen=True)
class LineWish:
    """Packs of one line that go now; `line_id` as the order's view shows it."""

    line_id: UUID
    quantity: int


def confirm(session: Session, actor: Actor, partner_order_no: str) -> None:
    """Every seller of the order takes it. Raises NotFound, WrongState (`wrong-state`) when none waits for that."""
    for order in _orders(session, actor, partner_order_no, (OrderState.PLACED,)):
        confirm_order(seller_actor(session, order.seller_id), order.id)


def ship(session: Session, actor: Actor, partner_order_no: str, lines: Sequence[LineWish] | None) -> None:
    """The sellers send the named packs, or all that is left; less than ordered is a short delivery.

    Raises NotFound, WrongState (`wrong-state`), RuleViolation (`invalid`) for a line that is not the order's.
    """
    orders = _orders(session, actor, partner_order_no, (OrderState.CONFIRMED, OrderState.PART_SHIPPED))
    rows = session.scalars(
        sa.select(OrderLine)
        .where(OrderLine.order_id.in_([order.id for order in orders]))
        .order_by(OrderLine.position)
    ).all()
    wanted = None if lines is None else {line.line_id: line.quantity for line in lines}
    unknown = set(wanted or ()) - {row.id for row in rows}
    refuse_fields([("lines", "有的行不在这个订单等待发货的部分里" if unknown else None)])
    for order in orders:
        goods = [
            ShipLine(row.id, packs)
            for row in rows
            if row.order_id == order.id
            for packs in [_left(row) if wanted is None else wanted.get(row.id, 0)]
            if packs > 0
        ]
        if goods:
            ship_order(seller_actor(session, order.seller_id), order.id, ShipWish(goods, CARRIER))


def refuse(session: Session, actor: Actor, partner_order_no: str, reason: str) -> None:
    """The sellers cancel what has not left: alone before they confirmed, later they ask and the channel agrees.

    Raises NotFound, WrongState (`wrong-state`), CancelAsked (`cancel-asked`).
    """
    for order in _orders(session, actor, partner_order_no, _OPEN):
        cancel_order(seller_actor(session, order.seller_id), order.id, reason)


def spoil(session: Session, actor: Actor, trace_code: str, quantity: int, reason: str) -> None:
    """Packs of a lot go bad at the seller's; those that orders hold stay. Raises NotFound, InsufficientStock."""
    lot_id, seller_id = _lot(session, actor, trace_code)
    move_stock(seller_actor(session, seller_id), lot_id, kind="spoilage", quantity=quantity, reason=reason)


def recall(session: Session, actor: Actor, trace_code: str, reason: str) -> None:
    """The seller takes a lot off sale. Raises NotFound, WrongState (`wrong-state`) when it is held already."""
    lot_id, seller_id = _lot(session, actor, trace_code)
    hold_lot(seller_actor(session, seller_id), lot_id, reason=reason)


def do_due() -> None:
    """What a move of the clock made due: holds run out, orders lapse that no seller confirmed, periods are stated."""
    end_overdue_holds()
    lapse_orders()
    issue_due()


def _left(row: OrderLine) -> int:
    return row.quantity - row.cancelled_quantity - row.shipped_quantity


def _orders(
    session: Session, actor: Actor, partner_order_no: str, states: Sequence[OrderState]
) -> Sequence[sa.Row[UUID, UUID]]:
    purchase_id = own_order(session, actor, partner_order_no).purchase_id
    found = session.execute(
        sa.select(Order.id, Order.seller_id)
        .where(Order.purchase_id == purchase_id, Order.state.in_(states))
        .order_by(Order.id)
    ).all()
    if not found:
        raise WrongState("这个订单没有可以这样办理的部分")
    return found


def _lot(session: Session, actor: Actor, trace_code: str) -> tuple[UUID, UUID]:
    """A lot that was sent to the channel, with its seller: other channels' goods are out of reach."""
    row = session.execute(
        sa.select(Lot.id, Lot.seller_id)
        .join(ShipmentLine, ShipmentLine.lot_id == Lot.id)
        .join(Shipment, Shipment.id == ShipmentLine.shipment_id)
        .join(Order, Order.id == Shipment.order_id)
        .where(Order.buyer_id == actor.organisation_id, ShipmentLine.trace_code == trace_code)
        .union(
            sa.select(Lot.id, Lot.seller_id)
            .join(ConsignmentLine, ConsignmentLine.lot_id == Lot.id)
            .join(Consignment, Consignment.id == ConsignmentLine.consignment_id)
            .where(Consignment.channel_id == actor.organisation_id, ConsignmentLine.trace_code == trace_code)
        )
    ).one_or_none()
    if row is None:
        raise NotFound("没有给本渠道发过这一批")
    return row.id, row.seller_id


def seller_actor(session: Session, seller_id: UUID) -> Actor:
    """A person of the seller's, else the seller itself: not every one of the sandbox has an account."""
    seller = session.get_one(Organisation, seller_id)
    user_id = session.scalar(
        sa.select(User.id).where(User.organisation_id == seller_id, User.role == Role.SELLER).limit(1)
    )
    return Actor(
        user_id, "sandbox", seller_id, seller.kind, seller.region_code, Role.SELLER,
        ROLE_PERMISSIONS[Role.SELLER], Door.PARTNER,
    )  # fmt: skip
