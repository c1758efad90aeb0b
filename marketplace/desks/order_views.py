"""One order as its page shows it to every side: lines and lots, what happened, papers of money, what may be done."""

from __future__ import annotations

import json
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from marketplace.actors import Actor, Permission
from marketplace.catalog.models import Lot, LotState
from marketplace.clock import now
from marketplace.desks.counting import counting, line_standings
from marketplace.desks.steps import Part, also_open
from marketplace.desks.trade_views import orders_where
from marketplace.errors import NotFound
from marketplace.journal.models import Fact, Seal
from marketplace.journal.queries import readable
from marketplace.orders.models import (
    Acceptance,
    AcceptanceLine,
    Evaluation,
    Order,
    OrderLine,
    Purchase,
    Shipment,
)
from marketplace.orders.queries import order_view
from marketplace.orders.states import OrderState
from marketplace.payments.queries import list_invoices, list_payments

CANCELLABLE = frozenset(
    {OrderState.PLACED, OrderState.CONFIRMED, OrderState.PART_SHIPPED, OrderState.PART_ACCEPTED}
)
MANY_EVENTS = 200
TOLD = ("order", "purchase", "invoice", "payment")


def order_in_brief(session: Session, actor: Actor, order_id: UUID) -> dict[str, Any]:
    """The order as lists show it. Raises NotFound outside the actor's scope."""
    found = orders_where(session, actor, Order.id == order_id)
    if not found:
        raise NotFound
    return found[0]


def order_page(session: Session, actor: Actor, order_id: UUID, today: Any) -> dict[str, Any]:
    """All of the order's page; a constant number of queries. Raises NotFound outside the actor's scope."""
    brief = order_in_brief(session, actor, order_id)
    view = order_view(session, actor, order_id)
    standings = line_standings(session, [order_id])
    by_id = {line.id: line for line in brief["lines"]}
    for line in view["lines"]:
        row: OrderLine = by_id[line["id"]]
        line["standing"] = counting(brief["state"], [row], standings)
        line["left"] = row.quantity - row.shipped_quantity - row.cancelled_quantity
        line["waiting"] = row.shipped_quantity - row.accepted_quantity - row.refused_quantity
    part: Part = brief["part"]
    parties = part in (Part.BUYER, Part.MANAGER, Part.SELLER)
    invoices = (
        list_invoices(session, actor, order_id=order_id)["items"]
        if actor.can(Permission.INVOICE_READ)
        else []
    )
    payments = (
        list_payments(session, actor, today=today, order_id=order_id)["items"]
        if actor.can(Permission.PAYMENT_READ)
        else []
    )
    return {
        **brief,
        "also": also_open(brief["facts"], part, brief["step"], now(), today),
        "view": view,
        "shipments": _shipments(session, view, parties=parties),
        "acceptances": _acceptances(session, order_id, named=part in (Part.BUYER, Part.MANAGER)),
        "evaluation": session.get(Evaluation, order_id),
        "invoices": invoices,
        "payments": payments,
        "events": events(session, actor, [order_id, brief["purchase_id"], *_ids(invoices), *_ids(payments)]),
        "warnings": lots_off_sale(session, view),
        "cancel": cancel_offer(actor, brief),
        "may_pay": part is Part.BUYER
        and brief["accepted_fen"] > 0
        and brief["payment_id"] is None
        and str(view["payment"]) == "none"
        and brief["step"].key != "pay",
        "note": session.scalar(sa.select(Purchase.note).where(Purchase.id == brief["purchase_id"]))
        if parties
        else None,
    }


def _ids(rows: list[dict[str, Any]]) -> list[UUID]:
    return [row["id"] for row in rows]


