"""The stored public JSON of a product, and the columns it is found by; rebuilt with every change of their sources.

A card holds what stands still between two acts. What lives by itself (stock, the budget year, admission) is spliced
in by whoever serves it, as bytes, so that a list is never parsed and dumped.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session, aliased

from marketplace.accounts.models import Organisation, Region
from marketplace.catalog import rules, search
from marketplace.catalog.models import Category, PriceList, PriceTier, Product, ProductCertification

PUBLIC_LIST = "public"


def ladders(
    session: Session, product_ids: Sequence[UUID], price_list: str = PUBLIC_LIST
) -> dict[UUID, list[rules.Step]]:
    """Steps of each product on a list, lowest quantity first; products without a price there are left out."""
    found: dict[UUID, list[rules.Step]] = defaultdict(list)
    for row in session.execute(
        sa.select(PriceTier.product_id, PriceTier.min_quantity, PriceTier.price_fen)
        .join(PriceList, PriceList.id == PriceTier.price_list_id)
        .where(PriceTier.product_id.in_(product_ids), PriceList.code == price_list)
        .order_by(PriceTier.product_id, PriceTier.min_quantity)
    ):
        found[row.product_id].append(rules.Step(row.min_quantity, row.price_fen))
    return dict(found)


def certifications(session: Session, product_ids: Sequence[UUID]) -> dict[UUID, list[dict[str, Any]]]:
    """{scheme, number, valid_until} of each product, in a fixed order."""
    found: dict[UUID, list[dict[str, Any]]] = defaultdict(list)
    for row in session.scalars(
        sa.select(ProductCertification)
        .where(ProductCertification.product_id.in_(product_ids))
        .order_by(ProductCertification.scheme, ProductCertification.number, ProductCertification.id)
    ):
        found[row.product_id].append(
            {"scheme": row.scheme, "number": row.number, "valid_until": row.valid_until}
        )
    return dict(found)


def rebuild(session: Session, products: Sequence[Product]) -> None:
    """Write card and search columns of `products` from the rows as they are now; three queries, however many."""
    if not products:
        return
    session.flush()
    ids = [product.id for product in products]
    names = _names(session, ids)
    steps = ladders(session, ids)
    marks = certifications(session, ids)
    for product in products:
        product.card = card_text(product, names[product.id], steps[product.id], marks.get(product.id, []))
        _index(product, names[product.id])
    session.flush()


def _names(session: Session, ids: Sequence[UUID]) -> dict[UUID, Any]:
    principal = aliased(Organisation)
    rows = session.execute(
        sa.select(
            Product.id,
            Category.name.label("category"),
            Region.name.label("county"),
            Organisation.name.label("seller"),
            principal.name.label("principal"),
        )
        .join(Category, Category.code == Product.category_code)
        .join(Region, Region.code == Product.county_code)
        .join(Organisation, Organisation.id == Product.seller_id)
        .outerjoin(principal, principal.id == Product.agent_for_id)
        .where(Product.id.in_(ids))
    )
    return {row.id: row for row in rows}


def _index(product: Product, names: Any) -> None:
    others = [product.family, product.spec, names.category, names.county]
    terms = search.index_terms(product.name, others, [product.gtin] if product.gtin else [])
    product.search_name, product.search_pinyin = terms.name, terms.pinyin
    product.search_initials, product.tokens = terms.initials, terms.tokens


def card_text(
    product: Product, names: Any, ladder: Sequence[rules.Step], marks: Sequence[dict[str, Any]]
) -> str:
    """Compact JSON in the order of `ProductOut`; held by a test against its dump, byte for byte."""
    seller: dict[str, Any] = {"id": str(product.seller_id), "name": names.seller}
    if product.agent_for_id is not None:
        seller["agent_for"] = {"id": str(product.agent_for_id), "name": names.principal}
    card = {
        "id": str(product.id),
        "sku": product.sku,
        "family": product.family,
        "name": product.name,
        "spec": product.spec,
        "category": {"code": product.category_code, "name": names.category},
        "county": {"code": product.county_code, "name": names.county},
        "seller": seller,
        "pack": {"unit": product.pack_unit, "net_g": product.net_g},
        "priced_by": str(product.priced_by),
        "weight_tolerance_bp": product.weight_tolerance_bp,
        "price_ladder": [{"min_quantity": s.min_quantity, "price_fen": s.price_fen} for s in ladder],
        "price_fen": product.price_fen,
        "price_per_kg_fen": rules.price_per_kg(product.price_fen, product.net_g),
        "price_per_jin_fen": rules.price_per_jin(product.price_fen, product.net_g),
        "min_order_quantity": product.min_order_quantity,
        "order_multiple": product.order_multiple,
        "certifications": [
            {**mark, "valid_until": mark["valid_until"] and mark["valid_until"].isoformat()} for mark in marks
        ],
        "shelf_life_days": product.shelf_life_days,
        "storage": product.storage,
        "season": product.season,
        "state": str(product.state),
        "version": product.version,
    }
    return json.dumps(card, ensure_ascii=False, separators=(",", ":"))


# A seller who is not admitted and a county without a row leave nothing unknown: there is no third.
_TRUTH = {b"t": b"true", b"f": b"false"}


def spliced(card: bytes | None, available_quantity: bytes | None, eligible: bytes | None) -> bytes:
    """The card with its live numbers, all as the server writes them: JSON text of the whole public product."""
    if card is None or available_quantity is None or eligible is None:
        raise TypeError("a product without its numbers")
    return b'%b,"available_quantity":%b,"eligible":%b}' % (card[:-1], available_quantity, _TRUTH[eligible])
