"""What the catalogue does in the transaction of another package's fact."""

from __future__ import annotations

import sqlalchemy as sa

from marketplace.catalog import cards
from marketplace.catalog.models import Product
from marketplace.unit_of_work import RecordedFact, Transaction, register_projection


def rename_seller(tx: Transaction, fact: RecordedFact) -> None:
    """Cards carry the names of their seller and of whom it sells for: a new name is on all of them at once."""
    products = tx.session.scalars(
        sa.select(Product)
        .where(sa.or_(Product.seller_id == fact.subject_id, Product.agent_for_id == fact.subject_id))
        .order_by(Product.id)
        .with_for_update()
    ).all()
    cards.rebuild(tx.session, products)


def register() -> None:
    register_projection("organisation.edited", rename_seller)
