"""A channel's orders in the portal: the list, one order with its lots and proofs, and what may be changed of it."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from flask import Blueprint, Response, current_app
from flask_babel import gettext
from marshmallow import fields, validate

from marketplace.actors import Permission
from marketplace.channels import certificates, changing, order_views
from marketplace.channels.schemas import PartnerCancelIn, PartnerReduceIn
from marketplace.clock import now
from marketplace.database import db
from marketplace.desks import portal_views
from marketplace.documents import service as documents
from marketplace.unit_of_work import Reply, retrying
from marketplace.web.attachments import attachment
from marketplace.web.edge import current_actor, requires
from marketplace.web.forms import Shown, done, form, page_once, posted, read_form, read_query
from marketplace.web.language import N_, translated
from marketplace.web.pages import moment, page
from marketplace.web.schemas import InSchema
from marketplace.web.sheets import MAX_ROWS, Column, sheet_response, wants_sheet
from marketplace.web.sorting import sorted_rows
from marketplace.web.words import word

blp = Blueprint("portal_orders", __name__)
blueprints = [blp]

COLUMNS = (
    Column("partner_order_no", N_("你们的单号"), width=24),
    Column("purchase_number", N_("平台采购单号"), width=22),
    Column("state_words", N_("状态"), width=24),
    Column("deliver_on", N_("送货日期"), "day"),
    Column("placed_at", N_("下单时间"), "time", 18),
    Column("cut_off_at", N_("截单时间"), "time", 18),
    Column("packs", N_("件数"), "count"),
    Column("goods_fen", N_("货款（元）"), "yuan"),
    Column("accepted_fen", N_("已验收（元）"), "yuan"),
    Column("paid_fen", N_("已付（元）"), "yuan"),
)


LINE_SORTS = ("name", "unit_price_fen", "quantity", "shipped_quantity", "accepted_fen")
LINES_BASIS = N_("口径：件数按各产品自己的包装单位；单价和金额含税，不含运费。")


class OrderArgs(InSchema):
    q = fields.String(load_default=None, validate=validate.Length(1, 64))
    standing = fields.String(load_default=None, validate=validate.OneOf(portal_views.STANDINGS))
    deliver_from = fields.Date(load_default=None)
    deliver_to = fields.Date(load_default=None)
    sort = fields.String(load_default=None)
    after = fields.String(load_default=None, validate=validate.Length(1, 2000))


@blp.route("/portal/orders", methods=["GET"])
@requires(Permission.CHANNEL_ORDER)
def orders() -> Shown:
    """The channel's orders, to look through, sort and take away as a table."""
    wish = read_query(OrderArgs())
    sheet = wants_sheet()
    limit = MAX_ROWS if sheet else 24
    found = portal_views.list_orders(db.session(), current_actor(), limit=limit, **wish)
    if sheet:
        return _sheet(found["items"])
    filtered = any(wish[name] is not None for name in ("q", "standing", "deliver_from", "deliver_to"))
    return page("portal/orders.html", listed=found, wish=wish, filtered=filtered)


def _sheet(items: list[dict[str, Any]]) -> Response:
    columns = [Column(c.key, translated(c.label), c.kind, c.width) for c in COLUMNS]
    basis = [
        gettext("金额为含税货款，不含运费；货款按下单时的件数，件数已减去取消的；已验收和已付为各供应商之和"),
        gettext("截至%(time)s（北京时间）", time=moment(now())),
    ]
    rows = [
        {**row, "state_words": "、".join(word("order_state", state) for state in row["states"])}
        for row in items
    ]
    return sheet_response(gettext("渠道订单"), columns, rows, basis)


