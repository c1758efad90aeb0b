"""The seller's desk: what waits today, and the acts on orders: confirm, pick, ship, settle refusals and reductions."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any
from uuid import UUID

from flask import Blueprint, Response, g
from flask_babel import gettext
from marshmallow import fields, pre_load, validate

from marketplace.actors import Actor, Permission
from marketplace.catalog.models import LotState
from marketplace.clock import today as this_day
from marketplace.database import db
from marketplace.desks import selling_lots_views, selling_views
from marketplace.desks.selling_forms_pages import reason_text
from marketplace.orders import fulfilment, takeover
from marketplace.orders.queries import order_view
from marketplace.orders.schemas import ReturnsIn, ShipIn
from marketplace.payments import worklists
from marketplace.payments.queries import list_payments
from marketplace.payments.states import PaymentDocState
from marketplace.trace import queries as trace
from marketplace.unit_of_work import Once, retrying
from marketplace.web.edge import current_actor, requires
from marketplace.web.forms import Shown, done, form, page_once, posted, read_form, read_query
from marketplace.web.language import translated
from marketplace.web.pages import page, register_badge
from marketplace.web.schemas import InSchema
from marketplace.web.sheets import Column, sheet_response
from marketplace.web.words import WORDS

blp = Blueprint("selling", __name__)
blueprints = [blp]


def _waiting(actor: Actor) -> dict[str, int]:
    """The three numbers of the menu, read together once per page; none for those who do not sell."""
    if "seller_waits" not in g:
        may = actor.can(Permission.ORDER_CONFIRM)
        g.seller_waits = selling_views.waiting(db.session(), actor) if may else {}
    known: dict[str, int] = g.seller_waits
    return known


register_badge("to_confirm", lambda actor: _waiting(actor).get("to_confirm", 0))
register_badge("to_ship", lambda actor: _waiting(actor).get("to_ship", 0))
register_badge("to_invoice", lambda actor: _waiting(actor).get("to_invoice", 0))

SHOWN = 6  # rows of a list on the desk; the rest is one click away


class DayArgs(InSchema):
    day = fields.Date(load_default=None)
    format = fields.String(load_default=None, validate=validate.OneOf(["xlsx"]))


class ShipForm(ShipIn):
    """Packs are typed per lot: a line's quantity is their sum."""

    @pre_load
    def add_up(self, data: Mapping[str, Any], **kwargs: Any) -> dict[str, Any]:
        lines = [
            {**line, "quantity": sum(lot["quantity"] for lot in line.get("allocations", ()))}
            for line in data.get("lines", ())
        ]
        return {**data, **({"lines": lines} if lines else {})}


@blp.route("/sell", methods=["GET"])
@requires(Permission.ORDER_CONFIRM)
def today() -> Shown:
    """What waits today: five numbers, then each list with its next step."""
    session, actor, day = db.session(), current_actor(), this_day()
    slips = list_payments(session, actor, today=day, state=PaymentDocState.DECLARED, limit=SHOWN)
    debtors = worklists.owed(session, actor, day)
    stocked = selling_lots_views.stocked_lots(session, actor)
    return page(
        "selling/today.html",
        counts=selling_views.order_counts(session, actor, day),
        confirm=selling_views.to_confirm(session, actor),
        ship=selling_views.to_ship(session, actor),
        cancel=selling_views.asked_to_cancel(session, actor),
        refused=selling_views.refused_goods(session, actor),
        allowances=selling_views.asked_allowances(session, actor),
        invoices=worklists.to_invoice(session, actor),
        owed_fen=sum(row["owed_fen"] for row in debtors),
        overdue_fen=sum(row["overdue_fen"] for row in debtors),
        slips=slips["items"],
        stocked=stocked,
        main_stock=_main_stock(stocked),
        moves=moves(),
        drafts=_drafts(actor),
        shown=SHOWN,
        reason_text=reason_text,
    )


def _main_stock(stocked: list[dict[str, Any]]) -> dict[str, Any] | None:
    """The product with most packs on sale, over its lots."""
    by_product: dict[UUID, dict[str, Any]] = {}
    for lot in stocked:
        known = by_product.setdefault(lot["product_id"], {**lot, "free": 0, "reserved": 0})
        known["reserved"] += lot["reserved"]
        if lot["state"] is LotState.RELEASED:
            known["free"] += lot["on_hand"] - lot["reserved"]
    return max(by_product.values(), key=lambda row: row["free"], default=None)


def _drafts(actor: Actor) -> list[dict[str, Any]]:
    session = db.session()
    drafts: list[dict[str, Any]] = trace.list_lots(session, actor, state=LotState.DRAFT, limit=SHOWN)["items"]
    blocking = trace.blocking_of(session, actor, [lot["id"] for lot in drafts])
    return [{**lot, "blocking": blocking[lot["id"]]} for lot in drafts]


def moves() -> list[tuple[str, str]]:
    """(kind, word) of the movements that a seller books, the most frequent first."""
    return [(kind, translated(WORDS["movement_kind"][kind])) for kind in selling_lots_views.MOVES_ORDER]


