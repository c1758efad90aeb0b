"""What purchases and orders look like, and who may see which. Constant numbers of queries, whatever the rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session, aliased

from marketplace import clock
from marketplace.accounts.models import Organisation
from marketplace.actors import Actor, Role
from marketplace.errors import NotFound, PreconditionFailed
from marketplace.orders.models import Allocation, Order, OrderLine, Purchase, Shipment, ShipmentLine
from marketplace.orders.states import (
    EvaluationState,
    InvoiceState,
    OrderState,
    PaymentState,
    PurchaseState,
    headline,
)
from marketplace.paging import paginate
from marketplace.policies.queries import policy_value

OFFICES = frozenset({Role.POVERTY_OFFICE, Role.FINANCE_REVIEWER})
_Sold, _Bought = aliased(Order), aliased(Purchase)


def check_version(version: int, expected: int | None) -> None:
    """Raises PreconditionFailed (`precondition-failed`) when the client saw another version."""
    if expected is not None and expected != version:
        raise PreconditionFailed(version=version)


def policy_json(session: Session, key: str, at: datetime, default: Any) -> Any:
    """The policy's value on the business day of `at`, or `default` where no row is in force."""
    try:
        return policy_value(session, key, clock.business_day(at))
    except NotFound:
        return default


def policy_number(session: Session, key: str, at: datetime, default: int) -> int:
    return int(policy_json(session, key, at, default))


def purchase_scope(actor: Actor) -> sa.ColumnElement[bool]:
    """Purchases that the actor may see: the buyer's own, its department's and agency's managers', the offices';
    a county's office those with a buyer, an agency or a seller in the county."""
    if actor.role in OFFICES and actor.of_county:
        near = sorted(actor.subordinate_ids)
        sold = sa.select(_Sold.purchase_id).where(_Sold.seller_id.in_(near))
        return sa.or_(Purchase.buyer_id.in_(near), Purchase.for_agency_id.in_(near), Purchase.id.in_(sold))
    if actor.role in OFFICES or (actor.role is None and actor.permissions):
        return sa.true()
    if actor.organisation_id is None:
        return sa.false()
    ids = [actor.organisation_id]
    if actor.role is Role.MANAGER:
        ids += sorted(actor.subordinate_ids)
        return sa.or_(Purchase.buyer_id.in_(ids), Purchase.for_agency_id.in_(ids))
    return Purchase.buyer_id.in_(ids)


def decidable(actor: Actor) -> sa.ColumnElement[bool]:
    """Purchases that a manager decides: of the own organisation, and those a contractor makes for it."""
    if actor.role is not Role.MANAGER or actor.organisation_id is None:
        return sa.false()
    return sa.or_(
        sa.and_(Purchase.buyer_id == actor.organisation_id, Purchase.for_agency_id.is_(None)),
        Purchase.for_agency_id == actor.organisation_id,
    )


def order_scope(actor: Actor) -> sa.ColumnElement[bool]:
    """Orders that the actor may see. A seller sees an order from its approval on, never before."""
    if actor.role in OFFICES and actor.of_county:
        near = sorted(actor.subordinate_ids)
        here = sa.or_(_Bought.buyer_id.in_(near), _Bought.for_agency_id.in_(near))
        return sa.or_(Order.seller_id.in_(near), Order.purchase_id.in_(sa.select(_Bought.id).where(here)))
    if actor.role in OFFICES or (actor.role is None and actor.permissions):
        return sa.true()
    if actor.organisation_id is None:
        return sa.false()
    approved = sa.exists().where(Purchase.id == Order.purchase_id, Purchase.state == PurchaseState.APPROVED)
    # An approved purchase that its buyer withdrew stays visible to the sellers that had seen it.
    seen = sa.or_(approved, Order.confirm_by.is_not(None))
    if actor.role is Role.SELLER:
        return sa.and_(Order.seller_id == actor.organisation_id, seen)
    return sa.exists().where(Purchase.id == Order.purchase_id, purchase_scope(actor))


