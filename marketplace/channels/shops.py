"""A channel's shop on a day: its agreement, its lots under the names that a report gives them, and their prices."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from marketplace.channels.agreements import agreement_on
from marketplace.channels.consignment_models import Consignment, ConsignmentLine
from marketplace.channels.models import ChannelAgreement
from marketplace.channels.ordering import NoAgreement
from marketplace.channels.states import Pattern
from marketplace.clock import business_day
from marketplace.errors import RuleViolation
from marketplace.trace.codes import canonical_form


@dataclass(frozen=True)
class Shop:
    """Where goods of consignment stand on a day, and the list that prices what leaves on it."""

    channel_id: UUID
    place_id: UUID
    price_list_id: UUID


@dataclass(frozen=True)
class LotName:
    """A lot by its trace code, or by the channel's own number of the product and the seller's of the lot."""

    trace_code: str | None = None
    partner_sku: str | None = None
    lot_code: str | None = None


@dataclass(frozen=True)
class ShopLot:
    """A lot that stands, or has stood, in the shop. `unit_price_fen` is None when the list of the day has no price."""

    stock_id: int
    lot_id: UUID
    product_id: UUID
    seller_id: UUID
    trace_code: str
    unit_price_fen: int | None


_LOTS = sa.text(
    """
    select s.id as stock_id, l.id as lot_id, l.product_id, l.seller_id, l.trace_code,
           (select t.price_fen from price_tier t
             where t.product_id = l.product_id and t.price_list_id = :prices
             order by t.min_quantity limit 1) as unit_price_fen,
           i.partner_sku, l.code
    from stock s
    join lot l on l.id = s.lot_id
    left join channel_item i on i.product_id = l.product_id and i.channel_id = :channel
    where s.place_id = :place
      and (l.trace_code = any(:codes) or (i.partner_sku = any(:skus) and l.code = any(:lots)))
    """
)
_LOCK = sa.text("select pg_advisory_xact_lock(hashtextextended(:scope, 0))")


def shop_on(session: Session, channel_id: UUID, day: date, place_id: UUID | None = None) -> Shop:
    """The shop of the agreement of consignment that is in force on `day`.

    Raises NoAgreement (`no-agreement`), RuleViolation (`invalid`) when `place_id` names another place.
    """
    agreement = agreement_on(session, channel_id, Pattern.CONSIGNMENT, day)
    return _shop(agreement, place_id)


def last_shop(session: Session, channel_id: UUID, day: date, place_id: UUID | None = None) -> Shop:
    """The same; after the last agreement's end still its shop, since goods may be left there."""
    agreement = session.scalars(
        sa.select(ChannelAgreement)
        .where(
            ChannelAgreement.channel_id == channel_id,
            ChannelAgreement.pattern == Pattern.CONSIGNMENT,
            ChannelAgreement.valid_from <= day,
        )
        .order_by(ChannelAgreement.valid_from.desc())
        .limit(1)
    ).one_or_none()
    return _shop(agreement, place_id)


def _shop(agreement: ChannelAgreement | None, place_id: UUID | None) -> Shop:
    if agreement is None or agreement.place_id is None:
        raise NoAgreement("这一天没有生效的代销协议")
    if place_id is not None and place_id != agreement.place_id:
        raise RuleViolation(errors=[{"pointer": "#/place_id", "detail": "这一天的代销门店不是这个"}])
    return Shop(agreement.channel_id, agreement.place_id, agreement.price_list_id)


