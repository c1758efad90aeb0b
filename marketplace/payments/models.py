"""Invoices with their check, and payments by transfer with their slips. The platform never holds money."""

from __future__ import annotations

from datetime import date, datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from marketplace.database import Base, choice, row_id, uuid_pk
from marketplace.payments.states import InvoiceDocState, InvoiceKind, PaymentDocState, PaymentMethod


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
