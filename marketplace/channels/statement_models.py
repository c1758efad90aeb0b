"""Statements of consignment: their lines and what is disputed of them."""

from __future__ import annotations

from datetime import date, datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from marketplace.channels.states import DisputeState, StatementLineKind, StatementState
from marketplace.database import Base, choice, uuid_pk


class Statement(Base):
    """结算单: what a channel owes one seller for a period of consignment. Made of sealed reports and counts."""

    __tablename__ = "statement"
    __table_args__ = (
        sa.UniqueConstraint("channel_id", "seller_id", "period"),
        sa.Index("ix_statement_seller", "seller_id", "id"),
    )

    id: Mapped[uuid_pk]
    number: Mapped[str] = mapped_column(unique=True)
    channel_id: Mapped[UUID] = mapped_column(sa.ForeignKey("organisation.id"))
    seller_id: Mapped[UUID] = mapped_column(sa.ForeignKey("organisation.id"))
    agreement_id: Mapped[UUID] = mapped_column(sa.ForeignKey("channel_agreement.id"))
    period: Mapped[str]
    from_day: Mapped[date]
    to_day: Mapped[date]
    due_on: Mapped[date]
    state: Mapped[StatementState] = choice(StatementState, "statement_state")
    total_fen: Mapped[int]
    sha256: Mapped[bytes]
    issued_at: Mapped[datetime]
    # Each side agrees by itself; a correction makes both look again.
    channel_agreed_at: Mapped[datetime | None]
    seller_agreed_at: Mapped[datetime | None]
    agreed_at: Mapped[datetime | None]
    paid_on: Mapped[date | None]
    bank_reference: Mapped[str | None]
    document_id: Mapped[UUID | None] = mapped_column(sa.ForeignKey("document.id"))
    # Of the transfer that the seller did not find, until the channel names another one.
    return_reason: Mapped[str | None]
    returned_at: Mapped[datetime | None]
    settled_at: Mapped[datetime | None]
    version: Mapped[int] = mapped_column(default=1)


class StatementLine(Base):
    """Append-only: a correction is a red line and a new one in the same statement."""

    __tablename__ = "statement_line"
    __table_args__ = (sa.UniqueConstraint("statement_id", "position"),)

    id: Mapped[uuid_pk]
    statement_id: Mapped[UUID] = mapped_column(sa.ForeignKey("statement.id"))
    position: Mapped[int]
    kind: Mapped[StatementLineKind] = choice(StatementLineKind, "statement_line_kind")
    day: Mapped[date]
    # The report or count that it comes from.
    source_id: Mapped[UUID] = mapped_column(index=True)
    product_id: Mapped[UUID] = mapped_column(sa.ForeignKey("product.id"))
    lot_id: Mapped[UUID] = mapped_column(sa.ForeignKey("lot.id"))
    quantity: Mapped[int]
    unit_price_fen: Mapped[int]
    amount_fen: Mapped[int]


class StatementDispute(Base):
    """One line is disputed by the channel or the seller; the other side corrects it or it is upheld as it stands."""

    __tablename__ = "statement_dispute"
    __table_args__ = (
        sa.Index(
            "uq_statement_dispute_open", "line_id", unique=True, postgresql_where=sa.text("state = 'open'")
        ),
    )

    id: Mapped[uuid_pk]
    statement_id: Mapped[UUID] = mapped_column(sa.ForeignKey("statement.id"), index=True)
    line_id: Mapped[UUID] = mapped_column(sa.ForeignKey("statement_line.id"))
    raised_by: Mapped[UUID] = mapped_column(sa.ForeignKey("organisation.id"))
    quantity: Mapped[int | None]
    reason: Mapped[str]
    state: Mapped[DisputeState] = choice(DisputeState, "statement_dispute_state")
    answer: Mapped[str | None]
    raised_at: Mapped[datetime]
    answered_at: Mapped[datetime | None]
