"""What the pages of the catalogue read beside the list itself: counts of each filter, suggestions, freshness, origins.

Every function is one statement, whatever the number of products on the page.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import aggregate_order_by
from sqlalchemy.orm import Session

from marketplace.accounts.models import Organisation, OrganisationKind, Region, Township
from marketplace.catalog import listing, search
from marketplace.catalog.listing import SELLER, Filters, P
from marketplace.catalog.models import Category, Lot, LotState, Product, ProductCertification
from marketplace.catalog.states import ProductState
from marketplace.clock import today
from marketplace.orders import rules as orders
from marketplace.policies.queries import eligible_counties
from marketplace.trace.models import Inspection, LotCertificate, Origin

GROUP_DIGITS = 4  # 果品, 蔬菜, 中药材: the level of the categories at which people look
SELLERS_SHOWN = 12
_FACETS = ("category", "county", "certification", "seller")


@dataclass(frozen=True)
class Choice:
    """One value of a filter: what it is called and how many products it leaves."""

    key: str
    name: str
    count: int


@dataclass
class Facets:
    """How many products the other filters leave by each value of one; `total` is what all of them leave."""

    total: int = 0
    counties: int = 0
    sellers: int = 0
    eligible: int = 0
    choices: dict[str, list[Choice]] = field(default_factory=lambda: {name: [] for name in _FACETS})
    # Of chosen values that leave no product, and so are no choice.
    names: dict[str, str] = field(default_factory=dict)

    def name(self, facet: str, key: object) -> str:
        """What a chosen value is called; the key itself for one that is nothing."""
        known = next((c.name for c in self.choices[facet] if c.key == str(key)), None)
        return known or self.names.get(facet) or str(key)


def _found(filters: Filters, day: date, name: str) -> sa.CTE:
    """The products that `filters` leave, without their cards."""
    statement, _ = listing.listing(filters, day)
    columns = (P.id, P.category_code, P.county_code, P.seller_id, listing.eligible(day).label("eligible"))
    return statement.with_only_columns(*columns, maintain_column_froms=True).cte(name)


def facets(session: Session, filters: Filters) -> Facets:
    """Counts for the filters of the list. A chosen filter counts as if it were not chosen, so that others can be."""
    day = today()
    everything = _found(filters, day, "found")
    sources: dict[str, sa.CTE] = {}
    for facet in (*_FACETS, "eligible"):
        without: dict[str, Any] = {facet: None}
        open_filters = replace(filters, **without)
        sources[facet] = everything if open_filters == filters else _found(open_filters, day, f"by_{facet}")
    rows = session.execute(
        sa.union_all(
            _totals(everything),
            _eligible(sources["eligible"]),
            _by_category(sources["category"]),
            _by_county(sources["county"]),
            _by_certification(sources["certification"], day),
            _by_seller(sources["seller"], filters.seller),
        )
    )
    counted = Facets()
    for facet, key, name, count in rows:
        if facet in counted.choices:
            counted.choices[facet].append(Choice(key, name or key, count))
        elif facet == "total":
            counted.total, counted.counties, counted.sellers = count, int(key), int(name)
        else:
            counted.eligible = count
    for choices in counted.choices.values():
        choices.sort(key=lambda c: (-c.count, c.key))
    counted.choices["category"].sort(key=lambda c: c.key)
    counted.choices["county"].sort(key=lambda c: c.key)
    counted.names = _names(session, filters, counted)
    return counted


def _names(session: Session, filters: Filters, counted: Facets) -> dict[str, str]:
    """Names of chosen values that no product has; no query where there is none, as is usual."""
    named = {
        "category": sa.select(Category.name).where(Category.code == filters.category),
        "county": sa.select(Region.name).where(Region.code == filters.county),
        "seller": sa.select(SELLER.name).where(SELLER.id == filters.seller),
    }
    chosen = {name: getattr(filters, name) for name in named}
    unknown = [
        name
        for name, value in chosen.items()
        if value is not None and all(c.key != str(value) for c in counted.choices[name])
    ]
    if not unknown:
        return {}
    row = session.execute(sa.select(*[named[name].scalar_subquery() for name in unknown])).one()
    return {name: text for name, text in zip(unknown, row, strict=True) if text}


def _row(facet: Any, key: Any, name: Any, count: Any) -> sa.Select[Any]:
    row: sa.Select[Any] = sa.select(
        sa.cast(facet, sa.Text).label("facet"),
        sa.cast(key, sa.Text).label("key"),
        sa.cast(name, sa.Text).label("name"),
        sa.cast(count, sa.BigInteger).label("count"),
    )  # type: ignore[assignment]
    return row


def _totals(found: sa.CTE) -> sa.Select[Any]:
    """The totals of the head line in one row: counties as its key, sellers as its name."""
    c = found.c
    counties, sellers = (sa.func.count(sa.distinct(column)) for column in (c.county_code, c.seller_id))
    return _row("total", counties, sellers, sa.func.count()).select_from(found)


def _eligible(found: sa.CTE) -> sa.Select[Any]:
    return _row("eligible", "", "", sa.func.count()).select_from(found).where(found.c.eligible)


def _by_category(found: sa.CTE) -> sa.Select[Any]:
    group = sa.func.left(found.c.category_code, GROUP_DIGITS)
    counted = (
        sa.select(group.label("code"), sa.func.count().label("count")).group_by(group).subquery("groups")
    )
    name = sa.select(Category.name).where(Category.code == counted.c.code).scalar_subquery()
    return _row("category", counted.c.code, name, counted.c.count)


def _by_county(found: sa.CTE) -> sa.Select[Any]:
    code = found.c.county_code
    counted = sa.select(code.label("code"), sa.func.count().label("count")).group_by(code).subquery("places")
    name = sa.select(Region.name).where(Region.code == counted.c.code).scalar_subquery()
    return _row("county", counted.c.code, name, counted.c.count)


def _by_certification(found: sa.CTE, day: date) -> sa.Select[Any]:
    marks = ProductCertification.__table__.c
    valid = sa.or_(marks.valid_until.is_(None), marks.valid_until >= day)
    counted = (
        sa.select(marks.scheme, sa.func.count(sa.distinct(found.c.id)).label("count"))
        .select_from(found.join(ProductCertification, marks.product_id == found.c.id))
        .where(valid)
        .group_by(marks.scheme)
        .subquery("marks")
    )
    return _row("certification", counted.c.scheme, "", counted.c.count)


def _by_seller(found: sa.CTE, chosen: UUID | None) -> sa.Select[Any]:
    """The sellers with most products, and the chosen one."""
    id_ = found.c.seller_id
    rank = sa.func.row_number().over(order_by=(sa.func.count().desc(), id_))
    counted = sa.select(id_.label("id"), sa.func.count().label("count"), rank.label("rank")).group_by(id_)
    top = counted.subquery("sellers")
    shown = top.c.rank <= SELLERS_SHOWN
    name = sa.select(SELLER.name).where(SELLER.id == top.c.id).scalar_subquery()
    return _row("seller", top.c.id, name, top.c.count).where(
        shown if chosen is None else sa.or_(shown, top.c.id == chosen)
    )


def suggestions(session: Session, text: str, *, most: int = 6) -> dict[str, list[dict[str, Any]]]:
    """What a beginning of a search may mean: products by the list's own rank, then sellers and counties by name."""
    products = listing.list_products(session, Filters(q=text), limit=most)["items"]
    return {"products": products, "places": places(session, text)}


