"""An order that owes more or less after an acceptance shows it in its invoice and payment state at once."""

from __future__ import annotations

from marketplace.payments.ledger import lock_orders, refresh_headlines
from marketplace.unit_of_work import RecordedFact, Transaction, register_projection


def headline_follows(tx: Transaction, fact: RecordedFact) -> None:
    """Its own act raises the order's version; here only the two states are derived again."""
    refresh_headlines(tx.session, lock_orders(tx.session, [fact.subject_id]))


def register() -> None:
    for kind in ("order.accepted", "order.allowance_agreed"):
        register_projection(kind, headline_follows)
