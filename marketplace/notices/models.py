"""Notices, who has read them, where they are also sent, and how far the follower of the journal has come."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import Mapped, mapped_column

from marketplace.database import Base, row_id, uuid_pk


class Notice(Base):
    """One wait, or one piece of news. `organisation_id` is empty for the offices that have the permission.

    Made from the sealed journal and from nothing else, so all rows can be made anew.
    """

    __tablename__ = "notice"
    __table_args__ = (
        sa.UniqueConstraint(
            "seq", "topic", "subject_id", "organisation_id", postgresql_nulls_not_distinct=True
        ),
        sa.Index("ix_notice_inbox", "organisation_id", "permission", "id"),
        sa.Index(
            "ix_notice_open", "topic", "subject_id", postgresql_where=sa.text("done_at is null and not news")
        ),
    )

    id: Mapped[row_id]
    seq: Mapped[int]
    topic: Mapped[str]
    organisation_id: Mapped[UUID | None] = mapped_column(sa.ForeignKey("organisation.id"))
    # The organisations of the fact: an office of a county is told when one of them is of the county.
    parties: Mapped[list[UUID]] = mapped_column(ARRAY(sa.UUID()))
    permission: Mapped[str]
    news: Mapped[bool]
    subject_type: Mapped[str]
    subject_id: Mapped[UUID]
    # Number, amount and such of the thing, for the text; never a person's data.
    facts: Mapped[Any] = mapped_column(JSONB)
    due_at: Mapped[datetime | None]
    made_at: Mapped[datetime]
    done_at: Mapped[datetime | None]


class NoticeRead(Base):
    """A person has seen a notice."""

    __tablename__ = "notice_read"

    notice_id: Mapped[int] = mapped_column(sa.ForeignKey("notice.id"), primary_key=True)
    user_id: Mapped[UUID] = mapped_column(sa.ForeignKey("app_user.id"), primary_key=True)
    read_at: Mapped[datetime]


class NoticeCursor(Base):
    """The last sealed fact that was looked at."""

    __tablename__ = "notice_cursor"

    name: Mapped[str] = mapped_column(primary_key=True)
    seq: Mapped[int]


class NoticeAddress(Base):
    """Where a person also wants notices: an e-mail address, kept in this row alone."""

    __tablename__ = "notice_address"

    user_id: Mapped[UUID] = mapped_column(sa.ForeignKey("app_user.id"), primary_key=True)
    email: Mapped[str | None]
    set_at: Mapped[datetime]


class NoticeSending(Base):
    """One message that went out or is to go: by e-mail to a person, or by the installation's webhook."""

    __tablename__ = "notice_sending"
    __table_args__ = (
        sa.UniqueConstraint("notice_id", "channel", "user_id", postgresql_nulls_not_distinct=True),
    )

    id: Mapped[uuid_pk]
    notice_id: Mapped[int] = mapped_column(sa.ForeignKey("notice.id"))
    channel: Mapped[str]
    user_id: Mapped[UUID | None] = mapped_column(sa.ForeignKey("app_user.id"))
    made_at: Mapped[datetime]
    sent_at: Mapped[datetime | None]