def _shipments(session: Session, view: dict[str, Any], *, parties: bool) -> list[dict[str, Any]]:
    rows = {
        row.id: row
        for row in session.execute(
            sa.select(Shipment.id, Shipment.vehicle, Shipment.driver).where(
                Shipment.id.in_([shipment["id"] for shipment in view["shipments"]])
            )
        )
    }
    names = {line["id"]: line for line in view["lines"]}
    return [
        {
            **shipment,
            "vehicle": rows[shipment["id"]].vehicle,
            # The driver's name is for those who meet at the gate.
            "driver": rows[shipment["id"]].driver if parties else None,
            "rows": [{**row, "line": names[row["line_id"]]} for row in shipment["lines"]],
        }
        for shipment in view["shipments"]
    ]


def _acceptances(session: Session, order_id: UUID, *, named: bool) -> list[dict[str, Any]]:
    acts: dict[UUID, dict[str, Any]] = {
        row.id: {
            "accepted_at": row.accepted_at,
            "inspectors": row.inspectors if named else [],
            "document_id": row.document_id,
            "lines": [],
        }
        for row in session.scalars(
            sa.select(Acceptance).where(Acceptance.order_id == order_id).order_by(Acceptance.id)
        )
    }
    rows = session.execute(
        sa.select(AcceptanceLine, Lot.trace_code, OrderLine.product_name, OrderLine.pack_unit)
        .join(Lot, Lot.id == AcceptanceLine.lot_id)
        .join(OrderLine, OrderLine.id == AcceptanceLine.line_id)
        .where(AcceptanceLine.acceptance_id.in_(acts))
        .order_by(AcceptanceLine.id)
    )
    for line, code, name, unit in rows:
        acts[line.acceptance_id]["lines"].append(
            {
                "name": name,
                "unit": unit,
                "trace_code": code,
                "accepted": line.accepted_quantity,
                "refused": line.refused_quantity,
                "allowance_fen": line.allowance_fen,
                "agreed": line.allowance_agreed_at is not None,
                "reason": line.reason,
            }
        )
    return list(acts.values())


def events(session: Session, actor: Actor, subjects: list[UUID]) -> list[dict[str, Any]]:
    """Facts about these things that the actor may read, oldest first: {kind, at, seq, data}."""
    rows = session.execute(
        sa.select(Fact.kind, Fact.recorded_at, Fact.body, Seal.seq)
        .outerjoin(Seal, Seal.fact_id == Fact.id)
        .where(Fact.subject_type.in_(TOLD), Fact.subject_id.in_(subjects), readable(actor))
        .order_by(Fact.recorded_at, Fact.id)
        .limit(MANY_EVENTS)
    )
    return [
        {"kind": row.kind, "at": row.recorded_at, "seq": row.seq, "data": json.loads(row.body)["data"]}
        for row in rows
    ]


def lots_off_sale(session: Session, view: dict[str, Any]) -> list[dict[str, Any]]:
    """Lots of the order that are held or recalled now: {trace_code, state}."""
    codes = {a["trace_code"] for line in view["lines"] for a in line["allocations"]}
    codes |= {row["trace_code"] for shipment in view["shipments"] for row in shipment["lines"]}
    rows = session.execute(
        sa.select(Lot.trace_code, Lot.state)
        .where(Lot.trace_code.in_(codes), Lot.state.in_((LotState.HELD, LotState.RECALLED)))
        .order_by(Lot.trace_code)
    )
    return [{"trace_code": row.trace_code, "state": row.state} for row in rows]


def cancel_offer(actor: Actor, order: dict[str, Any]) -> str | None:
    """What the actor's cancelling would do: "now", "ask", "agree", "asked" (already), or None when it may not."""
    if not actor.can(Permission.ORDER_CANCEL) or order["part"] not in (Part.BUYER, Part.SELLER):
        return None
    facts = order["facts"]
    if order["state"] not in CANCELLABLE or not facts.to_ship:
        return None
    if order["state"] is OrderState.PLACED:
        return "now"
    if facts.cancel_asked_by is None:
        return "ask"
    return "asked" if facts.cancel_asked_by is order["part"] else "agree"
