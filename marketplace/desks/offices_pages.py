"""The dashboard of reserves for those who trust nothing: every figure leads to its rows, down to lot and plot."""

from __future__ import annotations

import re
from typing import Any
from uuid import UUID

from flask import Blueprint, Response, request, url_for
from flask_babel import gettext
from marshmallow import fields, validate

from marketplace.actors import Permission
from marketplace.clock import budget_year, today
from marketplace.database import db
from marketplace.desks import charts, offices_views
from marketplace.desks.origins_sheet_pages import SORTS as ORIGIN_SORTS
from marketplace.desks.origins_sheet_pages import origins_sheet
from marketplace.desks.policy_forms_pages import versions_text
from marketplace.errors import NotFound
from marketplace.journal.queries import READS_ALL
from marketplace.quota import explain, figures, queries, report, service
from marketplace.quota.grouping import By, Within
from marketplace.quota.ledger import EntryKind
from marketplace.quota.schemas import YEARS, AsOf
from marketplace.trace.queries import lot_view
from marketplace.unit_of_work import retrying
from marketplace.web.edge import current_actor, requires
from marketplace.web.forms import Shown, done, form, page_once, posted, read_query
from marketplace.web.language import translated
from marketplace.web.pages import page, percent, wan
from marketplace.web.schemas import InSchema
from marketplace.web.sheets import MAX_ROWS, Column, sheet_response, wants_sheet
from marketplace.web.sorting import page_of, sorted_rows
from marketplace.web.standing import standing
from marketplace.web.words import word

blp = Blueprint("offices", __name__)
blueprints = [blp]

_PERIOD = re.compile(r"20[0-9]{2}-(0[1-9]|1[0-2])", re.ASCII)
_MONTHS = ("1月", *map(str, range(2, 12)), "12月")


class PartArgs(InSchema):
    """A budget year (this one by default), a day to look back from, and the part of the figures that is meant."""

    year = fields.Integer(load_default=lambda: budget_year(today()), validate=validate.Range(*YEARS))
    as_of = AsOf(load_default=None)
    agency = department = fields.String(validate=validate.Length(1, 100))
    origin_county = buyer_county = category = fields.String(validate=validate.Length(1, 100))
    purpose = month = fields.String(validate=validate.Length(1, 100))
    sort = fields.String(load_default=None)
    after = fields.String(load_default=None, validate=validate.Length(1, 2000))


class TableArgs(PartArgs):
    by = fields.Enum(By, by_value=True, load_default=By.BUYER_COUNTY)


class EntryArgs(PartArgs):
    kind = fields.Enum(EntryKind, by_value=True, load_default=None)


def part_of(wishes: dict[str, Any]) -> Within:
    """Takes the keys of a part out of the address's arguments."""
    return {by: wishes.pop(by.value) for by in By if by.value in wishes}


def as_words(within: Within, names: dict[By, str]) -> list[dict[str, str]]:
    """The part for people: what each key is called, and its name."""
    return [
        {
            "by": by.value,
            "label": word("quota_by", by),
            "name": word("purpose", key) if by is By.PURPOSE and key in figures.PURPOSES else names[by],
        }
        for by, key in within.items()
    ]


@blp.route("/quota", methods=["GET"])
@requires(Permission.QUOTA_READ)
@standing
def quota() -> Shown:
    """Figures of a budget year by any key, within any part, now or as of a sealed day."""
    wishes = read_query(TableArgs())
    within = part_of(wishes)
    session, actor = db.session(), current_actor()
    parts = as_words(within, offices_views.part_names(session, within))
    if wants_sheet():
        return _sheet(wishes, within, parts)
    shown = offices_views.dashboard(session, actor, within=within, **wishes)
    by = wishes["by"]
    return page(
        "offices/quota.html",
        **shown,
        year=wishes["year"],
        years=_years(wishes["year"]),
        by=by,
        finer=offices_views.FINER.get(by),
        within={key.value: value for key, value in within.items()},
        parts=parts,
        periods=offices_views.periods(session, actor, wishes["year"]),
        progress=_progress(wishes["year"], shown),
        county_bars=_county_bars(shown["counties"]),
        meter=charts.meter,
        versions_text=versions_text,
    )


