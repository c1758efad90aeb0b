"""Invoices with their check, payments with slips or attempts at the gateway, and the money ledger.

The platform never holds money.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from marketplace.database import Base, choice, row_id, uuid_pk
from marketplace.payments.money_ledger import Account
from marketplace.payments.states import (
    AttemptState,
    EventState,
    InvoiceDocState,
    InvoiceKind,
    PaymentDocState,
    PaymentMethod,
    RefundState,
)


class Invoice(Base):
    """发票 of one seller to one payer over one or more orders. A number is used once, ever."""

    __tablename__ = "invoice"
    __table_args__ = (sa.CheckConstraint("amount_fen > 0", name="amount_positive"),)

    id: Mapped[uuid_pk]
    number: Mapped[str] = mapped_column(unique=True)
    kind: Mapped[InvoiceKind] = choice(InvoiceKind, "invoice_kind")
    issued_on: Mapped[date]
    amount_fen: Mapped[int]
    tax_free: Mapped[bool]
    seller_id: Mapped[UUID] = mapped_column(sa.ForeignKey("organisation.id"), index=True)
    buyer_id: Mapped[UUID] = mapped_column(sa.ForeignKey("organisation.id"), index=True)
    payer_profile_id: Mapped[UUID | None] = mapped_column(sa.ForeignKey("payer_profile.id"))
    buyer_title: Mapped[str]
    buyer_tax_number: Mapped[str]
    document_id: Mapped[UUID] = mapped_column(sa.ForeignKey("document.id"))
    state: Mapped[InvoiceDocState] = choice(InvoiceDocState, "invoice_state")
    return_reason: Mapped[str | None]
    recorded_at: Mapped[datetime]
    checked_at: Mapped[datetime | None]
    version: Mapped[int] = mapped_column(default=1)


class InvoiceOrder(Base):
    __tablename__ = "invoice_order"
    __table_args__ = (sa.CheckConstraint("amount_fen > 0", name="amount_positive"),)

    invoice_id: Mapped[UUID] = mapped_column(sa.ForeignKey("invoice.id"), primary_key=True)
    order_id: Mapped[UUID] = mapped_column(sa.ForeignKey("orders.id"), primary_key=True, index=True)
    amount_fen: Mapped[int]


class Payment(Base):
    """付款: from one payer to one payee over amounts of one or more orders of a seller."""

    __tablename__ = "payment"
    __table_args__ = (
        sa.CheckConstraint("amount_fen > 0", name="amount_positive"),
        sa.Index("ix_payment_buyer", "buyer_id", "id"),
        sa.Index("ix_payment_seller", "seller_id", "id"),
    )

    id: Mapped[uuid_pk]
    number: Mapped[str] = mapped_column(unique=True)
    buyer_id: Mapped[UUID] = mapped_column(sa.ForeignKey("organisation.id"))
    seller_id: Mapped[UUID] = mapped_column(sa.ForeignKey("organisation.id"))
    payer_profile_id: Mapped[UUID | None] = mapped_column(sa.ForeignKey("payer_profile.id"))
    method: Mapped[PaymentMethod] = choice(PaymentMethod, "payment_method")
    payee_name: Mapped[str]
    payee_bank: Mapped[str]
    payee_account: Mapped[str]
    # Who the gateway takes the money for: the seller, or the holder of a supervised account. None for a transfer.
    merchant_of_record: Mapped[str | None]
    transfer_code: Mapped[str] = mapped_column(unique=True)
    amount_fen: Mapped[int]
    due_on: Mapped[date]
    state: Mapped[PaymentDocState] = choice(PaymentDocState, "payment_state")
    state_reason: Mapped[str | None]
    opened_at: Mapped[datetime]
    declared_at: Mapped[datetime | None]
    settled_at: Mapped[datetime | None]
    version: Mapped[int] = mapped_column(default=1)


class PaymentOrder(Base):
    __tablename__ = "payment_order"
    __table_args__ = (sa.CheckConstraint("amount_fen > 0", name="amount_positive"),)

    payment_id: Mapped[UUID] = mapped_column(sa.ForeignKey("payment.id"), primary_key=True)
    order_id: Mapped[UUID] = mapped_column(sa.ForeignKey("orders.id"), primary_key=True, index=True)
    amount_fen: Mapped[int]


class Slip(Base):
    """付款凭证: a bank reference into one account is used once, ever."""

    __tablename__ = "slip"
    __table_args__ = (
        sa.UniqueConstraint("payee_account", "bank_reference"),
        sa.CheckConstraint("amount_fen > 0", name="amount_positive"),
    )

    id: Mapped[uuid_pk]
    payment_id: Mapped[UUID] = mapped_column(sa.ForeignKey("payment.id"), index=True)
    amount_fen: Mapped[int]
    paid_on: Mapped[date]
    bank_reference: Mapped[str]
    payer_name: Mapped[str]
    payee_account: Mapped[str]
    document_id: Mapped[UUID | None] = mapped_column(sa.ForeignKey("document.id"))
    filed_at: Mapped[datetime]


class PaymentLine(Base):
    """How a confirmed payment was spread over accepted lines, by largest remainder."""

    __tablename__ = "payment_line"

    id: Mapped[row_id]
    payment_id: Mapped[UUID] = mapped_column(sa.ForeignKey("payment.id"), index=True)
    line_id: Mapped[UUID] = mapped_column(sa.ForeignKey("order_line.id"), index=True)
    amount_fen: Mapped[int]


class PaymentAttempt(Base):
    """One try to pay by the gateway, committed before the gateway hears of it; its id is the idempotency key.

    `intent_id` is the gateway's own name of it, and never changes once known: whatever is asked twice, one intent
    is charged at most once. `booked` says that the captured money paid the orders and is not due back.
    """

    __tablename__ = "payment_attempt"
    __table_args__ = (
        sa.CheckConstraint("amount_fen between 1 and 99999999", name="amount_fits"),
        sa.CheckConstraint("captured_fen in (0, amount_fen)", name="captured_whole"),
        sa.CheckConstraint("refunded_fen between 0 and captured_fen", name="refunded_within"),
        sa.Index(
            "uq_payment_attempt_live",
            "payment_id",
            unique=True,
            postgresql_where=sa.text("state in ('pending', 'action', 'quarantined')"),
        ),
        sa.Index("uq_payment_attempt_booked", "payment_id", unique=True, postgresql_where=sa.text("booked")),
        sa.Index("ix_payment_attempt_payment_id", "payment_id", "id"),
        sa.Index(
            "ix_payment_attempt_open",
            "asked_at",
            postgresql_where=sa.text("state in ('pending', 'action', 'quarantined')"),
        ),
    )

    id: Mapped[uuid_pk]
    payment_id: Mapped[UUID] = mapped_column(sa.ForeignKey("payment.id"))
    amount_fen: Mapped[int]
    means: Mapped[str]
    state: Mapped[AttemptState] = choice(AttemptState, "attempt_state")
    intent_id: Mapped[str | None] = mapped_column(unique=True)
    next_url: Mapped[str | None]
    failure_code: Mapped[str | None]
    captured_fen: Mapped[int] = mapped_column(default=0)
    refunded_fen: Mapped[int] = mapped_column(default=0)
    booked: Mapped[bool] = mapped_column(default=False)
    asked_by: Mapped[UUID | None] = mapped_column(sa.ForeignKey("app_user.id"))
    asked_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]


class PaymentRefund(Base):
    """Money asked back from the gateway for one captured attempt, of one order's part; without an order it was never owed."""

    __tablename__ = "payment_refund"
    __table_args__ = (
        sa.CheckConstraint("amount_fen > 0", name="amount_positive"),
        sa.Index("ix_payment_refund_open", "asked_at", postgresql_where=sa.text("state = 'pending'")),
    )

    id: Mapped[uuid_pk]
    payment_id: Mapped[UUID] = mapped_column(sa.ForeignKey("payment.id"), index=True)
    attempt_id: Mapped[UUID] = mapped_column(sa.ForeignKey("payment_attempt.id"))
    order_id: Mapped[UUID | None] = mapped_column(sa.ForeignKey("orders.id"))
    amount_fen: Mapped[int]
    reason: Mapped[str | None]
    state: Mapped[RefundState] = choice(RefundState, "refund_state")
    gateway_id: Mapped[str | None] = mapped_column(unique=True)
    failure_code: Mapped[str | None]
    asked_by: Mapped[UUID | None] = mapped_column(sa.ForeignKey("app_user.id"))
    asked_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]


