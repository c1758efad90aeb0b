"""The buyer's desk: today, purchases, acceptance, evaluation, the ledger of goods received."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from flask import Blueprint, Response, request
from flask_babel import gettext

from marketplace.actors import Permission
from marketplace.clock import now
from marketplace.database import db
from marketplace.desks import baskets, purchase_views, trade_views
from marketplace.desks.order_sheet_pages import SORTS as LINE_SORTS
from marketplace.desks.order_sheet_pages import lines_sheet
from marketplace.orders import deciding
from marketplace.unit_of_work import retrying
from marketplace.web.edge import current_actor, requires
from marketplace.web.forms import Shown, done, form, page_once, posted, read_form
from marketplace.web.language import N_, translated
from marketplace.web.pages import moment, page, register_badge
from marketplace.web.schemas import ReasonIn
from marketplace.web.sheets import MAX_ROWS, Column, sheet_response, wants_sheet
from marketplace.web.sorting import sorted_rows, typed
from marketplace.web.words import word

blp = Blueprint("buying", __name__)
blueprints = [blp]

register_badge("basket", lambda actor: baskets.count_lines(db.session(), actor))

PURCHASE_COLUMNS = (
    Column("number", N_("采购单号"), width=20),
    Column("buyer.name", N_("采购单位"), width=28),
    Column("goods", N_("货品"), width=48),
    Column("sellers", N_("供应商"), width=40),
    Column("goods_fen", N_("货款（元）"), "yuan"),
    Column("purpose_word", N_("用途")),
    Column("state_word", N_("状态")),
    Column("submitted_at", N_("提交时间"), "time", 18),
    Column("deliver_on", N_("送货日期"), "day"),
)


@blp.route("/buy", methods=["GET"])
@requires(Permission.PURCHASE_SUBMIT)
def today() -> Shown:
    """What waits for this buyer, by deadline; the year's pace; what should not wait."""
    actor, session = current_actor(), db.session()
    orders = trade_views.open_orders(session, actor)
    waiting = purchase_views.list_purchases(session, actor, tab="waiting")["items"]
    agency = purchase_views.agency_of(session, actor)
    return page(
        "buying/today.html",
        orders=orders,
        mine=[o for o in orders if o["step"].mine],
        late=sum(o["step"].late and o["step"].mine for o in orders),
        last_done=trade_views.page_of_orders(
            session, actor, trade_views.DONE, sort=None, limit=1, after=None
        )["items"],
        important=purchase_views.important(orders),
        waiting=waiting,
        agency=agency,
        pace=purchase_views.year_pace(session, agency),
    )


@blp.route("/purchases", methods=["GET"])
@requires(Permission.PURCHASE_READ)
def purchases() -> Shown:
    """Purchases by their state, the newest first."""
    actor, session = current_actor(), db.session()
    tab = request.args.get("tab", "")
    sheet = wants_sheet()
    found = purchase_views.list_purchases(
        session,
        actor,
        tab=tab,
        q=typed(),
        sort=request.args.get("sort"),
        limit=MAX_ROWS if sheet else 24,
        after=request.args.get("after"),
    )
    if sheet:
        return purchases_sheet(gettext("采购单"), found["items"], PURCHASE_COLUMNS)
    return page("buying/purchases.html", purchases=found, tab=tab)


def purchases_sheet(title: str, items: Sequence[dict[str, Any]], columns: Sequence[Column]) -> Response:
    """A list of purchases as a download, with its 口径."""
    named = [Column(c.key, translated(c.label), c.kind, c.width) for c in columns]
    rows = [
        {
            **row,
            "purpose_word": word("purpose", row["purpose"]),
            "state_word": word("purchase_state", row["state"]),
        }
        for row in items
    ]
    basis = [
        gettext("金额为货款，含税，不含运费"),
        gettext("截至%(time)s（北京时间）", time=moment(now())),
    ]
    return sheet_response(title, named, rows, basis)


@blp.route("/purchases/<uuid:purchase_id>", methods=["GET"])
@requires(Permission.PURCHASE_READ)
def purchase(purchase_id: UUID) -> Shown:
    """One purchase: its state, its orders and the next step; `format=xlsx` gives the lines of all its orders."""
    found = purchase_views.purchase_page(db.session(), current_actor(), purchase_id)
    if wants_sheet():
        return lines_sheet(gettext("采购单%(number)s", number=found["number"]), found["orders"])
    for order in found["orders"]:
        order["lines"] = sorted_rows(order["lines"], *LINE_SORTS)
    return page("buying/purchase.html", purchase=found)


@blp.route("/purchases/<uuid:purchase_id>/cancel", methods=["GET", "POST"])
@requires(Permission.PURCHASE_CANCEL)
@form
@retrying
def cancel_purchase(purchase_id: UUID) -> Shown:
    """Withdraw a whole purchase while no seller has confirmed; its stock goes back."""
    actor = current_actor()
    if posted():
        reason = read_form(ReasonIn())["reason"]
        once = page_once(".purchase", purchase_id=purchase_id)
        reply = deciding.cancel_purchase(actor, purchase_id, reason, once=once)
        return done(reply, gettext("采购单已撤回，库存放回"))
    found = purchase_views.purchase_page(db.session(), actor, purchase_id)
    return page("buying/cancel_purchase.html", purchase=found)