def _years(chosen: int) -> list[int]:
    last = max(budget_year(today()), chosen)
    return list(range(last, min(last - 6, chosen - 1), -1))


def _sheet(wishes: dict[str, Any], within: Within, parts: list[dict[str, str]]) -> Response:
    table = figures.summary(
        db.session(), current_actor(), within=within, **{**wishes, "after": None, "limit": 100_000}
    )
    if parts:
        only = "；".join(f"{part['label']}：{part['name']}" for part in parts)
        table["basis"]["scope"] += f"；只含{only}"
    name = f"quota-{wishes['year']}-{wishes['by'].value}.xlsx"
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return Response(report.summary_xlsx(table), mimetype=report.CONTENT_TYPE, headers=headers)


def _progress(year: int, shown: dict[str, Any]) -> Any:
    total, planned = shown["total"], shown["planned_fen"]
    counted = wan(total["counted_fen"])
    if planned is None:
        finding = gettext("%(year)s年累计计入%(counted)s万元", year=year, counted=counted)
    else:
        finding = gettext(
            "%(year)s年累计计入%(counted)s万元，按日历应到%(planned)s万元",
            year=year, counted=counted, planned=wan(planned),
        )  # fmt: skip
    words = charts.ProgressWords(
        finding,
        gettext("计入 %(amount)s", amount=counted),
        "" if planned is None else gettext("应到 %(amount)s", amount=wan(planned)),
        [gettext("1月"), *_MONTHS[1:11], gettext("12月")],
    )
    sums = [row["sum_fen"] for row in shown["months"]]
    return charts.progress(year, sums, shown["through"], total.get("reserve_fen", 0), words)


