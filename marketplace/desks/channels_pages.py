"""Channels for the office (pairs, agreements, sales of a year, the rows behind each figure) and for their sellers."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from flask import Blueprint, Response, request
from flask_babel import gettext
from marshmallow import fields, validate

from marketplace.actors import Permission
from marketplace.clock import now, today
from marketplace.database import db
from marketplace.desks import channels_views, charts
from marketplace.web.edge import current_actor, requires
from marketplace.web.forms import Shown, read_query
from marketplace.web.language import N_, in_english, translated
from marketplace.web.pages import moment, page, wan
from marketplace.web.schemas import InSchema
from marketplace.web.sheets import MAX_ROWS, Column, sheet_response, wants_sheet
from marketplace.web.sorting import found_rows, page_of, sorted_rows
from marketplace.web.words import word

blp = Blueprint("channels", __name__)
blueprints = [blp]

# What the tables of channels may be sorted by beside their names.
_SUMS = ("year.orders", "year.ordered_fen", "year.accepted_fen", "year.paid_fen", "year.sold_fen")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
COLUMNS = (
    Column("number", N_("订单号"), width=22),
    Column("seller", N_("供应商"), width=28),
    Column("state_word", N_("状态"), width=18),
    Column("placed_at", N_("下单时间"), "time", 18),
    Column("goods_fen", N_("货款（元）"), "yuan"),
    Column("accepted_fen", N_("已验收（元）"), "yuan"),
    Column("paid_fen", N_("已付（元）"), "yuan"),
)


YEAR_BASIS = N_(
    "口径：渠道的订单按下单月份，取消和过期的不算，金额为含税货款，不含运费；门店代销按销售日报，冲红已减。"
)

GOODS_BASIS = N_("口径：在库含替订单和门店留着的；可售＝在库－留着的。件数按各产品自己的包装单位。")
GOODS = (
    Column("product", N_("产品"), width=30),
    Column("place", N_("地点"), width=24),
    Column("owner", N_("归属单位"), width=28),
    Column("trace_code", N_("追溯码"), width=24),
    Column("best_before", N_("保质期到"), "day"),
    Column("on_hand", N_("在库"), "count"),
    Column("free", N_("可售"), "count"),
    Column("unit", N_("单位"), width=8),
)


class YearArgs(InSchema):
    year = fields.Integer(load_default=lambda: today().year, validate=validate.Range(2000, 2100))


class RowArgs(YearArgs):
    month = fields.Integer(load_default=None, validate=validate.Range(1, 12))
    after = fields.String(load_default=None, validate=validate.Length(1, 2000))


def month_name(number: int) -> str:
    return _MONTHS[number - 1] if in_english() else f"{number}月"


def _bars(rows: list[tuple[str, int]], finding: str, lang: str | None) -> Any:
    most = max((fen for _, fen in rows), default=0) or 1
    return charts.bars(
        [charts.Bar(name, max(0, fen) * 10_000 // most, wan(fen), lang=lang) for name, fen in rows], finding
    )


@blp.route("/channels", methods=["GET"])
@requires(Permission.CHANNEL_MANAGE)
def listed() -> Shown:
    """Every channel: its pairs, what is agreed, and what it bought and sold in a year."""
    year = read_query(YearArgs())["year"]
    rows = sorted_rows(channels_views.channels_of_office(db.session(), current_actor(), year), "name", *_SUMS)
    if wants_sheet():
        return _year_sheet(rows, year)
    drawn = [(r["name"], r["year"]["ordered_fen"] + r["year"]["sold_fen"]) for r in rows[:12]]
    total = channels_views.total([r["year"] for r in rows])
    chart = _bars(drawn, gettext("%(year)s年各渠道销售，万元", year=year), "zh-Hans")
    return page("channels/list.html", rows=page_of(rows), many=len(rows), year=year, total=total, chart=chart)


def _year_sheet(rows: list[dict[str, Any]], year: int) -> Response:
    columns = [
        Column("name", gettext("渠道"), width=36), Column("paired", gettext("对口"), width=32),
        Column("year.orders", gettext("订单"), "count"), Column("year.ordered_fen", gettext("订单货款（元）"), "yuan"),
        Column("year.accepted_fen", gettext("已验收（元）"), "yuan"),
        Column("year.sold_fen", gettext("门店代销（元）"), "yuan"),
    ]  # fmt: skip
    told = [
        {**row, "paired": "、".join(f"{pair['district']}–{pair['county']}" for pair in row["pairs"])}
        for row in rows
    ]
    basis = [gettext(YEAR_BASIS)]
    return sheet_response(gettext("%(year)s年天津渠道", year=year), columns, told, basis)


@blp.route("/channels/<uuid:channel_id>", methods=["GET"])
@requires(Permission.CHANNEL_MANAGE)
def channel(channel_id: UUID) -> Shown:
    """One channel: pairs, agreements, and its months of a year."""
    year, session = read_query(YearArgs())["year"], db.session()
    row = channels_views.one_channel(
        channels_views.channels_of_office(session, current_actor(), year), channel_id
    )
    months = channels_views.sales(session, current_actor(), year).get(channel_id) or []
    named: list[dict[str, Any]] = [
        {"name": month_name(n), "number": n, **sums} for n, sums in enumerate(months, start=1)
    ]
    drawn = [(m["name"], m["ordered_fen"] + m["sold_fen"]) for m in named]
    chart = _bars(drawn, gettext("%(year)s年每月销售，万元", year=year), None) if named else None
    return page("channels/channel.html", row=row, year=year, months=named, chart=chart)


@blp.route("/channels/<uuid:channel_id>/orders", methods=["GET"])
@requires(Permission.CHANNEL_MANAGE)
def orders(channel_id: UUID) -> Shown:
    """The rows behind a figure: a channel's orders of a month or a year."""
    wish, session = read_query(RowArgs()), db.session()
    row = channels_views.one_channel(
        channels_views.channels_of_office(session, current_actor(), wish["year"]), channel_id
    )
    months = channels_views.sales(session, current_actor(), wish["year"]).get(channel_id) or []
    chosen = months if wish["month"] is None else months[wish["month"] - 1 : wish["month"]]
    return _orders(row, wish, channels_views.total(chosen))


