"""The public list of products: filters, ranking and live numbers in one statement a page.

Only recognised products of sellers that are not disabled are listed. Stock is summed from the rows, eligibility joined
from the dated table: neither is stored, so a hold or a new year shows with the next read.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import aggregate_order_by
from sqlalchemy.orm import Session

from marketplace.accounts.models import Organisation
from marketplace.catalog import cards, search
from marketplace.catalog.models import Lot, LotState, Place, Product, ProductCertification, Stock
from marketplace.catalog.search import Script
from marketplace.catalog.states import ProductState
from marketplace.clock import budget_year, today
from marketplace.database import db
from marketplace.errors import RuleViolation
from marketplace.paging import DEFAULT_LIMIT, Key, paginate
from marketplace.policies.models import CountyEligibility

P = Product.__table__.c
SELLER = Organisation.__table__.c


@dataclass(frozen=True)
class Filters:
    """What a reader asks for; prices in fen at the minimum quantity, `deliver_on` the day stock must last to."""

    q: str | None = None
    category: str | None = None
    county: str | None = None
    certification: str | None = None
    seller: UUID | None = None
    available: bool | None = None
    eligible: bool | None = None
    min_price_fen: int | None = None
    max_price_fen: int | None = None
    deliver_on: date | None = None
    sort: str = "relevance"


def list_products(
    session: Session, filters: Filters, *, limit: int = DEFAULT_LIMIT, after: str | None = None
) -> dict[str, Any]:
    """One page in the shape of `ProductOut`, for pages and tests. One query.

    Raises RuleViolation (`bad-cursor`; `invalid` for a delivery day in the past).
    """
    return _page(session, filters, limit, after, _dict)


def list_json(filters: Filters, *, limit: int = DEFAULT_LIMIT, after: str | None = None) -> bytes:
    """The same page as finished JSON, on a connection of its own that opens no transaction.

    A single statement is its own snapshot; BEGIN and ROLLBACK around it would only be two round trips.
    """
    with reading() as session:
        page = _page(session, filters, limit, after, _text)
    return f'{{"items":[{",".join(page["items"])}],"next":{json.dumps(page["next"])}}}'.encode()


def reading() -> Session:
    """A session for reads that are one statement, on an AUTOCOMMIT connection; `with` gives it back."""
    return Session(db.engine.execution_options(isolation_level="AUTOCOMMIT"), autoflush=False)


def _page(session: Session, filters: Filters, limit: int, after: str | None, shape: Any) -> dict[str, Any]:
    statement, keys = listing(filters, today())
    return paginate(session, statement, keys, limit=limit, after=after, shape=shape)


def _text(row: Any) -> str:
    return cards.spliced(row.card, row.available_quantity, row.eligible)


def _dict(row: Any) -> dict[str, Any]:
    return {**json.loads(row.card), "available_quantity": row.available_quantity, "eligible": row.eligible}


def listing(filters: Filters, day: date) -> tuple[sa.Select[Any], Sequence[Key]]:
    """The statement of a list on `day` without its page, and the keys that order it totally."""
    until = delivery_day(filters.deliver_on, day)
    asked = search.analyse(filters.q) if filters.q is not None else None
    statement = (
        sa.select(
            P.card,
            available_quantity(until).label("available_quantity"),
            eligible(day).label("eligible"),
        )
        .join(Organisation, SELLER.id == P.seller_id)
        .where(P.state == ProductState.RECOGNISED.value, SELLER.disabled_at.is_(None))
        .where(*_conditions(filters, asked, day, until))
    )
    return statement, _keys(filters.sort, asked)


def delivery_day(deliver_on: date | None, day: date) -> date:
    """The day that stock must last to. Raises RuleViolation (`invalid`) for a day that is over."""
    until = deliver_on or day
    if until < day:
        raise RuleViolation(errors=[{"parameter": "deliver_on", "detail": "交货日不能早于今天"}])
    return until


def _conditions(
    filters: Filters, asked: search.Query | None, day: date, until: date
) -> list[sa.ColumnElement[bool]]:
    given: list[sa.ColumnElement[bool]] = []
    if asked is not None:
        given.append(P.tokens.contains(list(asked.tokens)) if asked.tokens else sa.false())
    if filters.category is not None:
        given.append(P.category_code.startswith(filters.category, autoescape=True))
    if filters.county is not None:
        given.append(P.county_code == filters.county)
    if filters.seller is not None:
        given.append(P.seller_id == filters.seller)
    if filters.certification is not None:
        given.append(_certified(filters.certification, day))
    if filters.min_price_fen is not None:
        given.append(P.price_fen >= filters.min_price_fen)
    if filters.max_price_fen is not None:
        given.append(P.price_fen <= filters.max_price_fen)
    if filters.available is not None:
        stocked = _stocked(until)
        given.append(stocked if filters.available else ~stocked)
    if filters.eligible is not None:
        given.append(eligible(day) if filters.eligible else ~eligible(day))
    return given


def _keys(sort: str, asked: search.Query | None) -> list[Key]:
    if sort == "price":
        return [(P.price_fen, False), (P.id, False)]
    if sort == "-price":
        return [(P.price_fen, True), (P.id, True)]
    if sort == "newest":
        return [(P.recognised_at, True), (P.id, True)]
    if asked is None:
        # Nothing to be relevant to: the order of entry, in which new rows only ever come last.
        return [(P.id, False)]
    length: sa.ColumnElement[Any] = sa.func.length(P.search_name, type_=sa.Integer)
    return [(rank(asked), False), (length, False), (P.sku, False), (P.id, False)]


def rank(asked: search.Query) -> sa.ColumnElement[int]:
    """0 the exact name, 1 its beginning, 2 inside it, 3 its pinyin, 4 its initials, 5 found by another text."""

    def inside(column: sa.ColumnElement[Any]) -> sa.ColumnElement[bool]:
        return sa.func.strpos(column, asked.compact) > 0

    steps: list[tuple[sa.ColumnElement[bool], int]] = [
        (P.search_name == asked.compact, 0),
        (sa.func.starts_with(P.search_name, asked.compact), 1),
        (inside(P.search_name), 2),
    ]
    if asked.script is Script.PINYIN:
        steps.append((inside(P.search_pinyin), 3))
    if asked.script is not Script.HAN:
        steps.append((inside(P.search_initials), 4))
    return sa.case(*[(condition, sa.literal(n, sa.Integer)) for condition, n in steps], else_=5)


def _free_stock(until: date, *columns: Any) -> sa.Select[Any]:
    """Stock of released lots that last to `until`, at the places of the product's own seller."""
    return (
        sa.select(*columns)
        .select_from(Lot)
        .join(Stock, Stock.lot_id == Lot.id)
        .join(Place, Place.id == Stock.place_id)
        .where(
            Lot.product_id == P.id,
            Lot.state == LotState.RELEASED,
            Lot.best_before >= until,
            Place.organisation_id == P.seller_id,
        )
        .correlate(Product)
    )