def _county_bars(rows: list[dict[str, Any]]) -> Any:
    rows = rows[:10]
    if not rows:
        return ""
    most = max(1, *(row["counted_fen"] for row in rows))
    drawn = [
        charts.Bar(row["name"], row["counted_fen"] * 10_000 // most, wan(row["counted_fen"])) for row in rows
    ]
    finding = gettext(
        "计入最多的产地是%(name)s，%(amount)s万元", name=rows[0]["name"], amount=wan(rows[0]["counted_fen"])
    )
    return charts.bars(drawn, finding)


ENTRY_COLUMNS = (
    Column("occurred_on", "日期", "day"), Column("agency.name", "预算单位", width=28),
    Column("kind_name", "环节"), Column("line.name", "产品", width=24), Column("line.quantity", "件数", "count"),
    Column("order_number", "订单", width=22), Column("codes", "追溯码", width=30),
    Column("places", "产地", width=40), Column("amount_fen", "金额（元）", "yuan"),
    Column("period", "账期"), Column("policy_version", "政策版本", width=32),
    Column("fact_seq", "日志序号", "count"),
)  # fmt: skip


@blp.route("/quota/entries", methods=["GET"])
@requires(Permission.QUOTA_READ)
def entries() -> Shown:
    """The rows behind a figure, each with its order, lots, plots and place in the journal."""
    wishes = read_query(EntryArgs())
    within = part_of(wishes)
    wishes["sort"] = wishes["sort"] if wishes["sort"] in explain.ENTRY_SORTS else "-occurred_on"
    session, actor = db.session(), current_actor()
    if wants_sheet():
        rows = explain.entries(session, actor, within=within, **wishes, limit=MAX_ROWS)
        return _entry_sheet(rows, wishes["year"])
    chosen = {name: wishes[name] for name in ("year", "kind", "as_of")}
    return page(
        "offices/entries.html",
        list=explain.entries(session, actor, within=within, **wishes),
        sums=explain.entries_total(session, actor, within=within, **chosen),
        parts=as_words(within, offices_views.part_names(session, within)),
        within={key.value: value for key, value in within.items()},
        year=wishes["year"],
        kind=wishes["kind"],
        reads_all=actor.role in READS_ALL,
    )


def _entry_sheet(rows: dict[str, Any], year: int) -> Response:
    told = [
        {
            **row,
            "kind_name": word("entry_kind", row["kind"]),
            "codes": "、".join(row["trace_codes"]),
            "places": "；".join(f"{p['township']}{p['village']}{p['plot']}" for p in row["plots"]),
        }
        for row in rows["items"]
    ]
    at = rows["as_of"]
    basis = [
        gettext("日志大小%(size)s；含税货款，不含运费；按筛选的全部行", size=at["tree_size"]),
        gettext("最多%(most)s行", most=MAX_ROWS),
    ]
    columns = [Column(c.key, translated(c.label), c.kind, c.width) for c in ENTRY_COLUMNS]
    return sheet_response(gettext("%(year)s年份额明细", year=year), columns, told, basis)


@blp.route("/quota/lots/<uuid:lot_id>", methods=["GET"])
@requires(Permission.TRACE_PRIVATE)
def lot_origins(lot_id: UUID) -> Shown:
    """The end of the drill: where a lot grew, plot by plot, what its growers got, its papers and samples."""
    lot = lot_view(db.session(), current_actor(), lot_id)
    lot["origins"] = sorted_rows(lot["origins"], *ORIGIN_SORTS)
    return origins_sheet(lot) if wants_sheet() else page("offices/lot.html", lot=lot)


@blp.route("/quota/missing", methods=["GET"])
@requires(Permission.QUOTA_READ)
def missing() -> Shown:
    """Agencies without an approved declaration, and those behind the calendar with the reason of each yuan."""
    year = read_query(PartArgs())["year"]
    session, actor = db.session(), current_actor()
    absent = sorted_rows(queries.missing_declarations(session, actor, year=year), "name", "state")
    behind = explain.laggards(session, actor, year=year, limit=MAX_ROWS)
    behind["items"] = sorted_rows(
        behind["items"], "name", "reserve_fen", "counted_fen", "completion_bp", "pace_bp"
    )
    if wants_sheet():
        return _missing_sheet(absent, year) if _absent_asked() else _behind_sheet(behind, year)
    shown = page_of(absent if _absent_asked() else behind["items"])
    return page(
        "offices/missing.html",
        absent=len(absent),
        shown=shown,
        declarations=offices_views.declaration_ids(session, [row["id"] for row in absent], year),
        behind=behind,
        reasons=explain.REASONS,
        year=year,
        years=_years(year),
        tab="missing" if _absent_asked() else "behind",
        meter=charts.meter,
        versions_text=versions_text,
    )


def _absent_asked() -> bool:
    return request.args.get("list") != "behind"


def _missing_sheet(rows: Any, year: int) -> Response:
    told = [
        {**row, "said": word("declaration_state", row["state"]) if row["state"] else gettext("没有填")}
        for row in rows
    ]
    columns = [Column("name", gettext("预算单位"), width=36), Column("said", gettext("状态"))]
    basis = [gettext("共用食堂的成员单位由牵头单位填报，不列入")]
    return sheet_response(gettext("%(year)s年未填报单位", year=year), columns, told, basis)


def _behind_sheet(behind: dict[str, Any], year: int) -> Response:
    columns = [
        Column("name", gettext("预算单位"), width=36),
        Column("reserve_fen", gettext("预留份额（元）"), "yuan"),
        Column("counted_fen", gettext("计入（元）"), "yuan"),
        Column("completion_bp", gettext("完成率（%）"), "percent"),
        Column("pace_bp", gettext("比日历（百分点）"), "percent"),
    ]
    columns += [
        Column(f"uncounted.{name}", translated(text), "yuan") for name, text in explain.REASONS.items()
    ]
    basis = report.basis_lines(behind["basis"])
    basis.append(gettext("日历进度：%(part)s", part=percent(behind["elapsed_bp"])))
    return sheet_response(gettext("%(year)s年落后单位", year=year), columns, behind["items"], basis)


@blp.route("/quota/periods/<period>/close", methods=["GET", "POST"])
@requires(Permission.PERIOD_CLOSE)
@form
@retrying
def close_period(period: str) -> Shown:
    """What closing a month means, and the button that does it for good."""
    if not _PERIOD.fullmatch(period):
        raise NotFound
    if posted():
        once = page_once(".quota", year=int(period[:4]))
        reply = service.close_period(current_actor(), period, once=once)
        return done(reply, gettext("%(period)s已关账", period=period))
    return page(
        "offices/close.html",
        back=url_for(".quota", year=int(period[:4])),
        **offices_views.period_figures(db.session(), current_actor(), period),
    )
