"""What the public pages tell of the trade as a whole: counties, sellers, seasons, figures of the year.

Figures are those of the reports, read through them; nothing is summed a second time.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import UTC, date, datetime
from datetime import time as day_time
from itertools import groupby
from typing import Any, TypeVar
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session, aliased

from marketplace.accounts.models import Organisation, OrganisationKind, Region
from marketplace.actors import Door, system
from marketplace.catalog.models import Lot, LotState, Product
from marketplace.catalog.states import ProductState
from marketplace.clock import SHANGHAI
from marketplace.desks.seasons import Season, season_of
from marketplace.desks.signs import sign_of
from marketplace.errors import NotFound
from marketplace.policies.models import CountyEligibility
from marketplace.policies.queries import list_policies
from marketplace.policies.rules import SHAPES
from marketplace.quota.figures import summary
from marketplace.quota.grouping import By
from marketplace.trace.models import Grower, Origin
from marketplace.trace.story import FEWEST_HOUSEHOLDS

T = TypeVar("T")
ON_SHELF = sa.and_(
    Product.state == ProductState.RECOGNISED,
    Product.seller_id.in_(sa.select(Organisation.id).where(Organisation.disabled_at.is_(None))),
)
MAIN_KINDS = 20
MOST_POLICIES = 500
MOST_KEPT = 200

_kept: dict[tuple[Any, ...], tuple[float, Any]] = {}
_lock = threading.Lock()


def lately(session: Session, name: str, key: object, seconds: float, read: Callable[[], T]) -> T:
    """What `read` says, or said at most `seconds` ago in this process: for sums over whole tables that every visitor
    of the front page would ask again. 0 reads always.
    """
    if seconds <= 0:
        return read()
    place = (str(session.get_bind().engine.url), name, key)
    with _lock:
        found = _kept.get(place)
    if found is not None and time.monotonic() - found[0] < seconds:
        return found[1]  # type: ignore[no-any-return]
    value = read()
    with _lock:
        if len(_kept) >= MOST_KEPT:
            _kept.clear()
        _kept[place] = (time.monotonic(), value)
    return value


def year_figures(session: Session, year: int) -> dict[str, Any]:
    """Totals of a budget year as the reports give them, with their 口径, and what the goods are proved by.

    {counted_fen, ordered_fen, by_county: {code: counted_fen}, sellers, products, lots, basis}; `lots` were put on sale
    in that year after their papers were compared.
    """
    trade = summary(session, system(Door.WEB), year=year, by=By.ORIGIN_COUNTY)
    begin = datetime.combine(date(year, 1, 1), day_time.min, SHANGHAI).astimezone(UTC)
    end = datetime.combine(date(year + 1, 1, 1), day_time.min, SHANGHAI).astimezone(UTC)
    lots = sa.select(sa.func.count(Lot.id)).where(Lot.released_at >= begin, Lot.released_at < end)
    counted = session.execute(
        sa.select(
            sa.func.count(sa.distinct(Product.seller_id)).label("sellers"),
            sa.func.count().label("products"),
            lots.scalar_subquery().label("lots"),
        ).where(ON_SHELF)
    ).one()
    return {
        "counted_fen": trade["total"]["counted_fen"],
        "ordered_fen": trade["total"]["ordered_fen"],
        "by_county": {row["key"]: row["counted_fen"] for row in trade["items"]},
        "sellers": counted.sellers,
        "products": counted.products,
        "lots": counted.lots,
        "basis": trade["basis"],
    }


def counties(session: Session, year: int) -> list[dict[str, Any]]:
    """The counties that sell, by pinyin: products and sellers on the shelf, what is harvested, whether goods count."""
    district = aliased(Region)
    listed = (
        sa.select(sa.func.min(CountyEligibility.from_year))
        .where(
            CountyEligibility.county_code == Region.code,
            CountyEligibility.from_year <= year,
            sa.or_(CountyEligibility.to_year.is_(None), CountyEligibility.to_year >= year),
        )
        .correlate(Region)
        .scalar_subquery()
    )
    counted = (
        sa.select(
            Product.county_code.label("code"),
            sa.func.count().label("products"),
            sa.func.count(sa.distinct(Product.seller_id)).label("sellers"),
        )
        .where(ON_SHELF)
        .group_by(Product.county_code)
        .subquery("counted")
    )
    rows = session.execute(
        sa.select(
            Region.code,
            Region.name,
            district.name.label("district"),
            listed.label("listed_since"),
            sa.func.coalesce(counted.c.products, 0).label("products"),
            sa.func.coalesce(counted.c.sellers, 0).label("sellers"),
        )
        .outerjoin(district, district.code == Region.tianjin_district_code)
        .outerjoin(counted, counted.c.code == Region.code)
        .where(Region.level == "county")
        .order_by(Region.pinyin_key, Region.code)
    )
    return [dict(row._mapping) for row in rows]


def county(session: Session, code: str, year: int) -> dict[str, Any]:
    """One of `counties`, with the source of its listing. Raises NotFound for a place that is no county here."""
    found = next((row for row in counties(session, year) if row["code"] == code), None)
    if found is None:
        raise NotFound
    source = session.scalar(
        sa.select(CountyEligibility.source)
        .where(CountyEligibility.county_code == code, CountyEligibility.from_year <= year)
        .order_by(CountyEligibility.from_year.desc())
        .limit(1)
    )
    return {**found, "source": source}


def calendar(session: Session, month: int, county_code: str | None = None) -> list[dict[str, Any]]:
    """Kinds of goods with a season, by their harvest: {family, counties, products, season, sign, wait, main, places}.

    `wait` are the months until the next harvest, 0 for one in `month` (1 to 12); `places` says it for each county by
    name. `main` are the kinds with most products. Goods of the whole year are left out: they have no calendar.
    """
    statement = (
        sa.select(
            Product.family,
            Region.name.label("county"),
            sa.func.min(Product.category_code).label("category"),
            sa.func.count().label("products"),
            sa.func.array_agg(sa.distinct(Product.season)).label("seasons"),
        )
        .join(Region, Region.code == Product.county_code)
        .where(ON_SHELF, Product.season.is_not(None))
        .group_by(Product.family, Region.name)
        .order_by(Product.family, Region.name)
    )
    if county_code is not None:
        statement = statement.where(Product.county_code == county_code)
    found = [
        _kind(list(group), month) for _, group in groupby(session.execute(statement), lambda r: r.family)
    ]
    rows = [row for row in found if row["season"].harvest and not row["season"].all_year]
    for place, row in enumerate(sorted(rows, key=lambda row: (-row["products"], row["family"]))):
        row["main"] = place < MAIN_KINDS
    return sorted(rows, key=lambda row: (_begin(row["season"].harvest), row["family"]))


def _kind(rows: list[Any], month: int) -> dict[str, Any]:
    """One kind of goods from its rows by county."""
    own = {row.county: _together([season_of(text) for text in sorted(row.seasons)]) for row in rows}
    season = _together(list(own.values()))
    return {
        "family": rows[0].family,
        "counties": list(own),
        "products": sum(row.products for row in rows),
        "season": season,
        "sign": sign_of(min(row.category for row in rows), rows[0].family),
        "wait": _wait(season, month),
        "places": {name: _wait(there, month) for name, there in own.items()},
    }


def _wait(season: Season, month: int) -> int:
    return min(((m - month) % 12 for m in season.harvest), default=12)


def next_harvests(rows: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Of each county, by name, the kind that is harvested now or next; of several the one that fewest others have."""
    told = [
        {"family": row["family"], "wait": wait, "county": name, "others": len(row["places"])}
        for row in rows
        for name, wait in row["places"].items()
        if wait < 12
    ]
    found: dict[str, dict[str, Any]] = {}
    for one in sorted(told, key=lambda one: (one["wait"], one["others"], one["family"])):
        found.setdefault(one["county"], one)
    return found


