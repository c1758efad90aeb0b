"""A seller's product as its form needs it: what may still be changed, and what there is to choose from."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session, aliased

from marketplace.accounts.models import Organisation, Region
from marketplace.actors import Actor
from marketplace.catalog import rules
from marketplace.catalog.models import Category, Lot, Product
from marketplace.catalog.queries import own_product_view
from marketplace.catalog.states import PRODUCT_MOVES, ProductState

# The field of the form -> the name under which the rules know it.
RULE_NAMES = {"price_ladder": "ladder"}


def product_page(session: Session, actor: Actor, product_id: UUID) -> dict[str, Any]:
    """The product as the API shows it, its unlisted fields, its lots, and the names of fields that may be edited.

    Raises NotFound for a product that is not the actor's own.
    """
    shown = own_product_view(session, actor, product_id)
    row = session.execute(
        sa.select(
            *(Product.gtin, Product.tax_category, Product.state, Product.category_code, Product.county_code),
            sa.select(sa.func.count())
            .select_from(Lot)
            .where(Lot.product_id == Product.id)
            .correlate(Product)
            .scalar_subquery()
            .label("lots"),
        ).where(Product.id == product_id)
    ).one()
    return {
        **shown,
        "gtin": row.gtin,
        "tax_category": row.tax_category,
        "category_code": row.category_code,
        "county_code": row.county_code,
        "lot_count": row.lots,
        "editable": editable(row.state, row.lots > 0),
        "may": [event for event in ("submit", "withdraw") if (row.state, event) in PRODUCT_MOVES],
    }


def editable(state: ProductState, has_lots: bool) -> frozenset[str]:
    """Names of the fields that the rules let a seller change now; none while the office looks at the product."""
    if state is ProductState.SUBMITTED:
        return frozenset()
    known = rules.EDITABLE_FIELDS
    closed = {name for name, _ in rules.pack_changes(known)} if has_lots else set()
    if state is ProductState.RECOGNISED:
        closed |= {name for name, _ in rules.shelf_changes(known)}
    return frozenset(known - closed)


def product_choices(session: Session, actor: Actor) -> dict[str, Any]:
    """Classes of goods that have no finer ones, with the name of the class above; counties; the seller's own county."""
    above, below = aliased(Category), aliased(Category)
    classes = session.execute(
        sa.select(Category.code, Category.name, above.name.label("above"))
        .outerjoin(above, above.code == Category.parent_code)
        .where(~sa.exists().where(below.parent_code == Category.code))
        .order_by(Category.code)
    )
    counties = session.execute(
        sa.select(Region.code, Region.name)
        .where(Region.level == "county")
        .order_by(Region.pinyin_key, Region.code)
    )
    return {
        "categories": [(row.code, f"{row.above} / {row.name}" if row.above else row.name) for row in classes],
        "counties": [(row.code, row.name) for row in counties],
        "own_county": session.scalar(
            sa.select(Organisation.region_code).where(Organisation.id == actor.organisation_id)
        ),
    }
