"""What each side may see of invoices and payments. Outside one's scope is the same as absent."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from typing import Any, cast
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import InstrumentedAttribute, Session, aliased

from marketplace.accounts.models import Organisation
from marketplace.actors import Actor, Permission, Role
from marketplace.clock import SHANGHAI
from marketplace.errors import NotFound
from marketplace.orders.models import Order
from marketplace.paging import DEFAULT_LIMIT, paginate, sort_keys
from marketplace.payments import rules
from marketplace.payments.models import Invoice, InvoiceOrder, Payment, PaymentOrder, Slip
from marketplace.payments.online_queries import live_attempt, online_view
from marketplace.payments.states import (
    PAYMENT_FREED,
    AttemptState,
    InvoiceDocState,
    PaymentDocState,
    PaymentMethod,
)
from marketplace.policies.queries import policy_value

OFFICES = frozenset({Role.POVERTY_OFFICE, Role.FINANCE_REVIEWER, Role.SETTLEMENT_CLERK})

_Buyer, _Seller = aliased(Organisation), aliased(Organisation)

# What pages may sort by besides the newest first; the name of a sort may carry a minus for downwards.
INVOICE_SORTS: dict[str, sa.SQLColumnExpression[Any]] = {
    "number": Invoice.__table__.c.number,
    "issued_on": Invoice.__table__.c.issued_on,
    "amount": Invoice.__table__.c.amount_fen,
}
PAYMENT_SORTS: dict[str, sa.SQLColumnExpression[Any]] = {
    "number": Payment.__table__.c.number,
    "due_on": Payment.__table__.c.due_on,
    "amount": Payment.__table__.c.amount_fen,
}


def is_party(column: InstrumentedAttribute[UUID], actor: Actor) -> sa.ColumnElement[bool]:
    """Rows whose `column` is the actor's own organisation; the system (imports, jobs) stands for every one."""
    if actor.can(Permission.SYSTEM):
        return sa.true()
    return column == actor.organisation_id


def visible(
    buyer: InstrumentedAttribute[UUID], seller: InstrumentedAttribute[UUID], actor: Actor
) -> sa.ColumnElement[bool]:
    """Rows of the actor: its own as buyer or seller, those of its subordinate units, an office's by region.

    The city's offices see all, a county's those with a buyer or seller in the county.
    """
    if actor.can(Permission.SYSTEM):
        return sa.true()
    if actor.role in OFFICES:
        region = actor.region_code or ""
        if region.endswith("00"):
            return sa.true()
        here = sa.select(Organisation.id).where(Organisation.region_code == region)
        return sa.or_(buyer.in_(here), seller.in_(here))
    own = {actor.organisation_id, *actor.subordinate_ids} - {None}
    return sa.or_(buyer.in_(own), seller == actor.organisation_id)


def visible_payments(actor: Actor) -> sa.ColumnElement[bool]:
    return visible(Payment.buyer_id, Payment.seller_id, actor)


def visible_invoices(actor: Actor) -> sa.ColumnElement[bool]:
    return visible(Invoice.buyer_id, Invoice.seller_id, actor)


def find_payment(session: Session, payment_id: UUID, *scope: sa.ColumnElement[bool]) -> Payment:
    """Raises NotFound (`not-found`) for absent or outside `scope`."""
    payment = session.scalars(sa.select(Payment).where(Payment.id == payment_id, *scope)).one_or_none()
    if payment is None:
        raise NotFound
    return payment


def find_invoice(session: Session, invoice_id: UUID, *scope: sa.ColumnElement[bool]) -> Invoice:
    """Raises NotFound (`not-found`) for absent or outside `scope`."""
    invoice = session.scalars(sa.select(Invoice).where(Invoice.id == invoice_id, *scope)).one_or_none()
    if invoice is None:
        raise NotFound
    return invoice


def payment_amounts(session: Session, payment_id: UUID) -> dict[UUID, int]:
    rows = session.execute(
        sa.select(PaymentOrder.order_id, PaymentOrder.amount_fen).where(PaymentOrder.payment_id == payment_id)
    )
    return {row.order_id: row.amount_fen for row in rows}


def invoice_amounts(session: Session, invoice_id: UUID) -> dict[UUID, int]:
    rows = session.execute(
        sa.select(InvoiceOrder.order_id, InvoiceOrder.amount_fen).where(InvoiceOrder.invoice_id == invoice_id)
    )
    return {row.order_id: row.amount_fen for row in rows}


def _names(session: Session, *ids: UUID) -> dict[UUID, dict[str, Any]]:
    rows = session.execute(sa.select(Organisation.id, Organisation.name).where(Organisation.id.in_(ids)))
    return {row.id: {"id": row.id, "name": row.name} for row in rows}


