"""The live parts of a product's answers as SQL: what is on sale until a day, and whether it counts.

Their bind parameters have lasting names (`until`, `day`, `year`, `certification`), so that a statement made of them
can be kept and given its values with each execution.
"""

from __future__ import annotations

from datetime import date
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import aggregate_order_by

from marketplace.accounts.models import Organisation
from marketplace.catalog.models import Lot, Product, ProductCertification, Stock
from marketplace.catalog.states import ProductState
from marketplace.clock import budget_year
from marketplace.policies.models import CountyEligibility

P = Product.__table__.c
SELLER = Organisation.__table__.c
# In the text of the statement: partial indexes hold for it, whatever plan is kept.
RECOGNISED: sa.ColumnElement[Any] = sa.literal_column(f"'{ProductState.RECOGNISED.value}'")


def _for_sale(until: date, *columns: Any) -> sa.Select[Any]:
    """Stock of released lots that last to `until`, at the places of the product's own seller."""
    return (
        sa.select(*columns)
        .select_from(Stock)
        .where(
            Stock.product_id == P.id,
            Stock.on_sale,
            Stock.best_before >= sa.bindparam("until", until, sa.Date),
        )
        .correlate(Product)
    )


def available_quantity(until: date) -> sa.ColumnElement[int]:
    """Packs that can still be ordered for delivery on `until`."""
    total = sa.cast(sa.func.coalesce(sa.func.sum(Stock.on_hand - Stock.reserved), 0), sa.BigInteger)
    return _for_sale(until, total).scalar_subquery()


def stocked(until: date) -> sa.ColumnElement[bool]:
    return _for_sale(until, sa.literal(1)).where(Stock.on_hand > Stock.reserved).exists()


def lots_on_sale(until: date) -> sa.ColumnElement[Any]:
    """JSON list of the lots behind `available_quantity`, the first to expire first."""
    lots = (
        _for_sale(
            until,
            Lot.trace_code,
            Lot.harvested_on,
            Lot.best_before,
            sa.cast(sa.func.sum(Stock.on_hand - Stock.reserved), sa.BigInteger).label("quantity"),
        )
        .join(Lot, Lot.id == Stock.lot_id)
        .group_by(Lot.id)
        .having(sa.func.sum(Stock.on_hand - Stock.reserved) > 0)
        .subquery()
    )
    c = lots.c
    one = sa.func.json_build_object(
        *("trace_code", c.trace_code, "harvested_on", c.harvested_on),
        *("best_before", c.best_before, "quantity", c.quantity),
    )
    ordered = sa.func.json_agg(aggregate_order_by(one, c.best_before, c.trace_code), type_=sa.JSON)
    return sa.select(ordered).select_from(lots).scalar_subquery()


def eligible(day: date) -> sa.ColumnElement[bool]:
    """Whether a purchase placed on `day` counts: recognised, an admitted seller, an eligible county of that year."""
    year = sa.bindparam("year", budget_year(day), sa.Integer)
    on = sa.bindparam("day", day, sa.Date)
    county = (
        sa.select(sa.literal(1))
        .select_from(CountyEligibility)
        .where(
            CountyEligibility.county_code == P.county_code,
            CountyEligibility.from_year <= year,
            sa.or_(CountyEligibility.to_year.is_(None), CountyEligibility.to_year >= year),
        )
        .correlate(Product)
        .exists()
    )
    admitted = sa.and_(
        SELLER.admitted_on.is_not(None), SELLER.admitted_on <= on, SELLER.disabled_at.is_(None)
    )
    return sa.and_(P.state == RECOGNISED, admitted, county)


def certified(scheme: str, day: date) -> sa.ColumnElement[bool]:
    """Has a certificate of the scheme that isn't over."""
    C = ProductCertification
    return (
        sa.select(sa.literal(1))
        .select_from(C)
        .where(C.product_id == P.id, C.scheme == sa.bindparam("certification", scheme))
        .where(sa.or_(C.valid_until.is_(None), C.valid_until >= sa.bindparam("day", day, sa.Date)))
        .correlate(Product)
        .exists()
    )
