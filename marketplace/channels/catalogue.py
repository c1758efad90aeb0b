"""What a channel reads of its assortment: own prices with their days, stock that lives long enough, changes since.

Every query is bound to the actor's own channel; what another channel carries or pays is absent here.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from marketplace import clock
from marketplace.accounts.models import Organisation, OrganisationKind, Region
from marketplace.actors import Actor, system
from marketplace.catalog.cards import certifications
from marketplace.catalog.models import Category, Lot, LotState, Place, PriceList, PriceTier, Product, Stock
from marketplace.catalog.states import ProductState
from marketplace.channels.models import ChannelAgreement, ChannelItem, ChannelPair
from marketplace.channels.states import OPEN_PATTERNS, Pattern
from marketplace.errors import NotFound
from marketplace.paging import paginate

# No act takes longer: what was changed before this and is not seen yet will never be.
SETTLED = timedelta(seconds=60)


def self_view(session: Session, actor: Actor) -> dict[str, Any]:
    """The channel behind a key: name, pairs, and its agreements in force on the day it is there (`today`)."""
    channel = session.get(Organisation, actor.organisation_id)
    if channel is None:
        raise NotFound
    today = clock.today()
    pairs = session.execute(
        sa.select(ChannelPair.county_code, Region.name)
        .join(Region, Region.code == ChannelPair.county_code)
        .where(ChannelPair.channel_id == channel.id)
        .order_by(ChannelPair.county_code)
    )
    agreements = session.execute(
        sa.select(ChannelAgreement, PriceList.code)
        .join(PriceList, PriceList.id == ChannelAgreement.price_list_id)
        .where(*_in_force(channel.id, today))
        .order_by(ChannelAgreement.pattern)
    )
    return {
        "channel": {"id": channel.id, "name": channel.name},
        "key": (actor.username or "").removeprefix("key:"),
        "today": today,
        "counties": [{"code": row.county_code, "name": row.name} for row in pairs],
        "agreements": [_agreement(row, code) for row, code in agreements],
    }


def list_channels(session: Session) -> list[dict[str, Any]]:
    """Every channel with its pairs and its agreements in force, for the office; four queries."""
    today = clock.today()
    counties: dict[UUID, list[dict[str, str]]] = defaultdict(list)
    for row in session.execute(
        sa.select(ChannelPair.channel_id, ChannelPair.county_code, Region.name)
        .join(Region, Region.code == ChannelPair.county_code)
        .order_by(ChannelPair.county_code)
    ):
        counties[row.channel_id].append({"code": row.county_code, "name": row.name})
    terms: dict[UUID, list[dict[str, Any]]] = defaultdict(list)
    for agreement, code in session.execute(
        sa.select(ChannelAgreement, PriceList.code)
        .join(PriceList, PriceList.id == ChannelAgreement.price_list_id)
        .where(sa.or_(ChannelAgreement.valid_to.is_(None), ChannelAgreement.valid_to >= today))
        .order_by(ChannelAgreement.pattern, ChannelAgreement.valid_from)
    ):
        terms[agreement.channel_id].append(_agreement(agreement, code))
    carried = {
        row.channel_id: row.number
        for row in session.execute(
            sa.select(ChannelItem.channel_id, sa.func.count().label("number"))
            .where(ChannelItem.withdrawn_at.is_(None))
            .group_by(ChannelItem.channel_id)
        )
    }
    return [
        {
            "code": row.code,
            "channel": {"id": row.id, "name": row.name},
            "counties": counties[row.id],
            "agreements": terms[row.id],
            "items": carried.get(row.id, 0),
        }
        for row in session.scalars(
            sa.select(Organisation)
            .where(Organisation.kind == OrganisationKind.CHANNEL)
            .order_by(Organisation.code)
        )
    ]


def channel_items(
    session: Session, channel_id: UUID, *, pattern: str, limit: int = 24, after: str | None = None
) -> dict[str, Any]:
    """A channel's assortment as itself reads it, for the office."""
    as_channel = replace(system(), organisation_id=channel_id)
    return list_items(session, as_channel, pattern=pattern, limit=limit, after=after)


def list_items(
    session: Session,
    actor: Actor,
    *,
    changed_after: datetime | None = None,
    pattern: str | None = None,
    deliver_on: date | None = None,
    limit: int = 24,
    after: str | None = None,
) -> dict[str, Any]:
    """Items in the order of their last change, withdrawn ones among them when changes are asked for.

    `as_of` is the instant to ask on from: everything changed before it is in the answers up to now. Stock lives by
    itself and moves no `changed_at`.
    """
    as_of = clock.now() - SETTLED
    terms = _terms(session, actor, pattern)
    statement = _statement(actor, deliver_on or clock.today())
    if changed_after is None:
        statement = statement.where(
            ChannelItem.withdrawn_at.is_(None), Product.state == ProductState.RECOGNISED
        )
    else:
        statement = statement.where(ChannelItem.changed_at > changed_after)
    columns = ChannelItem.__table__.c
    page = paginate(
        session, statement, [(columns.changed_at, False), (columns.id, False)], limit=limit, after=after, shape=list
    )  # fmt: skip
    return {"items": _items(session, page["items"], terms), "next": page["next"], "as_of": as_of}


def item_view(session: Session, actor: Actor, product_id: UUID, pattern: str | None = None) -> dict[str, Any]:
    """One item of the actor's channel. Raises NotFound for any other product."""
    row = session.execute(
        _statement(actor, clock.today()).where(ChannelItem.product_id == product_id)
    ).one_or_none()
    if row is None:
        raise NotFound
    return _items(session, [row], _terms(session, actor, pattern))[0]