class GatewayEvent(Base):
    """A signed message of the gateway, once per its id; only what we need of it is kept, no person's data."""

    __tablename__ = "gateway_event"
    __table_args__ = (
        sa.Index(
            "ix_gateway_event_open", "received_at", postgresql_where=sa.text("state in ('new', 'waiting')")
        ),
    )

    id: Mapped[row_id]
    event_id: Mapped[str] = mapped_column(unique=True)
    kind: Mapped[str]
    body: Mapped[dict[str, Any]] = mapped_column(JSONB)
    state: Mapped[EventState] = choice(EventState, "gateway_event_state")
    reason: Mapped[str | None]
    received_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]


class MoneyEntry(Base):
    """One entry of the money ledger, by its fact. Append-only; its postings add up to nothing, by the database."""

    __tablename__ = "money_entry"
    __table_args__ = (sa.CheckConstraint("num_nonnulls(payment_id, statement_id) = 1", name="of_one_paper"),)

    fact_id: Mapped[UUID] = mapped_column(primary_key=True)
    kind: Mapped[str]
    payment_id: Mapped[UUID | None] = mapped_column(sa.ForeignKey("payment.id"), index=True)
    # 结算单 of a channel, which this package knows nothing of.
    statement_id: Mapped[UUID | None] = mapped_column(index=True)
    occurred_on: Mapped[date]
    recorded_at: Mapped[datetime]


class MoneyPosting(Base):
    __tablename__ = "money_posting"
    __table_args__ = (
        sa.CheckConstraint("amount_fen <> 0", name="amount_not_zero"),
        sa.Index("ix_money_posting_account", "organisation_id", "account"),
    )

    fact_id: Mapped[UUID] = mapped_column(sa.ForeignKey("money_entry.fact_id"), primary_key=True)
    account: Mapped[Account] = choice(Account, "money_account", primary_key=True)
    organisation_id: Mapped[UUID] = mapped_column(sa.ForeignKey("organisation.id"), primary_key=True)
    amount_fen: Mapped[int]
