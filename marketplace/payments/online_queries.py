"""Attempts and refunds of a payment at the gateway, as a payment shows them."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from marketplace.payments.models import Payment, PaymentAttempt, PaymentRefund
from marketplace.payments.states import ATTEMPT_LIVE

_ATTEMPT = (
    *(
        "id",
        "state",
        "amount_fen",
        "means",
        "next_url",
        "failure_code",
        "captured_fen",
        "refunded_fen",
        "booked",
    ),
    *("asked_at", "ended_at"),
)
_REFUND = ("id", "order_id", "amount_fen", "state", "reason", "failure_code", "asked_at", "ended_at")


def live_attempt() -> sa.ScalarSelect[Any]:
    """The state of the one attempt of a `Payment` whose end is not known; null for none."""
    return (
        sa.select(PaymentAttempt.state)
        .where(PaymentAttempt.payment_id == Payment.id, PaymentAttempt.state.in_(ATTEMPT_LIVE))
        .correlate(Payment)
        .scalar_subquery()
    )


def online_view(session: Session, payment_id: UUID) -> dict[str, Any]:
    """`attempts` and `refunds` of a payment, the oldest first, and the state of the attempt that is not ended."""
    found: dict[str, Any] = {
        name: [
            {column: getattr(row, column) for column in columns}
            for row in session.scalars(
                sa.select(model).where(model.payment_id == payment_id).order_by(model.id)
            )
        ]
        for name, model, columns in (
            ("attempts", PaymentAttempt, _ATTEMPT),
            ("refunds", PaymentRefund, _REFUND),
        )
    }
    states = [attempt["state"] for attempt in found["attempts"]]
    found["live_attempt"] = next((state for state in states if state in ATTEMPT_LIVE), None)
    return found
