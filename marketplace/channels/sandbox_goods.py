"""Fresh goods in the sandbox, whose clock only goes forward: its sellers harvest again where nothing keeps any more."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from marketplace.actors import Actor, Door, system
from marketplace.catalog.models import Lot, LotState, Product, ProductState
from marketplace.channels.models import ChannelItem
from marketplace.channels.sandbox import seller_actor
from marketplace.clock import today
from marketplace.errors import NotFound
from marketplace.trace.models import LotCertificate, Origin
from marketplace.trace.service import add_lot, certify_lot, inspect_lot, release_lot

# An order of today may ask for a day of the week to come.
ORDERED_AHEAD = timedelta(days=7)


def harvest(session: Session, actor: Actor, partner_sku: str, quantity: int) -> str:
    """The seller of an item has a new lot of it on sale, also when others have ordered all there was.

    Returns the trace code. Raises NotFound for what the channel does not carry, and what registering and releasing a
    lot refuse.
    """
    product_id = session.scalar(
        sa.select(ChannelItem.product_id).where(
            ChannelItem.channel_id == actor.organisation_id,
            ChannelItem.partner_sku == partner_sku,
            ChannelItem.withdrawn_at.is_(None),
        )
    )
    last = None if product_id is None else _last(session, product_id)
    if last is None:
        raise NotFound("渠道目录里没有这个产品")
    return _again(session, last, quantity)


def restock(session: Session) -> None:
    """Each product that a channel carries and no lot of which keeps long enough for an order is harvested anew.

    What does not keep so long even when it is fresh is left out.
    """
    carried = (
        sa.select(ChannelItem.product_id, sa.func.max(ChannelItem.min_remaining_days).label("days"))
        .join(Product, Product.id == ChannelItem.product_id)
        .where(ChannelItem.withdrawn_at.is_(None), Product.state == ProductState.RECOGNISED)
        .group_by(ChannelItem.product_id)
        .subquery()
    )
    keeping = (
        sa.select(Lot.id)
        .where(
            Lot.product_id == carried.c.product_id,
            Lot.state == LotState.RELEASED,
            Lot.best_before >= sa.literal(today() + ORDERED_AHEAD) + sa.cast(carried.c.days, sa.Integer),
        )
        .exists()
    )
    lacking = session.execute(sa.select(carried).where(~keeping).order_by(carried.c.product_id)).all()
    for product_id, days in lacking:
        last = _last(session, product_id)
        if last is not None and last.best_before - last.harvested_on >= ORDERED_AHEAD + timedelta(days=days):
            _again(session, last, last.quantity)


def _last(session: Session, product_id: UUID) -> Lot | None:
    return session.scalar(
        sa.select(Lot)
        .where(Lot.product_id == product_id, Lot.released_at.is_not(None))
        .order_by(Lot.created_at.desc(), Lot.id.desc())
        .limit(1)
    )


def _again(session: Session, last: Lot, quantity: int) -> str:
    """A lot from where the last one came, with papers and a sample of today. Returns its trace code."""
    seller, day = seller_actor(session, last.seller_id), today()
    origins = session.scalars(sa.select(Origin).where(Origin.lot_id == last.id).order_by(Origin.position))
    papers = {
        paper.kind: paper
        for paper in session.scalars(
            sa.select(LotCertificate)
            .where(LotCertificate.lot_id == last.id)
            .order_by(LotCertificate.recorded_at, LotCertificate.id)
        )
    }
    wish = [(p.kind.value, p.document_id, p.product_name, p.holder_credit_code) for p in papers.values()]
    added = add_lot(
        seller, product_id=last.product_id, quantity=quantity, harvested_on=day,
        best_before=day + (last.best_before - last.harvested_on),
        origins=[{"township_code": o.township_code, "village": o.village, "plot": o.plot} for o in origins],
    ).result  # fmt: skip
    for kind, document_id, product_name, holder in wish:
        certify_lot(
            seller, added["id"], kind=kind, issued_on=day, document_id=document_id,
            product_name=product_name, holder_credit_code=holder,
        )  # fmt: skip
    found = {"name": "农药残留", "value": "未检出", "limit": "0.01", "unit": "mg/kg"}
    inspect_lot(system(Door.PARTNER), added["id"], sampled_on=day, items=[found], passed=True)
    release_lot(seller, added["id"])
    return str(added["trace_code"])
