"""Counts of shops as their channel and the sellers of the goods read them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from itertools import groupby
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from marketplace.accounts.models import Organisation
from marketplace.actors import Actor
from marketplace.catalog.models import Lot, Place, Product
from marketplace.channels.consignment_models import StockCount, StockCountLine
from marketplace.errors import NotFound
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
    statement = _within(_heads().where(StockCount.channel_id == actor.organisation_id), from_day, to_day)
    keys: list[tuple[sa.SQLColumnExpression[Any], bool]] = [
        (StockCount.counted_on, True), (StockCount.version, True), (StockCount.id, True),
    ]  # fmt: skip
    if sort is not None:
        keys = sort_keys(SORTS, sort, StockCount.__table__.c.id)
    return paginate(session, statement, keys, limit=limit, after=after, shape=_head)


def own_count(session: Session, actor: Actor, count_id: UUID) -> dict[str, Any]:
    """One count with its lines. Raises NotFound for another channel's."""
    found = session.scalar(
        sa.select(StockCount.id).where(
            StockCount.id == count_id, StockCount.channel_id == actor.organisation_id
        )
    )
    if found is None:
        raise NotFound
    return count_view(session, count_id)


def count_view(session: Session, count_id: UUID) -> dict[str, Any]:
    """A count as it was reported: lot by lot, what the books held, what was counted, and the differences."""
    session.flush()
    row = session.execute(_heads().where(StockCount.id == count_id)).one()
    lines = session.execute(
        sa.select(StockCountLine, Lot.trace_code, Product.name, Product.spec, Product.pack_unit)
        .join(Lot, Lot.id == StockCountLine.lot_id)
        .join(Product, Product.id == StockCountLine.product_id)
        .where(StockCountLine.count_id == count_id)
        .order_by(StockCountLine.position)
    ).all()
    return {**_head(row), "lines": [_lot(list(rows)) for _, rows in groupby(lines, lambda r: r[0].lot_id)]}


def counted_of_seller(
    session: Session,
    actor: Actor,
    *,
    channel_id: UUID | None = None,
    from_day: date | None = None,
    to_day: date | None = None,
    limit: int = DEFAULT_LIMIT,
    after: str | None = None,
) -> dict[str, Any]:
    """Rows of all channels' counts of the seller's own goods, the newest first; one query."""
    statement = (
        sa.select(
            StockCountLine, StockCount, Organisation.name, Place.name, Lot.trace_code, Product.sku, Product.name,
            Product.spec, Product.pack_unit,
        )
        .join(StockCount, StockCount.id == StockCountLine.count_id)
        .join(Organisation, Organisation.id == StockCount.channel_id)
        .join(Place, Place.id == StockCount.place_id)
        .join(Lot, Lot.id == StockCountLine.lot_id)
        .join(Product, Product.id == StockCountLine.product_id)
        .where(StockCountLine.seller_id == actor.organisation_id)
    )  # fmt: skip
    if channel_id is not None:
        statement = statement.where(StockCount.channel_id == channel_id)
    keys: list[tuple[sa.SQLColumnExpression[Any], bool]] = [(StockCountLine.id, True)]
    return paginate(
        session, _within(statement, from_day, to_day), keys, limit=limit, after=after, shape=_counted
    )


def _within(statement: Any, from_day: date | None, to_day: date | None) -> Any:
    if from_day is not None:
        statement = statement.where(StockCount.counted_on >= from_day)
    if to_day is not None:
        statement = statement.where(StockCount.counted_on <= to_day)
    return statement


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
    line, count, channel, place, trace_code, sku, name, spec, unit = row[:9]
    return {
        "count_id": count.id,
        "channel": {"id": count.channel_id, "name": channel},
        "place": {"id": count.place_id, "name": place},
        "counted_on": count.counted_on,
        "trace_code": trace_code,
        "product_id": line.product_id,
        "sku": sku,
        "name": f"{name} {spec}",
        "unit": unit,
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
