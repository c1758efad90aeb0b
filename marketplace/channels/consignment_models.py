"""Consignment in a channel's shops: what they report as sold, and what they count."""

from __future__ import annotations

from datetime import date, datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from marketplace.channels.states import BorneBy, CountCause
from marketplace.database import Base, choice, row_id, uuid_pk


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
    cause: Mapped[CountCause | None] = choice(CountCause, "count_cause", nullable=True)
    unit_price_fen: Mapped[int]
    amount_fen: Mapped[int]
