"""What the two sides, and the offices of the seller's county, read of consignments and of the goods in the shops."""

from __future__ import annotations

from datetime import date
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session, aliased

from marketplace.accounts.models import Organisation
from marketplace.actors import Actor, Permission, Role
from marketplace.catalog.models import Lot, LotState, Place, PlaceKind, Product, Stock
from marketplace.channels.consignment_models import Consignment, ConsignmentLine
from marketplace.channels.models import ChannelAgreement, ChannelItem
from marketplace.channels.states import ConsignmentState, Pattern
from marketplace.errors import NotFound
from marketplace.paging import DEFAULT_LIMIT, paginate, sort_keys

OFFICES = frozenset({Role.POVERTY_OFFICE, Role.MARKET_REGULATOR})
CHANNEL, SELLER = aliased(Organisation), aliased(Organisation)
SORTS: dict[str, sa.SQLColumnExpression[Any]] = {
    "number": Consignment.__table__.c.number,
    "seller": SELLER.name,
    "shop": Place.__table__.c.name,
    "sent_at": Consignment.__table__.c.sent_at,
}


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
        sa.select(ConsignmentLine, Product, Lot.best_before)
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
                "name": product.name,
                "spec": product.spec,
                "pack_unit": product.pack_unit,
                "net_g": product.net_g,
                "trace_code": line.trace_code,
                "best_before": best_before,
                "quantity": line.quantity,
                "accepted_quantity": line.accepted if taken_over else None,
            }
            for line, product, best_before in lines
        ],
    }


def list_consignments(
    session: Session,
    actor: Actor,
    *,
    state: str | None = None,
    sort: str | None = None,
    limit: int = DEFAULT_LIMIT,
    after: str | None = None,
) -> dict[str, Any]:
    """A page of the consignments in the actor's scope, newest first or by one of `SORTS`, in one query."""
    statement = _head().where(in_scope(actor), *_standing(state))
    keys = sort_keys(SORTS, sort, Consignment.__table__.c.id)
    return paginate(session, statement, keys, limit=limit, after=after, shape=_shape)


def consigned_lots(session: Session, actor: Actor, *, state: str | None, limit: int) -> list[dict[str, Any]]:
    """Lot by lot what the consignments in the actor's scope carried, the newest first, in one query.

    `accepted` are packs, None until the shop took over.
    """
    statement = (
        _head()
        .add_columns(ConsignmentLine, Product)
        .join(ConsignmentLine, ConsignmentLine.consignment_id == Consignment.id)
        .join(Product, Product.id == ConsignmentLine.product_id)
        .where(in_scope(actor), *_standing(state))
        .order_by(Consignment.id.desc(), ConsignmentLine.position)
        .limit(limit)
    )
    return [
        {
            **_shape(row),
            "name": f"{row.Product.name} {row.Product.spec}",
            "pack_unit": row.Product.pack_unit,
            "trace_code": row.ConsignmentLine.trace_code,
            "quantity": row.ConsignmentLine.quantity,
            "accepted": row.ConsignmentLine.accepted
            if row.Consignment.state is ConsignmentState.TAKEN_OVER
            else None,
        }
        for row in session.execute(statement)
    ]


def _standing(state: str | None) -> list[sa.ColumnElement[bool]]:
    return [] if state is None else [Consignment.state == ConsignmentState(state)]


def open_shops(session: Session, seller_id: UUID | None, day: date) -> list[dict[str, Any]]:
    """The shops to which consignment is agreed on `day` of channels that carry something of the seller."""
    carried = sa.func.count(ChannelItem.id)
    rows = session.execute(
        sa.select(Organisation.id, Organisation.name, Place.name.label("shop"), carried.label("carried"))
        .join(ChannelAgreement, ChannelAgreement.channel_id == Organisation.id)
        .join(Place, Place.id == ChannelAgreement.place_id)
        .join(ChannelItem, ChannelItem.channel_id == Organisation.id)
        .join(Product, Product.id == ChannelItem.product_id)
        .where(
            ChannelAgreement.pattern == Pattern.CONSIGNMENT,
            ChannelAgreement.valid_from <= day,
            sa.or_(ChannelAgreement.valid_to.is_(None), ChannelAgreement.valid_to >= day),
            ChannelItem.withdrawn_at.is_(None),
            Product.seller_id == seller_id,
        )
        .group_by(Organisation.id, Place.id)
        .order_by(Organisation.name)
    )
    return [dict(row) for row in rows.mappings()]


def sendable_lots(
    session: Session,
    channel_id: UUID | None,
    day: date,
    *,
    seller_id: UUID | None = None,
    partner_sku: str | None = None,
) -> list[dict[str, Any]]:
    """Lots that a seller could send to the channel's shop on `day`, by product, the first to expire first.

    `free` are the packs at the place of the seller's with the most of them: one line is sent from one place.
    """
    free = sa.func.max(Stock.on_hand - Stock.reserved)
    statement = (
        sa.select(
            *(Lot.trace_code, Lot.code, Lot.best_before, Lot.seller_id, Lot.product_id),
            *(Product.name, Product.spec, Product.pack_unit, free.label("free")),
        )
        .join(Product, Product.id == Lot.product_id)
        .join(ChannelItem, ChannelItem.product_id == Lot.product_id)
        .join(Stock, Stock.lot_id == Lot.id)
        .join(Place, sa.and_(Place.id == Stock.place_id, Place.organisation_id == Lot.seller_id))
        .where(
            ChannelItem.channel_id == channel_id,
            ChannelItem.withdrawn_at.is_(None),
            Lot.state == LotState.RELEASED,
            Lot.best_before >= sa.literal(day) + sa.cast(ChannelItem.min_remaining_days, sa.Integer),
        )
        .group_by(Lot.id, Product.id)
        .having(free > 0)
        .order_by(Product.name, Product.spec, Lot.best_before, Lot.id)
    )
    if seller_id is not None:
        statement = statement.where(Lot.seller_id == seller_id)
    if partner_sku is not None:
        statement = statement.where(ChannelItem.partner_sku == partner_sku)
    return [dict(row) for row in session.execute(statement).mappings()]


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
