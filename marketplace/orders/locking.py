"""What the acts on one order share: the locked order and lines, its sides, its parties, and how it ends."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from marketplace import clock
from marketplace.actors import Actor
from marketplace.catalog.models import Lot, LotState
from marketplace.errors import NotFound
from marketplace.orders import queries
from marketplace.orders.models import Order, OrderLine, ShipmentLine
from marketplace.orders.states import ORDER_MOVES, OrderState, move
from marketplace.unit_of_work import RecordedFact, Transaction


class Side(StrEnum):
    BUYER = "buyer"
    SELLER = "seller"


def lock_order(tx: Transaction, actor: Actor, order_id: UUID, side: Side | None = None) -> Order:
    """The order, locked, if the actor may see it and, where a side is named, stands on that side.

    Raises NotFound (`not-found`), the same outside the scope as for an absent order.
    """
    conditions = [Order.id == order_id, queries.order_scope(actor)]
    if side is Side.BUYER:
        conditions.append(Order.buyer_id == actor.organisation_id)
    elif side is Side.SELLER:
        conditions.append(Order.seller_id == actor.organisation_id)
    order = tx.session.scalars(sa.select(Order).where(*conditions).with_for_update(of=Order)).one_or_none()
    if order is None:
        raise NotFound("找不到这个订单")
    return order


def lock_lines(tx: Transaction, order_id: UUID) -> list[OrderLine]:
    """The lines of a locked order, locked in the order of their ids."""
    return list(
        tx.session.scalars(
            sa.select(OrderLine)
            .where(OrderLine.order_id == order_id)
            .order_by(OrderLine.id)
            .with_for_update()
        )
    )


def lock_shipment_lines(tx: Transaction, line_ids: Sequence[UUID]) -> list[ShipmentLine]:
    """What was sent for these lines, the earliest first, locked."""
    return list(
        tx.session.scalars(
            sa.select(ShipmentLine)
            .where(ShipmentLine.line_id.in_(line_ids))
            .order_by(ShipmentLine.id)
            .with_for_update()
        )
    )


def share_lots(tx: Transaction, condition: sa.ColumnElement[bool]) -> list[Lot]:
    """The lots, kept from being held or recalled until this act is over; locked in the order of their ids."""
    return list(
        tx.session.scalars(sa.select(Lot).where(condition).order_by(Lot.id).with_for_update(read=True))
    )


def is_sellable(tx: Transaction, lot: Lot) -> bool:
    """Released, and best before today (Shanghai) or later."""
    return lot.state is LotState.RELEASED and lot.best_before >= clock.business_day(tx.started_at)


def record(
    tx: Transaction, kind: str, order: Order, *, also: Sequence[UUID] = (), **data: Any
) -> RecordedFact:
    """A fact about the order, read by both sides and the agency whose reserve it fills."""
    tx.session.flush()
    return tx.record(
        kind,
        "order",
        order.id,
        parties=[order.buyer_id, order.seller_id, order.quota_agency_id, *also],
        number=order.number,
        occurred_on=clock.business_day(tx.started_at).isoformat(),
        **data,
    )


def left_to_ship(line: OrderLine) -> int:
    return line.quantity - line.shipped_quantity - line.cancelled_quantity


def is_complete(lines: Sequence[OrderLine]) -> bool:
    """Nothing is left to ship, and everything that was shipped is accepted or refused."""
    return all(
        left_to_ship(line) == 0 and line.accepted_quantity + line.refused_quantity == line.shipped_quantity
        for line in lines
    )


def take_over(tx: Transaction, order: Order, lines: Sequence[OrderLine]) -> bool:
    """Move the order on after goods were accepted or refused; True when it is complete.

    The day of a complete acceptance is kept on the order: what is due counts from it.
    """
    if not is_complete(lines):
        order.state = move(ORDER_MOVES, order.state, "accept_part")
        return False
    accepted = any(line.accepted_quantity for line in lines)
    order.state = move(ORDER_MOVES, order.state, "accept_all" if accepted else "refuse_all")
    if order.state is OrderState.ACCEPTED:
        order.accepted_on = clock.business_day(tx.started_at)
    return True
