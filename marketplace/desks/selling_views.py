"""What waits for a seller: orders to confirm and to ship, what to pick for a day, goods and reductions to settle."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, time, timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session, aliased

from marketplace.accounts.models import Organisation
from marketplace.actors import Actor
from marketplace.catalog.models import Lot, LotState, Place, Stock
from marketplace.clock import SHANGHAI
from marketplace.orders.models import (
    Acceptance,
    AcceptanceLine,
    Allocation,
    Order,
    OrderLine,
    Purchase,
    Shipment,
    ShipmentLine,
)
from marketplace.orders.queries import order_scope
from marketplace.orders.states import OrderState
from marketplace.payments.worklists import UNINVOICED

MANY = 50  # rows of one list on the desk; the most urgent first
TO_SHIP = (OrderState.CONFIRMED, OrderState.PART_SHIPPED, OrderState.PART_ACCEPTED)

# Under another name: the scope of orders asks for their purchase itself.
_Wish = aliased(Purchase)
_LEFT = OrderLine.quantity - OrderLine.shipped_quantity - OrderLine.cancelled_quantity
_OPEN = Allocation.quantity - Allocation.shipped - Allocation.freed


def order_counts(session: Session, actor: Actor, day: date) -> dict[str, Any]:
    """Orders to confirm (and before the end of `day`), the first deadline; orders and packs to ship, due by `day`."""
    night = datetime.combine(day + timedelta(days=1), time(), SHANGHAI)
    placed = Order.state == OrderState.PLACED
    confirm = session.execute(
        sa.select(
            sa.func.count().filter(placed).label("to_confirm"),
            sa.func.count().filter(placed, Order.confirm_by < night).label("confirm_today"),
            sa.func.min(Order.confirm_by).filter(placed).label("confirm_by"),
        ).where(order_scope(actor))
    ).one()
    due = OrderLine.deliver_on <= day
    ship = session.execute(
        sa.select(
            sa.func.count(sa.distinct(Order.id)).label("to_ship"),
            sa.func.count(sa.distinct(Order.id)).filter(due).label("ship_due"),
            sa.func.coalesce(sa.func.sum(_LEFT).filter(due), 0).label("packs_due"),
        )
        .join(OrderLine, OrderLine.order_id == Order.id)
        .where(order_scope(actor), Order.state.in_(TO_SHIP), _LEFT > 0)
    ).one()
    return {**confirm._asdict(), **ship._asdict(), "packs_due": int(ship.packs_due)}


def waiting(session: Session, actor: Actor) -> dict[str, int]:
    """What the menu of every page counts, in one statement: orders to confirm, to ship and to invoice."""
    unshipped = sa.exists().where(OrderLine.order_id == Order.id, _LEFT > 0)
    counts = {
        "to_confirm": Order.state == OrderState.PLACED,
        "to_ship": sa.and_(Order.state.in_(TO_SHIP), unshipped),
        "to_invoice": UNINVOICED,
    }
    row = session.execute(
        sa.select(*(sa.func.count().filter(wanted).label(name) for name, wanted in counts.items())).where(
            order_scope(actor), sa.or_(*counts.values())
        )
    ).one()
    return row._asdict()


def _with_lines(session: Session, statement: sa.Select[*tuple[Any, ...]]) -> list[dict[str, Any]]:
    """Orders of a statement over `_orders()`, each with the lines that are left to ship."""
    orders = [dict(row) for row in session.execute(statement.limit(MANY)).mappings()]
    by_order: dict[UUID, list[dict[str, Any]]] = {order["id"]: [] for order in orders}
    lines = session.execute(
        sa.select(
            *(OrderLine.id, OrderLine.order_id, OrderLine.product_name, OrderLine.spec, OrderLine.pack_unit),
            *(OrderLine.unit_price_fen, OrderLine.deliver_on, _LEFT.label("left")),
        )
        .where(OrderLine.order_id.in_(by_order), _LEFT > 0)
        .order_by(OrderLine.position)
    ).mappings()
    for line in lines:
        by_order[line["order_id"]].append(dict(line))
    return [{**order, "lines": by_order[order["id"]]} for order in orders]


def _orders(actor: Actor, *states: OrderState) -> sa.Select[*tuple[Any, ...]]:
    first_day = (
        sa.select(sa.func.min(OrderLine.deliver_on))
        .where(OrderLine.order_id == Order.id, _LEFT > 0)
        .correlate(Order)
        .scalar_subquery()
    )
    return (
        sa.select(
            *(Order.id, Order.number, Order.state, Order.goods_fen, Order.freight_fen, Order.confirm_by),
            *(Organisation.name.label("buyer"), _Wish.deliver_address.label("address"), _Wish.note),
            first_day.label("deliver_on"),
        )
        .join(_Wish, _Wish.id == Order.purchase_id)
        .join(Organisation, Organisation.id == Order.buyer_id)
        .where(order_scope(actor), Order.state.in_(states))
    )


def to_confirm(session: Session, actor: Actor) -> list[dict[str, Any]]:
    """Orders that lapse unless they are confirmed, the first deadline first, with their planned lots."""
    orders = _with_lines(session, _orders(actor, OrderState.PLACED).order_by(Order.confirm_by, Order.id))
    lots = planned_lots(session, [line["id"] for order in orders for line in order["lines"]])
    for order in orders:
        for line in order["lines"]:
            line["lots"] = lots.get(line["id"], [])
    return orders


def to_ship(session: Session, actor: Actor) -> list[dict[str, Any]]:
    """Orders with packs that have not left, the first delivery day first."""
    statement = _orders(actor, *TO_SHIP).order_by(sa.text("deliver_on"), Order.id)
    return _with_lines(session, statement.where(sa.exists().where(OrderLine.order_id == Order.id, _LEFT > 0)))


def asked_to_cancel(session: Session, actor: Actor) -> list[dict[str, Any]]:
    """Orders whose buyer asks to cancel what has not left, and waits for the seller's word."""
    rows = session.execute(
        sa.select(Order.id, Order.number, Order.cancel_reason, Organisation.name.label("buyer"))
        .join(Organisation, Organisation.id == Order.buyer_id)
        .where(order_scope(actor), Order.cancel_asked_by == Order.buyer_id, Order.state.in_(TO_SHIP))
        .order_by(Order.id)
        .limit(MANY)
    )
    return [dict(row) for row in rows.mappings()]


