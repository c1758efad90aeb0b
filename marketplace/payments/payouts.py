"""结算: the gateway pays out to the seller what it took for him, less its fee."""

from __future__ import annotations

from uuid import UUID

from marketplace.actors import Actor, Permission
from marketplace.clock import business_day
from marketplace.errors import Conflict, refuse_fields
from marketplace.payments import ledger, queries
from marketplace.payments.models import Payment
from marketplace.payments.online_queries import held_fen
from marketplace.payments.paying import locked_payment
from marketplace.unit_of_work import NO_ONCE, Once, Reply, transaction


def settle_payout(
    actor: Actor, payment_id: UUID, *, amount_fen: int, fee_fen: int = 0, once: Once = NO_ONCE
) -> Reply:
    """What the gateway held for a payment has come into the seller's bank; `fee_fen` of `amount_fen` it kept.

    Recorded by the seller or by the settlement clerk from the gateway's own statement. Raises NotFound, RuleViolation
    (`invalid`) for a fee above the amount, Conflict (`above-held` with `held_fen`).
    """
    own = actor.can(Permission.PAYMENT_CONFIRM)
    permission = Permission.PAYMENT_CONFIRM if own else Permission.RECEIPT_RECORD
    refuse_fields([("fee_fen", "手续费不能超过结算金额" if fee_fen > amount_fen else None)])
    with transaction(actor, permission, once) as tx:
        scope = queries.is_party(Payment.seller_id, actor) if own else queries.visible_payments(actor)
        payment, orders, _ = locked_payment(tx, payment_id, scope)
        held = held_fen(tx.session, payment_id)
        if amount_fen > held:
            raise Conflict("结算金额超过支付渠道代收的金额", slug="above-held", held_fen=held)
        payment.version += 1
        tx.record(
            "payment.settled",
            "payment",
            payment_id,
            parties=ledger.parties(orders),
            number=payment.number,
            occurred_on=business_day(tx.started_at).isoformat(),
            amount_fen=amount_fen,
            fee_fen=fee_fen,
        )
        today = business_day(tx.started_at)
        return tx.answer(queries.payment_view(tx.session, payment_id, actor, today=today))
