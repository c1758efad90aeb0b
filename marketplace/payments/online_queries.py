"""Attempts and refunds of a payment at the gateway, as a payment shows them."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session, aliased

from marketplace.accounts.models import Organisation
from marketplace.payments.models import MoneyEntry, MoneyPosting, Payment, PaymentAttempt, PaymentRefund
from marketplace.payments.money_ledger import Account
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


_AT_GATEWAY = sa.and_(MoneyPosting.account == Account.GATEWAY, MoneyPosting.fact_id == MoneyEntry.fact_id)


def held_fen(session: Session, payment_id: UUID) -> int:
    """What stands at the gateway for a payment by the money ledger: captured, neither given back nor paid out."""
    total = session.scalar(
        sa.select(sa.func.coalesce(sa.func.sum(MoneyPosting.amount_fen), 0))
        .join(MoneyEntry, _AT_GATEWAY)
        .where(MoneyEntry.payment_id == payment_id)
    )
    return int(total or 0)


def list_held(session: Session, visible: sa.ColumnElement[bool], limit: int = 200) -> list[dict[str, Any]]:
    """Payments of which the gateway still holds something, the longest first, with `held_fen`."""
    seller = aliased(Organisation)
    held = sa.cast(sa.func.sum(MoneyPosting.amount_fen), sa.BigInteger)
    rows = session.execute(
        sa.select(
            *(Payment.id, Payment.number, Payment.merchant_of_record, Payment.settled_at),
            *(seller.name.label("seller"), held.label("held_fen")),
        )
        .join(MoneyEntry, MoneyEntry.payment_id == Payment.id)
        .join(MoneyPosting, _AT_GATEWAY)
        .join(seller, seller.id == Payment.seller_id)
        .where(visible)
        .group_by(Payment.id, seller.name)
        .having(held > 0)
        .order_by(Payment.id)
        .limit(limit)
    )
    return [dict(row) for row in rows.mappings()]


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
    # Nothing stands at the gateway for a payment that was never tried there.
    found["held_fen"] = held_fen(session, payment_id) if states else 0
    found["live_attempt"] = next((state for state in states if state in ATTEMPT_LIVE), None)
    return found
