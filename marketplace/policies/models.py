"""Dated rules: every share, base, deadline and eligible county is a row with its source, never code."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from marketplace.database import Base, uuid_pk


class Policy(Base):
    """`value` of `key` from `valid_from` to `valid_to` (inclusive, open when null), in a region or everywhere."""

    __tablename__ = "policy"
    __table_args__ = (
        sa.UniqueConstraint("key", "scope_code", "valid_from", "revision", name="uq_policy_row"),
    )

    id: Mapped[uuid_pk]
    key: Mapped[str] = mapped_column(index=True)
    value: Mapped[Any] = mapped_column(JSONB)
    valid_from: Mapped[date]
    valid_to: Mapped[date | None]
    scope_code: Mapped[str] = mapped_column(default="")
    revision: Mapped[int] = mapped_column(default=1)
    title: Mapped[str]
    article: Mapped[str | None]
    source: Mapped[str]
    recorded_at: Mapped[datetime]


class CountyEligibility(Base):
    """A county's goods count from `from_year` to `to_year` (open when null)."""

    __tablename__ = "county_eligibility"

    county_code: Mapped[str] = mapped_column(sa.ForeignKey("region.code"), primary_key=True)
    from_year: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    to_year: Mapped[int | None]
    source: Mapped[str]
