"""Channels of the marketplace that come to try the sandbox: they are admitted there once they hold a test key.

The sandbox has rows of its own, so a channel that joined after its seed is unknown there. It gets the terms, prices and
assortment of the seed's channel that trades in the most patterns, and its account last: a test key counts from then on.
"""

from __future__ import annotations

import secrets
from datetime import date
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from marketplace.accounts.models import Organisation, OrganisationKind, Region
from marketplace.accounts.service import add_organisation, add_user
from marketplace.actors import Door, Role, system
from marketplace.catalog.models import PriceList, PriceTier, Product
from marketplace.catalog.prices import add_price_list
from marketplace.channels.agreements import list_item, make_agreement, set_prices
from marketplace.channels.models import ChannelAgreement, ChannelItem
from marketplace.channels.states import OPEN_PATTERNS
from marketplace.clock import today

_WAITING = sa.text(
    """
    select distinct o.code, o.name, o.region_code
    from public.partner_key k
    join public.organisation o on o.id = k.channel_id
    where current_schema() = 'sandbox' and k.mode = 'test' and k.revoked_at is null and o.disabled_at is null
      and not exists (
        select from sandbox.organisation so join sandbox.app_user u on u.organisation_id = so.id
        where so.code = o.code and so.kind = o.kind
      )
    order by o.code
    """
)


def waiting(session: Session) -> list[tuple[str, str, str]]:
    """Code, name and region of the marketplace's channels that hold a test key and have no account in the sandbox.

    Nobody, when the session's schema is the marketplace's own.
    """
    return [(code, name, region) for code, name, region in session.execute(_WAITING)]


def admit(session: Session, code: str, name: str, region_code: str) -> bool:
    """Let a channel trade in the sandbox like the seed's; a stopped admission goes on where it stood.

    False when the sandbox has no channel to take the terms from, because it was not seeded yet.
    """
    model = _model(session)
    if model is None:
        return False
    actor = system(Door.JOB)
    channel_id = session.scalar(sa.select(Organisation.id).where(Organisation.code == code))
    if channel_id is None:
        known = session.get(Region, region_code) is not None
        channel_id = UUID(
            str(
                add_organisation(
                    actor, code=code, name=name, kind=OrganisationKind.CHANNEL.value, subkind=model.subkind,
                    region_code=region_code if known else model.region_code, admitted_on=today(),
                ).result["id"]
            )
        )  # fmt: skip
    list_id = _price_list(session, channel_id, code, name)
    _agree(session, channel_id, list_id, model, name)
    _stock_up(session, channel_id, list_id, model)
    # Nobody signs in to the sandbox; the account is who acts for the channel's keys.
    add_user(
        actor, username=f"guest.{secrets.token_hex(6)}", name="沙箱渠道", password=secrets.token_urlsafe(24),
        organisation_id=channel_id, role=Role.CHANNEL_PARTNER.value,
    )  # fmt: skip
    return True


def _model(session: Session) -> Organisation | None:
    """The channel with an account that trades in the most patterns."""
    patterns = sa.func.count(ChannelAgreement.pattern.distinct())
    return session.scalars(
        sa.select(Organisation)
        .join(ChannelAgreement, ChannelAgreement.channel_id == Organisation.id)
        .where(sa.exists().where(ChannelItem.channel_id == Organisation.id))
        .group_by(Organisation.id)
        .order_by(patterns.desc(), Organisation.created_at, Organisation.id)
        .limit(1)
    ).one_or_none()


def _price_list(session: Session, channel_id: UUID, code: str, name: str) -> UUID:
    wanted = f"SANDBOX-{code}"
    found = session.scalar(sa.select(PriceList.id).where(PriceList.code == wanted))
    if found is not None:
        return found
    made = add_price_list(system(Door.JOB), code=wanted, name=f"{name}沙箱价", organisation_id=channel_id)
    return UUID(str(made.result["id"]))


def _agree(session: Session, channel_id: UUID, list_id: UUID, model: Organisation, name: str) -> None:
    has = set(
        session.scalars(sa.select(ChannelAgreement.pattern).where(ChannelAgreement.channel_id == channel_id))
    )
    newest: dict[Any, ChannelAgreement] = {}
    for row in session.scalars(
        sa.select(ChannelAgreement)
        .where(ChannelAgreement.channel_id == model.id, ChannelAgreement.pattern.in_(OPEN_PATTERNS))
        .order_by(ChannelAgreement.valid_from)
    ):
        newest[row.pattern] = row
    for pattern, terms in newest.items():
        if pattern not in has:
            make_agreement(
                system(Door.JOB), channel_id=channel_id, pattern=pattern, price_list_id=list_id,
                order_cut_off=terms.order_cut_off, lead_days=terms.lead_days,
                confirm_within_h=terms.confirm_within_h, ship_within_h=terms.ship_within_h,
                period_end_day=terms.period_end_day, due_days=terms.due_days,
                valid_from=date(today().year, 1, 1),
                shop_name=None if terms.place_id is None else f"{name}沙箱门店",
            )  # fmt: skip


def _stock_up(session: Session, channel_id: UUID, list_id: UUID, model: Organisation) -> None:
    listed = set(
        session.scalars(sa.select(ChannelItem.product_id).where(ChannelItem.channel_id == channel_id))
    )
    ladders: dict[UUID, list[tuple[int, int]]] = {}
    of_model = sa.select(ChannelAgreement.price_list_id).where(ChannelAgreement.channel_id == model.id)
    for tier in session.scalars(
        sa.select(PriceTier).where(PriceTier.price_list_id.in_(of_model)).order_by(PriceTier.min_quantity)
    ):
        ladders.setdefault(tier.product_id, []).append((tier.min_quantity, tier.price_fen))
    items = session.execute(
        sa.select(ChannelItem, Product.sku)
        .join(Product, Product.id == ChannelItem.product_id)
        .where(ChannelItem.channel_id == model.id, ChannelItem.withdrawn_at.is_(None))
        .order_by(ChannelItem.id)
    ).all()
    for item, sku in items:
        if item.product_id in ladders and item.product_id not in listed:
            set_prices(
                system(Door.JOB), price_list_id=list_id, product_id=item.product_id,
                ladder=ladders[item.product_id],
            )  # fmt: skip
            list_item(
                system(Door.JOB), channel_id=channel_id, product_id=item.product_id, partner_sku=sku,
                gtin=item.gtin, min_remaining_days=item.min_remaining_days,
                box_quantity=item.box_quantity, box_gross_g=item.box_gross_g,
            )  # fmt: skip
