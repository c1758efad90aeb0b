"""What a reader may do with a gateway payment now; the services decide, this only offers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from marketplace.actors import Actor, Permission
from marketplace.payments.states import ATTEMPT_LIVE, AttemptState, PaymentDocState, PaymentMethod


def online_acts(payment: Mapping[str, Any], actor: Actor) -> frozenset[str]:
    """Of `pay refund compare payout`: the buyer pays what is open and not under way, seller and office give back what was
    captured, office and settlement clerk compare what was put aside; seller and clerk record what the gateway paid out."""
    acts: set[str] = set()
    if payment["method"] is not PaymentMethod.GATEWAY:
        return frozenset()
    live = any(attempt["state"] in ATTEMPT_LIVE for attempt in payment["attempts"])
    decides = actor.can(Permission.PAYMENT_UPHOLD) or actor.can(Permission.RECEIPT_RECORD)
    if payment["live_attempt"] is AttemptState.QUARANTINED and decides:
        acts.add("compare")
    own = actor.organisation_id == payment["buyer"]["id"]
    if own and actor.can(Permission.PAYMENT_OPEN) and payment["state"] is PaymentDocState.OPEN and not live:
        acts.add("pay")
    if payment["held_fen"] and (
        actor.can(Permission.RECEIPT_RECORD)
        or (actor.can(Permission.PAYMENT_CONFIRM) and actor.organisation_id == payment["seller"]["id"])
    ):
        acts.add("payout")
    sells = actor.organisation_id == payment["seller"]["id"] and actor.can(Permission.PAYMENT_CONFIRM)
    if refundable_fen(payment) and (sells or actor.can(Permission.PAYMENT_UPHOLD)):
        acts.add("refund")
    return frozenset(acts)


def refundable_fen(payment: Mapping[str, Any]) -> int:
    """What the gateway took for the orders and was not given back or asked back yet."""
    return sum(a["captured_fen"] - a["refunded_fen"] for a in payment["attempts"] if a["booked"])


def online_turn(payment: Mapping[str, Any]) -> str | None:
    """What an open payment for the gateway waits for, a code of the words `online_turn`; None for any other."""
    if payment["method"] is not PaymentMethod.GATEWAY or payment["state"] is not PaymentDocState.OPEN:
        return None
    live = payment["live_attempt"]
    if live is AttemptState.QUARANTINED:
        return "stopped"
    return "unpaid" if live is None else "asked"
