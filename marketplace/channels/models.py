"""Agreements, assortments, keys and orders of channels; consignment, statements and webhooks beside them."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import Mapped, mapped_column

from marketplace.channels.states import (
    BorneBy,
    ChangeState,
    DeliveryState,
    DisputeState,
    KeyMode,
    Pattern,
    StatementLineKind,
    StatementState,
)
from marketplace.database import Base, choice, row_id, uuid_pk


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


class SalesReport(Base):
    """What a shop sold on a day. A correction is a red entry (冲红) of the version before, then a new version."""

    __tablename__ = "sales_report"
    __table_args__ = (sa.UniqueConstraint("channel_id", "place_id", "business_day", "version"),)

    id: Mapped[uuid_pk]
    channel_id: Mapped[UUID] = mapped_column(sa.ForeignKey("organisation.id"))
    place_id: Mapped[UUID] = mapped_column(sa.ForeignKey("place.id"))
    business_day: Mapped[date]
    version: Mapped[int]
    red: Mapped[bool] = mapped_column(default=False)
    corrects_id: Mapped[UUID | None] = mapped_column(sa.ForeignKey("sales_report.id"))
    digest: Mapped[bytes]
    total_fen: Mapped[int]
    reported_by: Mapped[UUID | None] = mapped_column(sa.ForeignKey("app_user.id"))
    reported_at: Mapped[datetime]


class SalesReportLine(Base):
    """Packs of one lot sold at the shop; red lines are negative. `amount_fen` is what the channel owes for them."""

    __tablename__ = "sales_report_line"
    __table_args__ = (sa.CheckConstraint("amount_fen = quantity * unit_price_fen", name="amount_adds_up"),)

    id: Mapped[row_id]
    report_id: Mapped[UUID] = mapped_column(sa.ForeignKey("sales_report.id"), index=True)
    position: Mapped[int]
    product_id: Mapped[UUID] = mapped_column(sa.ForeignKey("product.id"))
    seller_id: Mapped[UUID] = mapped_column(sa.ForeignKey("organisation.id"), index=True)
    stock_id: Mapped[int] = mapped_column(sa.ForeignKey("stock.id"))
    lot_id: Mapped[UUID] = mapped_column(sa.ForeignKey("lot.id"))
    quantity: Mapped[int]
    unit_price_fen: Mapped[int]
    amount_fen: Mapped[int]
    # What the customers paid, where the shop tells.
    retail_fen: Mapped[int | None]


class StockCount(Base):
    """盘点 of a shop: what stood there, what had spoilt, what was missing, and who bears it."""

    __tablename__ = "stock_count"
    __table_args__ = (sa.UniqueConstraint("channel_id", "place_id", "counted_on", "version"),)

    id: Mapped[uuid_pk]
    channel_id: Mapped[UUID] = mapped_column(sa.ForeignKey("organisation.id"))
    place_id: Mapped[UUID] = mapped_column(sa.ForeignKey("place.id"))
    counted_on: Mapped[date]
    version: Mapped[int]
    digest: Mapped[bytes]
    reported_by: Mapped[UUID | None] = mapped_column(sa.ForeignKey("app_user.id"))
    reported_at: Mapped[datetime]


class StockCountLine(Base):
    """expected = counted + spoilage + loss; a negative loss is goods found. Fen are owed when the channel bears it."""

    __tablename__ = "stock_count_line"
    __table_args__ = (sa.CheckConstraint("expected = counted + spoilage + loss", name="adds_up"),)

    id: Mapped[row_id]
    count_id: Mapped[UUID] = mapped_column(sa.ForeignKey("stock_count.id"), index=True)
    position: Mapped[int]
    product_id: Mapped[UUID] = mapped_column(sa.ForeignKey("product.id"))
    seller_id: Mapped[UUID] = mapped_column(sa.ForeignKey("organisation.id"), index=True)
    stock_id: Mapped[int] = mapped_column(sa.ForeignKey("stock.id"))
    lot_id: Mapped[UUID] = mapped_column(sa.ForeignKey("lot.id"))
    expected: Mapped[int]
    counted: Mapped[int]
    spoilage: Mapped[int] = mapped_column(default=0)
    loss: Mapped[int] = mapped_column(default=0)
    borne_by: Mapped[BorneBy] = choice(BorneBy, "count_borne_by")
    unit_price_fen: Mapped[int]
    amount_fen: Mapped[int]


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


class WebhookEndpoint(Base):
    """Where a channel wants its events. Secrets are encrypted; the one before stays good until `previous_until`."""

    __tablename__ = "webhook_endpoint"

    id: Mapped[uuid_pk]
    channel_id: Mapped[UUID] = mapped_column(sa.ForeignKey("organisation.id"), index=True)
    url: Mapped[str]
    # Empty: all kinds of events.
    kinds: Mapped[list[str]] = mapped_column(ARRAY(sa.Text))
    secret: Mapped[bytes]
    previous_secret: Mapped[bytes | None]
    previous_until: Mapped[datetime | None]
    created_by: Mapped[UUID] = mapped_column(sa.ForeignKey("app_user.id"))
    created_at: Mapped[datetime]
    # Events given up before this are not held against it.
    watched_since: Mapped[datetime]
    disabled_at: Mapped[datetime | None]
    disabled_reason: Mapped[str | None]
    version: Mapped[int] = mapped_column(default=1)


class WebhookDelivery(Base):
    """One event for one endpoint. `order_key` is the subject whose events go out one after another."""

    __tablename__ = "webhook_delivery"
    __table_args__ = (
        sa.UniqueConstraint("endpoint_id", "event_id"),
        sa.Index("ix_webhook_delivery_due", "next_at", "id", postgresql_where=sa.text("state = 'pending'")),
        sa.Index("ix_webhook_delivery_order", "endpoint_id", "order_key", "seq"),
    )

    id: Mapped[uuid_pk]
    endpoint_id: Mapped[UUID] = mapped_column(sa.ForeignKey("webhook_endpoint.id"))
    event_id: Mapped[UUID]
    seq: Mapped[int]
    kind: Mapped[str]
    order_key: Mapped[UUID]
    body: Mapped[str]
    state: Mapped[DeliveryState] = choice(DeliveryState, "webhook_delivery_state")
    attempts: Mapped[int] = mapped_column(default=0)
    next_at: Mapped[datetime]
    made_at: Mapped[datetime]
    delivered_at: Mapped[datetime | None]


class WebhookAttempt(Base):
    """One try: the status answered, or the kind of failure; never the body that came back."""

    __tablename__ = "webhook_attempt"

    id: Mapped[row_id]
    delivery_id: Mapped[UUID] = mapped_column(sa.ForeignKey("webhook_delivery.id"), index=True)
    tried_at: Mapped[datetime]
    status: Mapped[int | None]
    failure: Mapped[str | None]
    took_ms: Mapped[int]


class WebhookCursor(Base):
    """Up to which seal the events were handed out."""

    __tablename__ = "webhook_cursor"

    name: Mapped[str] = mapped_column(primary_key=True)
    seq: Mapped[int]
