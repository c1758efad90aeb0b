"""Facts, seals and checkpoints. All three are append-only: triggers refuse UPDATE, DELETE and TRUNCATE."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.dialects.postgresql import UUID as PgUUID
from sqlalchemy.orm import Mapped, mapped_column

from marketplace.database import Base, uuid_pk


class Fact(Base):
    """One thing that happened. `body` is the canonical text that is sealed; the other columns are copies of it.

    `number` is drawn while the locks of the subject are held, so it orders the facts of one subject; it has
    gaps. `xid` is the writing transaction, by which the sealer knows what can still appear.
    """

    __tablename__ = "fact"
    __table_args__ = (
        sa.Index("ix_fact_xid", "xid"),
        sa.Index("ix_fact_subject", "subject_type", "subject_id"),
        sa.Index("ix_fact_kind", "kind"),
        sa.Index("ix_fact_parties", "parties", postgresql_using="gin"),
    )

    id: Mapped[uuid_pk]
    number: Mapped[int] = mapped_column(sa.Identity(always=True), unique=True)
    xid: Mapped[int] = mapped_column(server_default=sa.text("(pg_current_xact_id()::text)::bigint"))
    kind: Mapped[str]
    recorded_at: Mapped[datetime]
    actor_id: Mapped[UUID | None]
    door: Mapped[str]
    subject_type: Mapped[str]
    subject_id: Mapped[UUID]
    parties: Mapped[list[UUID]] = mapped_column(ARRAY(PgUUID(as_uuid=True)))
    body: Mapped[str]


class Seal(Base):
    """The place of a fact in the sealed sequence: gap-free from 1."""

    __tablename__ = "seal"
    __table_args__ = (sa.CheckConstraint("seq > 0", name="seq_positive"),)

    seq: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    fact_id: Mapped[UUID] = mapped_column(sa.ForeignKey("fact.id"), unique=True)
    leaf_hash: Mapped[bytes]


class Checkpoint(Base):
    """A signed tree head (C2SP tlog-checkpoint): the first `tree_size` facts had this root at this time."""

    __tablename__ = "checkpoint"

    tree_size: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    root: Mapped[bytes]
    made_at: Mapped[datetime] = mapped_column(index=True)
    note: Mapped[str]
