"""A seller's lots: what blocks a sale and the act that removes it, papers, stock, labels; and the growers."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import segno
from flask import Blueprint, Response, request, url_for
from flask_babel import gettext
from marshmallow import Schema, fields, validate

from marketplace.actors import Permission
from marketplace.catalog.models import LotState
from marketplace.database import db
from marketplace.desks import selling_lots_views as views
from marketplace.desks.origins_sheet_pages import SORTS as ORIGIN_SORTS
from marketplace.desks.origins_sheet_pages import origins_sheet
from marketplace.desks.selling_forms_pages import filed_document, reason_text, row_wanted, rows_shown
from marketplace.desks.selling_pages import blp, moves
from marketplace.trace import growers as grower_queries
from marketplace.trace import labels as label_sheets
from marketplace.trace import queries, service
from marketplace.trace.intake import MAX_ORIGINS
from marketplace.trace.keyring import code_address
from marketplace.trace.movements import SELLER_MOVES
from marketplace.trace.queries import LOT_SORTS
from marketplace.trace.schemas import (
    CertificateIn,
    GrowerIn,
    LabelArgs,
    LotIn,
    LotsArgs,
    MovementIn,
    ReasonOptionalIn,
)
from marketplace.unit_of_work import retrying
from marketplace.web.edge import current_actor, requires
from marketplace.web.forms import Shown, done, form, page_once, posted, read_form, read_query
from marketplace.web.pages import page
from marketplace.web.schemas import PageArgs, ReasonIn
from marketplace.web.sheets import MAX_ROWS, Column, sheet_response, wants_sheet
from marketplace.web.sorting import sorted_rows
from marketplace.web.words import WORDS, word

blueprints: list[Blueprint] = []  # the routes stand on the blueprint of selling_pages


class LotsView(LotsArgs):
    sort = fields.String(load_default=None, validate=validate.OneOf(LOT_SORTS))
    format = fields.String(load_default=None, validate=validate.OneOf(["xlsx"]))


class GrowersView(PageArgs):
    q = fields.String(load_default=None, validate=validate.Length(max=100))
    sort = fields.String(load_default=None, validate=validate.OneOf(grower_queries.GROWER_SORTS))
    format = fields.String(load_default=None, validate=validate.OneOf(["xlsx"]))


class LikeArgs(Schema):
    product_id = fields.UUID(load_default=None)
    like = fields.UUID(load_default=None)


class StockIn(MovementIn):
    lot_id = fields.UUID(required=True)


@blp.route("/sell/lots", methods=["GET"])
@requires(Permission.LOT_EDIT)
def lots() -> Shown:
    """The seller's lots with what keeps each of them off sale."""
    wish, actor = read_query(LotsView()), current_actor()
    sheet = wish.pop("format") == "xlsx"
    if sheet:
        wish |= {"limit": MAX_ROWS, "after": None}
    found = queries.list_lots(db.session(), actor, **wish)
    waiting = [lot["id"] for lot in found["items"] if lot["state"] is not LotState.RECALLED]
    blocking = queries.blocking_of(db.session(), actor, waiting)
    for lot in found["items"]:
        lot["free"] = lot["on_hand"] - lot["reserved"] if lot["state"] is LotState.RELEASED else 0
        lot["blocking"] = [reason_text(reason) for reason in blocking.get(lot["id"], ())]
    if sheet:
        return _sheet(found["items"])
    return page(
        "selling/lots.html",
        lots=found["items"],
        next=found["next"],
        counts=queries.count_lots(db.session(), actor),
    )


def _sheet(lots: list[dict[str, Any]]) -> Response:
    columns = [
        Column("product.name", gettext("产品")), Column("product.spec", gettext("规格"), width=24),
        Column("code", gettext("批号")), Column("trace_code", gettext("追溯码"), width=24),
        Column("state", gettext("状态")), Column("quantity", gettext("采收件数"), "count"),
        Column("on_hand", gettext("在库件数"), "count"), Column("reserved", gettext("已留给订单"), "count"),
        Column("free", gettext("可售件数"), "count"), Column("product.unit", gettext("单位"), width=8),
        Column("harvested_on", gettext("采收日"), "day"), Column("best_before", gettext("食用期至"), "day"),
        Column("blocking", gettext("还差什么"), width=60),
    ]  # fmt: skip
    rows = [
        {**lot, "state": word("lot_state", lot["state"]), "blocking": "；".join(lot["blocking"])}
        for lot in lots
    ]
    basis = [
        gettext("本单位登记的批次；可售件数＝已放行批次的在库件数－已留给订单。件数按各产品自己的包装单位")
    ]
    return sheet_response(gettext("批次"), columns, rows, basis)


