"""Products for their readers: the public detail, one's own, those that wait for the office, the categories."""

from __future__ import annotations

import json
from datetime import date
from functools import cache
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
from marketplace.reading import fetch_plain
from marketplace.wire import Prepared, prepare


def product_scope(actor: Actor) -> sa.ColumnElement[bool]:
    """Products in any state that the actor may see: a seller's own; the recognising office and the system all, an
    office of a county those of the county's sellers.
    """
    if actor.can(Permission.PRODUCT_RECOGNISE):
        return Product.seller_id.in_(sorted(actor.subordinate_ids)) if actor.of_county else sa.true()
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
    row = session.execute(_public()[0], _values(product_id, until)).one_or_none()
    if row is None:
        raise NotFound
    return _shape(row)


def detail_json(product_id: UUID, until: date | None = None) -> tuple[bytes, int]:
    """`product_view` as finished bytes, and the product's version. On a connection without a transaction."""
    rows = fetch_plain(_public()[1], _values(product_id, until))
    if not rows:
        raise NotFound
    card, version, description, _, _, available, counts, lots = rows[0]
    rest = {
        "description": description and description.decode(),
        "lots": json.loads(lots) if lots is not None else [],
    }
    text = json.dumps(rest, ensure_ascii=False, separators=(",", ":"))
    return b"%b,%b" % (cards.spliced(card, available, counts)[:-1], text[1:].encode()), int(version or 0)


@cache
def _public() -> tuple[sa.Select[Any], Prepared]:
    day = clock.today()
    statement = _detail(day, day).where(
        Product.id == sa.bindparam("product_id", type_=sa.Uuid),
        Product.state == ProductState.RECOGNISED,
        Organisation.disabled_at.is_(None),
    )
    return statement, prepare(statement)


def _values(product_id: UUID, until: date | None) -> dict[str, Any]:
    day = clock.today()
    return {
        "product_id": product_id,
        "day": day,
        "year": clock.budget_year(day),
        "until": listing.delivery_day(until, day),
    }


def own_product_view(session: Session, actor: Actor, product_id: UUID) -> dict[str, Any]:
    """A product in any state, for its seller and the office. Raises NotFound outside the scope."""
    day = clock.today()
    row = session.execute(
        _detail(day, day).where(Product.id == product_id, product_scope(actor))
    ).one_or_none()
    if row is None:
        raise NotFound
    return {**_shape(row), "state_reason": row.state_reason}


OWN_SORTS = ("name", "-name", "price", "-price")


def list_own(
    session: Session,
    actor: Actor,
    *,
    state: str | None = None,
    sort: str | None = None,
    limit: int = 24,
    after: str | None = None,
) -> dict[str, Any]:
    """One's own products (the office: all) in any state, newest first or by one of `OWN_SORTS`."""
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
    columns = Product.__table__.c
    keys = [(columns.id, True)]
    if sort in OWN_SORTS:
        sorted_by = (columns.name, columns.spec) if sort.endswith("name") else (columns.price_fen,)
        keys = [*((column, sort.startswith("-")) for column in sorted_by), *keys]
    return paginate(
        session,
        statement,
        keys,
        limit=limit,
        after=after,
        shape=lambda row: {
            **json.loads(row.card), "available_quantity": row.available_quantity, "eligible": row.eligible,
        },
    )  # fmt: skip


def count_own(session: Session, actor: Actor) -> dict[str, int]:
    """How many of these products are in each state; states without one are left out."""
    rows = session.execute(
        sa.select(Product.state, sa.func.count()).where(product_scope(actor)).group_by(Product.state)
    )
    return {state.value: number for state, number in rows}


def categories(session: Session) -> list[dict[str, Any]]:
    return [
        {"code": row.code, "name": row.name, "parent_code": row.parent_code, "proofs": row.proofs}
        for row in session.scalars(sa.select(Category).order_by(Category.code))
    ]
