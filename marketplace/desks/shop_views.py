"""What the pages of the catalogue read beside the list itself: suggestions, freshness, origins.

Every function is one statement, whatever the number of products on the page.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import date
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import aggregate_order_by
from sqlalchemy.orm import Session

from marketplace.accounts.models import Organisation, OrganisationKind, Region, Township
from marketplace.catalog import listing, search
from marketplace.catalog.listing import Filters
from marketplace.catalog.models import Lot, LotState, Product, ProductPhoto
from marketplace.catalog.states import ProductState
from marketplace.clock import today
from marketplace.orders import rules as orders
from marketplace.policies.queries import eligible_counties
from marketplace.trace.models import Inspection, LotCertificate, Origin

_AMONG = 60


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


def pictured(session: Session, most: int) -> list[dict[str, Any]]:
    """Goods on the shelf with a photo of their own, one of each seller before a second of any: {id, name, county}.

    Those whose photos came last stand first; of the `_AMONG` newest, so that what a front page asks stays small.
    """
    rows = session.execute(
        sa.select(Product.id, Product.name, Product.seller_id, Region.name.label("county"))
        .select_from(ProductPhoto)
        .join(Product, Product.id == ProductPhoto.product_id)
        .join(Organisation, Organisation.id == Product.seller_id)
        .join(Region, Region.code == Product.county_code)
        .where(
            ProductPhoto.removed_at.is_(None),
            ProductPhoto.position == 0,
            Product.state == ProductState.RECOGNISED,
            Organisation.disabled_at.is_(None),
        )
        .order_by(ProductPhoto.id.desc())
        .limit(_AMONG)
    )
    turns: Counter[UUID] = Counter()
    told = []
    for row in rows:
        told.append((turns[row.seller_id], {"id": row.id, "name": row.name, "county": row.county}))
        turns[row.seller_id] += 1
    return [goods for _, goods in sorted(told, key=lambda pair: pair[0])[:most]]


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
