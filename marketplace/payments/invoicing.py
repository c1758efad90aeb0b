"""发票: issued by the seller for what was accepted, checked (验票) or returned by the buyer."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from uuid import UUID

import sqlalchemy as sa

from marketplace.actors import Actor, Permission
from marketplace.clock import business_day
from marketplace.documents.models import DocumentKind
from marketplace.errors import Conflict, RuleViolation
from marketplace.orders.models import Order
from marketplace.orders.states import move
from marketplace.payments import ledger, queries, rules
from marketplace.payments.ledger import OrderAmount
from marketplace.payments.models import Invoice, InvoiceOrder
from marketplace.payments.states import INVOICE_MOVES, InvoiceDocState, InvoiceKind
from marketplace.unit_of_work import NO_ONCE, Once, Reply, Transaction, transaction
from marketplace.values import uuid7


def issue_invoice(
    actor: Actor,
    *,
    number: str,
    kind: InvoiceKind,
    issued_on: date,
    amount_fen: int,
    tax_free: bool,
    orders: Sequence[OrderAmount],
    document_id: UUID,
    buyer_title: str | None = None,
    buyer_tax_number: str | None = None,
    once: Once = NO_ONCE,
) -> Reply:
    """The seller hands in an invoice over accepted amounts of orders of one payer; the buyer may now check it.

    Amounts in fen; an order without an amount is covered by all that is not invoiced yet. Title and tax number
    are the payer's; when given they must be equal. Raises NotFound, RuleViolation (`invalid`, `one-seller`,
    `one-payer`, `document-kind`), Conflict (`nothing-accepted`, `nothing-left`, `above-accepted`,
    `invoice-number-used`: a number is used once, ever, also when its invoice was returned).
    """
    with transaction(actor, Permission.INVOICE_ISSUE, once) as tx:
        session, today = tx.session, business_day(tx.started_at)
        number = rules.plain_number(number)
        locked = ledger.lock_named_orders(session, orders, queries.is_party(Order.seller_id, actor))
        payer, purchases = ledger.one_payer(session, locked)
        amounts = ledger.resolve_amounts(locked, orders, {o.id: o.invoiced_fen for o in locked})
        errors = rules.invoice_errors(
            number=number,
            kind=kind,
            issued_on=issued_on,
            tax_free=tax_free,
            amount_fen=amount_fen,
            order_amounts=list(amounts.values()),
            ordered_on=max(business_day(p.submitted_at) for p in purchases),
            today=today,
        ) + rules.title_errors(
            buyer_title, buyer_tax_number, payer_title=payer.title, payer_tax_number=payer.tax_number
        )
        if errors:
            raise RuleViolation(errors=errors)
        seller_id, buyer_id = locked[0].seller_id, locked[0].buyer_id
        document = ledger.share_document(
            tx, document_id, DocumentKind.INVOICE, {seller_id, *(o.buyer_id for o in locked)}
        )
        invoice = Invoice(
            id=uuid7(),
            number=number,
            kind=kind,
            issued_on=issued_on,
            amount_fen=amount_fen,
            tax_free=tax_free,
            seller_id=seller_id,
            buyer_id=buyer_id,
            payer_profile_id=payer.profile_id,
            buyer_title=payer.title,
            buyer_tax_number=payer.tax_number,
            document_id=document.id,
            state=InvoiceDocState.ISSUED,
            recorded_at=tx.started_at,
            version=1,
        )
        used = Conflict("这个发票号码已经登记过", slug="invoice-number-used", number=number)
        with ledger.translated(session, "uq_invoice_number", used):
            session.add(invoice)
        for order in locked:
            session.add(InvoiceOrder(invoice_id=invoice.id, order_id=order.id, amount_fen=amounts[order.id]))
            order.invoiced_fen += amounts[order.id]
        ledger.touch(session, locked)
        tx.record(
            "invoice.issued",
            "invoice",
            invoice.id,
            parties=ledger.parties(locked),
            number=number,
            issued_on=issued_on.isoformat(),
            amount_fen=amount_fen,
            tax_free=tax_free,
            seller=str(seller_id),
            buyer=str(buyer_id),
            orders=ledger.amounts_text(amounts),
            document=str(document.id),
            sha256=document.sha256,
            kind=kind.value,
        )
        return tx.answer(queries.invoice_view(session, invoice.id, actor))


def check_invoice(
    actor: Actor, invoice_id: UUID, *, expected_version: int | None = None, once: Once = NO_ONCE
) -> Reply:
    """验票: the buyer has verified the invoice with the tax office's site. Raises NotFound, WrongState."""
    with transaction(actor, Permission.INVOICE_CHECK, once) as tx:
        invoice, orders, amounts = _locked(tx, invoice_id, expected_version)
        invoice.state = move(INVOICE_MOVES, invoice.state, "check")
        invoice.checked_at = tx.started_at
        _finish(tx, invoice, orders, amounts, "invoice.checked")
        return tx.answer(queries.invoice_view(tx.session, invoice_id, actor))


def return_invoice(
    actor: Actor,
    invoice_id: UUID,
    *,
    reason: str,
    expected_version: int | None = None,
    once: Once = NO_ONCE,
) -> Reply:
    """The buyer sends a wrong invoice back: its amount may be invoiced again, under another number.

    Raises NotFound, WrongState (`wrong-state`) when it was checked or returned already.
    """
    with transaction(actor, Permission.INVOICE_CHECK, once) as tx:
        invoice, orders, amounts = _locked(tx, invoice_id, expected_version)
        invoice.state = move(INVOICE_MOVES, invoice.state, "return")
        invoice.return_reason = reason
        for order in orders:
            order.invoiced_fen -= amounts[order.id]
        _finish(tx, invoice, orders, amounts, "invoice.returned", reason_given=True)
        return tx.answer(queries.invoice_view(tx.session, invoice_id, actor))


def _locked(
    tx: Transaction, invoice_id: UUID, expected_version: int | None
) -> tuple[Invoice, list[Order], dict[UUID, int]]:
    """A buyer's invoice with its orders, all locked: orders first, as everywhere."""
    queries.find_invoice(tx.session, invoice_id, queries.is_party(Invoice.buyer_id, tx.actor))
    amounts = queries.invoice_amounts(tx.session, invoice_id)
    orders = ledger.lock_orders(tx.session, amounts)
    invoice = tx.session.scalars(
        sa.select(Invoice)
        .where(Invoice.id == invoice_id)
        .with_for_update()
        .execution_options(populate_existing=True)
    ).one()
    ledger.guard_version(invoice.version, expected_version)
    return invoice, orders, amounts


def _finish(
    tx: Transaction,
    invoice: Invoice,
    orders: Sequence[Order],
    amounts: dict[UUID, int],
    kind: str,
    **data: bool,
) -> None:
    invoice.version += 1
    ledger.touch(tx.session, orders)
    tx.record(
        kind,
        "invoice",
        invoice.id,
        parties=ledger.parties(orders),
        number=invoice.number,
        orders=ledger.amounts_text(amounts),
        **data,
    )
