"""Sales reports as their channel reads them, and what sellers read of theirs."""

from __future__ import annotations

from datetime import date
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session, aliased

from marketplace.actors import Actor
from marketplace.catalog.models import Place, Product
from marketplace.channels.consignment_models import SalesReport, SalesReportLine
from marketplace.channels.shop_views import goods, lines_of, lines_of_seller, require_own, within
from marketplace.paging import DEFAULT_LIMIT, paginate, sort_keys

_BEFORE = aliased(SalesReport)
SOLD_SORTS: dict[str, sa.SQLColumnExpression[Any]] = {
    "name": Product.__table__.c.name,
    "business_day": SalesReport.__table__.c.business_day,
    "quantity": SalesReportLine.__table__.c.quantity,
    "amount": SalesReportLine.__table__.c.amount_fen,
}
REPORT_SORTS: dict[str, sa.SQLColumnExpression[Any]] = {
    "business_day": SalesReport.__table__.c.business_day,
    "place": Place.__table__.c.name,
    "total": SalesReport.__table__.c.total_fen,
    "reported_at": SalesReport.__table__.c.reported_at,
}


def list_reports(
    session: Session,
    actor: Actor,
    *,
    from_day: date | None = None,
    to_day: date | None = None,
    sort: str | None = None,
    limit: int = DEFAULT_LIMIT,
    after: str | None = None,
) -> dict[str, Any]:
    """Every version of the channel's own reports, red entries among them; one query.

    The newest day first, or by one of `REPORT_SORTS`.
    """
    own = _heads().where(SalesReport.channel_id == actor.organisation_id)
    statement = within(own, SalesReport.business_day, from_day, to_day)
    keys: list[tuple[sa.SQLColumnExpression[Any], bool]] = [
        (SalesReport.business_day, True), (SalesReport.version, True), (SalesReport.id, True),
    ]  # fmt: skip
    if sort is not None:
        keys = sort_keys(REPORT_SORTS, sort, SalesReport.__table__.c.id)
    return paginate(session, statement, keys, limit=limit, after=after, shape=_head)


def own_report(session: Session, actor: Actor, report_id: UUID) -> dict[str, Any]:
    """One version with its lines. Raises NotFound for another channel's."""
    require_own(session, actor, SalesReport, report_id)
    return report_view(session, report_id)


def report_view(session: Session, report_id: UUID) -> dict[str, Any]:
    """What never changes of a version, so that it can be told again as at first."""
    session.flush()
    row = session.execute(_heads().where(SalesReport.id == report_id)).one()
    lines = session.execute(lines_of(SalesReportLine, SalesReportLine.report_id == report_id))
    return {
        **_head(row),
        "lines": [
            {
                "position": line.position,
                "trace_code": trace_code,
                "product_id": line.product_id,
                "seller_id": line.seller_id,
                "quantity": line.quantity,
                "unit_price_fen": line.unit_price_fen,
                "amount_fen": line.amount_fen,
                "retail_fen": line.retail_fen,
                "name": f"{name} {spec}",
                "unit": unit,
            }
            for line, trace_code, name, spec, unit in lines
        ],
    }


def sold_of_seller(
    session: Session,
    actor: Actor,
    *,
    channel_id: UUID | None = None,
    from_day: date | None = None,
    to_day: date | None = None,
    sort: str | None = None,
    limit: int = DEFAULT_LIMIT,
    after: str | None = None,
) -> dict[str, Any]:
    """Lines of all channels' reports of the seller's own goods, the newest first or by `SOLD_SORTS`; one query."""
    belongs = SalesReport.id == SalesReportLine.report_id
    statement = within(
        lines_of_seller(SalesReportLine, SalesReport, belongs, actor, channel_id),
        SalesReport.business_day, from_day, to_day,
    )  # fmt: skip
    keys = sort_keys(SOLD_SORTS, sort, SalesReportLine.__table__.c.id)
    return paginate(session, statement, keys, limit=limit, after=after, shape=_sold)


def _sold(row: Any) -> dict[str, Any]:
    line, report = row[:2]
    return {
        **goods(row),
        "report_id": report.id,
        "business_day": report.business_day,
        "version": report.version,
        "red": report.red,
        "quantity": line.quantity,
        "unit_price_fen": line.unit_price_fen,
        "amount_fen": line.amount_fen,
        "retail_fen": line.retail_fen,
    }


def _heads() -> sa.Select[SalesReport, str, int | None]:
    return (
        sa.select(SalesReport, Place.name, _BEFORE.version)
        .join(Place, Place.id == SalesReport.place_id)
        .outerjoin(_BEFORE, _BEFORE.id == SalesReport.corrects_id)
    )


def _head(row: Any) -> dict[str, Any]:
    report, place, before = row[:3]
    return {
        "id": report.id,
        "place_id": report.place_id,
        "place": place,
        "business_day": report.business_day,
        "version": report.version,
        "red": report.red,
        "corrects": before,
        "total_fen": report.total_fen,
        "reported_at": report.reported_at,
    }
