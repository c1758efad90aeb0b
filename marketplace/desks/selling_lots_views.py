"""What a seller's pages of lots show besides the lots themselves: goods to choose from, places of origin, movements."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from marketplace.accounts.models import Region, Township
from marketplace.actors import Actor, Permission
from marketplace.catalog.models import Category, Lot, Place, Product, ProductState, Stock, StockMovement
from marketplace.errors import NotFound
from marketplace.orders.models import Order
from marketplace.trace import queries as trace
from marketplace.trace.models import Grower, Origin

MOVEMENTS_SHOWN = 30


def recognised_products(session: Session, actor: Actor) -> list[dict[str, Any]]:
    """The seller's products of which lots may be registered, those with the newest lots first."""
    newest = sa.func.max(Lot.created_at).label("newest")
    rows = session.execute(
        sa.select(
            *(Product.id, Product.name, Product.spec, Product.pack_unit, Region.name.label("county"), newest),
            sa.func.count(Lot.id).label("lots"),
        )
        .join(Region, Region.code == Product.county_code)
        .outerjoin(Lot, Lot.product_id == Product.id)
        .where(Product.seller_id == actor.organisation_id, Product.state == ProductState.RECOGNISED)
        .group_by(Product.id, Region.name)
        .order_by(newest.desc().nulls_last(), Product.name, Product.id)
    )
    return [dict(row) for row in rows.mappings()]


def new_lot_view(
    session: Session, actor: Actor, product_id: UUID, like: UUID | None = None
) -> dict[str, Any]:
    """What the form of a new lot offers: townships of the product's county, known villages, the seller's growers.

    `origins` are those of the lot `like` in full, else township and village of the product's newest lot; plots are
    the part that nobody should take over unread. Raises NotFound for a product or lot that is not the seller's own.
    """
    row = session.execute(
        sa.select(Product, Category.proofs, Category.shelf_life_days, Region.name.label("county"))
        .join(Category, Category.code == Product.category_code)
        .join(Region, Region.code == Product.county_code)
        .where(Product.id == product_id, Product.seller_id == actor.organisation_id)
    ).one_or_none()
    if row is None:
        raise NotFound("找不到这个产品")
    product: Product = row.Product
    newest = session.scalar(
        sa.select(Lot.id).where(Lot.product_id == product_id).order_by(Lot.id.desc()).limit(1)
    )
    if like is not None:
        before = trace.lot_view(session, actor, like)["origins"]
    elif newest is not None:
        before = [
            {"township": origin["township"], "village": origin["village"]}
            for origin in trace.origins(session, newest)[:1]
        ]
    else:
        before = []
    return {
        "product": {
            "id": product.id, "name": product.name, "spec": product.spec, "unit": product.pack_unit,
            "net_g": product.net_g, "county": row.county, "recognised": product.state is ProductState.RECOGNISED,
            "shelf_life_days": product.shelf_life_days or row.shelf_life_days,
        },
        "townships": townships(session, product.county_code),
        "villages": by_township(villages(session, actor, product.county_code)),
        "growers": grower_choices(session, actor),
        "origins": before,
        "newest": newest,
    }  # fmt: skip


def townships(session: Session, county_code: str | None = None) -> list[tuple[str, str]]:
    """(code, name) of a county's townships; without one all of them, the county's name before the township's."""
    statement = (
        sa.select(Township.code, Township.name, Region.name.label("county"))
        .join(Region, Region.code == Township.county_code)
        .order_by(Region.pinyin_key, Township.code)
    )
    if county_code is not None:
        rows = session.execute(statement.where(Township.county_code == county_code))
        return [(row.code, row.name) for row in rows]
    return [(row.code, f"{row.county} {row.name}") for row in session.execute(statement)]