def _in_force(channel_id: UUID | None, today: date) -> tuple[sa.ColumnElement[bool], ...]:
    return (
        ChannelAgreement.channel_id == channel_id,
        ChannelAgreement.valid_from <= today,
        sa.or_(ChannelAgreement.valid_to.is_(None), ChannelAgreement.valid_to >= today),
    )


def _terms(session: Session, actor: Actor, pattern: str | None) -> list[ChannelAgreement]:
    """The agreement of a pattern in force and those to come, whose prices are told ahead.

    Without a pattern: wholesale where it is agreed today, or else what is; with nothing in force what comes first.
    """
    today = clock.today()
    agreements = list(
        session.scalars(
            sa.select(ChannelAgreement)
            .where(
                ChannelAgreement.channel_id == actor.organisation_id,
                ChannelAgreement.pattern.in_(sorted(OPEN_PATTERNS) if pattern is None else [pattern]),
                sa.or_(ChannelAgreement.valid_to.is_(None), ChannelAgreement.valid_to >= today),
            )
            .order_by(ChannelAgreement.valid_from)
        )
    )
    if pattern is None and agreements:
        first = min(
            agreements, key=lambda a: (a.valid_from > today, a.pattern != Pattern.WHOLESALE, a.valid_from)
        )
        return [a for a in agreements if a.pattern == first.pattern]
    return agreements


def _statement(actor: Actor, day: date) -> sa.Select[Any]:
    free = (
        sa.select(sa.cast(sa.func.coalesce(sa.func.sum(Stock.on_hand - Stock.reserved), 0), sa.BigInteger))
        .select_from(Lot)
        .join(Stock, Stock.lot_id == Lot.id)
        .join(Place, Place.id == Stock.place_id)
        .where(
            Lot.product_id == Product.id,
            Lot.state == LotState.RELEASED,
            Lot.best_before >= sa.literal(day) + sa.cast(ChannelItem.min_remaining_days, sa.Integer),
            Place.organisation_id == Product.seller_id,
        )
        .correlate(Product, ChannelItem)
        .scalar_subquery()
    )
    return (
        sa.select(
            ChannelItem,
            Product,
            Category.name.label("category"),
            Region.name.label("county"),
            Organisation.name.label("seller"),
            free.label("available"),
        )
        .join(Product, Product.id == ChannelItem.product_id)
        .join(Category, Category.code == Product.category_code)
        .join(Region, Region.code == Product.county_code)
        .join(Organisation, Organisation.id == Product.seller_id)
        .where(ChannelItem.channel_id == actor.organisation_id)
    )


def _items(session: Session, rows: Sequence[Any], terms: Sequence[ChannelAgreement]) -> list[dict[str, Any]]:
    ids = [row[1].id for row in rows]
    lists = {row.price_list_id for row in terms}
    steps: dict[tuple[UUID, UUID], list[dict[str, int]]] = defaultdict(list)
    for tier in session.scalars(
        sa.select(PriceTier)
        .where(PriceTier.product_id.in_(ids), PriceTier.price_list_id.in_(lists))
        .order_by(PriceTier.product_id, PriceTier.min_quantity)
    ):
        steps[tier.product_id, tier.price_list_id].append(
            {"min_quantity": tier.min_quantity, "price_fen": tier.price_fen}
        )
    marks = certifications(session, ids)
    return [
        _shape(
            row,
            [
                {
                    "valid_from": term.valid_from,
                    "valid_to": term.valid_to,
                    "ladder": steps[row[1].id, term.price_list_id],
                }
                for term in terms
                if steps.get((row[1].id, term.price_list_id))
            ],
            marks.get(row[1].id, []),
        )
        for row in rows
    ]


def _shape(row: Any, prices: list[dict[str, Any]], marks: list[dict[str, Any]]) -> dict[str, Any]:
    item, product, category, county, seller, available = row[:6]
    sizes = (item.box_length_mm, item.box_width_mm, item.box_height_mm)
    on_sale = item.withdrawn_at is None and product.state is ProductState.RECOGNISED and bool(prices)
    return {
        "product_id": product.id,
        "sku": product.sku,
        "partner_sku": item.partner_sku,
        "gtin": item.gtin or product.gtin,
        "name": product.name,
        "spec": product.spec,
        "category": {"code": product.category_code, "name": category},
        "county": {"code": product.county_code, "name": county},
        "seller": {"id": product.seller_id, "name": seller},
        "tax_category": product.tax_category,
        "pack": {"unit": product.pack_unit, "net_g": product.net_g},
        "priced_by": product.priced_by.value,
        "box": {
            "quantity": item.box_quantity,
            "gross_g": item.box_gross_g,
            "length_mm": sizes[0],
            "width_mm": sizes[1],
            "height_mm": sizes[2],
        },
        "shelf_life_days": product.shelf_life_days,
        "min_remaining_days": item.min_remaining_days,
        "storage": product.storage,
        "min_order_quantity": product.min_order_quantity,
        "order_multiple": product.order_multiple,
        "prices": prices,
        "certifications": marks,
        "state": "listed" if on_sale else "withdrawn",
        "available_quantity": available if on_sale else 0,
        "listed_at": item.listed_at,
        "withdrawn_at": item.withdrawn_at,
        "changed_at": item.changed_at,
        "version": item.version,
    }


def _agreement(row: ChannelAgreement, price_list: str) -> dict[str, Any]:
    return {
        "id": row.id,
        "pattern": row.pattern.value,
        "price_list": price_list,
        "order_cut_off": row.order_cut_off,
        "lead_days": row.lead_days,
        "confirm_within_h": row.confirm_within_h,
        "ship_within_h": row.ship_within_h,
        "period_end_day": row.period_end_day,
        "due_days": row.due_days,
        "place_id": row.place_id,
        "valid_from": row.valid_from,
        "valid_to": row.valid_to,
    }
