"""Price lists and the ladders on them. The tables hold today's prices; their history is in the facts."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from marketplace.actors import Actor, Permission
from marketplace.catalog import cards, rules
from marketplace.catalog.models import PriceList, PriceTier, Product
from marketplace.errors import AlreadyThere
from marketplace.unit_of_work import NO_ONCE, Once, Reply, Transaction, transaction
from marketplace.values import uuid7


def add_price_list(
    actor: Actor, *, code: str, name: str, organisation_id: UUID | None = None, once: Once = NO_ONCE
) -> Reply:
    """A list of prices: the public one (code `public`, no owner) or a channel's own."""
    with transaction(actor, Permission.POLICY_MANAGE, once) as tx:
        if tx.session.scalars(sa.select(PriceList.id).where(PriceList.code == code)).first() is not None:
            raise AlreadyThere(code=code)
        row = PriceList(id=uuid7(), code=code, name=name, organisation_id=organisation_id)
        tx.session.add(row)
        tx.record("price_list.added", "price_list", row.id, parties=[organisation_id], code=code, name=name)
        return tx.answer({"id": row.id, "code": code})


def public_list(tx: Transaction) -> UUID:
    """The id of the public list; whoever lists the first product makes it, once."""
    of_public = sa.select(PriceList.id).where(PriceList.code == cards.PUBLIC_LIST)
    found = tx.session.scalars(of_public).one_or_none()
    if found is not None:
        return found
    made = tx.session.execute(
        insert(PriceList)
        .values(id=uuid7(), code=cards.PUBLIC_LIST, name="公开价")
        .on_conflict_do_nothing(index_elements=["code"])
        .returning(PriceList.id)
    ).scalar_one_or_none()
    if made is None:
        return tx.session.scalars(of_public).one()  # the insert has waited for the one who made it
    tx.record("price_list.added", "price_list", made, code=cards.PUBLIC_LIST, name="公开价")
    return made


def set_ladder(tx: Transaction, product: Product, ladder: Sequence[rules.Step]) -> None:
    """Put the public ladder of a product, whose row the caller has locked, in the place of the old one."""
    list_id = public_list(tx)
    tx.session.execute(
        sa.delete(PriceTier).where(PriceTier.product_id == product.id, PriceTier.price_list_id == list_id)
    )
    tx.session.execute(
        sa.insert(PriceTier),
        [
            {"product_id": product.id, "price_list_id": list_id, "min_quantity": s.min_quantity,
             "price_fen": s.price_fen}
            for s in ladder
        ],
    )  # fmt: skip
