"""Declarations with all their versions, the standing of each line, and the reserve ledger."""

from __future__ import annotations

from datetime import date, datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from marketplace.accounts.models import CanteenMode
from marketplace.database import Base, choice, row_id, uuid_pk
from marketplace.quota.ledger import EntryKind
from marketplace.quota.states import DeclarationState


class Declaration(Base):
    """预留份额填报: one per agency and year. `approved_version` is what figures use; drafts never count."""

    __tablename__ = "declaration"
    __table_args__ = (sa.UniqueConstraint("agency_id", "year"),)

    id: Mapped[uuid_pk]
    agency_id: Mapped[UUID] = mapped_column(sa.ForeignKey("organisation.id"))
    year: Mapped[int]
    state: Mapped[DeclarationState] = choice(DeclarationState, "declaration_state")
    state_reason: Mapped[str | None]
    current_version: Mapped[int]
    approved_version: Mapped[int | None]
    version: Mapped[int] = mapped_column(default=1)


class DeclarationVersion(Base):
    """What was filed at one time; never changed afterwards. Append-only."""

    __tablename__ = "declaration_version"
    __table_args__ = (
        sa.CheckConstraint("base_fen >= 0 and reserve_fen >= 0", name="not_negative"),
        sa.CheckConstraint("share_bp between 0 and 10000", name="share_range"),
    )

    declaration_id: Mapped[UUID] = mapped_column(sa.ForeignKey("declaration.id"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    canteen: Mapped[CanteenMode] = choice(CanteenMode, "declaration_canteen")
    base_fen: Mapped[int]
    share_bp: Mapped[int]
    reserve_fen: Mapped[int]
    represented_by_id: Mapped[UUID | None] = mapped_column(sa.ForeignKey("organisation.id"))
    contractor_id: Mapped[UUID | None] = mapped_column(sa.ForeignKey("organisation.id"))
    contact: Mapped[str | None]
    remark: Mapped[str | None]
    policy_version: Mapped[str]
    filed_by: Mapped[UUID | None] = mapped_column(sa.ForeignKey("app_user.id"))
    filed_at: Mapped[datetime]


class LineStanding(Base):
    """Where a line stands in counting: the running sums of its ledger entries, kept under the line's lock."""

    __tablename__ = "line_standing"

    line_id: Mapped[UUID] = mapped_column(sa.ForeignKey("order_line.id"), primary_key=True)
    order_id: Mapped[UUID] = mapped_column(sa.ForeignKey("orders.id"), index=True)
    order_number: Mapped[str]
    agency_id: Mapped[UUID | None] = mapped_column(sa.ForeignKey("organisation.id"), index=True)
    purpose: Mapped[str]
    county_code: Mapped[str]
    buyer_county_code: Mapped[str]
    category_code: Mapped[str]
    eligible: Mapped[bool]
    ineligible_reason: Mapped[str | None]
    policy_version: Mapped[str]
    states: Mapped[str]
    ordered_fen: Mapped[int] = mapped_column(default=0)
    accepted_fen: Mapped[int] = mapped_column(default=0)
    paid_fen: Mapped[int] = mapped_column(default=0)
    evaluated: Mapped[bool] = mapped_column(default=False)
    evaluated_fen: Mapped[int] = mapped_column(default=0)
    counted_fen: Mapped[int] = mapped_column(default=0)


class ReserveEntry(Base):
    """One row of the reserve ledger: an amount of a line reached a stage. Append-only; corrections are rows.

    `year` and `period` follow `occurred_on`, unless that period was closed: then `adjusts` is true
    (以前期间调整) and the row stands in the open period.
    """

    __tablename__ = "reserve_entry"
    __table_args__ = (
        sa.Index("ix_reserve_entry_agency", "agency_id", "year"),
        sa.Index("ix_reserve_entry_year", "year", "kind"),
        sa.Index("ix_reserve_entry_line", "line_id"),
        sa.Index("ix_reserve_entry_fact", "fact_id"),
        sa.CheckConstraint("source in ('own', '832', 'other')", name="source_known"),
    )

    id: Mapped[row_id]
    fact_id: Mapped[UUID]
    kind: Mapped[EntryKind] = choice(EntryKind, "entry_kind")
    amount_fen: Mapped[int]
    occurred_on: Mapped[date]
    recorded_at: Mapped[datetime]
    year: Mapped[int]
    period: Mapped[str]
    adjusts: Mapped[bool] = mapped_column(default=False)
    source: Mapped[str] = mapped_column(default="own")
    agency_id: Mapped[UUID | None] = mapped_column(sa.ForeignKey("organisation.id"))
    purpose: Mapped[str]
    county_code: Mapped[str]
    buyer_county_code: Mapped[str]
    category_code: Mapped[str]
    eligible: Mapped[bool]
    policy_version: Mapped[str]
    order_id: Mapped[UUID]
    order_number: Mapped[str]
    line_id: Mapped[UUID] = mapped_column(sa.ForeignKey("order_line.id"))


class PeriodClose(Base):
    """A closed accounting month; facts that come late are booked in the open one."""

    __tablename__ = "period_close"

    period: Mapped[str] = mapped_column(primary_key=True)
    closed_at: Mapped[datetime]
    closed_by: Mapped[UUID | None] = mapped_column(sa.ForeignKey("app_user.id"))
