"""Products for their readers: the public detail, one's own, those that wait for the office, the categories."""

from __future__ import annotations

import json
from datetime import date
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from marketplace import clock
from marketplace.accounts.models import Organisation
from marketplace.actors import Actor, Permission
from marketplace.catalog import cards, listing
from marketplace.catalog.models import Category, Product
from marketplace.catalog.states import ProductState
from marketplace.errors import NotFound
from marketplace.paging import paginate


def product_scope(actor: Actor) -> sa.ColumnElement[bool]:
    """Products in any state that the actor may see: a seller's own; the recognising office's and the system's: all."""
    if actor.can(Permission.PRODUCT_RECOGNISE):
        return sa.true()
    if actor.organisation_id is None:
        return sa.false()
    return Product.seller_id == actor.organisation_id


def _detail(day: date, deliver_on: date | None) -> sa.Select[Any]:
    until = listing.delivery_day(deliver_on, day)
    return sa.select(
        Product.card,
        Product.version,
        Product.description,
        Product.state_reason,
        Product.state,
        listing.available_quantity(until).label("available_quantity"),
        listing.eligible(day).label("eligible"),
        listing.lots_on_sale(until).label("lots"),
    ).join(Organisation, Organisation.id == Product.seller_id)


def _shape(row: Any) -> dict[str, Any]:
    return {
        **json.loads(row.card),
        "available_quantity": row.available_quantity,
        "eligible": row.eligible,
        "description": row.description,
        "lots": row.lots or [],
    }


def product_view(session: Session, product_id: UUID, until: date | None = None) -> dict[str, Any]:
    """The public product with its lots on sale for delivery on `until` (default today); one query.

    Raises NotFound for a product that is not recognised or whose seller is disabled, RuleViolation (`invalid`) for a
    day that is over.
    """
    day = clock.today()
    row = session.execute(
        _detail(day, until).where(
            Product.id == product_id,
            Product.state == ProductState.RECOGNISED,
            Organisation.disabled_at.is_(None),
        )
    ).one_or_none()
    if row is None:
        raise NotFound
    return _shape(row)


def detail_json(product_id: UUID, until: date | None = None) -> tuple[bytes, int]:
    """`product_view` as finished bytes, and the product's version. On a connection without a transaction."""
    day = clock.today()
    with listing.reading() as session:
        row = session.execute(
            _detail(day, until).where(
                Product.id == product_id,
                Product.state == ProductState.RECOGNISED,
                Organisation.disabled_at.is_(None),
            )
        ).one_or_none()
    if row is None:
        raise NotFound
    head = cards.spliced(row.card, row.available_quantity, row.eligible)
    rest = {"description": row.description, "lots": row.lots or []}
    body = f"{head[:-1]},{json.dumps(rest, ensure_ascii=False, separators=(',', ':'))[1:]}"
    return body.encode(), row.version


def own_product_view(session: Session, actor: Actor, product_id: UUID) -> dict[str, Any]:
    """A product in any state, for its seller and the office. Raises NotFound outside the scope."""
    day = clock.today()
    row = session.execute(
        _detail(day, day).where(Product.id == product_id, product_scope(actor))
    ).one_or_none()
    if row is None:
        raise NotFound
    return {**_shape(row), "state_reason": row.state_reason}


def list_own(
    session: Session, actor: Actor, *, state: str | None = None, limit: int = 24, after: str | None = None
) -> dict[str, Any]:
    """One's own products (the office: all) in any state, newest first."""
    day = clock.today()
    statement = (
        sa.select(
            Product.card,
            listing.available_quantity(day).label("available_quantity"),
            listing.eligible(day).label("eligible"),
        )
        .join(Organisation, Organisation.id == Product.seller_id)
        .where(product_scope(actor))
    )
    if state is not None:
        statement = statement.where(Product.state == state)
    return paginate(
        session,
        statement,
        [(Product.id, True)],
        limit=limit,
        after=after,
        shape=lambda row: {
            **json.loads(row.card), "available_quantity": row.available_quantity, "eligible": row.eligible,
        },
    )  # fmt: skip


def categories(session: Session) -> list[dict[str, Any]]:
    return [
        {"code": row.code, "name": row.name, "parent_code": row.parent_code, "proofs": row.proofs}
        for row in session.scalars(sa.select(Category).order_by(Category.code))
    ]