def _covered_orders(
    session: Session, link: type[InvoiceOrder] | type[PaymentOrder], paper: sa.ColumnElement[bool]
) -> list[dict[str, Any]]:
    rows = session.execute(
        sa.select(link.order_id, Order.number, link.amount_fen)
        .join(Order, Order.id == link.order_id)
        .where(paper)
        .order_by(Order.number, Order.id)
    )
    return [{"order_id": r.order_id, "number": r.number, "amount_fen": r.amount_fen} for r in rows]


def invoice_view(session: Session, invoice_id: UUID, actor: Actor) -> dict[str, Any]:
    """One invoice with the orders it covers. Raises NotFound outside the actor's scope."""
    session.flush()
    invoice = find_invoice(session, invoice_id, visible_invoices(actor))
    names = _names(session, invoice.buyer_id, invoice.seller_id)
    return {
        **{
            name: getattr(invoice, name)
            for name in (
                *("id", "number", "kind", "state", "issued_on", "amount_fen", "tax_free", "buyer_title"),
                *("buyer_tax_number", "document_id", "return_reason", "recorded_at", "checked_at", "version"),
            )
        },
        "buyer": names[invoice.buyer_id],
        "seller": names[invoice.seller_id],
        "orders": _covered_orders(session, InvoiceOrder, InvoiceOrder.invoice_id == invoice_id),
    }


def list_invoices(
    session: Session,
    actor: Actor,
    *,
    state: InvoiceDocState | None = None,
    order_id: UUID | None = None,
    q: str | None = None,
    sort: str | None = None,
    limit: int = DEFAULT_LIMIT,
    after: str | None = None,
) -> dict[str, Any]:
    """The newest first, or by one of `INVOICE_SORTS`; by state, order and the end of a number where asked."""
    statement = (
        sa.select(Invoice, _Buyer.name.label("buyer_name"), _Seller.name.label("seller_name"))
        .join(_Buyer, _Buyer.id == Invoice.buyer_id)
        .join(_Seller, _Seller.id == Invoice.seller_id)
        .where(visible_invoices(actor))
    )
    if state is not None:
        statement = statement.where(Invoice.state == state)
    if order_id is not None:
        covering = sa.select(InvoiceOrder.invoice_id).where(InvoiceOrder.order_id == order_id)
        statement = statement.where(Invoice.id.in_(covering))
    if q:
        statement = statement.where(Invoice.number.endswith(rules.plain_number(q), autoescape=True))
    return paginate(
        session,
        cast("sa.Select[Any]", statement),
        sort_keys(INVOICE_SORTS, sort, Invoice.__table__.c.id),
        limit=limit,
        after=after,
        shape=_invoice_row,
    )


def _invoice_row(row: Any) -> dict[str, Any]:
    invoice: Invoice = row.Invoice
    return {
        "id": invoice.id,
        "number": invoice.number,
        "kind": invoice.kind,
        "state": invoice.state,
        "issued_on": invoice.issued_on,
        "amount_fen": invoice.amount_fen,
        "tax_free": invoice.tax_free,
        "buyer": {"id": invoice.buyer_id, "name": row.buyer_name},
        "seller": {"id": invoice.seller_id, "name": row.seller_name},
    }


def payment_view(session: Session, payment_id: UUID, actor: Actor, *, today: date) -> dict[str, Any]:
    """One payment with payee, orders, slips, and what is still to be handed in. Raises NotFound outside scope."""
    session.flush()
    payment = find_payment(session, payment_id, visible_payments(actor))
    names = _names(session, payment.buyer_id, payment.seller_id)
    slips = session.scalars(sa.select(Slip).where(Slip.payment_id == payment_id).order_by(Slip.id)).all()
    return {
        **{
            name: getattr(payment, name)
            for name in (
                *("id", "number", "method", "transfer_code", "amount_fen", "due_on", "state", "state_reason"),
                *("opened_at", "declared_at", "settled_at", "merchant_of_record", "version"),
            )
        },
        "payee": {"name": payment.payee_name, "bank": payment.payee_bank, "account": payment.payee_account},
        "buyer": names[payment.buyer_id],
        "seller": names[payment.seller_id],
        "overdue": is_overdue(payment, today),
        "orders": _covered_orders(session, PaymentOrder, PaymentOrder.payment_id == payment_id),
        "slips": [_slip(slip) for slip in slips],
        **online_view(session, payment_id),
        "missing": missing_files(payment.state, slips[-1].document_id is None if slips else False),
    }


def _slip(slip: Slip) -> dict[str, Any]:
    names = ("id", "amount_fen", "paid_on", "bank_reference", "payer_name", "document_id", "filed_at")
    return {name: getattr(slip, name) for name in names}


