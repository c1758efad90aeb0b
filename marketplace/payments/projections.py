"""What follows from facts in their own transaction: the headlines of an order, and the money ledger."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from uuid import UUID

import sqlalchemy as sa

from marketplace.payments import money_ledger
from marketplace.payments.ledger import lock_orders, refresh_headlines
from marketplace.payments.models import MoneyEntry, MoneyPosting, Payment
from marketplace.unit_of_work import RecordedFact, Transaction, register_projection


def headline_follows(tx: Transaction, fact: RecordedFact) -> None:
    """An order that owes more or less after an acceptance shows it at once.

    Its own act raises the order's version; here only the two states are derived again.
    """
    refresh_headlines(tx.session, lock_orders(tx.session, [fact.subject_id]))


def post_money(tx: Transaction, fact: RecordedFact) -> None:
    """The entry of a fact that moves money; the database refuses at commit one that does not add up."""
    payment = tx.session.get_one(Payment, fact.subject_id)
    postings = money_ledger.postings_of(
        fact.kind, fact.data, buyer=str(payment.buyer_id), seller=str(payment.seller_id)
    )
    write_entry(tx, fact, postings, payment_id=fact.subject_id)


def write_entry(
    tx: Transaction,
    fact: RecordedFact,
    postings: Sequence[money_ledger.Posting],
    *,
    payment_id: UUID | None = None,
    statement_id: UUID | None = None,
) -> None:
    """One entry of the money ledger with its postings, of the payment or the statement that the fact is about."""
    tx.session.execute(
        sa.insert(MoneyEntry).values(
            fact_id=fact.id,
            kind=fact.kind,
            payment_id=payment_id,
            statement_id=statement_id,
            occurred_on=date.fromisoformat(fact.data["occurred_on"]),
            recorded_at=fact.recorded_at,
        )
    )
    tx.session.execute(
        sa.insert(MoneyPosting),
        [
            {
                "fact_id": fact.id,
                "account": each.account,
                "organisation_id": UUID(each.organisation),
                "amount_fen": each.amount_fen,
            }
            for each in postings
        ],
    )


def register() -> None:
    for kind in ("order.accepted", "order.allowance_agreed"):
        register_projection(kind, headline_follows)
    for kind in money_ledger.MONEY_FACTS:
        register_projection(kind, post_money)
