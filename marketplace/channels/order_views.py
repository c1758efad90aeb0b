"""A channel's orders as its programs read them: states, shipments with their lots, certificates, change requests."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from marketplace.accounts.models import Organisation
from marketplace.actors import Actor
from marketplace.catalog.models import Lot
from marketplace.channels.models import ChangeRequest, PartnerOrder
from marketplace.errors import NotFound
from marketplace.orders import queries
from marketplace.orders.models import Order, OrderLine, Purchase, Shipment, ShipmentLine
from marketplace.paging import paginate, sort_keys
from marketplace.trace.models import LotCertificate

_ENDED = ("cancelled", "lapsed")


def own_order(session: Session, actor: Actor, partner_order_no: str) -> PartnerOrder:
    """The channel's order of that number. Raises NotFound for another channel's, as for none."""
    statement = sa.select(PartnerOrder).where(
        PartnerOrder.channel_id == actor.organisation_id, PartnerOrder.partner_order_no == partner_order_no
    )
    row = session.scalars(statement).one_or_none()
    if row is None:
        raise NotFound("没有这个订单号")
    return row


def shape_placed(view: Mapping[str, Any]) -> dict[str, Any]:
    """The answer to a new order, of what `place_order` returned."""
    return _shape(
        view["partner_order_no"], view["placed_at"], view["cut_off_at"], view["purchase"],
        [_shape_part(order) for order in view["purchase"]["orders"]],
    )  # fmt: skip


def order_view(session: Session, actor: Actor, partner_order_no: str, trace_base: str) -> dict[str, Any]:
    """One order with everything that became of it; a constant number of queries.

    `trace_base` is the address before a trace code.
    """
    row = own_order(session, actor, partner_order_no)
    purchase = queries.purchase_view(session, actor, row.purchase_id)
    ids = [order["id"] for order in purchase["orders"]]
    times = session.execute(sa.select(Order.id, Order.confirm_by).where(Order.id.in_(ids)))
    until = {row.id: row.confirm_by for row in times}
    shipments, lots = _shipments(session, ids, trace_base)
    papers = _certificates(session, {lot for of_order in lots.values() for lot in of_order})
    parts = [
        _shape_part(
            order,
            confirm_by=until[order["id"]],
            shipments=shipments[order["id"]],
            certificates=[p for lot in sorted(lots[order["id"]]) for p in papers[lot]],
        )
        for order in purchase["orders"]
    ]
    return {
        **_shape(row.partner_order_no, row.placed_at, row.cut_off_at, purchase, parts),
        "changes": _changes(session, row.id),
    }


def list_orders(
    session: Session,
    actor: Actor,
    *,
    placed_after: datetime | None = None,
    limit: int = 24,
    after: str | None = None,
) -> dict[str, Any]:
    """The channel's orders, newest first, without their lines."""
    statement = (
        sa.select(PartnerOrder, Purchase)
        .join(Purchase, Purchase.id == PartnerOrder.purchase_id)
        .where(PartnerOrder.channel_id == actor.organisation_id)
    )
    if placed_after is not None:
        statement = statement.where(PartnerOrder.placed_at > placed_after)
    return paginate(
        session,
        statement,
        [(PartnerOrder.id, True)],
        limit=limit,
        after=after,
        shape=lambda row: {
            "partner_order_no": row[0].partner_order_no,
            "purchase_number": row[1].number,
            "state": row[1].state.value,
            "deliver_on": row[1].deliver_on,
            "placed_at": row[0].placed_at,
            "cut_off_at": row[0].cut_off_at,
            "goods_fen": row[1].goods_fen,
        },
    )


def _shape(
    number: str,
    placed_at: datetime,
    cut_off: datetime,
    purchase: Mapping[str, Any],
    parts: Sequence[dict[str, Any]],
) -> dict[str, Any]:
    ended = all(part["state"] in _ENDED for part in parts)
    return {
        "partner_order_no": number,
        "purchase_number": purchase["number"],
        "state": "cancelled" if ended else purchase["state"],
        "deliver_on": purchase["deliver_on"],
        "placed_at": placed_at,
        "cut_off_at": cut_off,
        "goods_fen": purchase["goods_fen"],
        "orders": list(parts),
    }


_AFTER_NAME = (
    "spec", "quantity", "unit_price_fen", "goods_fen", "cancelled_quantity", "shipped_quantity", "accepted_quantity",
    "refused_quantity", "accepted_fen",
)  # fmt: skip


