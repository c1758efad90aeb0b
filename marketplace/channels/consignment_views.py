"""What the two sides, and the offices of the seller's county, read of consignments and of the goods in the shops."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session, aliased

from marketplace.accounts.models import Organisation
from marketplace.actors import Actor, Permission, Role
from marketplace.catalog.models import Lot, Place, PlaceKind, Product, Stock
from marketplace.channels.consignment_models import Consignment, ConsignmentLine
from marketplace.channels.states import ConsignmentState
from marketplace.errors import NotFound
from marketplace.paging import DEFAULT_LIMIT, paginate

OFFICES = frozenset({Role.POVERTY_OFFICE, Role.MARKET_REGULATOR})
CHANNEL, SELLER = aliased(Organisation), aliased(Organisation)


def in_scope(actor: Actor) -> sa.ColumnElement[bool]:
    """Its channel and its seller; offices of the city, and those of the seller's county."""
    if actor.can(Permission.SYSTEM):
        return sa.true()
    if actor.role in OFFICES:
        return Consignment.seller_id.in_(sorted(actor.subordinate_ids)) if actor.of_county else sa.true()
    own = actor.organisation_id
    return sa.or_(Consignment.channel_id == own, Consignment.seller_id == own)


def _head() -> sa.Select[*tuple[Any, ...]]:
    return (
        sa.select(
            Consignment,
            CHANNEL.name.label("channel"),
            SELLER.name.label("seller"),
            Place.name.label("shop"),
        )
        .join(CHANNEL, CHANNEL.id == Consignment.channel_id)
        .join(SELLER, SELLER.id == Consignment.seller_id)
        .join(Place, Place.id == Consignment.place_id)
    )


def consignment_view(session: Session, actor: Actor, consignment_id: UUID) -> dict[str, Any]:
    """One consignment with its lines. Raises NotFound outside the actor's scope."""
    head = session.execute(_head().where(Consignment.id == consignment_id, in_scope(actor))).one_or_none()
    if head is None:
        raise NotFound
    taken_over = head.Consignment.state is ConsignmentState.TAKEN_OVER
    lines = session.execute(
        sa.select(ConsignmentLine, Product.name, Product.spec, Product.pack_unit, Lot.best_before)
        .join(Product, Product.id == ConsignmentLine.product_id)
        .join(Lot, Lot.id == ConsignmentLine.lot_id)
        .where(ConsignmentLine.consignment_id == consignment_id)
        .order_by(ConsignmentLine.position)
    )
    return {
        **_shape(head),
        "lines": [
            {
                "product_id": line.product_id,
                "name": name,
                "spec": spec,
                "pack_unit": unit,
                "trace_code": line.trace_code,
                "best_before": best_before,
                "quantity": line.quantity,
                "accepted_quantity": line.accepted if taken_over else None,
            }
            for line, name, spec, unit, best_before in lines
        ],
    }


def list_consignments(
    session: Session,
    actor: Actor,
    *,
    state: str | None = None,
    limit: int = DEFAULT_LIMIT,
    after: str | None = None,
) -> dict[str, Any]:
    """A page of the consignments in the actor's scope, newest first, in one query."""
    statement = _head().where(in_scope(actor))
    if state is not None:
        statement = statement.where(Consignment.state == ConsignmentState(state))
    return paginate(
        session, statement, [(Consignment.__table__.c.id, True)], limit=limit, after=after, shape=_shape
    )


def shop_stock(session: Session, actor: Actor) -> list[dict[str, Any]]:
    """What stands in the shops of the actor's channel, by shop and product, the first to expire first: one query."""
    rows = session.execute(
        sa.select(
            *(Place.id.label("place_id"), Place.name.label("shop"), Organisation.name.label("seller")),
            *(Lot.seller_id, Lot.product_id, Product.name, Product.spec, Product.pack_unit),
            *(Lot.trace_code, Lot.best_before, Lot.state, Stock.on_hand),
        )
        .join(Stock, Stock.place_id == Place.id)
        .join(Lot, Lot.id == Stock.lot_id)
        .join(Product, Product.id == Lot.product_id)
        .join(Organisation, Organisation.id == Lot.seller_id)
        .where(
            Place.kind == PlaceKind.SHOP,
            Place.organisation_id == actor.organisation_id,
            Stock.on_hand > 0,
        )
        .order_by(Place.name, Product.name, Product.spec, Lot.best_before, Lot.trace_code)
    )
    return [
        {
            "shop": {"id": row.place_id, "name": row.shop},
            "seller": {"id": row.seller_id, "name": row.seller},
            "product_id": row.product_id,
            "name": row.name,
            "spec": row.spec,
            "pack_unit": row.pack_unit,
            "trace_code": row.trace_code,
            "best_before": row.best_before,
            "lot_state": row.state.value,
            "quantity": row.on_hand,
        }
        for row in rows
    ]


def _shape(found: Any) -> dict[str, Any]:
    row: Consignment = found.Consignment
    return {
        "id": row.id,
        "number": row.number,
        "channel": {"id": row.channel_id, "name": found.channel},
        "seller": {"id": row.seller_id, "name": found.seller},
        "shop": {"id": row.place_id, "name": found.shop},
        "state": row.state.value,
        "sent_at": row.sent_at,
        "ended_at": row.ended_at,
        "version": row.version,
    }
