"""What channels buy and sell, for the office that pairs them and for the sellers whose goods they carry.

Bought: the goods of their orders as ordered, by the month of placing; accepted and paid: of the same orders, so far.
Sold at shops: the reports of consignment by the day of the sale, red entries taken off.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session, aliased

from marketplace.accounts.models import Organisation, Region
from marketplace.actors import Actor, Role
from marketplace.catalog.models import Lot, Place, PlaceKind, Product, Stock
from marketplace.channels import catalogue
from marketplace.channels.consignment_models import SalesReport, SalesReportLine
from marketplace.channels.models import ChannelItem, ChannelPair, PartnerOrder
from marketplace.clock import SHANGHAI
from marketplace.desks.sources import public_source
from marketplace.errors import NotFound
from marketplace.orders.models import Order
from marketplace.orders.queries import order_scope
from marketplace.orders.states import OrderState
from marketplace.paging import paginate, sort_keys

_ENDED = (OrderState.CANCELLED, OrderState.LAPSED)
_PLACED_ON = sa.func.timezone("Asia/Shanghai", PartnerOrder.__table__.c.placed_at)
SORTS: dict[str, sa.SQLColumnExpression[Any]] = {
    "number": Order.__table__.c.number,
    "seller": Organisation.__table__.c.name,
    "placed_at": PartnerOrder.__table__.c.placed_at,
    "goods": Order.__table__.c.goods_fen,
    "accepted": Order.__table__.c.accepted_fen,
    "paid": Order.__table__.c.paid_fen,
}
SUMS = ("ordered_fen", "accepted_fen", "paid_fen", "sold_fen")


def month_span(year: int, month: int | None) -> tuple[date, date]:
    """First day, and the day after the last, of a month or of the whole year."""
    if month is None:
        return date(year, 1, 1), date(year + 1, 1, 1)
    return date(year, month, 1), date(year + month // 12, month % 12 + 1, 1)


def sales(session: Session, actor: Actor, year: int) -> dict[UUID, list[dict[str, int]]]:
    """Of each channel twelve months of a year, with the sums in fen, of what the actor may see.

    Two queries.
    """
    found: dict[UUID, list[dict[str, int]]] = {}
    first, after = month_span(year, None)
    orders, lines = _reach(actor)

    def add(channel_id: UUID, month: int, **sums: int) -> None:
        months = found.setdefault(channel_id, [dict.fromkeys(("orders", *SUMS), 0) for _ in range(12)])
        for name, value in sums.items():
            months[month - 1][name] += value

    month_of = sa.cast(sa.extract("month", _PLACED_ON), sa.Integer)
    bought = (
        sa.select(
            PartnerOrder.channel_id, month_of.label("month"), sa.func.count().label("orders"),
            sa.func.sum(Order.goods_fen).label("ordered_fen"),
            sa.func.sum(Order.accepted_fen).label("accepted_fen"), sa.func.sum(Order.paid_fen).label("paid_fen"),
        )
        .join(Order, Order.purchase_id == PartnerOrder.purchase_id)
        .where(*_within(first, after), orders)
        .group_by(PartnerOrder.channel_id, month_of)
    )  # fmt: skip
    for row in session.execute(bought):
        add(row.channel_id, row.month, **{n: int(getattr(row, n)) for n in ("orders", *SUMS[:3])})
    sold_month = sa.cast(sa.extract("month", SalesReport.business_day), sa.Integer)
    sold = (
        sa.select(
            SalesReport.channel_id, sold_month.label("month"),
            sa.func.sum(SalesReportLine.amount_fen).label("sold_fen"),
        )
        .join(SalesReportLine, SalesReportLine.report_id == SalesReport.id)
        .where(SalesReport.business_day >= first, SalesReport.business_day < after, lines)
        .group_by(SalesReport.channel_id, sold_month)
    )  # fmt: skip
    for channel_id, month, sold_fen in session.execute(sold):
        add(channel_id, month, sold_fen=int(sold_fen))
    return found


def total(months: Sequence[dict[str, int]]) -> dict[str, int]:
    return {name: sum(m[name] for m in months) for name in ("orders", *SUMS)}


def _reach(actor: Actor) -> tuple[sa.ColumnElement[bool], sa.ColumnElement[bool]]:
    """Orders and lines of sales reports that an office or a seller may see: a sum has the rows that it leads to."""
    if actor.role is Role.SELLER:
        return Order.seller_id == actor.organisation_id, SalesReportLine.seller_id == actor.organisation_id
    near = SalesReportLine.seller_id.in_(sorted(actor.subordinate_ids)) if actor.of_county else sa.true()
    return order_scope(actor), near


def _within(first: date, after: date) -> list[sa.ColumnElement[bool]]:
    start, end = (datetime(d.year, d.month, d.day, tzinfo=SHANGHAI) for d in (first, after))
    return [PartnerOrder.placed_at >= start, PartnerOrder.placed_at < end, Order.state.not_in(_ENDED)]


def channels_of_office(session: Session, actor: Actor, year: int) -> list[dict[str, Any]]:
    """Every channel with its pairs of district and county, agreements and the sums of a year, the largest first."""
    by_channel = sales(session, actor, year)
    pairs = district_pairs(session)
    rows: list[dict[str, Any]] = []
    for row in catalogue.list_channels(session):
        own = row["channel"]["id"]
        year_sums = total(by_channel.get(own, []))
        rows.append({**row, **row["channel"], "pairs": pairs.get(own, []), "year": year_sums})
    return sorted(rows, key=lambda r: (-r["year"]["ordered_fen"] - r["year"]["sold_fen"], r["name"]))


def district_pairs(session: Session) -> dict[UUID, list[dict[str, str]]]:
    """对口 of every channel: names of district and county, and where it says so."""
    district, county = aliased(Region), aliased(Region)
    found: dict[UUID, list[dict[str, str]]] = {}
    for row in session.execute(
        sa.select(
            ChannelPair.channel_id, ChannelPair.source, district.name.label("district"), county.name.label("county")
        )
        .join(district, district.code == ChannelPair.district_code)
        .join(county, county.code == ChannelPair.county_code)
        .order_by(ChannelPair.channel_id, ChannelPair.county_code)
    ):  # fmt: skip
        found.setdefault(row.channel_id, []).append(
            {"district": row.district, "county": row.county, "source": public_source(row.source)}
        )
    return found


def order_rows(
    session: Session,
    actor: Actor,
    *,
    channel_id: UUID | None,
    year: int,
    month: int | None,
    sort: str | None = None,
    limit: int = 24,
    after: str | None = None,
) -> dict[str, Any]:
    """The orders behind a sum of `sales`, newest first or by one of `SORTS`; their goods add up to it."""
    statement = (
        sa.select(PartnerOrder, Order, Organisation.name.label("seller"))
        .join(Order, Order.purchase_id == PartnerOrder.purchase_id)
        .join(Organisation, Organisation.id == Order.seller_id)
        .where(*_within(*month_span(year, month)), _reach(actor)[0])
    )
    if channel_id is not None:
        statement = statement.where(PartnerOrder.channel_id == channel_id)
    keys = sort_keys(SORTS, sort, Order.__table__.c.id)
    return paginate(
        session, statement, keys, limit=limit, after=after,
        shape=lambda row: {
            "id": row.Order.id,
            "number": row.Order.number,
            "seller": row.seller,
            "state": row.Order.state.value,
            "placed_at": row.PartnerOrder.placed_at,
            "goods_fen": row.Order.goods_fen,
            "accepted_fen": row.Order.accepted_fen,
            "paid_fen": row.Order.paid_fen,
        },
    )  # fmt: skip


def one_channel(rows: Sequence[dict[str, Any]], channel_id: UUID) -> dict[str, Any]:
    """Raises NotFound (`not-found`)."""
    found = next((row for row in rows if row["id"] == channel_id), None)
    if found is None:
        raise NotFound("找不到这个渠道")
    return found


def channels_of_seller(session: Session, actor: Actor, year: int) -> list[dict[str, Any]]:
    """Channels that carry or bought the seller's goods: how many products, what they ordered and what their shops sold.

    A channel's prices are not among it: what it ordered of this seller is.
    """
    by_channel = sales(session, actor, year)
    carried = {
        row.channel_id: row.number
        for row in session.execute(
            sa.select(ChannelItem.channel_id, sa.func.count().label("number"))
            .join(Product, Product.id == ChannelItem.product_id)
            .where(Product.seller_id == actor.organisation_id, ChannelItem.withdrawn_at.is_(None))
            .group_by(ChannelItem.channel_id)
        )
    }
    names = session.execute(
        sa.select(Organisation.id, Organisation.name)
        .where(Organisation.id.in_({*carried, *by_channel}))
        .order_by(Organisation.name)
    )
    return [
        {"id": r.id, "name": r.name, "carried": carried.get(r.id, 0), "year": total(by_channel.get(r.id, []))}
        for r in names
    ]


def goods_by_place(session: Session, actor: Actor) -> list[dict[str, Any]]:
    """Where the seller's goods stand: packs on hand and free, by place, lots by best-before day."""
    found = session.execute(
        sa.select(Place, Organisation.name.label("owner"), Product, Lot, Stock.on_hand, Stock.reserved)
        .join(Lot, Lot.id == Stock.lot_id)
        .join(Product, Product.id == Lot.product_id)
        .join(Place, Place.id == Stock.place_id)
        .join(Organisation, Organisation.id == Place.organisation_id)
        .where(Product.seller_id == actor.organisation_id, Stock.on_hand > 0)
        .order_by(Place.kind == PlaceKind.SHOP, Organisation.name, Place.name, Product.name, Lot.best_before)
    )
    return [
        {
            "owner": row.owner,
            "place": row.Place.name,
            "kind": row.Place.kind.value,
            "product": f"{row.Product.name} {row.Product.spec}",
            "unit": row.Product.pack_unit,
            "lot_id": row.Lot.id,
            "trace_code": row.Lot.trace_code,
            "best_before": row.Lot.best_before,
            "on_hand": row.on_hand,
            "free": row.on_hand - row.reserved,
        }
        for row in found
    ]