def to_order(order_id: UUID) -> Once:
    """One effect, then to the order."""
    return page_once("trading.order", order_id=order_id)


@blp.route("/orders/<uuid:order_id>/confirm", methods=["GET", "POST"])
@requires(Permission.ORDER_CONFIRM)
@form
@retrying
def confirm(order_id: UUID) -> Shown:
    """Take an order: what is wanted, from which lots, and until when the answer counts."""
    if posted():
        reply = fulfilment.confirm_order(current_actor(), order_id, once=to_order(order_id))
        return done(reply, gettext("已接单。按送货日备货，发货时登记批次"))
    session = db.session()
    order = order_view(session, current_actor(), order_id)
    lots = selling_views.planned_lots(session, [line["id"] for line in order["lines"]])
    return page("selling/confirm.html", order=order, lots=lots)


@blp.route("/orders/<uuid:order_id>/ship", methods=["GET", "POST"])
@requires(Permission.ORDER_SHIP)
@form
@retrying
def ship(order_id: UUID) -> Shown:
    """Register a delivery: packs per lot, the planned ones filled in; another lot of the product may go instead."""
    if posted():
        wish = _ship_wish()
        reply = fulfilment.ship_order(current_actor(), order_id, wish, once=to_order(order_id))
        return done(reply, gettext("发货已登记，买方可以验收了"))
    session, actor = db.session(), current_actor()
    order = order_view(session, actor, order_id)
    lines = selling_views.shipping_choice(session, order, this_day())
    return page(
        "selling/ship.html",
        order=order,
        lines=lines,
        carrier=selling_views.last_carrier(session, actor),
    )


def _ship_wish() -> fulfilment.ShipWish:
    data = read_form(ShipForm(), rows={"lines": "allocations", "allocations": "quantity"})
    lines = [
        fulfilment.ShipLine(
            line["line_id"],
            line["quantity"],
            [(lot["trace_code"], lot["quantity"]) for lot in line["allocations"]],
        )
        for line in data.pop("lines")
    ]
    return fulfilment.ShipWish(lines, **data)


@blp.route("/sell/pick", methods=["GET"])
@requires(Permission.ORDER_SHIP)
def pick_list() -> Shown:
    """What to fetch from which place for the deliveries of a day, to be printed."""
    session, actor = db.session(), current_actor()
    wish, days = read_query(DayArgs()), selling_views.pick_days(session, actor)
    day = wish["day"] or (days[0]["day"] if days else this_day())
    rows = selling_views.pick_list(session, actor, day)
    if wish["format"] == "xlsx":
        return _pick_sheet(rows, day)
    return page("selling/pick_list.html", day=day, days=days, rows=rows)


def _pick_sheet(rows: list[dict[str, Any]], day: date) -> Response:
    columns = [
        Column("product_name", gettext("产品")), Column("spec", gettext("规格"), width=24),
        Column("code", gettext("批号")), Column("place", gettext("库存点")), Column("buyer", gettext("给谁"), width=28),
        Column("number", gettext("订单号"), width=20), Column("packs", gettext("件数"), "count"),
        Column("pack_unit", gettext("单位"), width=8),
    ]  # fmt: skip
    basis = [gettext("%(day)s送到的货，按系统配的批次；发货时换了批次，以登记的为准", day=day.isoformat())]
    return sheet_response(gettext("拣货单"), columns, rows, basis)


@blp.route("/orders/<uuid:order_id>/returns", methods=["GET", "POST"])
@requires(Permission.ORDER_RETURN)
@form
@retrying
def return_goods(order_id: UUID) -> Shown:
    """Book refused goods that came back: to be sold again, or as loss."""
    if posted():
        wishes = read_form(ReturnsIn(), rows={"lines": "quantity"})["lines"]
        lines = [takeover.ReturnLine(**line) for line in wishes]
        reply = takeover.return_goods(current_actor(), order_id, lines, once=to_order(order_id))
        return done(reply, gettext("退货已登记"))
    session, actor = db.session(), current_actor()
    order = order_view(session, actor, order_id)
    goods = selling_views.refused_goods(session, actor, order_id)
    for row in goods:
        row["sellable"] = row["state"] is LotState.RELEASED and row["best_before"] >= this_day()
    return page("selling/return_goods.html", order=order, goods=goods)


@blp.route("/orders/<uuid:order_id>/agree-allowance", methods=["GET", "POST"])
@requires(Permission.ORDER_RETURN)
@form
@retrying
def agree_allowance(order_id: UUID) -> Shown:
    """Agree to the reductions that the buyer asked for when taking the goods over."""
    if posted():
        reply = takeover.agree_allowance(current_actor(), order_id, once=to_order(order_id))
        return done(reply, gettext("已同意降价，应收款已减"))
    session, actor = db.session(), current_actor()
    order = order_view(session, actor, order_id)
    return page(
        "selling/agree_allowance.html",
        order=order,
        asked=selling_views.asked_allowances(session, actor, order_id),
    )
