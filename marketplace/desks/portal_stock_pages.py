"""The shop's side of consignment: what is on the way and is taken over, and what stands in the shop."""

from __future__ import annotations

from uuid import UUID

from flask import Blueprint, Response, request
from flask_babel import gettext

from marketplace.actors import Permission
from marketplace.channels import consignment, consignment_views
from marketplace.channels.consignment import Packs
from marketplace.channels.consignment_schemas import ConsignmentFilter, TakeOverIn
from marketplace.channels.states import ConsignmentState
from marketplace.clock import now, today
from marketplace.database import db
from marketplace.desks.consignments_sheet_pages import consignments_sheet
from marketplace.unit_of_work import retrying
from marketplace.web.edge import current_actor, requires
from marketplace.web.forms import Shown, done, form, page_once, posted, read_form, read_query
from marketplace.web.language import N_, translated
from marketplace.web.pages import moment, page
from marketplace.web.sheets import Column, sheet_response, wants_sheet
from marketplace.web.sorting import found_rows, page_of, sorted_rows
from marketplace.web.words import word

blp = Blueprint("portal_stock", __name__)
blueprints = [blp]

COLUMNS = (
    Column("shop.name", N_("门店"), width=24),
    Column("name", N_("产品"), width=18),
    Column("spec", N_("规格"), width=24),
    Column("seller.name", N_("供应商"), width=28),
    Column("trace_code", N_("追溯码"), width=24),
    Column("best_before", N_("保质期到"), "day"),
    Column("quantity", N_("件数"), "count"),
    Column("pack_unit", N_("单位"), width=8),
    Column("state_word", N_("状态"), width=14),
)


@blp.route("/portal/stock", methods=["GET"])
@requires(Permission.CHANNEL_SALES)
def stock() -> Shown:
    """What sellers have sent and the shop has not taken over, and what stands in the shop by lot."""
    session, actor = db.session(), current_actor()
    found = found_rows(
        consignment_views.shop_stock(session, actor), "name", "trace_code", "seller.name", "shop.name"
    )
    rows = sorted_rows(found, "name", "quantity", "best_before", "seller.name")
    if wants_sheet():
        return _sheet(rows)
    on_the_way = consignment_views.list_consignments(
        session, actor, state=ConsignmentState.SENT.value, limit=100
    )
    return page("portal/stock.html", rows=page_of(rows), on_the_way=on_the_way["items"], day=today())


def _sheet(rows: list[dict[str, object]]) -> Response:
    columns = [Column(c.key, translated(c.label), c.kind, c.width) for c in COLUMNS]
    basis = [
        gettext("门店里还没卖的代销货，按批次；卖出以前归供应商"),
        gettext("截至%(time)s（北京时间）", time=moment(now())),
    ]
    shown = [{**row, "state_word": word("lot_state", row["lot_state"])} for row in rows]
    return sheet_response(gettext("门店库存"), columns, shown, basis)


@blp.route("/portal/consignments", methods=["GET"])
@requires(Permission.CHANNEL_SALES)
def consignments() -> Shown:
    """Every consignment that came to the channel, newest first."""
    wish, actor = read_query(ConsignmentFilter()), current_actor()
    if wants_sheet():
        return consignments_sheet(actor, wish["state"])
    found = consignment_views.list_consignments(
        db.session(), actor, **wish | {"limit": 24, "sort": request.args.get("sort")}
    )
    return page("portal/consignments.html", listed=found, state=wish["state"])


@blp.route("/portal/consignments/<uuid:consignment_id>", methods=["GET", "POST"])
@requires(Permission.CHANNEL_SALES)
@form
@retrying
def take_over(consignment_id: UUID) -> Shown:
    """One consignment: count what came, and take it over; the rest goes back to the seller."""
    if posted():
        lines = read_form(TakeOverIn())["lines"]
        reply = consignment.take_over(
            current_actor(),
            consignment_id,
            accepted=[Packs(line["trace_code"], line["accepted_quantity"]) for line in lines],
            once=page_once(".stock"),
        )
        return done(reply, gettext("已接收，货进了门店库存"))
    sent = consignment_views.consignment_view(db.session(), current_actor(), consignment_id)
    return page("portal/consignment.html", sent=sent)
