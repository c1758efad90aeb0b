"""Counts of shops as their channel and the sellers of the goods read them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from itertools import groupby
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from marketplace.actors import Actor
from marketplace.catalog.models import Place
from marketplace.channels.consignment_models import StockCount, StockCountLine
from marketplace.channels.shop_views import goods, lines_of, lines_of_seller, require_own, within
from marketplace.paging import DEFAULT_LIMIT, paginate, sort_keys

SORTS: dict[str, sa.SQLColumnExpression[Any]] = {
    "counted_on": StockCount.__table__.c.counted_on,
    "place": Place.__table__.c.name,
    "reported_at": StockCount.__table__.c.reported_at,
}


def list_counts(
    session: Session,
    actor: Actor,
    *,
    from_day: date | None = None,
    to_day: date | None = None,
    sort: str | None = None,
    limit: int = DEFAULT_LIMIT,
    after: str | None = None,
) -> dict[str, Any]:
    """The channel's own counts, the newest day first or by one of `SORTS`; one query."""
    own = _heads().where(StockCount.channel_id == actor.organisation_id)
    statement = within(own, StockCount.counted_on, from_day, to_day)
    keys: list[tuple[sa.SQLColumnExpression[Any], bool]] = [
        (StockCount.counted_on, True), (StockCount.version, True), (StockCount.id, True),
    ]  # fmt: skip
    if sort is not None:
        keys = sort_keys(SORTS, sort, StockCount.__table__.c.id)
    return paginate(session, statement, keys, limit=limit, after=after, shape=_head)


def own_count(session: Session, actor: Actor, count_id: UUID) -> dict[str, Any]:
    """One count with its lines. Raises NotFound for another channel's."""
    require_own(session, actor, StockCount, count_id)
    return count_view(session, count_id)


def count_view(session: Session, count_id: UUID) -> dict[str, Any]:
    """A count as it was reported: lot by lot, what the books held, what was counted, and the differences."""
    session.flush()
    row = session.execute(_heads().where(StockCount.id == count_id)).one()
    lines = session.execute(lines_of(StockCountLine, StockCountLine.count_id == count_id)).all()
    return {**_head(row), "lines": [_lot(list(rows)) for _, rows in groupby(lines, lambda r: r[0].lot_id)]}


COUNTED_SORTS: dict[str, sa.SQLColumnExpression[Any]] = {
    "counted_on": StockCount.__table__.c.counted_on,
    "expected": StockCountLine.__table__.c.expected,
    "counted": StockCountLine.__table__.c.counted,
    "borne_fen": StockCountLine.__table__.c.amount_fen,
}


def counted_of_seller(
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
    """Rows of all channels' counts of the seller's own goods, the newest first or by `COUNTED_SORTS`; one query."""
    belongs = StockCount.id == StockCountLine.count_id
    statement = within(
        lines_of_seller(StockCountLine, StockCount, belongs, actor, channel_id),
        StockCount.counted_on, from_day, to_day,
    )  # fmt: skip
    keys = sort_keys(COUNTED_SORTS, sort, StockCountLine.__table__.c.id)
    return paginate(session, statement, keys, limit=limit, after=after, shape=_counted)


def _lot(rows: list[Any]) -> dict[str, Any]:
    first, trace_code, name, spec, unit = rows[0]
    return {
        "trace_code": trace_code,
        "product_id": first.product_id,
        "seller_id": first.seller_id,
        "expected": first.expected,
        "counted": rows[-1][0].counted,
        "unit_price_fen": first.unit_price_fen,
        "amount_fen": sum(row[0].amount_fen for row in rows),
        "differences": list(_differences(row[0] for row in rows)),
        "name": f"{name} {spec}",
        "unit": unit,
    }


def _differences(lines: Iterable[StockCountLine]) -> Iterable[dict[str, Any]]:
    for line in lines:
        kind = "spoilage" if line.spoilage else "loss" if line.loss > 0 else "found"
        quantity = abs(line.spoilage or line.loss)
        if quantity:
            yield {
                "kind": kind,
                "quantity": quantity,
                "cause": None if line.cause is None else line.cause.value,
                "borne_by": line.borne_by.value,
                "amount_fen": line.amount_fen,
            }


def _counted(row: Any) -> dict[str, Any]:
    line, count = row[:2]
    return {
        **goods(row),
        "count_id": count.id,
        "counted_on": count.counted_on,
        "expected": line.expected,
        "counted": line.counted,
        "spoilage": line.spoilage,
        "loss": line.loss,
        "cause": None if line.cause is None else line.cause.value,
        "borne_by": line.borne_by.value,
        "amount_fen": line.amount_fen,
    }


def _heads() -> sa.Select[StockCount, str]:
    return sa.select(StockCount, Place.name).join(Place, Place.id == StockCount.place_id)


def _head(row: Any) -> dict[str, Any]:
    count, place = row[:2]
    return {
        "id": count.id,
        "place_id": count.place_id,
        "place": place,
        "counted_on": count.counted_on,
        "version": count.version,
        "reported_at": count.reported_at,
    }