def planned_lots(session: Session, line_ids: Sequence[UUID]) -> dict[UUID, list[dict[str, Any]]]:
    """Packs that are held for lines and have not left, by lot and place, the first to expire first."""
    rows = session.execute(
        sa.select(
            *(Allocation.line_id, Lot.id.label("lot_id"), Lot.code, Lot.trace_code, Lot.state),
            *(Lot.best_before, Lot.harvested_on, Place.name.label("place"), _OPEN.label("open")),
        )
        .join(Lot, Lot.id == Allocation.lot_id)
        .join(Stock, Stock.id == Allocation.stock_id)
        .join(Place, Place.id == Stock.place_id)
        .where(Allocation.line_id.in_(line_ids), _OPEN > 0)
        .order_by(Lot.best_before, Lot.harvested_on, Stock.id)
    ).mappings()
    found: dict[UUID, list[dict[str, Any]]] = {}
    for row in rows:
        found.setdefault(row["line_id"], []).append(dict(row))
    return found


def shipping_choice(session: Session, order: dict[str, Any], day: date) -> list[dict[str, Any]]:
    """For each line of an order with packs left: its planned lots, and other lots of the product that may go instead.

    `order` is the order as the API shows it. A lot's `sellable` is false when it is held, recalled or past its day:
    it can't leave then. `free` are packs that no order holds.
    """
    lines = [
        {**line, "left": line["quantity"] - line["shipped_quantity"] - line["cancelled_quantity"]}
        for line in order["lines"]
    ]
    lines = [line for line in lines if line["left"] > 0]
    planned = planned_lots(session, [line["id"] for line in lines])
    free = sa.func.sum(Stock.on_hand - Stock.reserved).label("free")
    rows = session.execute(
        sa.select(
            *(Lot.id.label("lot_id"), Lot.product_id, Lot.code, Lot.trace_code, Lot.best_before),
            *(Lot.harvested_on, Lot.state, free),
        )
        .join(Stock, Stock.lot_id == Lot.id)
        .join(Place, Place.id == Stock.place_id)
        .where(
            Lot.product_id.in_({line["product_id"] for line in lines}),
            Lot.state == LotState.RELEASED,
            Lot.best_before >= day,
            Place.organisation_id == order["seller"]["id"],
        )
        .group_by(Lot.id)
        .having(free > 0)
        .order_by(Lot.best_before, Lot.harvested_on, Lot.id)
    ).mappings()
    others: dict[UUID, list[dict[str, Any]]] = {}
    for row in rows:
        others.setdefault(row["product_id"], []).append(dict(row))
    for line in lines:
        lots: dict[UUID, dict[str, Any]] = {}
        for part in planned.get(line["id"], ()):
            known = lots.setdefault(part["lot_id"], {**part, "open": 0})
            known["open"] += part["open"]
            known["sellable"] = part["state"] is LotState.RELEASED and part["best_before"] >= day
        line["planned"] = list(lots.values())
        line["others"] = [row for row in others.get(line["product_id"], ()) if row["lot_id"] not in lots]
    return lines


def last_carrier(session: Session, actor: Actor) -> dict[str, str | None]:
    """Carrier, vehicle and driver of the seller's newest shipment: mostly the same again."""
    row = session.execute(
        sa.select(Shipment.carrier, Shipment.vehicle, Shipment.driver)
        .join(Order, Order.id == Shipment.order_id)
        .where(Order.seller_id == actor.organisation_id)
        .order_by(Shipment.id.desc())
        .limit(1)
    ).one_or_none()
    return dict(row._mapping) if row is not None else {"carrier": None, "vehicle": None, "driver": None}


