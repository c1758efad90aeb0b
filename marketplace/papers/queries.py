"""What the papers say, read once per paper: parties, lines with lots, amounts. Scope is that of the order or purchase."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from marketplace.accounts.models import Organisation, PayerProfile
from marketplace.actors import Actor
from marketplace.catalog.models import Lot
from marketplace.documents.models import Document, DocumentState
from marketplace.errors import NotFound
from marketplace.orders import queries as orders
from marketplace.orders.models import (
    Acceptance,
    AcceptanceLine,
    Order,
    OrderLine,
    Purchase,
    Shipment,
    ShipmentLine,
)
from marketplace.payments.models import Invoice, InvoiceOrder, Payment, PaymentOrder
from marketplace.payments.queries import find_payment, visible_payments
from marketplace.payments.states import InvoiceDocState
from marketplace.trace.models import Inspection, LotCertificate
from marketplace.trace.rules import PROOF_NAMES


@dataclass(frozen=True)
class Party:
    name: str
    credit_code: str
    address: str


def party(session: Session, organisation_id: UUID) -> Party:
    row = session.get_one(Organisation, organisation_id)
    return Party(row.name, row.credit_code or "", row.address or "")


def payer(session: Session, profile_id: UUID | None) -> PayerProfile | None:
    return session.get(PayerProfile, profile_id) if profile_id is not None else None


def purchase_paper(session: Session, actor: Actor, purchase_id: UUID) -> dict[str, Any]:
    """A purchase with its buyer, payer and orders. Raises NotFound outside the actor's scope."""
    view = orders.purchase_view(session, actor, purchase_id)
    row = session.get_one(Purchase, purchase_id)
    return {
        **view,
        "buyer": party(session, row.buyer_id),
        "payer": payer(session, row.payer_profile_id),
        "submitted_at": row.submitted_at,
        "decided_at": row.decided_at,
        "address": row.deliver_address,
        "note": row.note,
    }


@dataclass(frozen=True)
class OrderPaper:
    """An order as all its papers know it. `contact` is empty for readers who are no party."""

    order: Order
    purchase: Purchase
    view: dict[str, Any]
    buyer: Party
    seller: Party
    lines: dict[UUID, OrderLine]
    contact: str
    address: str


def order_paper(session: Session, actor: Actor, order_id: UUID) -> OrderPaper:
    """Raises NotFound outside the actor's scope."""
    view = orders.order_view(session, actor, order_id)
    order = session.get_one(Order, order_id)
    purchase = session.get_one(Purchase, order.purchase_id)
    lines = session.scalars(
        sa.select(OrderLine).where(OrderLine.order_id == order_id).order_by(OrderLine.position)
    ).all()
    to = view.get("deliver_to")
    return OrderPaper(
        order, purchase, view, party(session, order.buyer_id), party(session, order.seller_id),
        {line.id: line for line in lines}, f"{to['name']} {to['phone']}" if to else "", to["address"] if to else "",
    )  # fmt: skip


@dataclass(frozen=True)
class Sent:
    """One lot of one line in a shipment."""

    line: OrderLine
    lot: Lot
    quantity: int
    substitution: bool


def shipment_paper(
    session: Session, actor: Actor, shipment_id: UUID
) -> tuple[Shipment, OrderPaper, list[Sent]]:
    """A delivery with its lots. Raises NotFound outside the actor's scope."""
    shipment = session.get(Shipment, shipment_id)
    if shipment is None:
        raise NotFound
    paper = order_paper(session, actor, shipment.order_id)
    rows = session.execute(
        sa.select(ShipmentLine, Lot)
        .join(Lot, Lot.id == ShipmentLine.lot_id)
        .where(ShipmentLine.shipment_id == shipment_id)
        .order_by(ShipmentLine.id)
    ).all()
    sent = [Sent(paper.lines[row.line_id], lot, row.quantity, row.substitution) for row, lot in rows]
    return shipment, paper, sent


@dataclass(frozen=True)
class Taken:
    """What was accepted and refused of one lot of one line, summed over the acts of acceptance."""

    line: OrderLine
    lot: Lot
    sent: int
    accepted: int
    refused: int
    accepted_fen: int
    allowance_fen: int
    reasons: tuple[str, ...]


