"""What the market regulator looks at: samples, pass rates against the goal, lots off sale."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from marketplace.accounts.models import Organisation, Region
from marketplace.actors import Actor, Permission
from marketplace.catalog.models import Category, Lot, LotState, Product
from marketplace.errors import Forbidden
from marketplace.paging import DEFAULT_LIMIT, Key, paginate
from marketplace.trace.models import HoldCause, Inspection, LotHold
from marketplace.trace.queries import lots_in_scope
from marketplace.values import ratio_bp

# 专项行动9: sampling of the main products at origin, at least 98 % of the samples pass.
GOAL_BP = 9_800


class RateBy(StrEnum):
    COUNTY = "county"
    CATEGORY = "category"
    SELLER = "seller"
    MONTH = "month"


SORTS = ("sampled_on", "-sampled_on")


def _samples_in_scope(actor: Actor) -> sa.ColumnElement[bool]:
    """Samples of the counties of the actor's region; a city's office sees the whole city."""
    if not any(actor.can(p) for p in (Permission.INSPECTION_RECORD, Permission.PRODUCT_RECOGNISE)):
        raise Forbidden(permission=Permission.INSPECTION_RECORD.value)
    if actor.can(Permission.SYSTEM) or actor.region_code is None:
        return sa.true()
    if actor.region_code.endswith("00") or actor.organisation_kind == "lab":
        return Inspection.county_code.startswith(actor.region_code[:4], autoescape=True)
    return Inspection.county_code == actor.region_code


def _of_period(year: int) -> sa.ColumnElement[bool]:
    return Inspection.sampled_on.between(date(year, 1, 1), date(year, 12, 31))


def samples(
    session: Session,
    actor: Actor,
    *,
    year: int,
    passed: bool | None = None,
    county: str | None = None,
    sort: str | None = None,
    limit: int = DEFAULT_LIMIT,
    after: str | None = None,
) -> dict[str, Any]:
    """A page of the samples of a year, newest first; those of a lot name it. Raises BadCursor (`bad-cursor`)."""
    statement = (
        sa.select(
            Inspection,
            Region.name.label("county"),
            Lot.trace_code,
            Lot.state,
            Organisation.name.label("seller"),
        )
        .join(Region, Region.code == Inspection.county_code)
        .outerjoin(Lot, Lot.id == Inspection.lot_id)
        .outerjoin(Organisation, Organisation.id == Lot.seller_id)
        .where(_samples_in_scope(actor), _of_period(year))
    )
    if passed is not None:
        statement = statement.where(Inspection.passed == passed)
    if county is not None:
        statement = statement.where(Inspection.county_code == county)
    down = sort != "sampled_on"
    columns = Inspection.__table__.c
    keys: list[Key] = [(columns.sampled_on, down), (columns.id, down)]
    return paginate(session, statement, keys, limit=limit, after=after, shape=_sample)


def _sample(row: Any) -> dict[str, Any]:
    sample: Inspection = row.Inspection
    names = "id lot_id product_name campaign sample_number sampled_on items passed document_id"
    return {name: getattr(sample, name) for name in names.split()} | {
        "county": row.county,
        "trace_code": row.trace_code,
        "lot_state": row.state,
        "seller": row.seller,
    }


def pass_rates(session: Session, actor: Actor, *, year: int, by: RateBy) -> dict[str, Any]:
    """Passed of all samples of a year by county, category, seller or month, the worst first; months in their order.

    {rows: [{key, name, samples, passed, rate_bp}], total}. Samples of no lot have no seller and no category: one row
    with the key "" holds them. `rate_bp` is None without a sample.
    """
    month = sa.func.to_char(Inspection.sampled_on, "YYYY-MM")
    keys: dict[RateBy, tuple[Any, Any]] = {
        RateBy.COUNTY: (Inspection.county_code, Region.name),
        RateBy.CATEGORY: (sa.func.coalesce(Category.code, ""), sa.func.coalesce(Category.name, "")),
        RateBy.SELLER: (
            sa.func.coalesce(sa.cast(Organisation.id, sa.Text), ""),
            sa.func.coalesce(Organisation.name, ""),
        ),
        RateBy.MONTH: (month, month),
    }
    key, name = keys[by]
    rows = session.execute(
        sa.select(
            key.label("key"),
            name.label("name"),
            sa.func.count().label("samples"),
            sa.func.count().filter(Inspection.passed).label("passed"),
        )
        .select_from(Inspection)
        .join(Region, Region.code == Inspection.county_code)
        .outerjoin(Lot, Lot.id == Inspection.lot_id)
        .outerjoin(Product, Product.id == Lot.product_id)
        .outerjoin(Category, Category.code == Product.category_code)
        .outerjoin(Organisation, Organisation.id == Lot.seller_id)
        .where(_samples_in_scope(actor), _of_period(year))
        .group_by(sa.text("1"), sa.text("2"))
    ).all()
    told = [
        {"key": r.key, "name": r.name, "samples": r.samples, "passed": r.passed,
         "rate_bp": ratio_bp(r.passed, r.samples)}
        for r in rows
    ]  # fmt: skip
    told.sort(key=lambda r: r["key"] if by is RateBy.MONTH else (r["rate_bp"], -r["samples"], r["key"]))
    whole = sum(r["samples"] for r in told)
    passed = sum(r["passed"] for r in told)
    return {
        "rows": told,
        "total": {"samples": whole, "passed": passed, "rate_bp": ratio_bp(passed, whole)},
    }


def lots_off_sale(session: Session, actor: Actor, limit: int) -> Sequence[dict[str, Any]]:
    """Lots that are held now, the longest held first, each with the first open cause."""
    actor.require(Permission.LOT_HOLD)
    rows = session.execute(
        sa.select(
            Lot.id,
            Lot.trace_code,
            Product.name.label("product"),
            Organisation.name.label("seller"),
            Region.name.label("county"),
            sa.func.min(LotHold.held_at).label("since"),
            sa.func.array_agg(sa.distinct(sa.cast(LotHold.cause, sa.Text))).label("causes"),
        )
        .join(Product, Product.id == Lot.product_id)
        .join(Region, Region.code == Product.county_code)
        .join(Organisation, Organisation.id == Lot.seller_id)
        .join(LotHold, sa.and_(LotHold.lot_id == Lot.id, LotHold.lifted_at.is_(None)))
        .where(lots_in_scope(actor), Lot.state == LotState.HELD)
        .group_by(Lot.id, Product.name, Organisation.name, Region.name)
        .order_by(sa.text("since"), Lot.id)
        .limit(limit)
    )
    return [
        {**row._mapping, "causes": sorted(row.causes), "regulator": HoldCause.SELLER.value not in row.causes}
        for row in rows
    ]
