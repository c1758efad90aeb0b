"""A shop's sales in the portal: a file is looked over before it is reported; every version with its red entries."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from flask import Blueprint, Response, request, url_for
from flask_babel import gettext
from marshmallow import fields, validate

from marketplace.actors import Permission
from marketplace.channels import sales_files, sales_views
from marketplace.channels.sales_files import FileRow, LineMistake
from marketplace.clock import now
from marketplace.database import db
from marketplace.errors import RuleViolation
from marketplace.unit_of_work import retrying
from marketplace.web.attachments import attachment
from marketplace.web.edge import current_actor, requires
from marketplace.web.forms import Shown, form, posted, read_form, read_query, uploaded, went
from marketplace.web.language import N_, translated
from marketplace.web.pages import moment, page
from marketplace.web.schemas import InSchema, integer
from marketplace.web.sheets import MAX_ROWS, Column, sheet_response, wants_sheet
from marketplace.web.sorting import sorted_rows
from marketplace.web.words import word
from marketplace.workbooks import CONTENT_TYPE

blp = Blueprint("portal_sales", __name__)
blueprints = [blp]

MOST_TYPED = 400_000
COLUMNS = (
    Column("business_day", N_("日期"), "day"),
    Column("place", N_("门店"), width=24),
    Column("version", N_("版本"), "count"),
    Column("kind", N_("种类"), width=20),
    Column("total_fen", N_("金额（元）"), "yuan"),
    Column("reported_at", N_("上报时间"), "time", 18),
)
LINES = (
    Column("trace_code", N_("追溯码"), width=24),
    Column("name", N_("产品"), width=30),
    Column("quantity", N_("件数"), "count"),
    Column("unit_price_fen", N_("单价（元）"), "yuan"),
    Column("amount_fen", N_("金额（元）"), "yuan"),
)


class SalesArgs(InSchema):
    from_day = fields.Date(load_default=None)
    to_day = fields.Date(load_default=None)
    after = fields.String(load_default=None, validate=validate.Length(1, 2000))


class CorrectsIn(InSchema):
    """The version of a day that the file takes the place of, as the preview showed it."""

    day = fields.Date(required=True)
    version = integer(1, 10_000)


class ConfirmIn(InSchema):
    content = fields.String(required=True, validate=validate.Length(1, MOST_TYPED))
    corrects = fields.List(
        fields.Nested(CorrectsIn), load_default=list, validate=validate.Length(0, sales_files.MOST_DAYS)
    )


@blp.route("/portal/sales", methods=["GET"])
@requires(Permission.CHANNEL_SALES)
def sales() -> Shown:
    """Every version of the channel's reports, to look through and take away as a table."""
    wish = read_query(SalesArgs())
    sheet = wants_sheet()
    found = sales_views.list_reports(
        db.session(), current_actor(), limit=MAX_ROWS if sheet else 24, sort=request.args.get("sort"), **wish
    )
    for row in found["items"]:
        row["kind"] = _kind(row)
    if sheet:
        return _sheet(gettext("门店销售"), COLUMNS, found["items"])
    filtered = wish["from_day"] is not None or wish["to_day"] is not None
    return page("portal/sales.html", listed=found, filtered=filtered)


@blp.route("/portal/sales/<uuid:report_id>", methods=["GET"])
@requires(Permission.CHANNEL_SALES)
def report(report_id: UUID) -> Shown:
    """One version of a day, lot by lot."""
    row = sales_views.own_report(db.session(), current_actor(), report_id)
    row["kind"] = _kind(row)
    row["lines"] = sorted_rows(row["lines"], "name", "quantity", "unit_price_fen", "amount_fen")
    if wants_sheet():
        return _sheet(f"{gettext('门店销售')} {row['business_day']} {row['version']}", LINES, row["lines"])
    return page("portal/sales_report.html", row=row)


@blp.route("/portal/sales/new", methods=["GET", "POST"])
@requires(Permission.CHANNEL_SALES)
@form
def upload() -> Shown:
    """Takes a file of day, trace code and packs, and shows what it would report; nothing is reported yet."""
    if not posted():
        return page("portal/sales_upload.html")
    chosen = uploaded("file")
    if chosen is None:
        raise RuleViolation(errors=[{"pointer": "#/file", "detail": "请选一个文件"}])
    return _preview(*sales_files.read_file(chosen[1]))


@blp.route("/portal/sales/form.xlsx", methods=["GET"])
@requires(Permission.CHANNEL_SALES)
def form_xlsx() -> Response:
    """The empty table as a workbook."""
    return attachment(sales_files.empty_form(), CONTENT_TYPE, f"{gettext('销售表')}.xlsx")


@blp.route("/portal/sales/form.csv", methods=["GET"])
@requires(Permission.CHANNEL_SALES)
def form_csv() -> Response:
    """The empty table as CSV, marked as UTF-8 for spreadsheets."""
    head = "\ufeff" + ",".join(sales_files.FORM) + "\r\n"
    return attachment(head.encode(), "text/csv", f"{gettext('销售表')}.csv")


@blp.route("/portal/sales/confirm", methods=["GET", "POST"])
@requires(Permission.CHANNEL_SALES)
@form
@retrying
def confirm() -> Shown:
    """Reports the days that the preview showed; the page itself is the preview of what was sent to it."""
    if not posted():
        content = request.form.get("content", "")
        return (
            _preview(*sales_files.read_file(content.encode()))
            if content
            else page("portal/sales_upload.html")
        )
    given = read_form(ConfirmIn())
    rows, mistakes = sales_files.read_file(given["content"].encode())
    if mistakes:
        return _preview(rows, mistakes)
    corrects = {each["day"]: each["version"] for each in given["corrects"]}
    days = sales_files.report_rows(current_actor(), rows, corrects)
    return went(url_for(".sales"), gettext("已上报%(n)s天", n=days))


def _preview(rows: Sequence[FileRow], mistakes: Sequence[LineMistake]) -> str:
    days, wrong = sales_files.preview(db.session(), current_actor(), rows)
    told = [*mistakes, *wrong]
    by_line = {m.line: translated(m.detail) for m in told}
    return page(
        "portal/sales_preview.html",
        days=days,
        mistakes=[(m.line, translated(m.detail)) for m in sorted(told, key=lambda m: m.line)],
        by_line=by_line,
        content=sales_files.as_text(rows),
        new=[day for day in days if not day.same],
    )


def _kind(row: dict[str, Any]) -> str:
    return word("sales_report", "red" if row["red"] else "corrected" if row["corrects"] else "first")


def _sheet(title: str, columns: Sequence[Column], rows: list[dict[str, Any]]) -> Response:
    basis = [
        gettext("金额是渠道应付供应商的货款：件数乘以当天协议价目表的第一档价；红字行冲回它更正的一版"),
        gettext("截至%(time)s（北京时间）", time=moment(now())),
    ]
    translated_columns = [Column(c.key, translated(c.label), c.kind, c.width) for c in columns]
    return sheet_response(title, translated_columns, rows, basis)