def taken(session: Session, paper: OrderPaper) -> tuple[list[Taken], list[Acceptance]]:
    """Accepted and refused per line and lot, in the order of the lines, and the acts behind it."""
    acts = session.scalars(
        sa.select(Acceptance).where(Acceptance.order_id == paper.order.id).order_by(Acceptance.accepted_at)
    ).all()
    rows = session.execute(
        sa.select(AcceptanceLine, Lot)
        .join(Lot, Lot.id == AcceptanceLine.lot_id)
        .where(AcceptanceLine.acceptance_id.in_([act.id for act in acts]))
        .order_by(AcceptanceLine.id)
    ).all()
    shipped = {
        (row.line_id, row.lot_id): row.sent
        for row in session.execute(
            sa.select(
                ShipmentLine.line_id, ShipmentLine.lot_id, sa.func.sum(ShipmentLine.quantity).label("sent")
            )
            .where(ShipmentLine.line_id.in_(list(paper.lines)))
            .group_by(ShipmentLine.line_id, ShipmentLine.lot_id)
        )
    }
    groups: dict[tuple[UUID, UUID], list[tuple[AcceptanceLine, Lot]]] = {}
    for row, lot in rows:
        groups.setdefault((row.line_id, row.lot_id), []).append((row, lot))
    found = [
        Taken(
            line=paper.lines[key[0]],
            lot=members[0][1],
            sent=int(shipped.get(key, 0)),
            accepted=sum(row.accepted_quantity for row, _ in members),
            refused=sum(row.refused_quantity for row, _ in members),
            accepted_fen=sum(row.accepted_fen for row, _ in members),
            allowance_fen=sum(row.allowance_fen for row, _ in members),
            reasons=tuple(row.reason for row, _ in members if row.reason),
        )
        for key, members in groups.items()
    ]
    return sorted(found, key=lambda t: (t.line.position, t.lot.trace_code)), list(acts)


def proofs(session: Session, lot_ids: Sequence[UUID]) -> tuple[list[LotCertificate], list[Inspection]]:
    """Certificates and passed samples of lots."""
    certificates = session.scalars(
        sa.select(LotCertificate)
        .where(LotCertificate.lot_id.in_(lot_ids))
        .order_by(LotCertificate.recorded_at)
    ).all()
    samples = session.scalars(
        sa.select(Inspection).where(Inspection.lot_id.in_(lot_ids)).order_by(Inspection.recorded_at)
    ).all()
    return list(certificates), list(samples)


def order_invoices(session: Session, order_ids: Sequence[UUID]) -> list[Invoice]:
    """Invoices that cover the orders and were not returned."""
    return list(
        session.scalars(
            sa.select(Invoice)
            .join(InvoiceOrder, InvoiceOrder.invoice_id == Invoice.id)
            .where(InvoiceOrder.order_id.in_(order_ids), Invoice.state != InvoiceDocState.RETURNED)
            .order_by(Invoice.issued_on, Invoice.id)
        ).unique()
    )


def order_payments(session: Session, order_id: UUID) -> list[tuple[Payment, int]]:
    """Payments that cover the order with the part that is for it."""
    rows = session.execute(
        sa.select(Payment, PaymentOrder.amount_fen)
        .join(PaymentOrder, PaymentOrder.payment_id == Payment.id)
        .where(PaymentOrder.order_id == order_id)
        .order_by(Payment.opened_at)
    ).all()
    return [(payment, amount) for payment, amount in rows]


@dataclass(frozen=True)
class CoveredOrder:
    number: str
    accepted_on: date | None
    accepted_fen: int
    amount_fen: int


def payment_paper(
    session: Session, actor: Actor, payment_id: UUID
) -> tuple[Payment, Party, Party, PayerProfile | None, list[CoveredOrder], list[Invoice]]:
    """A payment with its parties, orders and invoices. Raises NotFound outside the actor's scope."""
    payment = find_payment(session, payment_id, visible_payments(actor))
    rows = session.execute(
        sa.select(Order.id, Order.number, Order.accepted_on, Order.accepted_fen, PaymentOrder.amount_fen)
        .join(Order, Order.id == PaymentOrder.order_id)
        .where(PaymentOrder.payment_id == payment_id)
        .order_by(Order.number)
    ).all()
    covered = [CoveredOrder(r.number, r.accepted_on, r.accepted_fen, r.amount_fen) for r in rows]
    return (
        payment, party(session, payment.buyer_id), party(session, payment.seller_id),
        payer(session, payment.payer_profile_id), covered, order_invoices(session, [r.id for r in rows]),
    )  # fmt: skip


@dataclass(frozen=True)
class Proof:
    """A file behind a delivery: what it proves and where its bytes are."""

    title: str
    number: str
    document: Document | None


def delivery_files(session: Session, paper: OrderPaper, lot_ids: Sequence[UUID]) -> list[Proof]:
    """The files of 索证索票 of a delivery, in their usual order; a proof without a file is listed all the same."""
    certificates, samples = proofs(session, lot_ids)
    invoices = order_invoices(session, [paper.order.id])
    listed: list[tuple[str, str, UUID | None]] = [
        *((PROOF_NAMES[c.kind.value], c.number or "", c.document_id) for c in certificates),
        *(
            (f"检测报告（{'合格' if s.passed else '不合格'}）", s.sample_number, s.document_id)
            for s in samples
        ),
        *(("发票", i.number, i.document_id) for i in invoices),
    ]
    ids = [document_id for _, _, document_id in listed if document_id is not None]
    files = {
        row.id: row
        for row in session.scalars(
            sa.select(Document).where(Document.id.in_(ids), Document.state == DocumentState.STORED)
        )
    }
    return [Proof(title, number, files.get(file) if file else None) for title, number, file in listed]