def pick_days(session: Session, actor: Actor) -> list[dict[str, Any]]:
    """Delivery days with packs left to ship: {day, orders, packs}."""
    rows = session.execute(
        sa.select(
            OrderLine.deliver_on.label("day"),
            sa.func.count(sa.distinct(Order.id)).label("orders"),
            sa.cast(sa.func.sum(_LEFT), sa.BigInteger).label("packs"),
        )
        .join(Order, Order.id == OrderLine.order_id)
        .where(order_scope(actor), Order.state.in_(TO_SHIP), _LEFT > 0)
        .group_by(OrderLine.deliver_on)
        .order_by(OrderLine.deliver_on)
    )
    return [dict(row) for row in rows.mappings()]


def pick_list(session: Session, actor: Actor, day: date) -> list[dict[str, Any]]:
    """What to fetch for deliveries on `day`: packs by place and lot, and for whom each part is."""
    rows = session.execute(
        sa.select(
            *(Place.name.label("place"), Lot.id.label("lot_id"), Lot.code, Lot.trace_code, Lot.state),
            *(Lot.best_before, OrderLine.product_name, OrderLine.spec, OrderLine.pack_unit),
            *(Order.id.label("order_id"), Order.number, Organisation.name.label("buyer")),
            _OPEN.label("packs"),
        )
        .join(OrderLine, OrderLine.id == Allocation.line_id)
        .join(Order, Order.id == OrderLine.order_id)
        .join(Organisation, Organisation.id == Order.buyer_id)
        .join(Lot, Lot.id == Allocation.lot_id)
        .join(Stock, Stock.id == Allocation.stock_id)
        .join(Place, Place.id == Stock.place_id)
        .where(order_scope(actor), Order.state.in_(TO_SHIP), _OPEN > 0, OrderLine.deliver_on == day)
        .order_by(OrderLine.product_name, OrderLine.spec, Place.name, Lot.best_before, Lot.id, Order.number)
    )
    return [dict(row) for row in rows.mappings()]


def refused_goods(session: Session, actor: Actor, order_id: UUID | None = None) -> list[dict[str, Any]]:
    """Packs that buyers refused and nobody has booked back or as loss, by order, line and lot."""
    waiting = sa.func.sum(ShipmentLine.refused - ShipmentLine.restocked - ShipmentLine.lost).label("packs")
    statement = (
        sa.select(
            *(Order.id.label("order_id"), Order.number, Organisation.name.label("buyer")),
            *(OrderLine.id.label("line_id"), OrderLine.product_name, OrderLine.spec, OrderLine.pack_unit),
            *(ShipmentLine.trace_code, Lot.code, Lot.state, Lot.best_before, waiting),
        )
        .join(OrderLine, OrderLine.id == ShipmentLine.line_id)
        .join(Order, Order.id == OrderLine.order_id)
        .join(Organisation, Organisation.id == Order.buyer_id)
        .join(Lot, Lot.id == ShipmentLine.lot_id)
        .where(order_scope(actor), ShipmentLine.refused > ShipmentLine.restocked + ShipmentLine.lost)
        .group_by(Order.id, Organisation.name, OrderLine.id, ShipmentLine.trace_code, Lot.id)
        .order_by(Order.id, OrderLine.position, Lot.best_before)
        .limit(MANY)
    )
    if order_id is not None:
        statement = statement.where(Order.id == order_id)
    return [dict(row) for row in session.execute(statement).mappings()]


def asked_allowances(session: Session, actor: Actor, order_id: UUID | None = None) -> list[dict[str, Any]]:
    """Price reductions that buyers ask for and the seller has not agreed to, by order, line and lot."""
    statement = (
        sa.select(
            *(Order.id.label("order_id"), Order.number, Order.accepted_fen.label("order_fen")),
            *(Organisation.name.label("buyer"), OrderLine.product_name, OrderLine.spec, OrderLine.pack_unit),
            *(AcceptanceLine.accepted_quantity, AcceptanceLine.accepted_fen, AcceptanceLine.allowance_fen),
            *(AcceptanceLine.reason, Lot.code, Acceptance.accepted_on, Acceptance.document_id),
        )
        .join(Acceptance, Acceptance.id == AcceptanceLine.acceptance_id)
        .join(Order, Order.id == Acceptance.order_id)
        .join(Organisation, Organisation.id == Order.buyer_id)
        .join(OrderLine, OrderLine.id == AcceptanceLine.line_id)
        .join(Lot, Lot.id == AcceptanceLine.lot_id)
        .where(
            order_scope(actor),
            AcceptanceLine.allowance_fen > 0,
            AcceptanceLine.allowance_agreed_at.is_(None),
        )
        .order_by(Order.id, AcceptanceLine.id)
        .limit(MANY)
    )
    if order_id is not None:
        statement = statement.where(Order.id == order_id)
    return [dict(row) for row in session.execute(statement).mappings()]
