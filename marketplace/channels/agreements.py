"""Agreements with channels: pairs of districts and counties, terms of trade, and what each carries at which price.

The poverty office keeps them (CHANNEL_MANAGE). Nobody but the channel itself and the office reads a channel's prices.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from marketplace.accounts.models import Organisation, OrganisationKind, Region
from marketplace.actors import Actor, Permission
from marketplace.catalog.models import Place, PlaceKind, PriceList, PriceTier, Product
from marketplace.catalog.states import ProductState
from marketplace.channels.models import ChannelAgreement, ChannelItem, ChannelPair
from marketplace.channels.rules import ladder_problem
from marketplace.channels.states import OPEN_PATTERNS, Pattern
from marketplace.errors import AlreadyThere, NotFound, RuleViolation, WrongState, refuse_fields
from marketplace.unit_of_work import NO_ONCE, Once, Reply, Transaction, transaction
from marketplace.values import uuid7


def add_pair(
    actor: Actor, *, channel_id: UUID, county_code: str, district_code: str, source: str, once: Once = NO_ONCE
) -> Reply:
    """Pair a channel's district with a county (对口协作). Raises AlreadyThere (`already-there`), NotFound."""
    with transaction(actor, Permission.CHANNEL_MANAGE, once) as tx:
        _channel(tx.session, channel_id)
        refuse_fields(
            [
                (name, None if tx.session.get(Region, code) is not None else "没有这个地区代码")
                for name, code in (("county_code", county_code), ("district_code", district_code))
            ]
        )
        if tx.session.get(ChannelPair, (channel_id, county_code)) is not None:
            raise AlreadyThere(county=county_code)
        tx.session.add(
            ChannelPair(
                channel_id=channel_id, county_code=county_code, district_code=district_code, source=source
            )
        )
        tx.record(
            "channel.paired", "organisation", channel_id, parties=[channel_id],
            county=county_code, district=district_code, source=source,
        )  # fmt: skip
        return tx.answer({"channel_id": channel_id, "county_code": county_code})


def make_agreement(
    actor: Actor,
    *,
    channel_id: UUID,
    pattern: Pattern,
    price_list_id: UUID,
    order_cut_off: str,
    lead_days: int,
    confirm_within_h: int,
    ship_within_h: int,
    period_end_day: int,
    due_days: int,
    valid_from: date,
    valid_to: date | None = None,
    shop_name: str | None = None,
    once: Once = NO_ONCE,
) -> Reply:
    """Agree on how a channel trades from `valid_from` on; the agreement of this pattern before it ends the day before.

    Other prices are another price list, and so another agreement. Consignment needs a shop, whose place is made when
    it is not there. Raises AlreadyThere (`already-there`) for the same day, RuleViolation (`invalid`), NotFound.
    """
    with transaction(actor, Permission.CHANNEL_MANAGE, once) as tx:
        _channel(tx.session, channel_id)
        owner = tx.session.scalar(sa.select(PriceList.organisation_id).where(PriceList.id == price_list_id))
        refuse_fields(
            [
                ("pattern", None if pattern in OPEN_PATTERNS else "这种合作方式还没有开通"),
                ("price_list_id", None if owner == channel_id else "价目表要是这个渠道自己的"),
                (
                    "valid_to",
                    "截止日期早于开始日期" if valid_to is not None and valid_to < valid_from else None,
                ),
                ("shop_name", "代销要写明门店" if pattern is Pattern.CONSIGNMENT and not shop_name else None),
            ]
        )
        before = tx.session.scalars(
            sa.select(ChannelAgreement)
            .where(ChannelAgreement.channel_id == channel_id, ChannelAgreement.pattern == pattern)
            .order_by(ChannelAgreement.valid_from)
            .with_for_update()
        ).all()
        if any(row.valid_from >= valid_from for row in before):
            raise AlreadyThere("这一天起已经有协议", valid_from=valid_from.isoformat())
        if before and (before[-1].valid_to is None or before[-1].valid_to >= valid_from):
            before[-1].valid_to = valid_from - timedelta(days=1)
            before[-1].version += 1
        row = ChannelAgreement(
            id=uuid7(),
            channel_id=channel_id,
            pattern=pattern,
            price_list_id=price_list_id,
            order_cut_off=order_cut_off,
            lead_days=lead_days,
            confirm_within_h=confirm_within_h,
            ship_within_h=ship_within_h,
            period_end_day=period_end_day,
            due_days=due_days,
            place_id=None if shop_name is None else _shop(tx, channel_id, shop_name),
            valid_from=valid_from,
            valid_to=valid_to,
            made_at=tx.started_at,
        )
        tx.session.add(row)
        _touch_items(tx, channel_id)
        tx.record(
            "channel.agreed",
            "channel_agreement",
            row.id,
            parties=[channel_id],
            channel=str(channel_id),
            pattern=pattern.value,
            price_list=str(price_list_id),
            order_cut_off=order_cut_off,
            lead_days=lead_days,
            confirm_within_h=confirm_within_h,
            ship_within_h=ship_within_h,
            period_end_day=period_end_day,
            due_days=due_days,
            place=None if row.place_id is None else str(row.place_id),
            valid_from=valid_from.isoformat(),
            valid_to=None if valid_to is None else valid_to.isoformat(),
        )
        return tx.answer({"id": row.id, "place_id": row.place_id})


