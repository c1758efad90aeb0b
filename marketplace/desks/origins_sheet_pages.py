"""Where a lot grew, plot by plot, sorted by the address and as a file: for its seller and for the offices."""

from __future__ import annotations

from typing import Any

from flask import Response
from flask_babel import gettext

from marketplace.web.sheets import Column, sheet_response

blueprints: list[Any] = []

SORTS = ("plot", "village", "township.name", "grower_code", "weight_g", "paid_fen")


def origins_sheet(lot: dict[str, Any], *, paid: bool = True) -> Response:
    """`lot` as `trace.queries.lot_view` has it; `paid` adds what the growers got."""
    columns = [
        Column("plot", gettext("地块"), width=24), Column("village", gettext("村"), width=20),
        Column("township.name", gettext("乡镇"), width=20), Column("grower_code", gettext("农户编号"), width=20),
        Column("poor", gettext("脱贫户")), Column("weight_g", gettext("重量（公斤）"), "kg"),
        Column("paid_fen", gettext("付给农户（元）"), "yuan"),
    ]  # fmt: skip
    words = {True: gettext("是"), False: gettext("否"), None: "—"}
    rows = [{**row, "poor": words[row["poverty_household"]]} for row in lot["origins"]]
    basis = [
        f"{lot['product']['name']} {lot['product']['spec']} {lot['trace_code']}",
        gettext(
            "口径：供应商登记批次时填报，登记后不能改；农户只写编号，不写姓名。重量单位公斤，金额单位元。"
        ),
    ]
    shown = columns if paid else columns[:-1]
    return sheet_response(f"{gettext('地块')} {lot['trace_code'][:5]}", shown, rows, basis)
