"""到账: the seller confirms or disputes a slip; the office decides disputes and silence."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from marketplace.actors import Actor, Permission
from marketplace.clock import business_day
from marketplace.errors import Conflict
from marketplace.orders.models import Order, OrderLine
from marketplace.orders.states import move
from marketplace.payments import ledger, queries, rules
from marketplace.payments.models import Payment, PaymentLine
from marketplace.payments.paying import free_amounts, locked_payment
from marketplace.payments.states import PAYMENT_MOVES, PaymentDocState
from marketplace.policies.queries import policy_value
from marketplace.unit_of_work import NO_ONCE, Once, Reply, Transaction, transaction

Amounts = dict[UUID, int]


def confirm_payment(
    actor: Actor, payment_id: UUID, *, expected_version: int | None = None, once: Once = NO_ONCE
) -> Reply:
    """到账: the seller's bookkeeper has found the money; accepted lines count as paid from today.

    Raises NotFound, WrongState (`wrong-state`) before a slip and after the payment ended.
    """

    def settle(tx: Transaction, payment: Payment, orders: list[Order], amounts: Amounts) -> None:
        payment.state = move(PAYMENT_MOVES, payment.state, "confirm")
        book_paid(tx, payment, orders, amounts, "payment.confirmed")

    return _seller_act(actor, payment_id, settle, expected_version, once)


def dispute_payment(
    actor: Actor, payment_id: UUID, *, reason: str, expected_version: int | None = None, once: Once = NO_ONCE
) -> Reply:
    """The seller does not find the money; the office, or a better slip, decides. Raises NotFound, WrongState."""

    def settle(tx: Transaction, payment: Payment, orders: list[Order], amounts: Amounts) -> None:
        payment.state = move(PAYMENT_MOVES, payment.state, "dispute")
        payment.state_reason = reason
        payment.version += 1
        ledger.touch(tx.session, orders)
        tx.record(
            "payment.disputed",
            "payment",
            payment.id,
            parties=ledger.parties(orders),
            number=payment.number,
            orders=ledger.amounts_text(amounts),
            reason_given=True,
        )

    return _seller_act(actor, payment_id, settle, expected_version, once)


def uphold_payment(
    actor: Actor, payment_id: UUID, *, expected_version: int | None = None, once: Once = NO_ONCE
) -> Reply:
    """The office finds by the slip that the money was paid: the same effect as the seller's confirmation.

    Only for a disputed slip, or one that the seller left unanswered for `slip_silence_days` working days.
    Raises NotFound, WrongState (`wrong-state`), Conflict (`seller-may-answer`).
    """

    def settle(tx: Transaction, payment: Payment, orders: list[Order], amounts: Amounts) -> None:
        book_paid(tx, payment, orders, amounts, "payment.upheld")

    return _office_act(actor, payment_id, "uphold", settle, expected_version, once)


def refuse_payment(
    actor: Actor, payment_id: UUID, *, reason: str, expected_version: int | None = None, once: Once = NO_ONCE
) -> Reply:
    """The office finds that the slip proves nothing: the amount is owed again. Raises as `uphold_payment`."""

    def settle(tx: Transaction, payment: Payment, orders: list[Order], amounts: Amounts) -> None:
        payment.state_reason = reason
        free_amounts(tx, payment, orders, amounts, "payment.refused", reason_given=True)

    return _office_act(actor, payment_id, "refuse", settle, expected_version, once)


Settle = Callable[[Transaction, Payment, list[Order], Amounts], None]


def _seller_act(
    actor: Actor, payment_id: UUID, settle: Settle, expected_version: int | None, once: Once
) -> Reply:
    with transaction(actor, Permission.PAYMENT_CONFIRM, once) as tx:
        payment, orders, amounts = locked_payment(
            tx, payment_id, queries.is_party(Payment.seller_id, actor), expected_version
        )
        settle(tx, payment, orders, amounts)
        today = business_day(tx.started_at)
        return tx.answer(queries.payment_view(tx.session, payment_id, actor, today=today))


def _office_act(
    actor: Actor, payment_id: UUID, event: str, settle: Settle, expected_version: int | None, once: Once
) -> Reply:
    with transaction(actor, Permission.PAYMENT_UPHOLD, once) as tx:
        today = business_day(tx.started_at)
        payment, orders, amounts = locked_payment(
            tx, payment_id, queries.visible_payments(actor), expected_version
        )
        before, payment.state = payment.state, move(PAYMENT_MOVES, payment.state, event)
        if before is PaymentDocState.DECLARED and payment.declared_at is not None:
            silence = policy_value(tx.session, "slip_silence_days", today)
            until = rules.seller_answers_until(business_day(payment.declared_at), silence)
            if today <= until:
                raise Conflict(
                    f"供应商在{until}前还可以答复", slug="seller-may-answer", until=until.isoformat()
                )
        settle(tx, payment, orders, amounts)
        return tx.answer(queries.payment_view(tx.session, payment_id, actor, today=today))


def book_paid(
    tx: Transaction, payment: Payment, orders: Sequence[Order], amounts: Amounts, kind: str, **data: Any
) -> None:
    """Spread a payment over the accepted lines of each order, and say so line by line.

    What an order no longer owes (a reduction was agreed meanwhile) stays on the order only and is due back.
    """
    lines_of = lines_by_order(tx.session, orders)
    booked: list[dict[str, Any]] = []
    for order in orders:
        lines = lines_of[order.id]
        # What was paid beyond goods went to the freight.
        freight_paid = order.paid_fen - sum(line.paid_fen for line in lines)
        parts = rules.spread(
            amounts[order.id],
            [(line, line.accepted_fen - line.paid_fen) for line in lines],
            order.freight_fen - freight_paid,
        )
        for line, paid_fen in parts.lines:
            line.paid_fen += paid_fen
            tx.session.add(PaymentLine(payment_id=payment.id, line_id=line.id, amount_fen=paid_fen))
            booked.append({"line": str(line.id), "order": str(order.id), "paid_fen": paid_fen})
        order.paid_fen += amounts[order.id]
        order.paid_on = business_day(tx.started_at)
    payment.state = PaymentDocState.PAID
    payment.settled_at = tx.started_at
    payment.version += 1
    ledger.touch(tx.session, orders)
    tx.record(
        kind,
        "payment",
        payment.id,
        parties=ledger.parties(orders),
        number=payment.number,
        occurred_on=business_day(tx.started_at).isoformat(),
        amount_fen=payment.amount_fen,
        orders=ledger.amounts_text(amounts),
        lines=booked,
        **data,
    )


def lines_by_order(session: Session, orders: Sequence[Order]) -> dict[UUID, list[OrderLine]]:
    """Lines by order, in their order on the paper; the locked orders guard them."""
    found: dict[UUID, list[OrderLine]] = {o.id: [] for o in orders}
    rows = session.scalars(
        sa.select(OrderLine)
        .where(OrderLine.order_id.in_(found))
        .order_by(OrderLine.order_id, OrderLine.position, OrderLine.id)
        .execution_options(populate_existing=True)
    )
    for line in rows:
        found[line.order_id].append(line)
    return found
