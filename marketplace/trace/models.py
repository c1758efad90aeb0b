"""Growers, origins, certificates and inspections: what a lot's story is made of."""

from __future__ import annotations

from datetime import date, datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from marketplace.database import Base, choice, row_id, uuid_pk


class CertificateKind(StrEnum):
    """Kinds of proof a category may need; the Chinese names are in the README."""

    COMMITMENT = "commitment"
    QUARANTINE = "quarantine"
    MEAT_INSPECTION = "meat_inspection"
    FACTORY_REPORT = "factory_report"
    SC_LICENCE = "sc_licence"


class HoldCause(StrEnum):
    """Who or what took a lot off sale; it decides who may put it back."""

    SELLER = "seller"
    REGULATOR = "regulator"
    FAILED_SAMPLE = "failed_sample"


class Grower(Base):
    """种植户/养殖户 of a seller: never signs in, never public."""

    __tablename__ = "grower"
    __table_args__ = (sa.UniqueConstraint("seller_id", "code"),)

    id: Mapped[uuid_pk]
    seller_id: Mapped[UUID] = mapped_column(sa.ForeignKey("organisation.id"))
    code: Mapped[str]
    name: Mapped[str]
    household_code: Mapped[str | None]
    poverty_household: Mapped[bool] = mapped_column(default=False)
    township_code: Mapped[str] = mapped_column(sa.ForeignKey("township.code"))
    village: Mapped[str]


class Origin(Base):
    """Where a part of a lot grew, down to the plot; `paid_fen` is what the grower got for it."""

    __tablename__ = "origin"

    id: Mapped[row_id]
    lot_id: Mapped[UUID] = mapped_column(sa.ForeignKey("lot.id"), index=True)
    position: Mapped[int]
    township_code: Mapped[str] = mapped_column(sa.ForeignKey("township.code"))
    village: Mapped[str]
    plot: Mapped[str]
    grower_id: Mapped[UUID | None] = mapped_column(sa.ForeignKey("grower.id"), index=True)
    weight_g: Mapped[int | None]
    paid_fen: Mapped[int | None]


class LotCertificate(Base):
    """承诺达标合格证 and the other proofs of a lot. A number of one kind names one product of one holder."""

    __tablename__ = "lot_certificate"
    __table_args__ = (
        # Holds what the other lots with the same number say of it.
        sa.Index(
            "ix_lot_certificate_number",
            *("kind", "number", "lot_id", "id"),
            postgresql_include=["product_name", "holder_credit_code"],
        ),
    )

    id: Mapped[uuid_pk]
    lot_id: Mapped[UUID] = mapped_column(sa.ForeignKey("lot.id"), index=True)
    kind: Mapped[CertificateKind] = choice(CertificateKind, "certificate_kind")
    number: Mapped[str | None]
    product_name: Mapped[str]
    holder_credit_code: Mapped[str]
    issued_on: Mapped[date]
    valid_until: Mapped[date | None]
    quantity: Mapped[int | None]
    document_id: Mapped[UUID] = mapped_column(sa.ForeignKey("document.id"))
    recorded_at: Mapped[datetime]


class Inspection(Base):
    """抽检: a sample of a lot, or of a product of a county in a campaign."""

    __tablename__ = "inspection"
    __table_args__ = (sa.UniqueConstraint("campaign", "sample_number"),)

    id: Mapped[uuid_pk]
    lot_id: Mapped[UUID | None] = mapped_column(sa.ForeignKey("lot.id"), index=True)
    county_code: Mapped[str] = mapped_column(sa.ForeignKey("region.code"), index=True)
    product_name: Mapped[str]
    campaign: Mapped[str]
    sample_number: Mapped[str]
    sampled_on: Mapped[date]
    items: Mapped[Any] = mapped_column(JSONB)
    passed: Mapped[bool]
    document_id: Mapped[UUID | None] = mapped_column(sa.ForeignKey("document.id"))
    recorded_by_id: Mapped[UUID | None] = mapped_column(sa.ForeignKey("organisation.id"))
    recorded_at: Mapped[datetime]


class LotHold(Base):
    """One reason why a lot is off sale. It goes back on sale when every hold of it is lifted."""

    __tablename__ = "lot_hold"
    __table_args__ = (sa.Index("ix_lot_hold_open", "lot_id", postgresql_where=sa.text("lifted_at is null")),)

    id: Mapped[uuid_pk]
    lot_id: Mapped[UUID] = mapped_column(sa.ForeignKey("lot.id"))
    cause: Mapped[HoldCause] = choice(HoldCause, "hold_cause")
    organisation_id: Mapped[UUID | None] = mapped_column(sa.ForeignKey("organisation.id"))
    inspection_id: Mapped[UUID | None] = mapped_column(sa.ForeignKey("inspection.id"))
    reason: Mapped[str]
    held_at: Mapped[datetime]
    lifted_at: Mapped[datetime | None]


class TraceScan(Base):
    """How often a code was opened on a day; no address, no person."""

    __tablename__ = "trace_scan"

    lot_id: Mapped[UUID] = mapped_column(sa.ForeignKey("lot.id"), primary_key=True)
    day: Mapped[date] = mapped_column(primary_key=True)
    count: Mapped[int]
