"""退款 of what the gateway captured: guarded before the gateway is asked, booked when it says that it is done."""

from __future__ import annotations

from contextlib import suppress
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from marketplace.actors import Actor, Permission
from marketplace.clock import business_day
from marketplace.database import db
from marketplace.errors import Conflict, NotFound, RuleViolation, Unavailable
from marketplace.orders.models import Order
from marketplace.payments import ledger, queries, rules
from marketplace.payments.events import hear
from marketplace.payments.gateway import (
    CURRENCY,
    Gateway,
    GatewayRefund,
    GatewayRefused,
    GatewayUnknown,
    configured_gateway,
)
from marketplace.payments.models import Payment, PaymentAttempt, PaymentLine, PaymentRefund
from marketplace.payments.paying import locked_payment
from marketplace.payments.settling import lines_by_order
from marketplace.payments.states import RefundState
from marketplace.unit_of_work import NO_ONCE, Once, Reply, Transaction, retrying, transaction
from marketplace.values import uuid7

_GUARD = sa.text(
    "update payment_attempt set refunded_fen = refunded_fen + :amount"
    " where id = :id and refunded_fen + :amount <= captured_fen"
)


def refund_payment(
    actor: Actor,
    payment_id: UUID,
    *,
    amount_fen: int,
    reason: str,
    order_id: UUID | None = None,
    once: Once = NO_ONCE,
) -> Reply:
    """Money goes back to the payer for one order of a gateway payment; the gateway is asked after the commit.

    The seller may give back what he got, the office only what is due back (more was paid than is owed). The amount
    is set aside at once, so that refunds together never exceed what was captured. Without `order_id` the payment must
    cover one order. Raises NotFound, RuleViolation (`which-order`), Conflict (`not-captured`, `above-captured` with
    `left_fen`).
    """
    own = actor.can(Permission.PAYMENT_CONFIRM)
    permission = Permission.PAYMENT_CONFIRM if own else Permission.PAYMENT_UPHOLD
    with transaction(actor, permission, once) as tx:
        scope = queries.is_party(Payment.seller_id, actor) if own else queries.visible_payments(actor)
        payment, orders, amounts = locked_payment(tx, payment_id, scope)
        if order_id is None and len(orders) > 1:
            raise RuleViolation("这张付款单有几个订单，请写明退哪一个", slug="which-order")
        order = orders[0] if order_id is None else next((o for o in orders if o.id == order_id), None)
        if order is None:
            raise NotFound
        attempt = tx.session.scalars(
            sa.select(PaymentAttempt)
            .where(PaymentAttempt.payment_id == payment_id, PaymentAttempt.booked)
            .with_for_update()
            .execution_options(populate_existing=True)
        ).one_or_none()
        if attempt is None:
            raise Conflict("这张付款单没有在线支付成功的款项", slug="not-captured")
        left = _left(tx, payment_id, order, amounts[order.id], due_only=not own)
        if amount_fen > left:
            raise Conflict("退款超过可退的金额", slug="above-captured", asked_fen=amount_fen, left_fen=left)
        refund = ask_refund(tx, payment, attempt, orders, order, amount_fen, reason)
        today = business_day(tx.started_at)
        reply = tx.answer(queries.payment_view(tx.session, payment_id, actor, today=today))
    with suppress(GatewayUnknown, Unavailable):
        retrying(drive_refund)(refund.id)
    return reply


def _left(tx: Transaction, payment_id: UUID, order: Order, paid_fen: int, *, due_only: bool) -> int:
    """What of an order may still be given back by this payment, refunds on their way counted as gone."""
    rows = tx.session.execute(
        sa.select(PaymentRefund.payment_id, PaymentRefund.state, sa.func.sum(PaymentRefund.amount_fen))
        .where(PaymentRefund.order_id == order.id, PaymentRefund.state != RefundState.FAILED)
        .group_by(PaymentRefund.payment_id, PaymentRefund.state)
    ).all()
    by_this = sum(int(fen) for payment, _, fen in rows if payment == payment_id)
    on_their_way = sum(int(fen) for _, state, fen in rows if state is RefundState.PENDING)
    left = min(paid_fen - by_this, order.paid_fen - on_their_way)
    if due_only:
        left = min(
            left, order.paid_fen - on_their_way - rules.payable_fen(order.accepted_fen, order.freight_fen)
        )
    return max(0, left)


