"""The lists of the market regulator as files: samples, pass rates, lots, lots off sale."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from flask import Response
from flask_babel import gettext

from marketplace.clock import now
from marketplace.desks.regulating_views import RateBy
from marketplace.web.language import N_, translated
from marketplace.web.pages import moment
from marketplace.web.sheets import Column, sheet_response
from marketplace.web.sorting import sorted_rows
from marketplace.web.words import word

blueprints: list[Any] = []

RATE_SORTS = ("name", "samples", "passed", "rate_bp")


def named(row: dict[str, Any], by: RateBy) -> str:
    """The name of a row of pass rates; samples of no lot have none."""
    return str(row["name"] or gettext("没挂批次的任务抽检"))


def sample_sheet(rows: list[dict[str, Any]], year: int) -> Response:
    columns = [
        Column("sampled_on", gettext("抽样日"), "day"), Column("product_name", gettext("产品"), width=24),
        Column("county", gettext("产地县")), Column("seller", gettext("供应商"), width=32),
        Column("trace_code", gettext("追溯码"), width=24), Column("campaign", gettext("任务"), width=24),
        Column("sample_number", gettext("样品编号"), width=38), Column("said", gettext("结论")),
        Column("read", gettext("检测项"), width=60),
    ]  # fmt: skip
    told = [
        {
            **row,
            "said": gettext("合格") if row["passed"] else gettext("不合格"),
            "read": "；".join(
                f"{i['name']} {i['value']}{i.get('unit', '')}（{i.get('limit', '—')}）" for i in row["items"]
            ),
        }
        for row in rows
    ]
    basis = [gettext("按抽样日在%(year)s年；检测项括号内是限量", year=year)]
    return sheet_response(gettext("%(year)s年抽检", year=year), columns, told, basis)


def lot_sheet(rows: list[dict[str, Any]]) -> Response:
    columns = [
        Column("trace_code", gettext("追溯码"), width=24), Column("product.name", gettext("产品"), width=24),
        Column("seller.name", gettext("供应商"), width=32), Column("quantity", gettext("数量（件）"), "count"),
        Column("on_hand", gettext("在库（件）"), "count"), Column("harvested_on", gettext("采收日"), "day"),
        Column("best_before", gettext("食用期至"), "day"), Column("said", gettext("状态")),
    ]  # fmt: skip
    told = [{**row, "said": word("lot_state", row["state"])} for row in rows]
    return sheet_response(gettext("批次"), columns, told, [gettext("在库含已留给订单的件数")])


def held_sheet(rows: Sequence[dict[str, Any]]) -> Response:
    columns = [
        Column("trace_code", gettext("追溯码"), width=24), Column("product", gettext("产品"), width=24),
        Column("seller", gettext("供应商"), width=32), Column("county", gettext("产地县")),
        Column("said", gettext("原因"), width=32), Column("since", gettext("从"), "time", 18),
    ]  # fmt: skip
    told = [{**row, "said": "、".join(word("hold_cause", cause) for cause in row["causes"])} for row in rows]
    basis = [
        gettext("管辖县区现在停售的批次，从最早的一次停售算起"),
        gettext("截至%(time)s（北京时间）", time=moment(now())),
    ]
    return sheet_response(gettext("停售的批次"), columns, told, basis)


BY_WORDS = {
    RateBy.COUNTY: N_("产地县"), RateBy.CATEGORY: N_("品类"), RateBy.SELLER: N_("供应商"), RateBy.MONTH: N_("月份"),
}  # fmt: skip


def rate_sheet(rates: dict[str, Any], year: int, by: RateBy) -> Response:
    columns = [
        Column("name", translated(BY_WORDS[by]), width=32), Column("samples", gettext("抽样"), "count"),
        Column("passed", gettext("合格"), "count"), Column("rate_bp", gettext("合格率（%）"), "percent"),
    ]  # fmt: skip
    told = [{**row, "name": named(row, by)} for row in sorted_rows(rates["rows"], *RATE_SORTS)]
    told.append({**rates["total"], "name": gettext("合计")})
    basis = [
        gettext(
            "合格率＝合格样品÷全部样品，按抽样日在%(year)s年；没挂批次的任务抽检只按县区和月份算", year=year
        )
    ]
    return sheet_response(gettext("%(year)s年抽检合格率", year=year), columns, told, basis)
