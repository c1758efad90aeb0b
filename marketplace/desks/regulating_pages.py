"""The market regulator's desk: pass rates against the goal, lots with their papers, holds, samples."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from flask import Blueprint, Response, request
from flask_babel import gettext
from marshmallow import fields, validate

from marketplace.actors import Permission
from marketplace.catalog.models import LotState
from marketplace.clock import today
from marketplace.database import db
from marketplace.desks import charts
from marketplace.desks import regulating_views as views
from marketplace.desks.money_files_pages import keep_file, kept_file
from marketplace.desks.offices_views import counties
from marketplace.desks.regulating_views import GOAL_BP, RateBy
from marketplace.desks.selling_forms_pages import reason_text
from marketplace.documents.models import DocumentKind
from marketplace.quota.schemas import YEARS
from marketplace.trace import queries, service
from marketplace.trace.schemas import CampaignInspectionIn, InspectionIn, ReasonOptionalIn
from marketplace.unit_of_work import retrying
from marketplace.web.edge import current_actor, requires
from marketplace.web.forms import Shown, done, form, page_once, posted, read_form, read_query
from marketplace.web.pages import page, percent
from marketplace.web.schemas import InSchema, ReasonIn
from marketplace.web.sheets import MAX_ROWS, Column, sheet_response
from marketplace.web.words import word

blp = Blueprint("regulating", __name__)
blueprints = [blp]

ITEM_ROWS = 6


class RateArgs(InSchema):
    year = fields.Integer(load_default=lambda: today().year, validate=validate.Range(*YEARS))
    by = fields.Enum(RateBy, by_value=True, load_default=RateBy.COUNTY)


class SampleArgs(RateArgs):
    passed = fields.Boolean(load_default=None)
    county = fields.String(load_default=None, validate=validate.Length(6, 6))
    sort = fields.String(load_default=None)
    after = fields.String(load_default=None, validate=validate.Length(1, 2000))


class LotArgs(InSchema):
    state = fields.Enum(LotState, by_value=True, load_default=None)
    county = fields.String(load_default=None, validate=validate.Length(6, 6))
    q = fields.String(load_default=None, validate=validate.Length(1, 100))
    sort = fields.String(load_default=None)
    after = fields.String(load_default=None, validate=validate.Length(1, 2000))


def _wants_sheet() -> bool:
    return request.args.get("format") == "xlsx"


@blp.route("/regulate", methods=["GET"], endpoint="today")
@requires(Permission.LOT_HOLD)
def first_page() -> Shown:
    """What the regulator sees first: the pass rate of the year, failed samples, lots off sale."""
    session, actor = db.session(), current_actor()
    wishes = read_query(RateArgs())
    rates = views.pass_rates(session, actor, **wishes)
    return page(
        "regulating/today.html",
        rates=rates,
        bars=_bars(rates["rows"], rates["total"], wishes["by"]),
        failed=views.samples(session, actor, year=wishes["year"], passed=False, limit=5)["items"],
        named=named,
        held=views.lots_off_sale(session, actor),
        counts=queries.count_lots(session, actor),
        goal=GOAL_BP,
        **wishes,
    )


def _bars(rows: list[dict[str, Any]], total: dict[str, Any], by: RateBy) -> Any:
    if not rows:
        return ""
    drawn = [
        charts.Bar(
            named(row, by),
            row["rate_bp"],
            percent(row["rate_bp"]),
            low=row["rate_bp"] < GOAL_BP,
            lang="zh-Hans" if row["name"] else None,
        )
        for row in rows[:12]
    ]
    below = sum(row["rate_bp"] < GOAL_BP for row in rows)
    finding = gettext(
        "抽检合格率%(rate)s，目标%(goal)s，%(n)s个低于目标",
        rate=percent(total["rate_bp"]), goal=percent(GOAL_BP), n=below,
    )  # fmt: skip
    return charts.bars(drawn, finding, mark_bp=GOAL_BP)


def named(row: dict[str, Any], by: RateBy) -> str:
    """The name of a row of pass rates; samples of no lot have none."""
    return str(row["name"] or gettext("没挂批次的任务抽检"))


@blp.route("/regulate/inspections", methods=["GET"])
@requires(Permission.INSPECTION_RECORD, Permission.PRODUCT_RECOGNISE)
def inspections() -> Shown:
    """Samples of a year, and pass rates by county, category, seller or month."""
    wishes = read_query(SampleArgs())
    by = wishes.pop("by")
    session, actor = db.session(), current_actor()
    if _wants_sheet():
        listed = views.samples(session, actor, **{**wishes, "after": None}, limit=MAX_ROWS)
        return _sample_sheet(listed["items"], wishes["year"])
    rates = views.pass_rates(session, actor, year=wishes["year"], by=by)
    return page(
        "regulating/inspections.html",
        list=views.samples(session, actor, **wishes),
        rates=rates,
        bars=_bars(rates["rows"], rates["total"], by),
        by=by,
        named=named,
        goal=GOAL_BP,
        counties=counties(session),
        year=wishes["year"],
        years=list(range(max(today().year, wishes["year"]), today().year - 6, -1)),
    )


def _sample_sheet(rows: list[dict[str, Any]], year: int) -> Response:
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


@blp.route("/regulate/lots", methods=["GET"])
@requires(Permission.LOT_HOLD)
def lots() -> Shown:
    """All lots of the regulator's counties, found by code, product or seller."""
    wishes = read_query(LotArgs())
    session, actor = db.session(), current_actor()
    if _wants_sheet():
        listed = queries.list_lots(session, actor, **{**wishes, "after": None}, limit=MAX_ROWS)
        return _lot_sheet(listed["items"])
    return page(
        "regulating/lots.html",
        list=queries.list_lots(session, actor, **wishes),
        counts=queries.count_lots(session, actor),
        states=[state.value for state in LotState],
        counties=counties(session),
    )