def _orders(row: dict[str, Any], wish: dict[str, Any], total: dict[str, int]) -> Shown:
    sheet = wants_sheet()
    found = channels_views.order_rows(
        db.session(),
        current_actor(),
        channel_id=row["id"],
        limit=MAX_ROWS if sheet else 24,
        sort=request.args.get("sort"),
        **wish,
    )
    if sheet:
        return _sheet(found["items"])
    month = None if wish["month"] is None else month_name(wish["month"])
    return page("channels/orders.html", row=row, listed=found, total=total, year=wish["year"], month=month)


def _sheet(items: list[dict[str, Any]]) -> Response:
    columns = [Column(c.key, translated(c.label), c.kind, c.width) for c in COLUMNS]
    basis = [
        gettext("渠道的订单按下单月份，取消和过期的不算；金额为含税货款，不含运费"),
        *_cut_off(),
    ]
    rows = [{**row, "state_word": word("order_state", row["state"])} for row in items]
    return sheet_response(gettext("渠道订单"), columns, rows, basis)


@blp.route("/sell/channels", methods=["GET"])
@requires(Permission.ORDER_CONFIRM)
def of_seller() -> Shown:
    """Where the seller's goods are, and what channels ordered and sold of them in a year."""
    year, session, actor = read_query(YearArgs())["year"], db.session(), current_actor()
    rows = sorted_rows(channels_views.channels_of_seller(session, actor, year), "name", "carried", *_SUMS)
    found = found_rows(
        channels_views.goods_by_place(session, actor), "product", "place", "owner", "trace_code"
    )
    goods = sorted_rows(found, "product", "place", "best_before", "on_hand", "free")
    if wants_sheet():
        return _goods_sheet(goods) if request.args.get("list") == "goods" else _mine_sheet(rows, year)
    return page("channels/mine.html", rows=page_of(rows), goods=page_of(goods, name="after_goods"), year=year)


def _mine_sheet(rows: list[dict[str, Any]], year: int) -> Response:
    columns = [
        Column("name", gettext("渠道"), width=36), Column("carried", gettext("在卖产品"), "count"),
        Column("year.orders", gettext("订单"), "count"), Column("year.ordered_fen", gettext("订单货款（元）"), "yuan"),
        Column("year.paid_fen", gettext("已付（元）"), "yuan"), Column("year.sold_fen", gettext("门店代销（元）"), "yuan"),
    ]  # fmt: skip
    return sheet_response(
        gettext("%(year)s年渠道去向", year=year), columns, rows, [gettext(YEAR_BASIS), *_cut_off()]
    )


def _goods_sheet(rows: list[dict[str, Any]]) -> Response:
    columns = [Column(c.key, translated(c.label), c.kind, c.width) for c in GOODS]
    return sheet_response(gettext("我的货在哪里"), columns, rows, [gettext(GOODS_BASIS), *_cut_off()])


def _cut_off() -> list[str]:
    return [gettext("截至%(time)s（北京时间）", time=moment(now()))]


@blp.route("/sell/channels/<uuid:channel_id>", methods=["GET"])
@requires(Permission.ORDER_CONFIRM)
def orders_of_seller(channel_id: UUID) -> Shown:
    """The rows behind the seller's figures: its orders from one channel."""
    wish, actor = read_query(RowArgs()), current_actor()
    row = channels_views.one_channel(
        channels_views.channels_of_seller(db.session(), actor, wish["year"]), channel_id
    )
    months = channels_views.sales(db.session(), actor, wish["year"]).get(channel_id) or []
    chosen = months if wish["month"] is None else months[wish["month"] - 1 : wish["month"]]
    return _orders(row, wish, channels_views.total(chosen))
