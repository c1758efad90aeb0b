"""What no statement has charged yet: lines of sales reports and stock counts of one channel."""

from __future__ import annotations

from datetime import date
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from marketplace.channels.consignment_models import SalesReport, SalesReportLine, StockCount, StockCountLine
from marketplace.channels.statement_models import Statement, StatementLine
from marketplace.channels.statement_rules import Counted, Sold
from marketplace.channels.states import BorneBy


def sold_lines(session: Session, channel_id: UUID, seller_id: UUID, until: date) -> list[Sold]:
    """Reports of days up to `until`, also of days long past, that came in after the statement before."""
    report, line = SalesReport, SalesReportLine
    rows = session.execute(
        sa.select(report, line)
        .join(line, line.report_id == report.id)
        .where(
            report.channel_id == channel_id,
            report.business_day <= until,
            line.seller_id == seller_id,
            _uncharged(channel_id, line.seller_id, report.id),
        )
    )
    return [
        Sold(
            head.id, head.business_day, row.position, head.red, row.product_id, row.lot_id, row.quantity,
            row.unit_price_fen,
        )
        for head, row in rows
    ]  # fmt: skip


def counted_lines(session: Session, channel_id: UUID, seller_id: UUID, until: date) -> list[Counted]:
    """Counts in the same way."""
    count, line = StockCount, StockCountLine
    rows = session.execute(
        sa.select(count, line)
        .join(line, line.count_id == count.id)
        .where(
            count.channel_id == channel_id,
            count.counted_on <= until,
            line.seller_id == seller_id,
            _uncharged(channel_id, line.seller_id, count.id),
        )
    )
    return [
        Counted(
            head.id, head.counted_on, row.position, row.borne_by, row.product_id, row.lot_id, row.spoilage,
            row.loss, row.unit_price_fen,
        )
        for head, row in rows
    ]  # fmt: skip


def sellers_waiting(session: Session, channel_id: UUID, until: date) -> list[UUID]:
    """Sellers of whose goods something was sold, or is borne by the channel, that no statement has."""
    sold = (
        sa.select(SalesReportLine.seller_id)
        .join(SalesReport, SalesReport.id == SalesReportLine.report_id)
        .where(
            SalesReport.channel_id == channel_id,
            SalesReport.business_day <= until,
            SalesReportLine.quantity != 0,
            _uncharged(channel_id, SalesReportLine.seller_id, SalesReport.id),
        )
    )
    counted = (
        sa.select(StockCountLine.seller_id)
        .join(StockCount, StockCount.id == StockCountLine.count_id)
        .where(
            StockCount.channel_id == channel_id,
            StockCount.counted_on <= until,
            StockCountLine.borne_by == BorneBy.CHANNEL,
            sa.or_(StockCountLine.spoilage != 0, StockCountLine.loss != 0),
            _uncharged(channel_id, StockCountLine.seller_id, StockCount.id),
        )
    )
    return sorted(session.scalars(sa.union(sold, counted)).all())


def _uncharged(
    channel_id: UUID, seller_id: sa.SQLColumnExpression[UUID], source_id: sa.SQLColumnExpression[UUID]
) -> sa.ColumnElement[bool]:
    charged = (
        sa.select(StatementLine.id)
        .join(Statement, Statement.id == StatementLine.statement_id)
        .where(
            StatementLine.source_id == source_id,
            Statement.channel_id == channel_id,
            Statement.seller_id == seller_id,
        )
    )
    return ~charged.exists()