def ask_refund(
    tx: Transaction,
    payment: Payment,
    attempt: PaymentAttempt,
    orders: list[Order],
    order: Order | None,
    amount_fen: int,
    reason: str | None,
) -> PaymentRefund:
    """Set an amount aside and leave it to the worker to ask the gateway. Raises Conflict (`above-captured`)."""
    tx.session.flush()
    guarded = tx.session.execute(_GUARD, {"id": attempt.id, "amount": amount_fen})
    if guarded.rowcount != 1:  # type: ignore[attr-defined]
        left = attempt.captured_fen - attempt.refunded_fen
        raise Conflict("退款超过可退的金额", slug="above-captured", asked_fen=amount_fen, left_fen=left)
    tx.session.refresh(attempt)
    refund = PaymentRefund(
        id=uuid7(),
        payment_id=payment.id,
        attempt_id=attempt.id,
        order_id=None if order is None else order.id,
        amount_fen=amount_fen,
        reason=reason,
        state=RefundState.PENDING,
        asked_by=tx.actor.user_id,
        asked_at=tx.started_at,
    )
    tx.session.add(refund)
    payment.version += 1
    tx.record(
        "payment.refund_asked",
        "payment",
        payment.id,
        parties=ledger.parties(orders),
        automatic=order is None,
        reason_given=reason is not None,
        **_told(refund),
    )
    tx.defer("payments.drive_refund", refund=str(refund.id))
    return refund


def _told(refund: PaymentRefund) -> dict[str, Any]:
    return {
        "refund": str(refund.id),
        "attempt": str(refund.attempt_id),
        "order": None if refund.order_id is None else str(refund.order_id),
        "amount_fen": refund.amount_fen,
    }


def drive_refund(refund_id: UUID) -> None:
    """Ask the gateway for a refund, or what became of it. Safe to repeat: it looks for ours before it asks again.

    Raises GatewayUnknown and GatewayClosed: ask again later.
    """
    gateway = configured_gateway()
    session = db.session()
    row = session.execute(
        sa.select(
            PaymentRefund.state, PaymentRefund.gateway_id, PaymentRefund.amount_fen, PaymentAttempt.intent_id
        )
        .join(PaymentAttempt, PaymentAttempt.id == PaymentRefund.attempt_id)
        .where(PaymentRefund.id == refund_id)
    ).one_or_none()
    session.close()
    if gateway is None or row is None or row.state is not RefundState.PENDING or row.intent_id is None:
        return
    try:
        seen = _seen(gateway, refund_id, row.gateway_id, row.intent_id, row.amount_fen)
    except GatewayRefused as refusal:
        if row.gateway_id is not None:
            raise GatewayUnknown from refusal
        seen = GatewayRefund("", "failed", row.amount_fen, CURRENCY, str(refund_id), refusal.code)
    hear(refund_id, seen, settle_refund)


def _seen(
    gateway: Gateway, refund_id: UUID, gateway_id: str | None, intent_id: str, amount_fen: int
) -> GatewayRefund:
    if gateway_id is not None:
        return gateway.read_refund(gateway_id)
    for known in gateway.refunds_of(intent_id):
        if known.ours == str(refund_id):
            return known
    return gateway.create_refund(refund_id, intent_id, amount_fen)


