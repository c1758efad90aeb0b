"""The market regulator's desk: pass rates against the goal, lots with their papers, holds, samples."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from flask import Blueprint, request
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
from marketplace.desks.origins_sheet_pages import SORTS as ORIGIN_SORTS
from marketplace.desks.origins_sheet_pages import origins_sheet
from marketplace.desks.regulating_sheet_pages import (
    RATE_SORTS,
    held_sheet,
    lot_sheet,
    named,
    rate_sheet,
    sample_sheet,
)
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
from marketplace.web.sheets import MAX_ROWS, wants_sheet
from marketplace.web.sorting import page_of, sorted_rows

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


@blp.route("/regulate", methods=["GET"], endpoint="today")
@requires(Permission.LOT_HOLD)
def first_page() -> Shown:
    """What the regulator sees first: the pass rate of the year, failed samples, lots off sale."""
    session, actor = db.session(), current_actor()
    wishes = read_query(RateArgs())
    held = sorted_rows(views.lots_off_sale(session, actor, MAX_ROWS), "product", "seller", "since")
    if wants_sheet() and request.args.get("list") == "held":
        return held_sheet(held)
    rates = views.pass_rates(session, actor, **wishes)
    if wants_sheet():
        return rate_sheet(rates, **wishes)
    return page(
        "regulating/today.html",
        rates={**rates, "rows": sorted_rows(rates["rows"], *RATE_SORTS)},
        bars=_bars(rates["rows"], rates["total"], wishes["by"]),
        failed=views.samples(session, actor, year=wishes["year"], passed=False, limit=5)["items"],
        named=named,
        held=page_of(held),
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


@blp.route("/regulate/inspections", methods=["GET"])
@requires(Permission.INSPECTION_RECORD, Permission.PRODUCT_RECOGNISE)
def inspections() -> Shown:
    """Samples of a year, and pass rates by county, category, seller or month."""
    wishes = read_query(SampleArgs())
    by = wishes.pop("by")
    session, actor = db.session(), current_actor()
    rates = views.pass_rates(session, actor, year=wishes["year"], by=by)
    if wants_sheet() and request.args.get("list") == "rates":
        return rate_sheet(rates, wishes["year"], by)
    if wants_sheet():
        listed = views.samples(session, actor, **{**wishes, "after": None}, limit=MAX_ROWS)
        return sample_sheet(listed["items"], wishes["year"])
    return page(
        "regulating/inspections.html",
        list=views.samples(session, actor, **wishes),
        rates={**rates, "rows": sorted_rows(rates["rows"], *RATE_SORTS)},
        bars=_bars(rates["rows"], rates["total"], by),
        by=by,
        named=named,
        goal=GOAL_BP,
        counties=counties(session),
        year=wishes["year"],
        years=list(range(max(today().year, wishes["year"]), today().year - 6, -1)),
    )


@blp.route("/regulate/lots", methods=["GET"])
@requires(Permission.LOT_HOLD)
def lots() -> Shown:
    """All lots of the regulator's counties, found by code, product or seller."""
    wishes = read_query(LotArgs())
    session, actor = db.session(), current_actor()
    if wants_sheet():
        listed = queries.list_lots(session, actor, **{**wishes, "after": None}, limit=MAX_ROWS)
        return lot_sheet(listed["items"])
    return page(
        "regulating/lots.html",
        list=queries.list_lots(session, actor, **wishes),
        counts=queries.count_lots(session, actor),
        states=[state.value for state in LotState],
        counties=counties(session),
    )


def _lot(lot_id: UUID, act: str | None) -> str:
    view = queries.lot_view(db.session(), current_actor(), lot_id)
    view["origins"] = sorted_rows(view["origins"], *ORIGIN_SORTS)
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
    """A lot with its papers, samples, holds and origins; `format=xlsx` gives the plots."""
    if wants_sheet():
        return origins_sheet(queries.lot_view(db.session(), current_actor(), lot_id), paid=False)
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