def places(session: Session, text: str, *, most: int = 3) -> list[dict[str, Any]]:
    """Sellers and counties whose name holds the text, or whose pinyin begins with it: {kind, key, name}."""
    asked = search.compact(text)
    if not asked:
        return []

    def fits(name: Any, pinyin: Any) -> sa.ColumnElement[bool]:
        plain = sa.func.regexp_replace(pinyin, "[0-9 ]", "", "g")
        return sa.or_(name.contains(asked, autoescape=True), sa.func.starts_with(plain, asked))

    counties = sa.select(
        sa.literal("county", sa.Text).label("kind"),
        Region.code.label("key"),
        Region.name,
        sa.literal(0).label("o"),
    ).where(Region.level == "county", fits(Region.name, Region.pinyin_key))
    sellers = sa.select(
        sa.literal("seller", sa.Text), sa.cast(Organisation.id, sa.Text), Organisation.name, sa.literal(1)
    ).where(
        Organisation.kind == OrganisationKind.SELLER,
        Organisation.disabled_at.is_(None),
        fits(Organisation.name, Organisation.pinyin_key),
    )
    both = sa.union_all(counties, sellers).subquery("both")
    rows = session.execute(
        sa.select(both.c.kind, both.c.key, both.c.name).order_by(both.c.o, both.c.name).limit(most)
    )
    return [{"kind": row.kind, "key": row.key, "name": row.name} for row in rows]


