"""付款, the buyer's side: open a payment for what was accepted, hand in the bank's slip, cancel."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from marketplace.accounts.queries import active_bank_account
from marketplace.actors import Actor, Permission
from marketplace.clock import business_day
from marketplace.documents.models import DocumentKind
from marketplace.errors import Conflict, NotFound, RuleViolation
from marketplace.numbering import Series, next_number
from marketplace.orders.models import Order
from marketplace.orders.states import InvoiceState, move
from marketplace.payments import ledger, queries, rules
from marketplace.payments.gateway import configured_gateway, merchant_of_record
from marketplace.payments.ledger import OrderAmount
from marketplace.payments.models import Payment, PaymentAttempt, PaymentOrder, Slip
from marketplace.payments.states import ATTEMPT_LIVE, PAYMENT_MOVES, PaymentDocState, PaymentMethod
from marketplace.policies.queries import policy_value
from marketplace.unit_of_work import NO_ONCE, Once, Reply, Transaction, transaction
from marketplace.values import uuid7, yuan


def open_payment(
    actor: Actor,
    *,
    orders: Sequence[OrderAmount],
    method: PaymentMethod = PaymentMethod.TRANSFER,
    once: Once = NO_ONCE,
) -> Reply:
    """The buyer gets a payment to make: payee, amount, due day, and the code for a transfer's remark.

    Amounts in fen; without one an order is paid in full as far as it was accepted. The payee is the seller's own
    verified account as it is today; one for the gateway also names the merchant of record. Raises NotFound,
    RuleViolation (`gateway-not-configured`, `gateway-amount`, `one-seller`, `one-payer`), Conflict (`nothing-accepted`, `nothing-left`, `above-accepted`, `invoice-not-checked` where
    the policy `invoice_before_payment` asks for it, `no-bank-account`).
    """
    with transaction(actor, Permission.PAYMENT_OPEN, once) as tx:
        session, today = tx.session, business_day(tx.started_at)
        online = method is PaymentMethod.GATEWAY
        if online and configured_gateway() is None:
            raise RuleViolation("还没有开通在线支付，请用银行转账", slug="gateway-not-configured")
        locked = ledger.lock_named_orders(session, orders, queries.is_party(Order.buyer_id, actor))
        payer, _ = ledger.one_payer(session, locked)
        amounts = ledger.resolve_amounts(locked, orders, {o.id: o.payment_opened_fen for o in locked})
        if online and sum(amounts.values()) > rules.MAX_GATEWAY_FEN:
            limit = rules.MAX_GATEWAY_FEN
            raise RuleViolation(
                f"在线支付一笔最多{yuan(limit)}元，请用银行转账", slug="gateway-amount", limit_fen=limit
            )
        if policy_value(session, "invoice_before_payment", today):
            _require_checked_invoices(locked)
        seller_id, buyer_id = locked[0].seller_id, locked[0].buyer_id
        account = active_bank_account(session, seller_id, tx.started_at)
        if account is None:
            raise Conflict("供应商还没有生效的收款账户", slug="no-bank-account")
        terms = policy_value(session, "payment_due_days", today)
        payment = Payment(
            id=uuid7(),
            number=next_number(session, Series.PAYMENT, today.year),
            buyer_id=buyer_id,
            seller_id=seller_id,
            payer_profile_id=payer.profile_id,
            method=method,
            payee_name=account.account_name,
            payee_bank=account.bank_name,
            payee_account=account.account_number,
            merchant_of_record=(merchant_of_record() or account.account_name) if online else None,
            transfer_code=_unused_code(session),
            amount_fen=sum(amounts.values()),
            due_on=rules.due_day([o.accepted_on or today for o in locked], terms["days"]),
            state=PaymentDocState.OPEN,
            opened_at=tx.started_at,
            version=1,
        )
        session.add(payment)
        session.flush()
        for order in locked:
            session.add(PaymentOrder(payment_id=payment.id, order_id=order.id, amount_fen=amounts[order.id]))
            order.payment_opened_fen += amounts[order.id]
        ledger.touch(session, locked)
        tx.record(
            "payment.opened",
            "payment",
            payment.id,
            parties=ledger.parties(locked),
            number=payment.number,
            method=method.value,
            buyer=str(buyer_id),
            seller=str(seller_id),
            amount_fen=payment.amount_fen,
            due_on=payment.due_on.isoformat(),
            transfer_code=payment.transfer_code,
            orders=ledger.amounts_text(amounts),
            **({"merchant": payment.merchant_of_record} if online else {}),
        )
        return tx.answer(queries.payment_view(session, payment.id, actor, today=today))


def file_slip(
    actor: Actor,
    payment_id: UUID,
    *,
    amount_fen: int,
    paid_on: date,
    bank_reference: str,
    payer_name: str,
    document_id: UUID | None = None,
    expected_version: int | None = None,
    once: Once = NO_ONCE,
) -> Reply:
    """The buyer hands in the bank's slip; the seller is asked to look for the money.

    The amount must be the payment's own: another sum is another payment. The answer lists what is `missing`.
    The payer's name (it may be the treasury's payment centre) stays out of the fact. Raises NotFound, WrongState,
    RuleViolation (`slip-amount-differs`, `invalid`, `document-kind`), Conflict `paid-online` for a payment by the
    gateway, `slip-used`: a bank reference into one account is used once, ever, and pays no statement of the same seller.
    """
    with transaction(actor, Permission.PAYMENT_OPEN, once) as tx:
        session, today = tx.session, business_day(tx.started_at)
        payment, orders, _ = locked_payment(
            tx, payment_id, queries.is_party(Payment.buyer_id, actor), expected_version
        )
        if payment.method is PaymentMethod.GATEWAY:
            raise Conflict("这张付款单是在线支付，不收转账凭证", slug="paid-online")
        payment.state = move(PAYMENT_MOVES, payment.state, "declare")
        if amount_fen != payment.amount_fen:
            raise RuleViolation(
                "凭证金额要等于付款单金额",
                slug="slip-amount-differs",
                expected_fen=payment.amount_fen,
                given_fen=amount_fen,
            )
        bank_reference = rules.plain_number(bank_reference)
        errors = rules.slip_errors(
            bank_reference=bank_reference,
            paid_on=paid_on,
            opened_on=business_day(payment.opened_at),
            today=today,
        )
        if errors:
            raise RuleViolation(errors=errors)
        slip = Slip(
            id=uuid7(),
            payment_id=payment_id,
            amount_fen=amount_fen,
            paid_on=paid_on,
            bank_reference=bank_reference,
            payer_name=payer_name,
            payee_account=payment.payee_account,
            document_id=None,
            filed_at=tx.started_at,
        )
        used = Conflict("这笔银行流水已经用过", slug="slip-used", bank_reference=bank_reference)
        with (
            ledger.translated(session, "slip_pays_no_statement", used),
            ledger.translated(session, "uq_slip_payee_account_bank_reference", used),
        ):
            session.add(slip)
        payment.declared_at = tx.started_at
        payment.state_reason = None
        payment.version += 1
        ledger.touch(session, orders)
        tx.record(
            "payment.declared",
            "payment",
            payment_id,
            parties=ledger.parties(orders),
            slip=str(slip.id),
            amount_fen=amount_fen,
            paid_on=paid_on.isoformat(),
            bank_reference=bank_reference,
        )
        if document_id is not None:
            _attach_file(tx, payment, orders, slip, document_id)
        return tx.answer(queries.payment_view(session, payment_id, actor, today=today))


def complete_slip(
    actor: Actor, payment_id: UUID, slip_id: UUID, *, document_id: UUID, once: Once = NO_ONCE
) -> Reply:
    """The buyer hands in the file that a slip lacked; the payment's state does not move.

    Raises NotFound, Conflict (`slip-complete`) when the slip has its file, RuleViolation (`document-kind`).
    """
    with transaction(actor, Permission.PAYMENT_OPEN, once) as tx:
        payment, orders, _ = locked_payment(tx, payment_id, queries.is_party(Payment.buyer_id, actor))
        slip = tx.session.scalars(
            sa.select(Slip).where(Slip.id == slip_id, Slip.payment_id == payment_id)
        ).one_or_none()
        if slip is None:
            raise NotFound
        if slip.document_id is not None:
            raise Conflict("这张凭证已有文件", slug="slip-complete")
        _attach_file(tx, payment, orders, slip, document_id)
        payment.version += 1
        today = business_day(tx.started_at)
        return tx.answer(queries.payment_view(tx.session, payment_id, actor, today=today))


def cancel_payment(
    actor: Actor, payment_id: UUID, *, expected_version: int | None = None, once: Once = NO_ONCE
) -> Reply:
    """The buyer takes back a payment for which no slip was filed; its amount may be opened again.

    Raises NotFound, WrongState (`wrong-state`) once a slip was filed, Conflict (`attempt-live`) while it is not
    known what became of an attempt at the gateway.
    """
    with transaction(actor, Permission.PAYMENT_OPEN, once) as tx:
        payment, orders, amounts = locked_payment(
            tx, payment_id, queries.is_party(Payment.buyer_id, actor), expected_version
        )
        refuse_live_attempt(tx.session, payment_id)
        payment.state = move(PAYMENT_MOVES, payment.state, "cancel")
        free_amounts(tx, payment, orders, amounts, "payment.cancelled")
        today = business_day(tx.started_at)
        return tx.answer(queries.payment_view(tx.session, payment_id, actor, today=today))


def locked_payment(
    tx: Transaction,
    payment_id: UUID,
    scope: sa.ColumnElement[bool],
    expected_version: int | None = None,
) -> tuple[Payment, list[Order], dict[UUID, int]]:
    """A payment within `scope` with its orders, all locked: orders by id first, as everywhere."""
    queries.find_payment(tx.session, payment_id, scope)
    amounts = queries.payment_amounts(tx.session, payment_id)
    orders = ledger.lock_orders(tx.session, amounts)
    payment = tx.session.scalars(
        sa.select(Payment)
        .where(Payment.id == payment_id)
        .with_for_update()
        .execution_options(populate_existing=True)
    ).one()
    ledger.guard_version(payment.version, expected_version)
    return payment, orders, amounts


def refuse_live_attempt(session: Session, payment_id: UUID) -> None:
    """Raises Conflict (`attempt-live`) while an attempt at the gateway may still charge the payer."""
    live = sa.select(PaymentAttempt.id).where(
        PaymentAttempt.payment_id == payment_id, PaymentAttempt.state.in_(ATTEMPT_LIVE)
    )
    if session.scalar(live) is not None:
        raise Conflict("上一次在线支付的结果还不确定，正在核对，请不要重付", slug="attempt-live")


def free_amounts(
    tx: Transaction,
    payment: Payment,
    orders: Sequence[Order],
    amounts: dict[UUID, int],
    kind: str,
    **data: bool,
) -> None:
    """The end of a payment that will not arrive: what it asked for may be asked again, and the fact says so."""
    payment.settled_at = tx.started_at
    payment.version += 1
    for order in orders:
        order.payment_opened_fen -= amounts[order.id]
    ledger.touch(tx.session, orders)
    tx.record(
        kind,
        "payment",
        payment.id,
        parties=ledger.parties(orders),
        number=payment.number,
        orders=ledger.amounts_text(amounts),
        **data,
    )


def _attach_file(
    tx: Transaction, payment: Payment, orders: Sequence[Order], slip: Slip, document_id: UUID
) -> None:
    """The slip's file, with a fact of its own, as it may come days after the slip."""
    readers = {payment.buyer_id, payment.seller_id}
    document = ledger.share_document(tx, document_id, DocumentKind.SLIP, readers)
    slip.document_id = document.id
    tx.record(
        "payment.slip_completed",
        "payment",
        payment.id,
        parties=ledger.parties(orders),
        slip=str(slip.id),
        document=str(document.id),
        sha256=document.sha256,
    )


def _require_checked_invoices(orders: Sequence[Order]) -> None:
    for order in orders:
        if order.invoice_state is not InvoiceState.CHECKED:
            raise Conflict(f"订单{order.number}还没有验票", slug="invoice-not-checked", order=str(order.id))


def _unused_code(session: Session) -> str:
    """Codes are drawn of 2^40; the unique constraint stands behind this look."""
    while True:
        code = rules.draw_transfer_code()
        if session.scalar(sa.select(Payment.id).where(Payment.transfer_code == code)) is None:
            return code
