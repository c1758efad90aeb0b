"""Which rows of products, growers and lots are the seed's: by seller and code."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from marketplace.catalog.models import Lot, Product
from marketplace.seeding.reading import found, rows, text
from marketplace.seeding.reference import organisation_ids
from marketplace.trace.models import Grower


def product_owners() -> dict[str | None, UUID]:
    ids = organisation_ids()
    return {row["sku"]: ids[text(row, "seller_code")] for row in rows("products")}


def own_products() -> list[Any]:
    """Products of the seed. A code is its seller's own: the same one of another seller is no match."""
    owners = product_owners()
    known = found(Product.sku, Product.id, Product.seller_id, Product.state)
    return [row for row in known if owners.get(row.sku) == row.seller_id]


def own_growers() -> dict[str, UUID]:
    ids = organisation_ids()
    owners = {row["code"]: ids[text(row, "seller_code")] for row in rows("growers")}
    known = found(Grower.code, Grower.id, Grower.seller_id)
    return {row.code: row.id for row in known if owners.get(row.code) == row.seller_id}


def own_lots() -> list[Any]:
    sellers = product_owners()
    owners = {row["code"]: sellers[row["sku"]] for row in rows("lots")}
    known = found(Lot.code, Lot.id, Lot.seller_id, Lot.state, Lot.released_at)
    return [row for row in known if owners.get(row.code) == row.seller_id]


def lot_ids() -> dict[str, UUID]:
    return {row.code: row.id for row in own_lots()}