def is_overdue(payment: Payment, today: date) -> bool:
    """Past its day and nothing handed in: a slip stops the reminder, not the seller's claim."""
    return payment.state is PaymentDocState.OPEN and payment.due_on < today


def missing_files(state: PaymentDocState, newest_slip_bare: bool) -> list[str]:
    """Names of the input fields that are still to be handed in."""
    return ["document"] if newest_slip_bare and state not in PAYMENT_FREED else []


def list_payments(
    session: Session,
    actor: Actor,
    *,
    today: date,
    state: PaymentDocState | None = None,
    method: PaymentMethod | None = None,
    order_id: UUID | None = None,
    missing: bool | None = None,
    overdue: bool | None = None,
    for_office: bool = False,
    q: str | None = None,
    sort: str | None = None,
    limit: int = DEFAULT_LIMIT,
    after: str | None = None,
) -> dict[str, Any]:
    """The newest first or by one of `PAYMENT_SORTS`, in one query.

    `missing` picks those whose newest slip has no file, `overdue` late ones, `for_office` disputed ones, those
    whose seller let his days of answer pass, and those whose attempt at the gateway was put aside; `q` is the end of a number, or the code in a transfer's remark.
    """
    bare = _newest_slip_bare()
    statement = (
        sa.select(
            *(Payment, _Buyer.name.label("buyer_name"), _Seller.name.label("seller_name")),
            *(bare.label("bare"), live_attempt().label("live")),
        )
        .join(_Buyer, _Buyer.id == Payment.buyer_id)
        .join(_Seller, _Seller.id == Payment.seller_id)
        .where(visible_payments(actor))
    )
    if state is not None:
        statement = statement.where(Payment.state == state)
    if method is not None:
        statement = statement.where(Payment.method == method)
    if order_id is not None:
        covering = sa.select(PaymentOrder.payment_id).where(PaymentOrder.order_id == order_id)
        statement = statement.where(Payment.id.in_(covering))
    if missing is not None:
        lacks = sa.and_(bare, Payment.state.not_in(PAYMENT_FREED))
        statement = statement.where(lacks if missing else sa.not_(lacks))
    if overdue is not None:
        late = sa.and_(Payment.state == PaymentDocState.OPEN, Payment.due_on < today)
        statement = statement.where(late if overdue else sa.not_(late))
    if q:
        code = rules.parse_transfer_code(q)
        number = Payment.number.endswith(rules.plain_number(q), autoescape=True)
        statement = statement.where(number if code is None else Payment.transfer_code == code)
    if for_office:
        statement = statement.where(_waits_for_office(session, today))

    def shape(row: Any) -> dict[str, Any]:
        payment: Payment = row.Payment
        return {
            "id": payment.id,
            "number": payment.number,
            "method": payment.method,
            "state": payment.state,
            "amount_fen": payment.amount_fen,
            "due_on": payment.due_on,
            "declared_at": payment.declared_at,
            "transfer_code": payment.transfer_code,
            "overdue": is_overdue(payment, today),
            "missing": missing_files(payment.state, row.bare),
            "live_attempt": row.live,
            "buyer": {"id": payment.buyer_id, "name": row.buyer_name},
            "seller": {"id": payment.seller_id, "name": row.seller_name},
        }

    return paginate(
        session,
        cast("sa.Select[Any]", statement),
        sort_keys(PAYMENT_SORTS, sort, Payment.__table__.c.id),
        limit=limit,
        after=after,
        shape=shape,
    )


def _waits_for_office(session: Session, today: date) -> sa.ColumnElement[bool]:
    silence = policy_value(session, "slip_silence_days", today)
    # Working days are no SQL: walk back to the newest day of filing whose answer is overdue today.
    filed_on = today
    while rules.seller_answers_until(filed_on, silence) >= today:
        filed_on -= timedelta(days=1)
    silent = sa.and_(
        Payment.state == PaymentDocState.DECLARED,
        Payment.declared_at < datetime.combine(filed_on + timedelta(days=1), time(), SHANGHAI),
    )
    aside = live_attempt() == AttemptState.QUARANTINED
    return sa.or_(Payment.state == PaymentDocState.DISPUTED, silent, aside)


def _newest_slip_bare() -> sa.ColumnElement[bool]:
    """Whether the newest slip of a payment has no file; false when it has no slip."""
    newest = (
        sa.select(Slip.document_id.is_(None))
        .where(Slip.payment_id == Payment.id)
        .order_by(Slip.id.desc())
        .limit(1)
        .correlate(Payment)
        .scalar_subquery()
    )
    return sa.func.coalesce(newest, False)
