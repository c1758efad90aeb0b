"""Agreements, assortments, keys and orders of channels."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import Mapped, mapped_column

from marketplace.channels.states import ChangeState, KeyMode, Pattern
from marketplace.database import Base, choice, uuid_pk


class ChannelPair(Base):
    """对口协作: a channel's Tianjin district and a county that it is paired with."""

    __tablename__ = "channel_pair"

    channel_id: Mapped[UUID] = mapped_column(sa.ForeignKey("organisation.id"), primary_key=True)
    county_code: Mapped[str] = mapped_column(sa.ForeignKey("region.code"), primary_key=True)
    district_code: Mapped[str] = mapped_column(sa.ForeignKey("region.code"))
    source: Mapped[str]


class ChannelAgreement(Base):
    """协议: how one channel trades in one pattern from a day on. Another price list is another agreement.

    An order for day D may be placed and changed until `order_cut_off` (HH:MM, Shanghai) `lead_days` before D.
    Statements end on `period_end_day` of the month (31: its last day) and are due `due_days` later.
    """

    __tablename__ = "channel_agreement"
    __table_args__ = (
        sa.UniqueConstraint("channel_id", "pattern", "valid_from"),
        sa.CheckConstraint("valid_to is null or valid_to >= valid_from", name="days_in_order"),
        sa.CheckConstraint("order_cut_off ~ '^([01][0-9]|2[0-3]):[0-5][0-9]$'", name="cut_off_is_a_time"),
        sa.CheckConstraint("lead_days between 0 and 30", name="lead_days_range"),
        sa.CheckConstraint("confirm_within_h > 0 and ship_within_h > 0", name="hours_positive"),
        sa.CheckConstraint("period_end_day between 1 and 31 and due_days >= 0", name="period_range"),
    )

    id: Mapped[uuid_pk]
    channel_id: Mapped[UUID] = mapped_column(sa.ForeignKey("organisation.id"))
    pattern: Mapped[Pattern] = choice(Pattern, "trade_pattern")
    price_list_id: Mapped[UUID] = mapped_column(sa.ForeignKey("price_list.id"))
    order_cut_off: Mapped[str]
    lead_days: Mapped[int]
    confirm_within_h: Mapped[int]
    ship_within_h: Mapped[int]
    period_end_day: Mapped[int]
    due_days: Mapped[int]
    # The shop where consignment stock stands; goods for it are sent there.
    place_id: Mapped[UUID | None] = mapped_column(sa.ForeignKey("place.id"))
    valid_from: Mapped[date]
    valid_to: Mapped[date | None]
    made_at: Mapped[datetime]
    version: Mapped[int] = mapped_column(default=1)


class ChannelItem(Base):
    """选品: a product that a channel carries. Sizes are of the box that `box_quantity` packs travel in.

    `changed_at` moves with everything the channel reads of the item, so that it can ask for what is new.
    """

    __tablename__ = "channel_item"
    __table_args__ = (
        sa.UniqueConstraint("channel_id", "product_id"),
        sa.UniqueConstraint("channel_id", "partner_sku"),
        sa.Index("ix_channel_item_changed", "channel_id", "changed_at", "id"),
        sa.CheckConstraint("min_remaining_days >= 0 and box_quantity > 0", name="positive"),
    )

    id: Mapped[uuid_pk]
    channel_id: Mapped[UUID] = mapped_column(sa.ForeignKey("organisation.id"))
    product_id: Mapped[UUID] = mapped_column(sa.ForeignKey("product.id"), index=True)
    partner_sku: Mapped[str | None]
    gtin: Mapped[str | None]
    # Days that must be left until the best-before day when goods arrive.
    min_remaining_days: Mapped[int]
    box_quantity: Mapped[int] = mapped_column(default=1)
    box_gross_g: Mapped[int | None]
    box_length_mm: Mapped[int | None]
    box_width_mm: Mapped[int | None]
    box_height_mm: Mapped[int | None]
    listed_at: Mapped[datetime]
    withdrawn_at: Mapped[datetime | None]
    changed_at: Mapped[datetime]
    version: Mapped[int] = mapped_column(default=1)


class PartnerKey(Base):
    """A key of a channel's programs. Only a peppered digest of its secret is kept; it belongs to the channel."""

    __tablename__ = "partner_key"
    __table_args__ = (
        sa.Index("ix_partner_key_live", "channel_id", "mode", postgresql_where=sa.text("revoked_at is null")),
    )

    id: Mapped[uuid_pk]
    # The part of the key that may be shown: which one it is.
    key_id: Mapped[str] = mapped_column(unique=True)
    channel_id: Mapped[UUID] = mapped_column(sa.ForeignKey("organisation.id"))
    name: Mapped[str]
    mode: Mapped[KeyMode] = choice(KeyMode, "partner_key_mode")
    digest: Mapped[bytes]
    scopes: Mapped[list[str]] = mapped_column(ARRAY(sa.Text))
    created_by: Mapped[UUID] = mapped_column(sa.ForeignKey("app_user.id"))
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    revoked_at: Mapped[datetime | None]
    revoked_by: Mapped[UUID | None] = mapped_column(sa.ForeignKey("app_user.id"))


class PartnerKeyUse(Base):
    """When a key was last used, to the minute. No business state."""

    __tablename__ = "partner_key_use"

    key_id: Mapped[UUID] = mapped_column(sa.ForeignKey("partner_key.id"), primary_key=True)
    used_at: Mapped[datetime]


class PartnerOrder(Base):
    """A channel's order under its own number, which is never used again; `answer` is what was said at first."""

    __tablename__ = "partner_order"
    __table_args__ = (sa.UniqueConstraint("channel_id", "partner_order_no"),)

    id: Mapped[uuid_pk]
    channel_id: Mapped[UUID] = mapped_column(sa.ForeignKey("organisation.id"))
    partner_order_no: Mapped[str]
    agreement_id: Mapped[UUID] = mapped_column(sa.ForeignKey("channel_agreement.id"))
    purchase_id: Mapped[UUID] = mapped_column(sa.ForeignKey("purchase.id"), unique=True)
    # Canonical text of the body, for naming what differs when the number comes again.
    body: Mapped[str]
    digest: Mapped[bytes]
    answer: Mapped[bytes]
    cut_off_at: Mapped[datetime]
    placed_at: Mapped[datetime]


class ChangeRequest(Base):
    """After the cut-off a channel asks, and the seller agrees or refuses. No lines: the whole rest of the order."""

    __tablename__ = "change_request"
    __table_args__ = (
        sa.Index(
            "uq_change_request_open", "order_id", unique=True, postgresql_where=sa.text("state = 'open'")
        ),
    )

    id: Mapped[uuid_pk]
    partner_order_id: Mapped[UUID] = mapped_column(sa.ForeignKey("partner_order.id"), index=True)
    order_id: Mapped[UUID] = mapped_column(sa.ForeignKey("orders.id"))
    # [{line_id, quantity}]: packs that are to go from each line.
    lines: Mapped[Any] = mapped_column(JSONB)
    reason: Mapped[str]
    state: Mapped[ChangeState] = choice(ChangeState, "change_request_state")
    asked_at: Mapped[datetime]
    decided_at: Mapped[datetime | None]
    decided_by: Mapped[UUID | None] = mapped_column(sa.ForeignKey("app_user.id"))
    decision_reason: Mapped[str | None]
