"""What invoices and payments share: the locked orders they stand on, and the orders' sums and headline states.

Locks are always taken in this order: orders by id, then the invoice or payment row. Nothing here opens a
transaction.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from marketplace.accounts.models import Organisation, PayerProfile
from marketplace.documents import queries as documents
from marketplace.documents.models import Document, DocumentKind
from marketplace.documents.service import let_read
from marketplace.errors import Conflict, NotFound, PreconditionFailed, RuleViolation
from marketplace.orders.models import Order, Purchase
from marketplace.orders.states import OrderState
from marketplace.payments.models import Invoice, InvoiceOrder, Payment, PaymentOrder, PaymentRefund
from marketplace.payments.rules import payable_fen
from marketplace.payments.states import (
    INVOICE_FREED,
    PAYMENT_CLAIMED,
    InvoiceDocState,
    RefundState,
    invoice_state,
    payment_state,
)
from marketplace.unit_of_work import Transaction


@dataclass(frozen=True)
class OrderAmount:
    """An order and how much of it a paper covers; None asks for all that is left."""

    order_id: UUID
    amount_fen: int | None = None


def lock_orders(session: Session, ids: Iterable[UUID], *scope: sa.ColumnElement[bool]) -> list[Order]:
    """The orders in the order of their ids, locked. Raises NotFound when one is absent or outside `scope`."""
    wanted = sorted(set(ids))
    orders = session.scalars(
        sa.select(Order)
        .where(Order.id.in_(wanted), *scope)
        .order_by(Order.id)
        .with_for_update()
        .execution_options(populate_existing=True)
    ).all()
    if len(orders) != len(wanted):
        raise NotFound("找不到其中的订单")
    return list(orders)


def lock_named_orders(
    session: Session, amounts: Sequence[OrderAmount], *scope: sa.ColumnElement[bool]
) -> list[Order]:
    """Orders that a new paper names, each once. Raises RuleViolation (`invalid`) for a repeated one, NotFound."""
    ids = [a.order_id for a in amounts]
    if not ids or len(set(ids)) != len(ids):
        raise RuleViolation(errors=[{"pointer": "#/orders", "detail": "至少一个订单，每个订单只写一次"}])
    # The seller does not see an order that awaits approval.
    return lock_orders(session, ids, Order.state != OrderState.AWAITING_APPROVAL, *scope)


@dataclass(frozen=True)
class Payer:
    """Who pays for some orders, and the words that an invoice to him must carry."""

    profile_id: UUID | None
    title: str
    tax_number: str


def one_payer(session: Session, orders: Sequence[Order]) -> tuple[Payer, list[Purchase]]:
    """The payer of all `orders` and their purchases. Raises RuleViolation (`one-seller`, `one-payer`)."""
    if len({o.seller_id for o in orders}) != 1:
        raise RuleViolation("一张单据里的订单要属于同一个供应商", slug="one-seller")
    purchases = session.scalars(
        sa.select(Purchase).where(Purchase.id.in_({o.purchase_id for o in orders})).order_by(Purchase.id)
    ).all()
    if len({(p.buyer_id, p.payer_profile_id) for p in purchases}) != 1:
        raise RuleViolation("一张单据里的订单要属于同一个付款主体", slug="one-payer")
    profile_id, buyer_id = purchases[0].payer_profile_id, purchases[0].buyer_id
    if profile_id is None:
        buyer = session.get_one(Organisation, buyer_id)
        return Payer(None, buyer.name, buyer.credit_code or ""), list(purchases)
    profile = session.get_one(PayerProfile, profile_id)
    return Payer(profile_id, profile.invoice_title, profile.tax_number), list(purchases)


def resolve_amounts(
    orders: Sequence[Order], amounts: Sequence[OrderAmount], covered: Mapping[UUID, int]
) -> dict[UUID, int]:
    """How much of each order a new paper covers, in fen, never more than accepted and not covered yet.

    Raises Conflict `nothing-accepted` before acceptance, `nothing-left` when all is covered, `above-accepted`
    (with `order`, `asked_fen`, `left_fen`) for more than is left.
    """
    wanted = {a.order_id: a.amount_fen for a in amounts}
    chosen: dict[UUID, int] = {}
    for order in orders:
        if order.accepted_fen <= 0:
            raise Conflict(f"订单{order.number}还没有验收", slug="nothing-accepted", order=str(order.id))
        left = payable_fen(order.accepted_fen, order.freight_fen) - covered[order.id]
        asked = wanted[order.id]
        if left <= 0:
            raise Conflict(f"订单{order.number}没有剩余金额", slug="nothing-left", order=str(order.id))
        if asked is not None and asked > left:
            raise Conflict(
                f"订单{order.number}的金额超过已验收而未开单的金额",
                slug="above-accepted",
                order=str(order.id),
                asked_fen=asked,
                left_fen=left,
            )
        chosen[order.id] = left if asked is None else asked
    return chosen


def refresh_headlines(session: Session, orders: Sequence[Order]) -> None:
    """Set the invoice and payment state of locked orders from their amounts; three queries for all of them."""
    session.flush()
    ids = [o.id for o in orders]
    checked = sa.func.coalesce(
        sa.func.sum(InvoiceOrder.amount_fen).filter(Invoice.state == InvoiceDocState.CHECKED), 0
    )
    freed = sa.func.coalesce(sa.func.bool_or(Invoice.state.in_(INVOICE_FREED)), False)
    invoices = {
        row.order_id: row
        for row in session.execute(
            sa.select(InvoiceOrder.order_id, checked.label("checked"), freed.label("returned"))
            .join(Invoice, Invoice.id == InvoiceOrder.invoice_id)
            .where(InvoiceOrder.order_id.in_(ids))
            .group_by(InvoiceOrder.order_id)
        )
    }
    claimed: dict[UUID, int] = {
        row.order_id: row.claimed
        for row in session.execute(
            sa.select(PaymentOrder.order_id, sa.func.sum(PaymentOrder.amount_fen).label("claimed"))
            .join(Payment, Payment.id == PaymentOrder.payment_id)
            .where(PaymentOrder.order_id.in_(ids), Payment.state.in_(PAYMENT_CLAIMED))
            .group_by(PaymentOrder.order_id)
        )
    }
    refunded: dict[UUID, int] = {
        row.order_id: row.refunded
        for row in session.execute(
            sa.select(PaymentRefund.order_id, sa.func.sum(PaymentRefund.amount_fen).label("refunded"))
            .where(
                PaymentRefund.payment_id.in_(
                    sa.select(PaymentOrder.payment_id).where(PaymentOrder.order_id.in_(ids))
                ),
                PaymentRefund.order_id.in_(ids),
                PaymentRefund.state == RefundState.REFUNDED,
            )
            .group_by(PaymentRefund.order_id)
        )
    }
    for order in orders:
        owed = payable_fen(order.accepted_fen, order.freight_fen)
        row = invoices.get(order.id)
        order.invoice_state = invoice_state(
            owed,
            order.invoiced_fen,
            int(row.checked) if row else 0,
            any_returned=bool(row and row.returned),
        )
        order.payment_state = payment_state(
            owed,
            order.payment_opened_fen,
            int(claimed.get(order.id, 0)),
            order.paid_fen,
            int(refunded.get(order.id, 0)),
        )


def touch(session: Session, orders: Sequence[Order]) -> None:
    """The end of every edit here: new headlines and a new version of each order."""
    refresh_headlines(session, orders)
    for order in orders:
        order.version += 1


def parties(orders: Sequence[Order]) -> list[UUID | None]:
    """Who may read the facts of a paper: both sides, and the agency whose reserve the orders fill."""
    return [party for o in orders for party in (o.buyer_id, o.seller_id, o.quota_agency_id)]


def amounts_text(amounts: Mapping[UUID, int]) -> list[dict[str, Any]]:
    """`orders` of a fact: [{order, amount_fen}], by order id."""
    return [{"order": str(order_id), "amount_fen": fen} for order_id, fen in sorted(amounts.items())]


def share_document(tx: Transaction, document_id: UUID, kind: DocumentKind, readers: set[UUID]) -> Document:
    """The file of a paper, which the other side may read from now on.

    Raises NotFound outside the actor's own files, RuleViolation (`document-kind`) for a file of another kind.
    """
    document = documents.readable_document(tx.session, tx.actor, document_id)
    if document.kind is not kind:
        raise RuleViolation("这个文件不是这一类单据", slug="document-kind", expected=kind.value)
    let_read(tx, document_id, frozenset(readers))
    return document


def guard_version(present: int, expected: int | None) -> None:
    """Raises PreconditionFailed (`precondition-failed`) when the caller saw another version."""
    if expected is not None and expected != present:
        raise PreconditionFailed(version=present)


@contextmanager
def translated(session: Session, constraint: str, refusal: Conflict) -> Iterator[None]:
    """Write what was added; a breach of the named unique constraint becomes `refusal`, any other stays."""
    try:
        yield
        session.flush()
    except IntegrityError as error:
        diagnosis = getattr(error.orig, "diag", None)
        if getattr(diagnosis, "constraint_name", None) != constraint:
            raise
        raise refusal from error
