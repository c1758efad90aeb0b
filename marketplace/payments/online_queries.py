"""Attempts and refunds of a payment at the gateway, as a payment shows them."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from marketplace.payments.models import PaymentAttempt, PaymentRefund

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


def online_view(session: Session, payment_id: UUID) -> dict[str, Any]:
    """`attempts` and `refunds` of a payment, the oldest first."""
    return {
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