def _shape_part(order: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    """In the order of the schema, so that its bytes may be written without it."""
    return {
        "number": order["number"],
        "seller": order["seller"],
        "state": order["fulfilment"],
        "goods_fen": order["goods_fen"],
        "accepted_fen": order["accepted_fen"],
        "paid_fen": order["paid_fen"],
        "lines": [
            {
                "id": line["id"],
                "product_id": line["product_id"],
                "name": line["product_name"],
                **{name: line[name] for name in _AFTER_NAME},
                "lots": line["allocations"],
            }
            for line in order["lines"]
        ],
        **more,
    }


def _shipments(
    session: Session, order_ids: Sequence[UUID], trace_base: str
) -> tuple[dict[UUID, list[dict[str, Any]]], dict[UUID, set[UUID]]]:
    found: dict[UUID, list[dict[str, Any]]] = defaultdict(list)
    lots: dict[UUID, set[UUID]] = defaultdict(set)
    by_id: dict[UUID, dict[str, Any]] = {}
    for row in session.execute(
        sa.select(Shipment, ShipmentLine, Lot.best_before)
        .join(ShipmentLine, ShipmentLine.shipment_id == Shipment.id)
        .join(Lot, Lot.id == ShipmentLine.lot_id)
        .where(Shipment.order_id.in_(order_ids))
        .order_by(Shipment.id, ShipmentLine.id)
    ):
        shipment, line, best_before = row
        if shipment.id not in by_id:
            by_id[shipment.id] = {
                "number": shipment.number,
                "carrier": shipment.carrier,
                "tracking": shipment.tracking,
                "shipped_on": shipment.shipped_on,
                "lines": [],
            }
            found[shipment.order_id].append(by_id[shipment.id])
        by_id[shipment.id]["lines"].append(
            {
                "line_id": line.line_id,
                "trace_code": line.trace_code,
                "trace_url": f"{trace_base}{line.trace_code}",
                "quantity": line.quantity,
                "best_before": best_before,
            }
        )
        lots[shipment.order_id].add(line.lot_id)
    return found, lots


def _certificates(session: Session, lot_ids: set[UUID]) -> dict[UUID, list[dict[str, Any]]]:
    found: dict[UUID, list[dict[str, Any]]] = defaultdict(list)
    for row in session.execute(
        sa.select(LotCertificate, Lot.trace_code)
        .join(Lot, Lot.id == LotCertificate.lot_id)
        .where(LotCertificate.lot_id.in_(lot_ids))
        .order_by(LotCertificate.id)
    ):
        paper, code = row
        found[paper.lot_id].append(
            {
                "trace_code": code,
                "kind": paper.kind.value,
                "number": paper.number,
                "issued_on": paper.issued_on,
                "valid_until": paper.valid_until,
                "document_id": paper.document_id,
            }
        )
    return found


def _changes(session: Session, partner_order_id: UUID) -> list[dict[str, Any]]:
    rows = session.execute(
        sa.select(ChangeRequest, Order.number)
        .join(Order, Order.id == ChangeRequest.order_id)
        .where(ChangeRequest.partner_order_id == partner_order_id)
        .order_by(ChangeRequest.id)
        .execution_options(populate_existing=True)
    )
    return [
        {
            "id": row.id,
            "state": row.state.value,
            "order_number": number,
            "asked_at": row.asked_at,
            "decided_at": row.decided_at,
            "decision_reason": row.decision_reason,
        }
        for row, number in rows
    ]


REQUEST_SORTS: dict[str, sa.SQLColumnExpression[Any]] = {
    "order": Order.__table__.c.number,
    "channel": Organisation.__table__.c.name,
}


def change_requests(
    session: Session,
    actor: Actor,
    *,
    state: str = "open",
    q: str | None = None,
    sort: str | None = None,
    limit: int = 24,
    after: str | None = None,
) -> dict[str, Any]:
    """Channels' wishes to this seller in a state, newest first or by one of `REQUEST_SORTS`; two queries.

    `q` is part of an order's number or of a channel's name.
    """
    wanted = _requests(actor).where(ChangeRequest.state == state)
    if q:
        named = (column.icontains(q, autoescape=True) for column in (Order.number, Organisation.name))
        wanted = wanted.where(sa.or_(*named))
    found = paginate(
        session,
        wanted,
        sort_keys(REQUEST_SORTS, sort, ChangeRequest.__table__.c.id),
        limit=limit,
        after=after,
        shape=lambda row: shape_request(row[0], row[1], row[2], row[3]),
    )
    return {**found, "items": _named(session, found["items"])}


def change_request(session: Session, actor: Actor, request_id: UUID) -> dict[str, Any]:
    """One wish to this seller. Raises NotFound for another seller's."""
    row = session.execute(_requests(actor).where(ChangeRequest.id == request_id)).one_or_none()
    if row is None:
        raise NotFound
    return _named(session, [shape_request(row[0], row[1], row[2], row[3])])[0]


def _requests(actor: Actor) -> sa.Select[ChangeRequest, str, UUID, str]:
    return (
        sa.select(ChangeRequest, Order.number, Organisation.id, Organisation.name)
        .join(Order, Order.id == ChangeRequest.order_id)
        .join(Organisation, Organisation.id == Order.buyer_id)
        .where(Order.seller_id == actor.organisation_id)
    )


def _named(session: Session, items: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The same with the name and the unit of each line's product."""
    ids = [UUID(line["line_id"]) for item in items for line in item["lines"]]
    names = {
        str(row.id): (f"{row.product_name} {row.spec}", row.pack_unit)
        for row in session.execute(
            sa.select(OrderLine.id, OrderLine.product_name, OrderLine.spec, OrderLine.pack_unit).where(
                OrderLine.id.in_(ids)
            )
        )
    }
    return [
        {
            **item,
            "lines": [
                {**line, "name": names[line["line_id"]][0], "unit": names[line["line_id"]][1]}
                for line in item["lines"]
            ],
        }
        for item in items
    ]


def shape_request(row: ChangeRequest, number: str, channel_id: UUID, channel: str) -> dict[str, Any]:
    return {
        "id": row.id,
        "order_id": row.order_id,
        "order_number": number,
        "channel": {"id": channel_id, "name": channel},
        "lines": row.lines,
        "reason": row.reason,
        "state": row.state.value,
        "asked_at": row.asked_at,
        "decided_at": row.decided_at,
    }