def villages(session: Session, actor: Actor, county_code: str | None = None) -> list[tuple[str, str]]:
    """(township code, village) of what the seller has named before, in its lots and for its growers."""
    of_lots = (
        sa.select(Origin.township_code, Origin.village)
        .join(Lot, Lot.id == Origin.lot_id)
        .where(Lot.seller_id == actor.organisation_id)
    )
    of_growers = sa.select(Grower.township_code, Grower.village).where(
        Grower.seller_id == actor.organisation_id
    )
    named = sa.union(of_lots, of_growers).subquery()
    statement = sa.select(named.c.township_code, named.c.village).order_by(
        named.c.township_code, named.c.village
    )
    if county_code is not None:
        statement = statement.where(named.c.township_code.startswith(county_code, autoescape=True))
    return [(row.township_code, row.village) for row in session.execute(statement)]


def by_township(named: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    """The villages of each township."""
    found: dict[str, list[str]] = {}
    for township, village in named:
        found.setdefault(township, []).append(village)
    return found


def grower_choices(session: Session, actor: Actor) -> list[tuple[str, str]]:
    """(id, code and name) of the seller's growers. Names: for the seller's own forms alone."""
    actor.require(Permission.LOT_EDIT)
    rows = session.execute(
        sa.select(Grower.id, Grower.code, Grower.name, Grower.village)
        .where(Grower.seller_id == actor.organisation_id)
        .order_by(Grower.code)
    )
    return [(str(row.id), f"{row.code} {row.name} {row.village}") for row in rows]


def lot_page(session: Session, actor: Actor, lot_id: UUID) -> dict[str, Any]:
    """The lot as the API shows it, the papers its kind needs, and the newest movements of its stock."""
    lot = trace.lot_view(session, actor, lot_id)
    proofs = session.scalar(
        sa.select(Category.proofs)
        .join(Product, Product.category_code == Category.code)
        .where(Product.id == lot["product"]["id"])
    )
    return {**lot, "proofs": list(proofs or ()), "movements": movements(session, lot_id)}


def movements(session: Session, lot_id: UUID, limit: int = MOVEMENTS_SHOWN) -> list[dict[str, Any]]:
    """The newest movements of a lot's stock, with the number of the order that each serves."""
    rows = session.execute(
        sa.select(
            *(StockMovement.id, StockMovement.kind, StockMovement.on_hand_delta),
            *(StockMovement.reserved_delta, StockMovement.reason, StockMovement.moved_at),
            *(StockMovement.order_id, Order.number, Place.name.label("place")),
        )
        .join(Stock, Stock.id == StockMovement.stock_id)
        .join(Place, Place.id == Stock.place_id)
        .outerjoin(Order, Order.id == StockMovement.order_id)
        .where(Stock.lot_id == lot_id)
        .order_by(StockMovement.id.desc())
        .limit(limit)
    )
    return [dict(row) for row in rows.mappings()]


# As they happen on a farm: rot first.
MOVES_ORDER = ("spoilage", "sold_elsewhere", "stocktake", "own_use", "shrinkage")


def stocked_lots(session: Session, actor: Actor) -> list[dict[str, Any]]:
    """The seller's lots that still have packs in its own places, by product, the first to expire first."""
    on_hand = sa.func.sum(Stock.on_hand)
    rows = session.execute(
        sa.select(
            *(Lot.id, Lot.code, Lot.trace_code, Lot.state, Lot.best_before, Product.name, Product.spec),
            *(Product.pack_unit.label("unit"), Product.id.label("product_id"), on_hand.label("on_hand")),
            sa.func.sum(Stock.reserved).label("reserved"),
        )
        .join(Product, Product.id == Lot.product_id)
        .join(Stock, Stock.lot_id == Lot.id)
        .join(Place, Place.id == Stock.place_id)
        .where(Lot.seller_id == actor.organisation_id, Place.organisation_id == actor.organisation_id)
        .group_by(Lot.id, Product.id)
        .having(on_hand > 0)
        .order_by(Product.name, Product.spec, Lot.best_before, Lot.id)
    )
    return [dict(row) for row in rows.mappings()]