def _lot_sheet(rows: list[dict[str, Any]]) -> Response:
    columns = [
        Column("trace_code", gettext("追溯码"), width=24), Column("product.name", gettext("产品"), width=24),
        Column("seller.name", gettext("供应商"), width=32), Column("quantity", gettext("数量（件）"), "count"),
        Column("on_hand", gettext("在库（件）"), "count"), Column("harvested_on", gettext("采收日"), "day"),
        Column("best_before", gettext("食用期至"), "day"), Column("said", gettext("状态")),
    ]  # fmt: skip
    told = [{**row, "said": word("lot_state", row["state"])} for row in rows]
    return sheet_response(gettext("批次"), columns, told, [gettext("在库含已留给订单的件数")])


def _lot(lot_id: UUID, act: str | None) -> str:
    view = queries.lot_view(db.session(), current_actor(), lot_id)
    return page(
        "regulating/lot.html",
        lot=view,
        act=act,
        reason_text=reason_text,
        kept=kept_file() if act == "inspect" else None,
        rows=max(ITEM_ROWS, _typed_rows()),
    )


def _typed_rows() -> int:
    """Rows of the form of a sample that were typed already, and two more."""
    places = [
        name.split("-")[1] for name in request.form if name.startswith("items-") and name.endswith("-name")
    ]
    return min(
        max((int(p) + 3 for p in places if p.isascii() and p.isdigit() and len(p) < 4), default=0), 100
    )


@blp.route("/regulate/lots/<uuid:lot_id>", methods=["GET"])
@requires(Permission.LOT_HOLD)
def lot(lot_id: UUID) -> Shown:
    """A lot with its papers, samples, holds and origins."""
    return _lot(lot_id, None)


@blp.route("/regulate/lots/<uuid:lot_id>/hold", methods=["GET", "POST"])
@requires(Permission.LOT_HOLD)
@form
@retrying
def hold(lot_id: UUID) -> Shown:
    """Take a lot off sale at once, with a reason that its seller reads."""
    if posted():
        values = read_form(ReasonIn())
        reply = service.hold_lot(current_actor(), lot_id, **values, once=page_once(".lot", lot_id=lot_id))
        return done(reply, gettext("已停售，供应商会看到理由"))
    return _lot(lot_id, "hold")


@blp.route("/regulate/lots/<uuid:lot_id>/unhold", methods=["GET", "POST"])
@requires(Permission.LOT_HOLD)
@form
@retrying
def unhold(lot_id: UUID) -> Shown:
    """Lift all holds of a lot."""
    if posted():
        values = read_form(ReasonOptionalIn())
        reply = service.unhold_lot(current_actor(), lot_id, **values, once=page_once(".lot", lot_id=lot_id))
        return done(reply, gettext("停售已解除"))
    return _lot(lot_id, "unhold")


@blp.route("/regulate/lots/<uuid:lot_id>/inspect", methods=["GET", "POST"])
@requires(Permission.INSPECTION_RECORD)
@form
@retrying
def inspect(lot_id: UUID) -> Shown:
    """File a sample of a lot as its report reads; a failed one takes the lot off sale."""
    if posted():
        given = keep_file(DocumentKind.INSPECTION)
        values = read_form(InspectionIn(), rows={"items": "name"}, **given)
        reply = service.inspect_lot(current_actor(), lot_id, **values, once=page_once(".lot", lot_id=lot_id))
        return done(reply, _said(values["passed"]))
    return _lot(lot_id, "inspect")


def _said(passed: bool) -> Any:
    if passed:
        return gettext("抽检已记下")
    return gettext("抽检已记下；不合格，这一批和同地块同天采收的批次都已停售")


@blp.route("/regulate/inspections/new", methods=["GET", "POST"])
@requires(Permission.INSPECTION_RECORD)
@form
@retrying
def add_inspection() -> Shown:
    """File a campaign's sample of a product of a county, of no lot here."""
    if posted():
        given = keep_file(DocumentKind.INSPECTION)
        values = read_form(CampaignInspectionIn(), rows={"items": "name"}, **given)
        reply = service.add_inspection(current_actor(), **values, once=page_once(".inspections"))
        return done(reply, gettext("抽检已记下"))
    return page(
        "regulating/sample.html",
        counties=counties(db.session()),
        kept=kept_file(),
        rows=max(ITEM_ROWS, _typed_rows()),
    )