def shape_line(row: Mapping[str, Any], allocations: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    names = (
        "id", "product_id", "product_name", "spec", "pack_unit", "net_g", "county_code", "quantity", "unit_price_fen",
        "goods_fen", "deliver_on", "funding_source", "eligible", "ineligible_reason", "cancelled_quantity",
        "shipped_quantity", "accepted_quantity", "refused_quantity", "accepted_fen", "paid_fen",
    )  # fmt: skip
    ordered = sorted(allocations, key=lambda a: a["trace_code"])
    return {**{name: row[name] for name in names}, "allocations": [dict(a) for a in ordered]}


def shape_order(row: Mapping[str, Any], lines: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    fulfilment = OrderState(row["state"])
    return {
        "id": row["id"],
        "number": row["number"],
        "purchase_id": row["purchase_id"],
        "seller": {"id": row["seller_id"], "name": row["seller_name"]},
        "state": headline(
            fulfilment,
            InvoiceState(row["invoice_state"]),
            PaymentState(row["payment_state"]),
            EvaluationState(row["evaluation_state"]),
        ),
        "fulfilment": fulfilment.value,
        "invoice": str(row["invoice_state"]),
        "payment": str(row["payment_state"]),
        "evaluation": str(row["evaluation_state"]),
        "goods_fen": row["goods_fen"],
        "freight_fen": row["freight_fen"],
        "accepted_fen": row["accepted_fen"],
        "paid_fen": row["paid_fen"],
        "version": row["version"],
        "lines": list(lines),
    }


def shape_purchase(row: Mapping[str, Any], orders: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    hold_until = row["hold_until"]
    return {
        "id": row["id"],
        "number": row["number"],
        "state": str(row["state"]),
        "purpose": str(row["purpose"]),
        "reference": row["reference"],
        "deliver_on": row["deliver_on"],
        "hold_until": datetime.fromisoformat(hold_until) if isinstance(hold_until, str) else hold_until,
        "quota_agency_id": row["quota_agency_id"],
        "goods_fen": row["goods_fen"],
        "freight_fen": row["freight_fen"],
        "total_fen": row["total_fen"],
        "decision_reason": row["decision_reason"],
        "version": row["version"],
        "orders": list(orders),
    }


def _columns(row: Any) -> dict[str, Any]:
    return {column.key: getattr(row, column.key) for column in sa.inspect(type(row)).columns}


def _orders_with_lines(
    session: Session, condition: sa.ColumnElement[bool]
) -> list[tuple[Order, dict[str, Any]]]:
    """Orders under a condition with lines and allocations: three queries for any number of rows."""
    orders = session.execute(
        sa.select(Order, Organisation.name)
        .join(Organisation, Organisation.id == Order.seller_id)
        .where(condition)
        .order_by(Order.id)
        .execution_options(populate_existing=True)
    ).all()
    ids = [order.id for order, _ in orders]
    lines = session.scalars(
        sa.select(OrderLine)
        .where(OrderLine.order_id.in_(ids))
        .order_by(OrderLine.position)
        .execution_options(populate_existing=True)
    ).all()
    allocations: dict[UUID, list[dict[str, Any]]] = {}
    for row in session.execute(
        sa.select(
            Allocation.line_id,
            Allocation.trace_code,
            (Allocation.quantity - Allocation.freed).label("quantity"),
        )
        .join(OrderLine, OrderLine.id == Allocation.line_id)
        .where(OrderLine.order_id.in_(ids))
    ):
        allocations.setdefault(row.line_id, []).append(
            {"trace_code": row.trace_code, "quantity": row.quantity}
        )
    by_order: dict[UUID, list[dict[str, Any]]] = {}
    for line in lines:
        by_order.setdefault(line.order_id, []).append(
            shape_line(_columns(line), allocations.get(line.id, []))
        )
    return [
        (order, shape_order({**_columns(order), "seller_name": name}, by_order.get(order.id, [])))
        for order, name in orders
    ]


def purchase_view(session: Session, actor: Actor, purchase_id: UUID) -> dict[str, Any]:
    """Raises NotFound outside the actor's scope."""
    purchase = session.scalars(
        sa.select(Purchase)
        .where(Purchase.id == purchase_id, purchase_scope(actor))
        .execution_options(populate_existing=True)
    ).one_or_none()
    if purchase is None:
        raise NotFound
    orders = _orders_with_lines(session, Order.purchase_id == purchase_id)
    return shape_purchase(_columns(purchase), [view for _, view in orders])


def order_view(session: Session, actor: Actor, order_id: UUID) -> dict[str, Any]:
    """One order with its lines and shipments; buyer and seller also see where the goods go.

    Raises NotFound outside the actor's scope.
    """
    found = _orders_with_lines(session, sa.and_(Order.id == order_id, order_scope(actor)))
    if not found:
        raise NotFound
    order, view = found[0]
    purchase = session.get_one(Purchase, order.purchase_id)
    view["purchase_number"] = purchase.number
    view["buyer"] = {"id": order.buyer_id, "name": session.get_one(Organisation, order.buyer_id).name}
    view["deliver_on"] = purchase.deliver_on
    view["confirm_by"] = order.confirm_by
    view["cancel_asked_by"] = order.cancel_asked_by
    if actor.organisation_id in (order.buyer_id, order.seller_id):
        view["deliver_to"] = {
            "name": purchase.deliver_name,
            "phone": purchase.deliver_phone,
            "address": purchase.deliver_address,
        }
    view["shipments"] = _shipments(session, order_id)
    return view


def _shipments(session: Session, order_id: UUID) -> list[dict[str, Any]]:
    shipments: dict[UUID, dict[str, Any]] = {
        s.id: {"id": s.id, "number": s.number, "carrier": s.carrier, "tracking": s.tracking,
               "shipped_on": s.shipped_on, "lines": []}
        for s in session.scalars(sa.select(Shipment).where(Shipment.order_id == order_id).order_by(Shipment.id))
    }  # fmt: skip
    for line in session.scalars(
        sa.select(ShipmentLine)
        .where(ShipmentLine.shipment_id.in_(list(shipments)))
        .order_by(ShipmentLine.id)
        .execution_options(populate_existing=True)
    ):
        shipments[line.shipment_id]["lines"].append(
            {
                "line_id": line.line_id,
                "trace_code": line.trace_code,
                "quantity": line.quantity,
                "substitution": line.substitution,
                "accepted": line.accepted,
                "refused": line.refused,
                "restocked": line.restocked,
                "lost": line.lost,
            }
        )
    return list(shipments.values())


def list_purchases(
    session: Session, actor: Actor, *, state: str | None = None, limit: int = 24, after: str | None = None
) -> dict[str, Any]:
    """Purchases in scope, newest first, without their lines."""
    statement = sa.select(Purchase).where(purchase_scope(actor))
    if state is not None:
        statement = statement.where(Purchase.state == state)
    return paginate(
        session,
        statement,
        [(Purchase.id, True)],
        limit=limit,
        after=after,
        shape=lambda row: shape_purchase(_columns(row[0]), []),
    )


def list_orders(
    session: Session, actor: Actor, *, state: str | None = None, limit: int = 24, after: str | None = None
) -> dict[str, Any]:
    """Orders in scope, newest first, without their lines; `state` is the fulfilment."""
    statement = (
        sa.select(Order, Organisation.name)
        .join(Organisation, Organisation.id == Order.seller_id)
        .where(order_scope(actor))
    )
    if state is not None:
        statement = statement.where(Order.state == state)
    return paginate(
        session,
        statement,
        [(Order.id, True)],
        limit=limit,
        after=after,
        shape=lambda row: shape_order({**_columns(row[0]), "seller_name": row[1]}, []),
    )
