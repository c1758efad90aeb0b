"""The lines of an order, or of all orders of a purchase, sorted by the address and as a file."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from flask import Response
from flask_babel import gettext

from marketplace.clock import now
from marketplace.web.pages import moment
from marketplace.web.sheets import Column, sheet_response
from marketplace.web.words import word

blueprints: list[Any] = []

SORTS = ("product_name", "unit_price_fen", "goods_fen")


def lines_sheet(title: str, orders: Sequence[dict[str, Any]]) -> Response:
    """`orders` as `trade_views` has them, each with its lines in their order."""
    columns = [
        Column("order", gettext("订单号"), width=20), Column("seller", gettext("供应商"), width=28),
        Column("line.product_name", gettext("货品"), width=28), Column("line.spec", gettext("规格"), width=24),
        Column("line.quantity", gettext("下单件数"), "count"), Column("line.pack_unit", gettext("单位"), width=8),
        Column("kg", gettext("重量（公斤）"), "kg"), Column("line.unit_price_fen", gettext("单价（元）"), "yuan"),
        Column("line.goods_fen", gettext("货款（元）"), "yuan"), Column("line.deliver_on", gettext("送货日期"), "day"),
        Column("line.cancelled_quantity", gettext("取消件数"), "count"),
        Column("line.shipped_quantity", gettext("已发件数"), "count"),
        Column("line.accepted_quantity", gettext("收下件数"), "count"),
        Column("line.refused_quantity", gettext("拒收件数"), "count"),
        Column("line.accepted_fen", gettext("已验收（元）"), "yuan"), Column("counted", gettext("份额"), width=28),
    ]  # fmt: skip
    rows = [
        {
            "order": order["number"],
            "seller": order["seller"]["name"],
            "line": line,
            "kg": line.net_g * line.quantity,
            "counted": _counted(line.ineligible_reason),
        }
        for order in orders
        for line in order["lines"]
    ]
    basis = [
        gettext("金额为货款，含税，不含运费；件数按各产品自己的包装单位；份额是下单时的判断"),
        gettext("截至%(time)s（北京时间）", time=moment(now())),
    ]
    return sheet_response(title, columns, rows, basis)


def _counted(reason: str | None) -> str:
    if reason is None:
        return str(gettext("计入份额"))
    return str(gettext("不计入：")) + word("ineligible_reason", reason)