def _together(seasons: list[Season]) -> Season:
    harvest = frozenset[int]().union(*(season.harvest for season in seasons))
    stored = frozenset[int]().union(*(season.stored for season in seasons))
    return Season(harvest, stored - harvest)


def _begin(months: frozenset[int]) -> int:
    """The month in which a run begins: 12 of {12, 1, 2}."""
    return next((m for m in sorted(months) if (m - 2) % 12 + 1 not in months), 0)


def sellers(session: Session, county_code: str | None = None) -> list[dict[str, Any]]:
    """Sellers with goods on the shelf, by county and name: {id, name, county, county_code, admitted_on, …}."""
    lasting = sa.func.count(sa.distinct(Lot.id)).filter(Lot.state == LotState.RELEASED)
    statement = (
        sa.select(
            Organisation.id,
            Organisation.name,
            Organisation.subkind,
            Organisation.admitted_on,
            Region.code.label("county_code"),
            Region.name.label("county"),
            sa.func.count(sa.distinct(Product.id)).label("products"),
            sa.func.array_agg(sa.distinct(Product.family)).label("families"),
            lasting.label("lots"),
        )
        .join(Product, Product.seller_id == Organisation.id)
        .join(Region, Region.code == Organisation.region_code)
        .outerjoin(Lot, Lot.product_id == Product.id)
        .where(Product.state == ProductState.RECOGNISED, Organisation.disabled_at.is_(None))
        .group_by(Organisation.id, Region.code, Region.name)
        .order_by(Region.pinyin_key, Region.code, Organisation.pinyin_key, Organisation.id)
    )
    if county_code is not None:
        statement = statement.where(Organisation.region_code == county_code)
    return [dict(row._mapping) for row in session.execute(statement)]


