"""What reports of sales and counts of shops have in common for those who read them: their days, lines and owners."""

from __future__ import annotations

from datetime import date
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from marketplace.accounts.models import Organisation
from marketplace.actors import Actor
from marketplace.catalog.models import Lot, Place, Product
from marketplace.channels.consignment_models import SalesReport, SalesReportLine, StockCount, StockCountLine
from marketplace.errors import NotFound

Paper = type[SalesReport] | type[StockCount]
Line = type[SalesReportLine] | type[StockCountLine]


def within(
    statement: Any, day: sa.SQLColumnExpression[date], from_day: date | None, to_day: date | None
) -> Any:
    """The statement with the days from `from_day` to `to_day`, both of them included."""
    if from_day is not None:
        statement = statement.where(day >= from_day)
    if to_day is not None:
        statement = statement.where(day <= to_day)
    return statement


def require_own(session: Session, actor: Actor, paper: Paper, paper_id: UUID) -> None:
    """Raises NotFound for another channel's, as for none."""
    found = session.scalar(
        sa.select(paper.id).where(paper.id == paper_id, paper.channel_id == actor.organisation_id)
    )
    if found is None:
        raise NotFound


def lines_of(line: Line, belongs: sa.ColumnElement[bool]) -> sa.Select[*tuple[Any, ...]]:
    """(line, trace code, name, spec, unit) of one paper, in its order."""
    return (
        sa.select(line, Lot.trace_code, Product.name, Product.spec, Product.pack_unit)
        .join(Lot, Lot.id == line.lot_id)
        .join(Product, Product.id == line.product_id)
        .where(belongs)
        .order_by(line.position)
    )


def lines_of_seller(
    line: Line, paper: Paper, belongs: sa.ColumnElement[bool], actor: Actor, channel_id: UUID | None
) -> sa.Select[*tuple[Any, ...]]:
    """(line, paper, channel, place, trace code, sku, name, spec, unit) of the seller's goods in all channels or one."""
    statement = (
        sa.select(
            line, paper, Organisation.name, Place.name, Lot.trace_code, Product.sku, Product.name, Product.spec,
            Product.pack_unit,
        )
        .join(paper, belongs)
        .join(Organisation, Organisation.id == paper.channel_id)
        .join(Place, Place.id == paper.place_id)
        .join(Lot, Lot.id == line.lot_id)
        .join(Product, Product.id == line.product_id)
        .where(line.seller_id == actor.organisation_id)
    )  # fmt: skip
    return statement if channel_id is None else statement.where(paper.channel_id == channel_id)


def goods(row: Any) -> dict[str, Any]:
    """Where a line of `lines_of_seller` was sold or counted, and what it is about."""
    line, paper, channel, place, trace_code, sku, name, spec, unit = row[:9]
    return {
        "channel": {"id": paper.channel_id, "name": channel},
        "place": {"id": paper.place_id, "name": place},
        "trace_code": trace_code,
        "product_id": line.product_id,
        "sku": sku,
        "name": f"{name} {spec}",
        "unit": unit,
    }