def _lines_sheet(order: dict[str, Any]) -> Response:
    columns = [
        Column("order", gettext("订单"), width=20), Column("seller", gettext("供应商"), width=28),
        Column("name", gettext("货品"), width=28), Column("spec", gettext("规格"), width=24),
        Column("unit_price_fen", gettext("单价（元）"), "yuan"), Column("quantity", gettext("下单"), "count"),
        Column("cancelled_quantity", gettext("取消"), "count"), Column("shipped_quantity", gettext("已发"), "count"),
        Column("accepted_quantity", gettext("验收"), "count"), Column("refused_quantity", gettext("拒收"), "count"),
        Column("accepted_fen", gettext("验收金额（元）"), "yuan"),
    ]  # fmt: skip
    rows = [
        {**line, "order": part["number"], "seller": part["seller"]["name"]}
        for part in order["orders"]
        for line in part["lines"]
    ]
    basis = [LINES_BASIS, gettext("截至%(time)s（北京时间）", time=moment(now()))]
    title = f"{gettext('渠道订单')} {order['partner_order_no']}"
    return sheet_response(title, columns, rows, [translated(basis[0]), basis[1]])


def _trace_base() -> str:
    return f"{current_app.config['SETTINGS'].public_base_url}/t/"


def _read(partner_order_no: str) -> dict[str, Any]:
    view = order_views.order_view(db.session(), current_actor(), partner_order_no, _trace_base())
    lines = [line for part in view["orders"] for line in part["lines"]]
    for line in lines:
        line["left"] = line["quantity"] - line["cancelled_quantity"] - line["shipped_quantity"]
    return {**view, "in_time": now() < view["cut_off_at"], "left": sum(line["left"] for line in lines)}


@blp.route("/portal/orders/<partner_order_no>", methods=["GET"])
@requires(Permission.CHANNEL_ORDER)
def order(partner_order_no: str) -> Shown:
    """One order: each seller's part with its lines, shipments, trace codes and proofs, and changes asked for."""
    found = _read(partner_order_no)
    if wants_sheet():
        return _lines_sheet(found)
    for part in found["orders"]:
        part["lines"] = sorted_rows(part["lines"], *LINE_SORTS)
    return page("portal/order.html", order=found)


@blp.route("/portal/orders/<partner_order_no>/certificates/<uuid:document_id>", methods=["GET"])
@requires(Permission.CHANNEL_ORDER)
def certificate(partner_order_no: str, document_id: UUID) -> Response:
    """The file of a proof that came with the goods."""
    row = certificates.certificate_file(db.session(), current_actor(), partner_order_no, document_id)
    # The connection goes back before the store is asked: a slow store must not hold it.
    db.session.remove()
    return attachment(documents.content_of(row), row.content_type, row.filename)


@blp.route("/portal/orders/<partner_order_no>/cancel", methods=["GET", "POST"])
@requires(Permission.CHANNEL_ORDER)
@form
@retrying
def cancel(partner_order_no: str) -> Shown:
    """Take back all that has not been shipped: at once before the cut-off, by asking the sellers after it."""
    if posted():
        given = read_form(PartnerCancelIn())
        return _changed(partner_order_no, None, given["reason"])
    return page("portal/order_change.html", order=_read(partner_order_no), whole=True)


@blp.route("/portal/orders/<partner_order_no>/reduce", methods=["GET", "POST"])
@requires(Permission.CHANNEL_ORDER)
@form
@retrying
def reduce(partner_order_no: str) -> Shown:
    """Take packs off lines, likewise."""
    if posted():
        given = read_form(PartnerReduceIn(), rows={"lines": "quantity"})
        lines = {line["line_id"]: line["quantity"] for line in given["lines"]}
        return _changed(partner_order_no, lines, given["reason"])
    return page("portal/order_change.html", order=_read(partner_order_no), whole=False)


def _changed(partner_order_no: str, lines: dict[UUID, int] | None, reason: str) -> Shown:
    reply: Reply = changing.change_order(
        current_actor(), partner_order_no, lines=lines, reason=reason, trace_base=_trace_base(),
        once=page_once(".order", partner_order_no=partner_order_no),
    )  # fmt: skip
    asked = reply.result is not None and reply.result["outcome"] == "asked"
    return done(reply, gettext("已过截单，已转给供应商答复") if asked else gettext("已改好，供应商马上看到"))
