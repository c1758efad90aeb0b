"""Goods that wait at the gate: lots to take over, who must look at them, and the ledger of what was taken over."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session, aliased

from marketplace.accounts.models import Organisation, Region, User
from marketplace.actors import Actor
from marketplace.catalog.models import Lot
from marketplace.clock import SHANGHAI, now
from marketplace.desks.order_views import lots_off_sale, order_in_brief
from marketplace.desks.steps import Part
from marketplace.errors import NotFound
from marketplace.orders.models import Acceptance, AcceptanceLine, Order, OrderLine, Shipment, ShipmentLine
from marketplace.orders.queries import order_scope, order_view, policy_json
from marketplace.orders.rules import inspectors_needed
from marketplace.orders.takeover import DEFAULT_INSPECTORS
from marketplace.trace.models import LotCertificate

KEEP_YEARS = 2  # 食品安全法第五十条、五十三条: records of goods received are kept for two years at least


def to_accept(session: Session, actor: Actor, order_id: UUID) -> dict[str, Any]:
    """The order with its lots that are not taken over yet. Raises NotFound unless the actor's side buys it."""
    brief = order_in_brief(session, actor, order_id)
    if brief["part"] is not Part.BUYER:
        raise NotFound
    view = order_view(session, actor, order_id)
    lines = {line.id: line for line in brief["lines"]}
    lots: dict[tuple[UUID, str], dict[str, Any]] = {}
    for shipment in view["shipments"]:
        for row in shipment["lines"]:
            line = lines[row["line_id"]]
            lot = lots.setdefault(
                (row["line_id"], row["trace_code"]),
                {
                    "line_id": row["line_id"],
                    "trace_code": row["trace_code"],
                    "name": line.product_name,
                    "spec": line.spec,
                    "unit": line.pack_unit,
                    "net_g": line.net_g,
                    "unit_price_fen": line.unit_price_fen,
                    "waiting": 0,
                    "came": 0,
                    "substitution": False,
                },
            )
            lot["came"] += row["quantity"]
            lot["waiting"] += row["quantity"] - row["accepted"] - row["refused"]
            lot["substitution"] = lot["substitution"] or row["substitution"]
    buyer = session.get_one(Organisation, brief["buyer"]["id"])
    rule = policy_json(session, "inspectors_required", now(), DEFAULT_INSPECTORS)
    off_sale = {lot["trace_code"]: str(lot["state"]) for lot in lots_off_sale(session, view)}
    return {
        **brief,
        "lots": [
            {**lot, "off_sale": off_sale.get(lot["trace_code"])} for lot in lots.values() if lot["waiting"]
        ],
        "inspectors_needed": inspectors_needed(rule, buyer.subkind),
        "person": session.scalar(sa.select(User.name).where(User.id == actor.user_id)),
    }


def waiting_with_code(session: Session, actor: Actor, trace_code: str) -> UUID | None:
    """The earliest of the actor's orders that brought packs of this lot which nobody has taken over yet."""
    return session.scalar(
        sa.select(Order.id)
        .join(Shipment, Shipment.order_id == Order.id)
        .join(ShipmentLine, ShipmentLine.shipment_id == Shipment.id)
        .where(
            Order.buyer_id == actor.organisation_id,
            order_scope(actor),
            ShipmentLine.trace_code == trace_code,
            ShipmentLine.accepted + ShipmentLine.refused < ShipmentLine.quantity,
        )
        .order_by(Order.id)
        .limit(1)
    )


def month_of(text: str | None, today: date) -> date:
    """The first day of a month 'YYYY-MM' within the years that are kept; this month for anything else."""
    this = today.replace(day=1)
    try:
        asked = date.fromisoformat(f"{text}-01")
    except ValueError:
        return this
    return asked if months_back(this, KEEP_YEARS * 12) <= asked <= this else this


def months_back(month: date, number: int) -> date:
    """The first day of the month `number` months before."""
    months = month.year * 12 + month.month - 1 - number
    return date(months // 12, months % 12 + 1, 1)


def received(
    session: Session, actor: Actor, month: date, *, most: int, sort: str | None = None
) -> list[dict[str, Any]]:
    """进货查验台账 of a month: every lot of the actor's organisation that was taken over, the earliest first.

    `sort`: `day`, `name`, `seller` (by pinyin) or `refused` (packs), with `-` before it the other way round.
    """
    seller = aliased(Organisation)
    columns: dict[str, Any] = {
        "name": OrderLine.product_name,
        "seller": seller.pinyin_key,
        "refused": AcceptanceLine.refused_quantity,
    }
    column = columns.get((sort or "").removeprefix("-"), Acceptance.accepted_at)
    ordered = column.desc() if (sort or "").startswith("-") else column
    papers = (
        sa.select(
            sa.func.string_agg(sa.distinct(LotCertificate.number), sa.literal("、")).label("numbers"),
        )
        .where(LotCertificate.lot_id == Lot.id)
        .correlate(Lot)
        .scalar_subquery()
    )
    begin = datetime.combine(month, time(), SHANGHAI)
    end = datetime.combine((month + timedelta(days=32)).replace(day=1), time(), SHANGHAI)
    rows = session.execute(
        sa.select(
            *(Acceptance.accepted_on, Acceptance.accepted_at, Acceptance.inspectors, Acceptance.order_id),
            *(
                Order.number.label("order_number"),
                OrderLine.product_name,
                OrderLine.spec,
                OrderLine.pack_unit,
            ),
            *(OrderLine.net_g, AcceptanceLine.accepted_quantity, AcceptanceLine.refused_quantity),
            *(AcceptanceLine.reason, Lot.trace_code, Lot.harvested_on, Lot.best_before),
            *(seller.name.label("seller"), seller.credit_code.label("licence"), Region.name.label("county")),
            papers.label("papers"),
        )
        .join(Acceptance, Acceptance.id == AcceptanceLine.acceptance_id)
        .join(Order, Order.id == Acceptance.order_id)
        .join(OrderLine, OrderLine.id == AcceptanceLine.line_id)
        .join(Lot, Lot.id == AcceptanceLine.lot_id)
        .join(seller, seller.id == Order.seller_id)
        .join(Region, Region.code == OrderLine.county_code)
        .where(
            Order.buyer_id == actor.organisation_id,
            Acceptance.accepted_at >= begin,
            Acceptance.accepted_at < end,
        )
        .order_by(ordered, Acceptance.accepted_at, AcceptanceLine.id)
        .limit(most)
    )
    return [
        {
            **row,
            "inspectors": "、".join(row["inspectors"]),
            "accepted_g": row["accepted_quantity"] * row["net_g"],
        }
        for row in map(dict, rows.mappings())
    ]