@blp.route("/sell/lots/new", methods=["GET", "POST"])
@requires(Permission.LOT_EDIT)
@form
@retrying
def new_lot() -> Shown:
    """Register a batch: first the product, then how much of it grew where."""
    if posted() and not row_wanted():
        once = page_once(".lot", lot_id=lambda lot: lot["id"])
        reply = service.add_lot(current_actor(), **read_form(LotIn()), once=once)
        return done(reply, gettext("批次已登记，追溯码已生成"))
    wish = read_query(LikeArgs())
    if wish["product_id"] is None:
        goods = views.recognised_products(db.session(), current_actor())
        return page("selling/choose_product.html", products=goods)
    view = views.new_lot_view(db.session(), current_actor(), wish["product_id"], wish["like"])
    rows = rows_shown("origins", len(view["origins"]), MAX_ORIGINS)
    return page("selling/new_lot.html", view=view, rows=rows)


@blp.route("/sell/lots/<uuid:lot_id>", methods=["GET"])
@requires(Permission.LOT_EDIT)
def lot(lot_id: UUID) -> Shown:
    """One lot: what is to be done for it, its papers, its stock, its code; as files its plots, or all its movements."""
    if wants_sheet():
        view = queries.lot_view(db.session(), current_actor(), lot_id)
        return _movement_sheet(view) if request.args.get("list") == "moves" else origins_sheet(view)
    return _lot_page("selling/lot.html", lot_id)


def _movement_sheet(lot: dict[str, Any]) -> Response:
    columns = [
        Column("moved_at", gettext("时间"), "time", 18), Column("said", gettext("什么事"), width=24),
        Column("place", gettext("库存点"), width=24), Column("on_hand_delta", gettext("在库变动（件）"), "count"),
        Column("reserved_delta", gettext("保留变动（件）"), "count"), Column("number", gettext("订单号"), width=20),
        Column("reason", gettext("说明"), width=40),
    ]  # fmt: skip
    moved = views.movements(db.session(), lot["id"], limit=MAX_ROWS)
    rows = [{**row, "said": word("movement_kind", row["kind"])} for row in moved]
    basis = [
        f"{lot['product']['name']} {lot['product']['spec']} {lot['trace_code']}",
        gettext("口径：这一批全部库存变动，新的在上；在库变动之和就是在库件数"),
    ]
    return sheet_response(f"{gettext('库存变动')} {lot['trace_code'][:5]}", columns, rows, basis)


def _lot_page(template: str, lot_id: UUID, **values: Any) -> str:
    view = views.lot_page(db.session(), current_actor(), lot_id)
    view["origins"] = sorted_rows(view["origins"], *ORIGIN_SORTS)
    view["movements"] = sorted_rows(view["movements"], "moved_at", "on_hand_delta", "reserved_delta")
    code = segno.make_qr(code_address(view["trace_code"]), error="m")
    return page(
        template,
        lot=view,
        free=view["on_hand"] - view["reserved"],
        qr=code.svg_data_uri(border=2),
        reason_text=reason_text,
        undoable=[kind.value for kind in SELLER_MOVES],
        **values,
    )


@blp.route("/sell/lots/<uuid:lot_id>/certificates", methods=["GET", "POST"])
@requires(Permission.LOT_EDIT)
@form
@retrying
def certify(lot_id: UUID) -> Shown:
    """File a paper of the lot with its picture."""
    if posted():
        values = read_form(CertificateIn(), **filed_document("document_id", "certificate"))
        once = page_once(".lot", lot_id=lot_id)
        reply = service.certify_lot(current_actor(), lot_id, **values, once=once)
        return done(reply, gettext("证明已交"))
    return _lot_page("selling/certify.html", lot_id)


@blp.route("/sell/lots/<uuid:lot_id>/release", methods=["GET", "POST"])
@requires(Permission.LOT_EDIT)
@form
@retrying
def release(lot_id: UUID) -> Shown:
    """Put the lot on sale."""
    if posted():
        reply = service.release_lot(current_actor(), lot_id, once=page_once(".lot", lot_id=lot_id))
        return done(reply, gettext("已放行，买方现在可以订这一批"))
    return _lot_page("selling/release.html", lot_id)


@blp.route("/sell/lots/<uuid:lot_id>/hold", methods=["GET", "POST"])
@requires(Permission.LOT_EDIT)
@form
@retrying
def hold(lot_id: UUID) -> Shown:
    """Take the lot off sale at once."""
    if posted():
        values = read_form(ReasonIn())
        reply = service.hold_lot(current_actor(), lot_id, **values, once=page_once(".lot", lot_id=lot_id))
        return done(reply, gettext("已停售。已订的货还留着，要处理请看订单"))
    return _lot_page("selling/hold.html", lot_id)


