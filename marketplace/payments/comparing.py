"""An attempt that was put aside is ended by a person, and only as the gateway's own account allows at that moment."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

import sqlalchemy as sa

from marketplace.actors import Actor
from marketplace.clock import business_day
from marketplace.database import db
from marketplace.errors import Conflict, RuleViolation, WrongState
from marketplace.payments import ledger, queries
from marketplace.payments.events import Heard
from marketplace.payments.gateway import (
    CURRENCY,
    Gateway,
    GatewayRefused,
    GatewayUnknown,
    Intent,
    configured_gateway,
)
from marketplace.payments.models import PaymentAttempt
from marketplace.payments.online import locked_attempt, settle
from marketplace.payments.set_aside import deciding_permission
from marketplace.payments.states import VOID_GIVEN_BACK, VOID_UNCHARGED, AttemptEnd, AttemptState
from marketplace.unit_of_work import NO_ONCE, Once, Reply, transaction


@dataclass(frozen=True)
class Account:
    """What the gateway says of an intent now: what it took (fen), and what of it went back to the payer."""

    status: str
    received_fen: int
    currency: str
    given_back_fen: int

    def agrees(self, amount_fen: int) -> bool:
        """It holds exactly what was asked for."""
        whole = (self.received_fen, self.currency, self.given_back_fen) == (amount_fen, CURRENCY, 0)
        return self.status == "succeeded" and whole

    @property
    def holds_nothing(self) -> bool:
        """The payer was never charged, or has everything back."""
        return self.status != "succeeded" or self.given_back_fen >= self.received_fen


@dataclass(frozen=True)
class _Aside:
    attempt_id: UUID
    amount_fen: int
    intent_id: str


def gateways_account(actor: Actor, payment_id: UUID) -> Account | None:
    """For the reader who compares; None where nothing is put aside. Raises as `resolve_attempt`, changes nothing."""
    actor.require(deciding_permission(actor))
    aside = _aside(actor, payment_id)
    return None if aside is None else _ask(_gateway(), aside)[1]


def resolve_attempt(
    actor: Actor, payment_id: UUID, *, outcome: AttemptEnd, reason: str, once: Once = NO_ONCE
) -> Reply:
    """The office or the settlement clerk ends the attempt that was put aside because the gateway named another sum.

    The gateway is asked again at that moment. As captured it ends only where the gateway holds exactly our sum: the
    orders are paid. As void it ends only where the gateway holds nothing of the payer; what still waited there is
    cancelled first, and the payment may be paid anew. So nothing that was charged is ever called void or failed.
    Raises NotFound, WrongState (nothing is put aside), RuleViolation (`gateway-not-configured`), Conflict
    (`sum-differs`, `still-charged`, both with `seen_fen` and `given_back_fen`), GatewayUnknown, GatewayClosed.
    """
    permission = deciding_permission(actor)
    actor.require(permission)
    aside = _aside(actor, payment_id)
    asked: tuple[Intent, Account] | None = None
    if aside is not None:
        asked = _asked(_gateway(), aside, outcome)
    with transaction(actor, permission, once) as tx:
        queries.find_payment(tx.session, payment_id, queries.visible_payments(actor))
        if aside is None or asked is None:
            raise WrongState
        intent, account = asked
        attempt, payment, orders, _ = locked_attempt(tx, aside.attempt_id)
        if attempt.state is not AttemptState.QUARANTINED:
            raise WrongState(state=attempt.state.value)
        tx.record(
            "payment.attempt_resolved",
            "payment",
            payment_id,
            parties=ledger.parties(orders),
            attempt=str(attempt.id),
            amount_fen=attempt.amount_fen,
            outcome=outcome.value,
            seen_fen=account.received_fen,
            currency=account.currency,
            given_back_fen=account.given_back_fen,
            reason_given=True,
        )
        payment.state_reason = reason
        if outcome is AttemptEnd.CAPTURED:
            settle(tx, attempt.id, Heard.of(intent))
        else:
            attempt.state = AttemptState.FAILED
            attempt.failure_code = VOID_GIVEN_BACK if account.status == "succeeded" else VOID_UNCHARGED
            attempt.ended_at = tx.started_at
            payment.version += 1
        today = business_day(tx.started_at)
        return tx.answer(queries.payment_view(tx.session, payment_id, actor, today=today))


def _gateway() -> Gateway:
    gateway = configured_gateway()
    if gateway is None:
        raise RuleViolation("还没有开通在线支付，无法向支付渠道核对", slug="gateway-not-configured")
    return gateway


def _aside(actor: Actor, payment_id: UUID) -> _Aside | None:
    """Reads with a connection that is given back before anybody waits for the gateway. Raises NotFound."""
    session = db.session()
    queries.find_payment(session, payment_id, queries.visible_payments(actor))
    row = session.execute(
        sa.select(PaymentAttempt.id, PaymentAttempt.amount_fen, PaymentAttempt.intent_id).where(
            PaymentAttempt.payment_id == payment_id, PaymentAttempt.state == AttemptState.QUARANTINED
        )
    ).one_or_none()
    session.close()
    return None if row is None or row.intent_id is None else _Aside(row.id, row.amount_fen, row.intent_id)


def _asked(gateway: Gateway, aside: _Aside, outcome: AttemptEnd) -> tuple[Intent, Account]:
    intent, account = _ask(gateway, aside)
    if outcome is AttemptEnd.VOID and intent.status not in ("succeeded", "canceled"):
        try:
            gateway.cancel_intent(aside.attempt_id, intent.id)
        except GatewayRefused as refusal:
            raise GatewayUnknown from refusal
        intent, account = _ask(gateway, aside)
        if intent.status not in ("succeeded", "canceled"):
            raise GatewayUnknown
    seen = {"seen_fen": account.received_fen, "given_back_fen": account.given_back_fen}
    if outcome is AttemptEnd.CAPTURED and not account.agrees(aside.amount_fen):
        raise Conflict("支付渠道报的金额与付款单不符，不能记为已扣款", slug="sum-differs", **seen)
    if outcome is AttemptEnd.VOID and not account.holds_nothing:
        raise Conflict("支付渠道还留着付款人的钱，不能作废", slug="still-charged", **seen)
    return intent, account


def _ask(gateway: Gateway, aside: _Aside) -> tuple[Intent, Account]:
    try:
        intent = gateway.read_intent(aside.intent_id)
        back = gateway.refunds_of(intent.id) if intent.status == "succeeded" else []
    except GatewayRefused as refusal:
        raise GatewayUnknown from refusal
    given_back = sum(refund.amount_fen for refund in back if refund.status == "succeeded")
    return intent, Account(intent.status, intent.received_fen, intent.currency, given_back)
