"""Counts beside the filters of the catalogue: how many products each value of a filter leaves.

Products that a reader can't tell apart by a filter are counted together, in one statement; whatever filters are chosen,
the counts are sums over these few groups.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import lru_cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import aggregate_order_by
from sqlalchemy.orm import Session

from marketplace.accounts.models import Region
from marketplace.catalog import listing
from marketplace.catalog.listing import SELLER, Filters, P
from marketplace.catalog.models import Category, ProductCertification
from marketplace.clock import today

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


@dataclass(frozen=True)
class Group:
    """Products that all filters of the facets treat alike."""

    category: str
    category_name: str | None
    county: str
    county_name: str | None
    seller: str
    seller_name: str
    schemes: Sequence[str] | None
    eligible: bool
    count: int


def unfiltered(filters: Filters) -> Filters:
    """`filters` without those that are counted from the groups: readers who chose otherwise share the groups."""
    return filters._replace(
        category=None, county=None, certification=None, seller=None, eligible=None, sort="relevance"
    )


def groups(session: Session, filters: Filters) -> list[Group]:
    """What `unfiltered(filters)` leave, in groups. One statement."""
    return [Group(*row) for row in session.execute(_statement(unfiltered(filters), today()))]


@lru_cache(100)
def _statement(filters: Filters, day: date) -> sa.Select[Any]:
    marks = ProductCertification.__table__.c
    valid = sa.or_(marks.valid_until.is_(None), marks.valid_until >= day)
    schemes = (
        sa.select(
            marks.product_id,
            sa.func.array_agg(aggregate_order_by(sa.distinct(marks.scheme), marks.scheme)).label("schemes"),
        )
        .where(valid)
        .group_by(marks.product_id)
        .subquery("marks")
    )
    group = sa.func.left(P.category_code, GROUP_DIGITS)
    found, _ = listing.listing(filters, day)
    return (
        found.with_only_columns(
            P.category_code,
            sa.select(Category.name).where(Category.code == group).scalar_subquery(),
            P.county_code,
            sa.select(Region.name).where(Region.code == P.county_code).scalar_subquery(),
            sa.cast(SELLER.id, sa.Text),
            SELLER.name,
            schemes.c.schemes,
            listing.eligible(day),
            sa.func.count(),
            maintain_column_froms=True,
        )
        .outerjoin(schemes, schemes.c.product_id == P.id)
        .group_by(P.category_code, P.county_code, P.state, SELLER.id, schemes.c.schemes)
    )


def facets(session: Session, filters: Filters, found: Sequence[Group] | None = None) -> Facets:
    """Counts for the filters of the list, from `groups`, read here when not given. A chosen filter counts as if it
    were not chosen, so that others can be.
    """
    found = groups(session, filters) if found is None else found
    fits = _fits(filters)

    def left(facet: str | None = None) -> list[Group]:
        return [g for g in found if all(fit(g) for name, fit in fits.items() if name != facet)]

    all_left = left()
    counted = Facets(
        total=sum(g.count for g in all_left),
        counties=len({g.county for g in all_left}),
        sellers=len({g.seller for g in all_left}),
        eligible=sum(g.count for g in left("eligible") if g.eligible),
    )
    choices = counted.choices
    choices["category"] = _choices(
        (g.category[:GROUP_DIGITS], g.category_name, g.count) for g in left("category")
    )
    choices["county"] = _choices((g.county, g.county_name, g.count) for g in left("county"))
    by_scheme = _choices(
        (scheme, scheme, g.count) for g in left("certification") for scheme in g.schemes or ()
    )
    choices["certification"] = sorted(by_scheme, key=_most_first)
    by_seller = _choices((g.seller, g.seller_name, g.count) for g in left("seller"))
    by_seller.sort(key=_most_first)
    chosen = [c for c in by_seller[SELLERS_SHOWN:] if c.key == str(filters.seller)]
    choices["seller"] = by_seller[:SELLERS_SHOWN] + chosen
    counted.names = _names(session, filters, counted)
    return counted


def _fits(filters: Filters) -> dict[str, Callable[[Group], bool]]:
    """Of each chosen filter that the groups tell, whether a group passes it."""
    f, fits = filters, dict[str, Callable[[Group], bool]]()
    if f.category is not None:
        category = f.category
        fits["category"] = lambda g: g.category.startswith(category)
    if f.county is not None:
        fits["county"] = lambda g: g.county == f.county
    if f.certification is not None:
        fits["certification"] = lambda g: f.certification in (g.schemes or ())
    if f.seller is not None:
        fits["seller"] = lambda g: g.seller == str(f.seller)
    if f.eligible is not None:
        fits["eligible"] = lambda g: g.eligible == f.eligible
    return fits


def _choices(rows: Iterable[tuple[str, str | None, int]]) -> list[Choice]:
    """(key, name, count) summed by key, in the order of the keys."""
    counts, names = Counter[str](), dict[str, str]()
    for key, name, count in rows:
        counts[key] += count
        names[key] = name or key
    return [Choice(key, names[key], counts[key]) for key in sorted(counts)]


def _most_first(choice: Choice) -> tuple[int, str]:
    return -choice.count, choice.key


def _names(session: Session, filters: Filters, counted: Facets) -> dict[str, str]:
    """Names of chosen values that no product has; no query where there is none, as is usual."""
    named: dict[str, Any] = {
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