def set_prices(
    actor: Actor,
    *,
    price_list_id: UUID,
    product_id: UUID,
    ladder: Sequence[tuple[int, int]],
    once: Once = NO_ONCE,
) -> Reply:
    """Put a product's prices, steps of (minimum packs, fen), on a channel's own list, in the place of those before.

    Raises RuleViolation (`invalid`), NotFound for a list that belongs to no channel.
    """
    with transaction(actor, Permission.CHANNEL_MANAGE, once) as tx:
        channel_id = tx.session.scalar(
            sa.select(PriceList.organisation_id).where(PriceList.id == price_list_id).with_for_update()
        )
        if channel_id is None or tx.session.get(Product, product_id) is None:
            raise NotFound
        problem = ladder_problem(list(ladder))
        if problem:
            raise RuleViolation(errors=[{"pointer": "#/ladder", "detail": problem}])
        tx.session.execute(
            sa.delete(PriceTier).where(
                PriceTier.product_id == product_id, PriceTier.price_list_id == price_list_id
            )
        )
        tx.session.execute(
            sa.insert(PriceTier),
            [
                {
                    "product_id": product_id,
                    "price_list_id": price_list_id,
                    "min_quantity": q,
                    "price_fen": fen,
                }
                for q, fen in ladder
            ],
        )
        _touch_items(tx, channel_id, [product_id])
        tx.record(
            "channel.priced", "price_list", price_list_id, parties=[channel_id], channel=str(channel_id),
            product=str(product_id), ladder=[{"min_quantity": q, "price_fen": fen} for q, fen in ladder],
        )  # fmt: skip
        return tx.answer({"price_list_id": price_list_id, "product_id": product_id})


def list_item(
    actor: Actor,
    *,
    channel_id: UUID,
    product_id: UUID,
    partner_sku: str | None = None,
    gtin: str | None = None,
    min_remaining_days: int = 0,
    box_quantity: int = 1,
    box_gross_g: int | None = None,
    box_mm: tuple[int, int, int] | None = None,
    once: Once = NO_ONCE,
) -> Reply:
    """Take a product into a channel's assortment, or list it again with these terms; sizes in mm, weight in grams.

    Raises RuleViolation (`invalid`) for a product that is not recognised, AlreadyThere (`already-there`) when the
    channel's own number (SKU) is another product's.
    """
    with transaction(actor, Permission.CHANNEL_MANAGE, once) as tx:
        _channel(tx.session, channel_id)
        product = tx.session.get(Product, product_id)
        if product is None:
            raise NotFound
        if product.state is not ProductState.RECOGNISED:
            raise RuleViolation(errors=[{"pointer": "#/product_id", "detail": "产品还没有认定"}])
        if partner_sku is not None and tx.session.scalar(
            sa.select(ChannelItem.id).where(
                ChannelItem.channel_id == channel_id,
                ChannelItem.partner_sku == partner_sku,
                ChannelItem.product_id != product_id,
            )
        ):
            raise AlreadyThere(partner_sku=partner_sku)
        row = _item(tx.session, channel_id, product_id)
        if row is None:
            row = ChannelItem(id=uuid7(), channel_id=channel_id, product_id=product_id, version=0)
            tx.session.add(row)
        row.partner_sku, row.gtin = partner_sku, gtin or product.gtin
        row.min_remaining_days, row.box_quantity, row.box_gross_g = (
            min_remaining_days, box_quantity, box_gross_g,
        )  # fmt: skip
        row.box_length_mm, row.box_width_mm, row.box_height_mm = box_mm or (None, None, None)
        row.listed_at = row.changed_at = tx.started_at
        row.withdrawn_at = None
        row.version += 1
        _record_item(tx, "channel.listed", row)
        return tx.answer({"id": row.id, "product_id": product_id})


