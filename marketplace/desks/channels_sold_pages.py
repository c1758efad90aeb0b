"""What a channel's shop sold and counted of a seller's goods: the rows behind the figure, red entries among them."""

from __future__ import annotations

from datetime import date
from typing import Any
from uuid import UUID

from flask import Blueprint, request
from flask_babel import gettext
from marshmallow import fields, validate

from marketplace.actors import Permission
from marketplace.channels import count_views, sales_views
from marketplace.clock import now, today
from marketplace.database import db
from marketplace.desks import channels_views
from marketplace.web.edge import current_actor, requires
from marketplace.web.forms import Shown, read_query
from marketplace.web.language import N_, translated
from marketplace.web.pages import moment, page
from marketplace.web.schemas import InSchema
from marketplace.web.sheets import MAX_ROWS, Column, sheet_response, wants_sheet
from marketplace.web.words import word

blp = Blueprint("channel_sold", __name__)
blueprints = [blp]

COLUMNS = (
    Column("business_day", N_("日期"), "day"),
    Column("place.name", N_("门店"), width=24),
    Column("name", N_("产品"), width=30),
    Column("trace_code", N_("追溯码"), width=24),
    Column("kind", N_("种类"), width=12),
    Column("quantity", N_("件数"), "count"),
    Column("unit_price_fen", N_("单价（元）"), "yuan"),
    Column("amount_fen", N_("金额（元）"), "yuan"),
)


class SoldArgs(InSchema):
    year = fields.Integer(load_default=lambda: today().year, validate=validate.Range(2000, 2200))
    after = fields.String(load_default=None, validate=validate.Length(1, 2000))
    after_counts = fields.String(load_default=None, validate=validate.Length(1, 2000))


@blp.route("/sell/channels/<uuid:channel_id>/sold", methods=["GET"])
@requires(Permission.ORDER_CONFIRM)
def sold(channel_id: UUID) -> Shown:
    """Line by line what the shop sold of the seller's goods in a year, and what it found missing."""
    wish, session, actor = read_query(SoldArgs()), db.session(), current_actor()
    year = wish["year"]
    row = channels_views.one_channel(channels_views.channels_of_seller(session, actor, year), channel_id)
    of: dict[str, Any] = {
        "channel_id": channel_id, "from_day": date(year, 1, 1), "to_day": date(year, 12, 31),
    }  # fmt: skip
    if wants_sheet() and request.args.get("list") == "counts":
        return _counts_sheet(count_views.counted_of_seller(session, actor, **of, limit=MAX_ROWS)["items"])
    sheet = wants_sheet()
    found = sales_views.sold_of_seller(
        session,
        actor,
        **of,
        limit=MAX_ROWS if sheet else 24,
        after=wish["after"],
        sort=request.args.get("sort"),
    )
    for line in found["items"]:
        line["kind"] = word(
            "sales_report", "red" if line["red"] else "first" if line["version"] == 1 else "corrected"
        )
    if sheet:
        return _sheet(found["items"])
    counted = count_views.counted_of_seller(
        session, actor, **of, after=wish["after_counts"], sort=request.args.get("sort")
    )
    return page(
        "channels/sold.html",
        row=row, listed=found, counted=counted["items"], next_counted=counted["next"], year=year,
    )  # fmt: skip


def _counts_sheet(rows: list[dict[str, Any]]) -> Shown:
    columns = [
        Column("counted_on", gettext("日期"), "day"), Column("name", gettext("产品"), width=30),
        Column("trace_code", gettext("追溯码"), width=24), Column("expected", gettext("账上"), "count"),
        Column("counted", gettext("点到"), "count"), Column("spoilage", gettext("损耗"), "count"),
        Column("loss", gettext("少了（多了为负）"), "count"), Column("cause_word", gettext("原因")),
        Column("borne_word", gettext("由谁承担")), Column("amount_fen", gettext("渠道承担（元）"), "yuan"),
    ]  # fmt: skip
    told = [
        {
            **row,
            "cause_word": word("count_cause", row["cause"]) if row["cause"] else None,
            "borne_word": word("borne_by", row["borne_by"]),
        }
        for row in rows
    ]
    basis = [
        gettext("渠道承担的件数按当天协议价目表的第一档价记进下一张结算单。"),
        gettext("截至%(time)s（北京时间）", time=moment(now())),
    ]
    return sheet_response(gettext("门店盘点"), columns, told, basis)


def _sheet(rows: list[dict[str, Any]]) -> Shown:
    columns = [Column(c.key, translated(c.label), c.kind, c.width) for c in COLUMNS]
    basis = [
        gettext("金额是渠道应付供应商的货款：件数乘以当天协议价目表的第一档价；红字行冲回它更正的一版"),
        gettext("截至%(time)s（北京时间）", time=moment(now())),
    ]
    return sheet_response(gettext("门店销售"), columns, rows, basis)