@blp.route("/sell/lots/<uuid:lot_id>/unhold", methods=["GET", "POST"])
@requires(Permission.LOT_EDIT)
@form
@retrying
def unhold(lot_id: UUID) -> Shown:
    """Lift one's own hold."""
    if posted():
        values = read_form(ReasonOptionalIn())
        reply = service.unhold_lot(current_actor(), lot_id, **values, once=page_once(".lot", lot_id=lot_id))
        return done(reply, gettext("已解除停售"))
    return _lot_page("selling/unhold.html", lot_id)


@blp.route("/sell/lots/<uuid:lot_id>/movements", methods=["GET", "POST"])
@requires(Permission.STOCK_MOVE)
@form
@retrying
def move_stock(lot_id: UUID) -> Shown:
    """Book packs that left otherwise than by an order, or a count."""
    if posted():
        once = page_once(".lot", lot_id=lot_id)
        reply = service.move_stock(current_actor(), lot_id, **_movement(MovementIn()), once=once)
        return done(reply, gettext("库存已记"))
    return _lot_page("selling/move_stock.html", lot_id, moves=moves())


@blp.route("/sell/stock", methods=["GET", "POST"])
@requires(Permission.STOCK_MOVE)
@form
@retrying
def stock() -> Shown:
    """The one-tap movement of the desk: lot, kind and packs on one line."""
    if posted():
        values = _movement(StockIn())
        reply = service.move_stock(current_actor(), values.pop("lot_id"), **values, once=page_once(".today"))
        return done(reply, gettext("库存已记"))
    stocked = views.stocked_lots(db.session(), current_actor())
    return page("selling/stock.html", stocked=stocked, moves=moves())


def _movement(schema: Schema) -> dict[str, Any]:
    """The typed movement; one without a reason gets the word of its kind."""
    reason = request.form.get("reason", "").strip() or WORDS["movement_kind"].get(
        request.form.get("kind", "")
    )
    told: dict[str, Any] = {"reason": reason} if reason else {}
    return read_form(schema, **told)


@blp.route("/sell/lots/<uuid:lot_id>/labels", methods=["GET"])
@requires(Permission.LOT_EDIT)
def labels(lot_id: UUID) -> Shown:
    """How many labels, and what stands on one."""
    return _lot_page("selling/labels.html", lot_id, sheet=label_sheets.PER_SHEET)


@blp.route("/sell/lots/<uuid:lot_id>/labels.pdf", methods=["GET"])
@requires(Permission.LOT_EDIT)
def labels_pdf(lot_id: UUID) -> Response:
    """A4 sheets of labels, to be printed."""
    wish = read_query(LabelArgs())
    label = label_sheets.Label(**queries.label_row(db.session(), current_actor(), lot_id))
    response = Response(label_sheets.pdf_sheet(label, wish["count"]), mimetype="application/pdf")
    response.headers["Content-Disposition"] = f'inline; filename="labels-{label.code}.pdf"'
    return response


@blp.route("/sell/growers", methods=["GET", "POST"])
@requires(Permission.LOT_EDIT)
@form
@retrying
def growers() -> Shown:
    """The households that supply the seller; nobody else sees them."""
    if posted():
        reply = service.add_grower(current_actor(), **read_form(GrowerIn()), once=page_once(".growers"))
        return done(reply, gettext("农户已登记"))
    session, actor, wish = db.session(), current_actor(), read_query(GrowersView())
    if wish.pop("format") == "xlsx":
        wish |= {"limit": MAX_ROWS, "after": None}
        return _grower_sheet(grower_queries.list_growers(session, actor, **wish)["items"])
    found = grower_queries.list_growers(session, actor, **wish)
    return page(
        "selling/growers.html",
        growers=found["items"],
        next=found["next"],
        townships=views.townships(session),
        villages=sorted({village for _, village in views.villages(session, actor)}),
        again=url_for(".growers"),
    )


def _grower_sheet(rows: list[dict[str, Any]]) -> Response:
    columns = [
        Column("code", gettext("编号")), Column("name", gettext("姓名")), Column("township.name", gettext("乡镇")),
        Column("village", gettext("村")), Column("household", gettext("脱贫户")),
    ]  # fmt: skip
    told = [{**row, "household": gettext("是") if row["poverty_household"] else ""} for row in rows]
    basis = [gettext("本单位登记的农户；含姓名，不要外传")]
    return sheet_response(gettext("农户"), columns, told, basis)
