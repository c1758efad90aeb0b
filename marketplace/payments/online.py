"""Pay by the gateway: the attempt is committed before the gateway hears of it, and settled by what the gateway says.

Whatever happens in between (no answer, a killed process, the same event three times), an attempt has one intent at
the gateway, an intent is charged once, and a payment is booked once. Unknown is never taken as failed.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from marketplace.actors import Actor, Permission, system
from marketplace.clock import business_day, now
from marketplace.database import db
from marketplace.errors import Conflict, RuleViolation, Unavailable, WrongState
from marketplace.orders.models import Order
from marketplace.orders.states import move
from marketplace.payments import ledger, queries, rules
from marketplace.payments.events import Heard, hear
from marketplace.payments.gateway import (
    CURRENCY,
    Gateway,
    GatewayClosed,
    GatewayRefused,
    GatewayUnknown,
    Intent,
    configured_gateway,
    return_address,
)
from marketplace.payments.models import Payment, PaymentAttempt
from marketplace.payments.paying import locked_payment, refuse_live_attempt
from marketplace.payments.refunding import ask_refund
from marketplace.payments.settling import book_paid
from marketplace.payments.states import (
    ATTEMPT_LIVE,
    ATTEMPT_RANK,
    PAYMENT_MOVES,
    VOID_GIVEN_BACK,
    AttemptState,
    PaymentDocState,
    PaymentMethod,
)
from marketplace.unit_of_work import NO_ONCE, Once, Reply, Transaction, retrying, transaction
from marketplace.values import uuid7

# An intent that was not confirmed by then is cancelled: nobody is charged long after he turned away.
CONFIRM_FOR = timedelta(minutes=15)
# The payer has so long for the gateway's own page.
ACTION_FOR = timedelta(hours=24)
# The worker looks after an attempt whose process was killed.
LOOK_AFTER = timedelta(seconds=20)


def pay_online(actor: Actor, payment_id: UUID, *, means: str | None = None, once: Once = NO_ONCE) -> Reply:
    """The buyer pays by the gateway; the answer is the payment as committed before the gateway was asked.

    What became of it stands on the payment a moment later: captured, failed, or not known yet, which the worker goes
    on asking. Raises NotFound, WrongState, RuleViolation (`gateway-not-configured`, `invalid`), Conflict
    (`paid-by-transfer`, `attempt-live`), GatewayClosed (`gateway-unavailable`) with nothing begun.
    """
    gateway = configured_gateway()
    if gateway is None:
        raise RuleViolation("还没有开通在线支付，请用银行转账", slug="gateway-not-configured")
    chosen = means or gateway.means[0]
    if chosen not in gateway.means:
        raise RuleViolation(errors=[{"pointer": "#/means", "detail": "没有这种支付方式"}])
    if gateway.guard.breaker.is_open():
        raise GatewayClosed(retry_after=5)
    attempt_id = uuid7()
    reply = _begin(actor, payment_id, attempt_id, chosen, once)
    with suppress(GatewayUnknown, Unavailable):
        retrying(drive)(attempt_id)
    return reply


def _begin(actor: Actor, payment_id: UUID, attempt_id: UUID, means: str, once: Once) -> Reply:
    with transaction(actor, Permission.PAYMENT_OPEN, once) as tx:
        payment, orders, _ = locked_payment(tx, payment_id, queries.is_party(Payment.buyer_id, actor))
        if payment.method is not PaymentMethod.GATEWAY:
            raise Conflict("这张付款单用银行转账", slug="paid-by-transfer")
        if payment.state is not PaymentDocState.OPEN:
            raise WrongState(state=payment.state.value)
        refuse_live_attempt(tx.session, payment_id)
        attempt = PaymentAttempt(
            id=attempt_id,
            payment_id=payment_id,
            amount_fen=payment.amount_fen,
            means=means,
            state=AttemptState.PENDING,
            asked_by=actor.user_id,
            asked_at=tx.started_at,
        )
        live = Conflict("上一次在线支付的结果还不确定，正在核对，请不要重付", slug="attempt-live")
        with ledger.translated(tx.session, "uq_payment_attempt_live", live):
            tx.session.add(attempt)
        payment.version += 1
        tx.record(
            "payment.attempted",
            "payment",
            payment_id,
            parties=ledger.parties(orders),
            attempt=str(attempt_id),
            amount_fen=attempt.amount_fen,
        )
        tx.defer("payments.drive_attempt", at=tx.started_at + LOOK_AFTER, attempt=str(attempt_id))
        today = business_day(tx.started_at)
        return tx.answer(queries.payment_view(tx.session, payment_id, actor, today=today))


@dataclass(frozen=True)
class _Known:
    """An attempt as it was read, without a session behind it."""

    payment_id: UUID
    payment_number: str
    payable: bool
    amount_fen: int
    means: str
    intent_id: str | None
    asked_at: datetime
    state: AttemptState

    def age(self) -> timedelta:
        return now() - self.asked_at


def drive(attempt_id: UUID) -> None:
    """Lead an attempt as far as the gateway lets it: create its intent, confirm it, or ask what became of it.

    Safe to call at any time, by anybody, as often as wanted. Raises GatewayUnknown and GatewayClosed: ask again.
    """
    gateway, known = configured_gateway(), _known(attempt_id)
    if gateway is None or known is None or known.state not in ATTEMPT_LIVE:
        return
    try:
        intent = _intent_of(gateway, attempt_id, known)
    except GatewayRefused as refusal:
        if known.intent_id is not None:
            raise GatewayUnknown from refusal
        hear(attempt_id, Heard.failed(refusal.code), settle)
        return
    hear(attempt_id, Heard.of(_led_on(gateway, attempt_id, known, intent)), settle)


def _intent_of(gateway: Gateway, attempt_id: UUID, known: _Known) -> Intent:
    if known.intent_id is not None:
        return gateway.read_intent(known.intent_id)
    created = gateway.create_intent(attempt_id, known.amount_fen, known.means, known.payment_number)
    kept = _keep_intent(attempt_id, created.id)
    return created if kept == created.id else gateway.read_intent(kept)


def _led_on(gateway: Gateway, attempt_id: UUID, known: _Known, intent: Intent) -> Intent:
    """Confirm what waits for it while somebody may still be looking; cancel what has waited too long."""
    waits = intent.status == "requires_confirmation" or (
        intent.status == "requires_payment_method" and intent.failure_code is None
    )
    if waits and known.payable and known.age() < CONFIRM_FOR:
        try:
            return gateway.confirm_intent(
                attempt_id, intent.id, known.means, return_address(known.payment_id)
            )
        except GatewayRefused:
            # Its state tells a decline from a call that came twice.
            intent = gateway.read_intent(intent.id)
            waits = intent.status in ("requires_confirmation", "requires_payment_method")
            if intent.failure_code is not None:
                return intent
    if waits or (intent.status == "requires_action" and known.age() > ACTION_FOR):
        try:
            return gateway.cancel_intent(attempt_id, intent.id)
        except GatewayRefused as refusal:
            raise GatewayUnknown from refusal
    return intent


def _known(attempt_id: UUID) -> _Known | None:
    """Reads with a connection that is given back before anybody waits for the gateway."""
    session = db.session()
    row = session.execute(
        sa.select(PaymentAttempt, Payment.number, Payment.state)
        .join(Payment, Payment.id == PaymentAttempt.payment_id)
        .where(PaymentAttempt.id == attempt_id)
        .execution_options(populate_existing=True)
    ).one_or_none()
    known = None
    if row is not None:
        attempt = row.PaymentAttempt
        known = _Known(
            attempt.payment_id,
            row.number,
            row.state is PaymentDocState.OPEN,
            attempt.amount_fen,
            attempt.means,
            attempt.intent_id,
            attempt.asked_at,
            attempt.state,
        )
    session.close()
    return known


def _keep_intent(attempt_id: UUID, intent_id: str) -> str:
    """The one intent of an attempt, which is the first that was kept; only this one is ever confirmed."""
    kept = db.session().scalar(sa.select(PaymentAttempt.intent_id).where(PaymentAttempt.id == attempt_id))
    if kept is not None:
        db.session().close()
        return str(kept)
    with transaction(system(), Permission.SYSTEM) as tx:
        attempt, _, orders, _ = locked_attempt(tx, attempt_id)
        if attempt.intent_id is None:
            attempt.intent_id = intent_id
        tx.record(
            "payment.attempt_sent",
            "payment",
            attempt.payment_id,
            parties=ledger.parties(orders),
            attempt=str(attempt_id),
            amount_fen=attempt.amount_fen,
            intent=attempt.intent_id,
        )
        return attempt.intent_id


def locked_attempt(
    tx: Transaction, attempt_id: UUID
) -> tuple[PaymentAttempt, Payment, list[Order], dict[UUID, int]]:
    """An attempt with its payment and orders, all locked in the order that everybody keeps."""
    payment_id = tx.session.scalars(
        sa.select(PaymentAttempt.payment_id).where(PaymentAttempt.id == attempt_id)
    ).one()
    payment, orders, amounts = locked_payment(tx, payment_id, sa.true())
    attempt = tx.session.scalars(
        sa.select(PaymentAttempt)
        .where(PaymentAttempt.id == attempt_id)
        .with_for_update()
        .execution_options(populate_existing=True)
    ).one()
    return attempt, payment, orders, amounts


def settle(tx: Transaction, attempt_id: UUID, heard: Heard) -> bool:
    """Take in what the gateway says of an attempt; False when it says nothing new.

    States only ever rise (`ATTEMPT_RANK`), so any order of arrival ends alike. A sum or currency that is not ours
    puts the attempt aside for a person.
    """
    attempt, payment, orders, amounts = locked_attempt(tx, attempt_id)
    state = heard.state
    if state is AttemptState.CAPTURED and (heard.received_fen, heard.currency) != (
        attempt.amount_fen,
        CURRENCY,
    ):
        state = AttemptState.QUARANTINED
    if attempt.failure_code == VOID_GIVEN_BACK:
        return False
    if ATTEMPT_RANK[state] <= ATTEMPT_RANK[attempt.state]:
        return False
    if heard.intent_id is not None and attempt.intent_id is None:
        attempt.intent_id = heard.intent_id
    attempt.state = state
    payment.version += 1
    told: dict[str, Any] = {"attempt": str(attempt_id), "amount_fen": attempt.amount_fen}
    parties = ledger.parties(orders)
    if state is AttemptState.CAPTURED:
        _capture(tx, attempt, payment, orders, amounts)
        return True
    if state is AttemptState.ACTION:
        attempt.next_url = heard.next_url
        told["intent"] = attempt.intent_id or ""
        tx.record("payment.attempt_sent", "payment", payment.id, parties=parties, **told)
    elif state is AttemptState.FAILED:
        attempt.failure_code = heard.failure_code
        attempt.ended_at = tx.started_at
        told["code"] = heard.failure_code or "failed"
        tx.record("payment.attempt_failed", "payment", payment.id, parties=parties, **told)
    else:
        attempt.failure_code = "amount-differs"
        told |= {"seen_fen": heard.received_fen, "currency": heard.currency}
        tx.record("payment.quarantined", "payment", payment.id, parties=parties, **told)
    return True


def _capture(
    tx: Transaction, attempt: PaymentAttempt, payment: Payment, orders: list[Order], amounts: dict[UUID, int]
) -> None:
    """The gateway has the money: it pays the orders, or, when they no longer owe it, it goes back at once."""
    attempt.captured_fen = attempt.amount_fen
    attempt.failure_code, attempt.ended_at = None, tx.started_at
    late = payment.state is not PaymentDocState.OPEN
    told: dict[str, Any] = {"attempt": str(attempt.id), "late": late}
    if payment.state is PaymentDocState.CANCELLED and _still_owed(orders, amounts):
        for order in orders:
            order.payment_opened_fen += amounts[order.id]
    elif late:
        tx.record(
            "payment.captured",
            "payment",
            payment.id,
            parties=ledger.parties(orders),
            number=payment.number,
            occurred_on=business_day(tx.started_at).isoformat(),
            amount_fen=attempt.amount_fen,
            orders=[],
            lines=[],
            booked=False,
            **told,
        )
        ask_refund(tx, payment, attempt, orders, None, attempt.amount_fen, None)
        return
    attempt.booked = True
    payment.state = move(PAYMENT_MOVES, payment.state, "capture")
    book_paid(tx, payment, orders, amounts, "payment.captured", booked=True, **told)


def _still_owed(orders: list[Order], amounts: dict[UUID, int]) -> bool:
    return all(
        rules.payable_fen(o.accepted_fen, o.freight_fen) - o.payment_opened_fen >= amounts[o.id]
        for o in orders
    )
