"""Consignment in a channel's shops: what sellers send there, what is reported as sold, and what is counted."""

from __future__ import annotations

from datetime import date, datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from marketplace.channels.states import BorneBy, ConsignmentState, CountCause
from marketplace.database import Base, choice, row_id, uuid_pk


class Consignment(Base):
    """代销送货: goods that a seller sends to a channel's shop and that stay the seller's until they are sold there."""

    __tablename__ = "consignment"
    __table_args__ = (
        sa.Index("ix_consignment_channel", "channel_id", "id"),
        sa.Index("ix_consignment_seller", "seller_id", "id"),
    )

    id: Mapped[uuid_pk]
    number: Mapped[str] = mapped_column(unique=True)
    channel_id: Mapped[UUID] = mapped_column(sa.ForeignKey("organisation.id"))
    seller_id: Mapped[UUID] = mapped_column(sa.ForeignKey("organisation.id"))
    agreement_id: Mapped[UUID] = mapped_column(sa.ForeignKey("channel_agreement.id"))
    place_id: Mapped[UUID] = mapped_column(sa.ForeignKey("place.id"))
    state: Mapped[ConsignmentState] = choice(ConsignmentState, "consignment_state")
    sent_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    version: Mapped[int] = mapped_column(default=1)


class ConsignmentLine(Base):
    """Packs of one lot, held at the seller's place (`stock_id`) until the shop takes them over or the seller cancels."""

    __tablename__ = "consignment_line"
    __table_args__ = (
        sa.UniqueConstraint("consignment_id", "position"),
        sa.CheckConstraint("quantity > 0 and accepted between 0 and quantity", name="accepted_range"),
    )

    id: Mapped[uuid_pk]
    consignment_id: Mapped[UUID] = mapped_column(sa.ForeignKey("consignment.id"))
    position: Mapped[int]
    product_id: Mapped[UUID] = mapped_column(sa.ForeignKey("product.id"))
    lot_id: Mapped[UUID] = mapped_column(sa.ForeignKey("lot.id"), index=True)
    trace_code: Mapped[str]
    stock_id: Mapped[int] = mapped_column(sa.ForeignKey("stock.id"))
    quantity: Mapped[int]
    accepted: Mapped[int] = mapped_column(default=0)


class _ShopLine:
    """Packs of one lot of a seller in a channel's shop, and what the channel owes for them."""

    position: Mapped[int]
    product_id: Mapped[UUID] = mapped_column(sa.ForeignKey("product.id"))
    seller_id: Mapped[UUID] = mapped_column(sa.ForeignKey("organisation.id"), index=True)
    stock_id: Mapped[int] = mapped_column(sa.ForeignKey("stock.id"))
    lot_id: Mapped[UUID] = mapped_column(sa.ForeignKey("lot.id"))
    unit_price_fen: Mapped[int]
    amount_fen: Mapped[int]


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


class SalesReportLine(_ShopLine, Base):
    """Packs of one lot sold at the shop; red lines are negative. `amount_fen` is what the channel owes for them."""

    __tablename__ = "sales_report_line"
    __table_args__ = (sa.CheckConstraint("amount_fen = quantity * unit_price_fen", name="amount_adds_up"),)

    id: Mapped[row_id]
    report_id: Mapped[UUID] = mapped_column(sa.ForeignKey("sales_report.id"), index=True)
    quantity: Mapped[int]
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


class StockCountLine(_ShopLine, Base):
    """expected = counted + spoilage + loss; a negative loss is goods found. Fen are owed when the channel bears it."""

    __tablename__ = "stock_count_line"
    __table_args__ = (sa.CheckConstraint("expected = counted + spoilage + loss", name="adds_up"),)

    id: Mapped[row_id]
    count_id: Mapped[UUID] = mapped_column(sa.ForeignKey("stock_count.id"), index=True)
    expected: Mapped[int]
    counted: Mapped[int]
    spoilage: Mapped[int] = mapped_column(default=0)
    loss: Mapped[int] = mapped_column(default=0)
    borne_by: Mapped[BorneBy] = choice(BorneBy, "count_borne_by")
    cause: Mapped[CountCause | None] = choice(CountCause, "count_cause", nullable=True)