def find_lots(session: Session, shop: Shop, names: Sequence[LotName]) -> tuple[list[ShopLot], dict[int, Any]]:
    """The lot of each name, in their order, and {place in `names`: what is wrong} of those that can't be told.

    A lot that never came to the shop is unknown there. When something is wrong, the list is not to be used.
    """
    codes = [
        canonical_form(name.trace_code) or name.trace_code if name.trace_code else None for name in names
    ]
    rows = session.execute(
        _LOTS,
        {
            "channel": shop.channel_id,
            "place": shop.place_id,
            "prices": shop.price_list_id,
            "codes": [code for code in codes if code],
            "skus": [name.partner_sku for name in names if name.partner_sku],
            "lots": [name.lot_code for name in names if name.lot_code],
        },
    ).all()
    by_code = {row.trace_code: ShopLot(*row[:6]) for row in rows}
    by_sku: dict[tuple[str, str], list[ShopLot]] = {}
    for row in rows:
        by_sku.setdefault((row.partner_sku, row.code), []).append(ShopLot(*row[:6]))
    found: list[ShopLot] = []
    wrong: dict[int, dict[str, str]] = {}
    seen: dict[int, int] = {}
    for n, (name, code) in enumerate(zip(names, codes, strict=True)):
        lot, problem = _named(name, code, by_code, by_sku)
        if lot is not None and lot.stock_id in seen:
            problem = {"detail": f"与第{seen[lot.stock_id]}行是同一批，请合成一行"}
        if problem is not None or lot is None:
            wrong[n] = problem or {}
            continue
        seen[lot.stock_id] = n + 1
        found.append(lot)
    return found, wrong


def came_later(
    session: Session, shop: Shop, day: date, lots: Sequence[ShopLot], known: Container[int]
) -> dict[int, dict[str, str]]:
    """{place in `lots`: what is wrong} of those that the shop took over after `day` for the first time; one query.

    `known` are the stock rows of the version that is corrected: what it says of the day may be put right.
    """
    firsts = session.execute(
        sa.select(ConsignmentLine.lot_id, sa.func.min(Consignment.ended_at))
        .join(Consignment, Consignment.id == ConsignmentLine.consignment_id)
        .where(
            Consignment.channel_id == shop.channel_id,
            Consignment.place_id == shop.place_id,
            ConsignmentLine.lot_id.in_([lot.lot_id for lot in lots]),
            ConsignmentLine.accepted > 0,
        )
        .group_by(ConsignmentLine.lot_id)
    )
    since = {lot_id: business_day(at) for lot_id, at in firsts if at is not None}
    return {
        n: {"detail": f"门店{since[lot.lot_id].isoformat()}才接收这一批，最早只能报这一天的销售"}
        for n, lot in enumerate(lots)
        if lot.stock_id not in known and since.get(lot.lot_id, day) > day
    }


def _named(
    name: LotName,
    code: str | None,
    by_code: Mapping[str, ShopLot],
    by_sku: Mapping[tuple[str, str], Sequence[ShopLot]],
) -> tuple[ShopLot | None, dict[str, str] | None]:
    whole = (name.partner_sku is not None) == (name.lot_code is not None)
    if not whole or (code is None) == (name.partner_sku is None):
        return None, {"detail": "写 trace_code，或者 partner_sku 和 lot_code 一起写"}
    if code is not None:
        lot = by_code.get(code)
        return lot, None if lot else {"field": "trace_code", "detail": "门店没有过这一批"}
    lots = by_sku.get((name.partner_sku or "", name.lot_code or ""), ())
    if len(lots) != 1:
        return None, {"field": "lot_code", "detail": "门店没有过这一批"}
    return lots[0], None


def line_errors(wrong: Mapping[int, Mapping[str, str]]) -> list[dict[str, str]]:
    """{pointer, detail} of every wrong line, in their order; a `field` is the member that is to blame."""
    return [
        {
            "pointer": f"#/lines/{n}" + (f"/{problem['field']}" if "field" in problem else ""),
            "detail": problem["detail"],
        }
        for n, problem in sorted(wrong.items())
    ]


def one_at_a_time(session: Session, what: str, place_id: UUID, day: date) -> None:
    """Reports of one shop and day come one after another: the second one sees the first."""
    session.execute(_LOCK, {"scope": f"{what}:{place_id}:{day.isoformat()}"})