def withdraw_item(actor: Actor, *, channel_id: UUID, product_id: UUID, once: Once = NO_ONCE) -> Reply:
    """Take a product out of a channel's assortment; orders placed before stand. Raises WrongState, NotFound."""
    with transaction(actor, Permission.CHANNEL_MANAGE, once) as tx:
        row = _item(tx.session, channel_id, product_id)
        if row is None:
            raise NotFound
        if row.withdrawn_at is not None:
            raise WrongState("已经下架")
        row.withdrawn_at = row.changed_at = tx.started_at
        row.version += 1
        _record_item(tx, "channel.withdrawn", row)
        return tx.answer({"id": row.id, "product_id": product_id})


def agreement_on(session: Session, channel_id: UUID, pattern: Pattern, day: date) -> ChannelAgreement | None:
    """The agreement of a channel in a pattern that is in force on `day`."""
    return session.scalars(
        sa.select(ChannelAgreement).where(
            ChannelAgreement.channel_id == channel_id,
            ChannelAgreement.pattern == pattern,
            ChannelAgreement.valid_from <= day,
            sa.or_(ChannelAgreement.valid_to.is_(None), ChannelAgreement.valid_to >= day),
        )
    ).one_or_none()


def channel_by_code(session: Session, code: str) -> UUID:
    """Raises NotFound (`not-found`) for a code that is no channel's."""
    found = session.scalar(
        sa.select(Organisation.id).where(
            Organisation.code == code, Organisation.kind == OrganisationKind.CHANNEL
        )
    )
    if found is None:
        raise NotFound("找不到这个渠道")
    return found


def price_list_by_code(session: Session, channel_id: UUID, code: str) -> UUID:
    """A list of this channel's own. Raises RuleViolation (`invalid`) for any other."""
    found = session.scalar(
        sa.select(PriceList.id).where(PriceList.code == code, PriceList.organisation_id == channel_id)
    )
    if found is None:
        raise RuleViolation(errors=[{"pointer": "#/price_list_code", "detail": "价目表要是这个渠道自己的"}])
    return found


def _channel(session: Session, channel_id: UUID) -> Organisation:
    row = session.get(Organisation, channel_id)
    if row is None or row.kind is not OrganisationKind.CHANNEL:
        raise NotFound("找不到这个渠道")
    return row


def _item(session: Session, channel_id: UUID, product_id: UUID) -> ChannelItem | None:
    return session.scalars(
        sa.select(ChannelItem)
        .where(ChannelItem.channel_id == channel_id, ChannelItem.product_id == product_id)
        .with_for_update()
    ).one_or_none()


def _shop(tx: Transaction, channel_id: UUID, name: str) -> UUID:
    """The shop of that name; made where it is missing."""
    found = tx.session.scalar(
        sa.select(Place.id).where(Place.organisation_id == channel_id, Place.name == name)
    )
    if found is not None:
        return found
    place = Place(id=uuid7(), organisation_id=channel_id, kind=PlaceKind.SHOP, name=name)
    tx.session.add(place)
    tx.session.flush()
    tx.record(
        "place.added", "place", place.id, parties=[channel_id],
        organisation=str(channel_id), kind=place.kind.value, name=name,
    )  # fmt: skip
    return place.id


def _touch_items(tx: Transaction, channel_id: UUID, product_ids: Sequence[UUID] | None = None) -> None:
    """What the channel reads of these items is new from now on."""
    statement = sa.update(ChannelItem).where(ChannelItem.channel_id == channel_id)
    if product_ids is not None:
        statement = statement.where(ChannelItem.product_id.in_(product_ids))
    tx.session.execute(statement.values(changed_at=tx.started_at, version=ChannelItem.version + 1))


def _record_item(tx: Transaction, kind: str, row: ChannelItem) -> None:
    tx.session.flush()
    data: dict[str, Any] = {
        "channel": str(row.channel_id),
        "product": str(row.product_id),
        "partner_sku": row.partner_sku,
        "gtin": row.gtin,
        "min_remaining_days": row.min_remaining_days,
        "box_quantity": row.box_quantity,
    }
    tx.record(kind, "channel_item", row.id, parties=[row.channel_id], **data)