def available_quantity(until: date) -> sa.ColumnElement[int]:
    """Packs that can still be ordered for delivery on `until`."""
    total = sa.cast(sa.func.coalesce(sa.func.sum(Stock.on_hand - Stock.reserved), 0), sa.BigInteger)
    return _free_stock(until, total).scalar_subquery()


def _stocked(until: date) -> sa.ColumnElement[bool]:
    return _free_stock(until, sa.literal(1)).where(Stock.on_hand > Stock.reserved).exists()


def lots_on_sale(until: date) -> sa.ColumnElement[Any]:
    """JSON list of the lots behind `available_quantity`, the first to expire first."""
    lots = (
        _free_stock(
            until,
            Lot.trace_code,
            Lot.harvested_on,
            Lot.best_before,
            sa.cast(sa.func.sum(Stock.on_hand - Stock.reserved), sa.BigInteger).label("quantity"),
        )
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
    year = budget_year(day)
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
        SELLER.admitted_on.is_not(None), SELLER.admitted_on <= day, SELLER.disabled_at.is_(None)
    )
    return sa.and_(P.state == ProductState.RECOGNISED.value, admitted, county)


def _certified(scheme: str, day: date) -> sa.ColumnElement[bool]:
    """Has a certificate of the scheme that isn't over."""
    C = ProductCertification
    return (
        sa.select(sa.literal(1))
        .select_from(C)
        .where(C.product_id == P.id, C.scheme == scheme)
        .where(sa.or_(C.valid_until.is_(None), C.valid_until >= day))
        .correlate(Product)
        .exists()
    )