def settle_refund(tx: Transaction, refund_id: UUID, seen: GatewayRefund) -> bool:
    """Take in what the gateway says of a refund; False when it says nothing new.

    Done, it is taken from the lines and counted with the day of today; failed, its amount may be asked for again.
    Another sum than ours puts it aside: it stays on its way until a person has looked.
    """
    payment_id = tx.session.scalars(
        sa.select(PaymentRefund.payment_id).where(PaymentRefund.id == refund_id)
    ).one()
    payment, orders, _ = locked_payment(tx, payment_id, sa.true())
    refund = tx.session.scalars(
        sa.select(PaymentRefund)
        .where(PaymentRefund.id == refund_id)
        .with_for_update()
        .execution_options(populate_existing=True)
    ).one()
    if refund.state is RefundState.FAILED and seen.status == "succeeded":
        return _late(tx, payment, refund, orders, seen)
    if refund.state is not RefundState.PENDING:
        return False
    told, parties = _told(refund), ledger.parties(orders)
    if (seen.amount_fen, seen.currency) != (refund.amount_fen, CURRENCY):
        if refund.failure_code == "amount-differs":
            return False
        refund.failure_code = "amount-differs"
        del told["order"]
        told |= {"seen_fen": seen.amount_fen, "currency": seen.currency}
        tx.record("payment.quarantined", "payment", payment_id, parties=parties, **told)
        return True
    if seen.status == "succeeded":
        refund.gateway_id, refund.state, refund.ended_at = seen.id, RefundState.REFUNDED, tx.started_at
        payment.version += 1
        _book_refund(tx, payment, refund, orders)
        return True
    if seen.status in ("failed", "canceled"):
        refund.gateway_id, refund.state, refund.ended_at = seen.id or None, RefundState.FAILED, tx.started_at
        refund.failure_code = seen.failure_code or seen.status
        attempt = tx.session.get_one(
            PaymentAttempt, refund.attempt_id, with_for_update=True, populate_existing=True
        )
        attempt.refunded_fen -= refund.amount_fen
        payment.version += 1
        code, automatic = refund.failure_code, refund.order_id is None
        tx.record(
            "payment.refund_failed",
            "payment",
            payment_id,
            parties=parties,
            code=code,
            automatic=automatic,
            **told,
        )
        return True
    return False


def _late(
    tx: Transaction, payment: Payment, refund: PaymentRefund, orders: list[Order], seen: GatewayRefund
) -> bool:
    """The gateway gave the money back after it had said no. Raises Conflict (`above-captured`): a person looks."""
    guarded = tx.session.execute(_GUARD, {"id": refund.attempt_id, "amount": refund.amount_fen})
    if guarded.rowcount != 1:  # type: ignore[attr-defined]
        raise Conflict(slug="above-captured")
    told = _told(refund) | {"automatic": refund.order_id is None, "reason_given": refund.reason is not None}
    tx.record("payment.refund_asked", "payment", payment.id, parties=ledger.parties(orders), **told)
    refund.gateway_id, refund.state = seen.id, RefundState.REFUNDED
    refund.failure_code, refund.ended_at = None, tx.started_at
    payment.version += 1
    _book_refund(tx, payment, refund, orders)
    return True


def _book_refund(tx: Transaction, payment: Payment, refund: PaymentRefund, orders: list[Order]) -> None:
    """The order has received less, and may be asked for as much again where it still owes it."""
    taken: list[dict[str, Any]] = []
    touched = [o for o in orders if o.id == refund.order_id]
    for order in touched:
        lines = lines_by_order(tx.session, touched)[order.id]
        parts = rules.take_back(
            refund.amount_fen,
            [rules.Owed(line, line.paid_fen, line.accepted_fen) for line in lines],
            order.paid_fen - sum(line.paid_fen for line in lines),
            order.freight_fen,
        )
        for line, fen in parts:
            line.paid_fen -= fen
            tx.session.add(PaymentLine(payment_id=payment.id, line_id=line.id, amount_fen=-fen))
            taken.append({"line": str(line.id), "order": str(order.id), "refunded_fen": fen})
        order.paid_fen -= refund.amount_fen
        order.payment_opened_fen -= refund.amount_fen
    ledger.touch(tx.session, touched) if touched else tx.session.flush()
    tx.record(
        "payment.refunded",
        "payment",
        payment.id,
        parties=ledger.parties(orders),
        number=payment.number,
        refund=str(refund.id),
        attempt=str(refund.attempt_id),
        occurred_on=business_day(tx.started_at).isoformat(),
        amount_fen=refund.amount_fen,
        booked=bool(touched),
        orders=[{"order": str(o.id), "amount_fen": refund.amount_fen} for o in touched],
        lines=taken,
    )