def lots_in_brief(
    session: Session, product_ids: Sequence[UUID | str], until: date
) -> dict[str, dict[str, Any]]:
    """Of the lots of each product that last to `until`: the day of the newest harvest, and the kinds of proof."""
    paper = LotCertificate.__table__.c
    kind = sa.cast(paper.kind, sa.Text)
    rows = session.execute(
        sa.select(
            Lot.product_id,
            sa.func.max(Lot.harvested_on).label("newest"),
            sa.func.array_agg(aggregate_order_by(sa.distinct(kind), kind))
            .filter(paper.kind.is_not(None))
            .label("kinds"),
        )
        .outerjoin(LotCertificate, paper.lot_id == Lot.id)
        .where(Lot.product_id.in_(product_ids), Lot.state == LotState.RELEASED, Lot.best_before >= until)
        .group_by(Lot.product_id)
    )
    return {str(row.product_id): {"newest": row.newest, "proofs": row.kinds or []} for row in rows}


def lot_notes(session: Session, trace_codes: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Where lots on sale grew (town and village, never the plot) and whether a sample of theirs passed."""
    place = sa.func.concat(Township.name, Origin.village)
    grown = (
        sa.select(sa.func.string_agg(sa.distinct(place), sa.literal("、")))
        .select_from(Origin)
        .join(Township, Township.code == Origin.township_code)
        .where(Origin.lot_id == Lot.id)
        .correlate(Lot)
        .scalar_subquery()
    )
    passed = (
        sa.select(sa.func.bool_and(Inspection.passed))
        .where(Inspection.lot_id == Lot.id)
        .correlate(Lot)
        .scalar_subquery()
    )
    rows = session.execute(
        sa.select(Lot.trace_code, grown.label("place"), passed.label("passed")).where(
            Lot.trace_code.in_(list(trace_codes))
        )
    )
    return {row.trace_code: {"place": row.place or "", "passed": row.passed} for row in rows}


def why_not_counted(session: Session, product: dict[str, Any]) -> str | None:
    """The reason, in the words of the order's rule, why a product does not fill a reserve; None when it does."""
    if product["eligible"]:
        return None
    if product["county"]["code"] not in eligible_counties(session, today().year):
        return orders.COUNTY_NOT_LISTED
    return orders.SELLER_NOT_ADMITTED


def withdrawn(session: Session, product_id: UUID) -> dict[str, Any] | None:
    """A product that was on the shelf and is no more, for those with an old link: {name, spec, county, …}, else None.

    One that never was on the shelf, or whose seller is disabled, is none.
    """
    row = session.execute(
        sa.select(
            Product.name,
            Product.spec,
            Product.category_code,
            Product.family,
            Region.name.label("county"),
        )
        .join(Organisation, Organisation.id == Product.seller_id)
        .join(Region, Region.code == Product.county_code)
        .where(
            Product.id == product_id,
            Product.state == ProductState.WITHDRAWN,
            Product.recognised_at.is_not(None),
            Organisation.disabled_at.is_(None),
        )
    ).one_or_none()
    return None if row is None else dict(row._mapping)