def seller(session: Session, seller_id: UUID) -> dict[str, Any]:
    """A seller for everybody: name, county, kind, admission, and its households where they are no single one's income.

    Raises NotFound for an organisation that is no seller or is disabled.
    """
    row = session.execute(
        sa.select(
            Organisation.id,
            Organisation.name,
            Organisation.subkind,
            Organisation.admitted_on,
            Region.code.label("county_code"),
            Region.name.label("county"),
        )
        .join(Region, Region.code == Organisation.region_code)
        .where(
            Organisation.id == seller_id,
            Organisation.kind == OrganisationKind.SELLER,
            Organisation.disabled_at.is_(None),
        )
    ).one_or_none()
    if row is None:
        raise NotFound
    households, paid = session.execute(
        sa.select(sa.func.count(Grower.id.distinct()), sa.func.coalesce(sa.func.sum(Origin.paid_fen), 0))
        .join(Origin, Origin.grower_id == Grower.id)
        .join(Lot, Lot.id == Origin.lot_id)
        .where(Lot.seller_id == seller_id, Grower.poverty_household)
    ).one()
    shown = households >= FEWEST_HOUSEHOLDS
    return {
        **row._mapping,
        "households": {"count": households, "paid_fen": int(paid or 0)} if shown else None,
    }


def policy_history(session: Session, day: date) -> list[dict[str, Any]]:
    """Every rule with its rows, and the one that holds on `day`: {key, current, rows}, in the order of the rules."""
    rows = list_policies(session, limit=MOST_POLICIES, after=None)["items"]
    by_key: dict[str, list[dict[str, Any]]] = {key: [] for key in SHAPES}
    for row in rows:
        by_key.setdefault(row["key"], []).append(row)
    return [
        {"key": key, "current": _holding(found, day), "rows": found} for key, found in by_key.items() if found
    ]


def _holding(rows: list[dict[str, Any]], day: date) -> dict[str, Any] | None:
    """The row of the whole country that holds: the latest beginning, of it the highest revision (they come first)."""
    begun = [row for row in rows if row["valid_from"] <= day and row["scope_code"] == ""]
    found = begun[0] if begun else None
    ended = found is not None and found["valid_to"] is not None and found["valid_to"] < day
    return None if ended else found
