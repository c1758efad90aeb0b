"""The manager's desk: what waits for a decision, and on what it stands."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from flask import Blueprint, request
from flask_babel import gettext

from marketplace.actors import Permission
from marketplace.database import db
from marketplace.desks import grounds, purchase_views, trade_views
from marketplace.desks.buying_pages import PURCHASE_COLUMNS, purchases_sheet
from marketplace.orders import deciding
from marketplace.unit_of_work import retrying
from marketplace.web.edge import current_actor, requires
from marketplace.web.forms import Shown, done, form, page_once, posted, read_form
from marketplace.web.language import N_
from marketplace.web.pages import page, register_badge
from marketplace.web.schemas import ReasonIn
from marketplace.web.sheets import MAX_ROWS, Column, wants_sheet
from marketplace.web.sorting import typed

blp = Blueprint("managing", __name__)
blueprints = [blp]

WAITING_COLUMNS = (
    *PURCHASE_COLUMNS,
    Column("asker", N_("提交人")),
    Column("hold_until", N_("库存留到"), "time", 18),
)

register_badge("approvals", lambda actor: purchase_views.count_to_decide(db.session(), actor))


@blp.route("/manage", methods=["GET"])
@requires(Permission.PURCHASE_DECIDE)
def today() -> Shown:
    """Approvals that wait, the year's pace, and open orders of the unit."""
    actor, session = current_actor(), db.session()
    return page(
        "managing/today.html",
        waiting=purchase_views.to_decide(session, actor),
        orders=trade_views.open_orders(session, actor),
        pace=purchase_views.year_pace(session, purchase_views.agency_of(session, actor)),
    )


@blp.route("/manage/approvals", methods=["GET"])
@requires(Permission.PURCHASE_DECIDE)
def approvals() -> Shown:
    """Purchases that wait for this manager, the most urgent first; `format=xlsx` gives all of them as a file."""
    sheet = wants_sheet()
    waiting = purchase_views.page_to_decide(
        db.session(),
        current_actor(),
        q=typed(),
        sort=request.args.get("sort"),
        limit=MAX_ROWS if sheet else 24,
        after=request.args.get("after"),
    )
    if sheet:
        return purchases_sheet(gettext("待审批"), waiting["items"], WAITING_COLUMNS)
    return page("managing/approvals.html", waiting=waiting)


def _decision(purchase_id: UUID, template: str) -> Shown:
    """The page on which a purchase is decided, with what matters for it."""
    actor, session = current_actor(), db.session()
    found: dict[str, Any] = purchase_views.purchase_page(session, actor, purchase_id)
    return page(
        template,
        purchase=found,
        prices=grounds.price_grounds(session, found),
        pace=purchase_views.year_pace(session, found["quota_agency_id"]),
    )


@blp.route("/purchases/<uuid:purchase_id>/approve", methods=["GET", "POST"])
@requires(Permission.PURCHASE_DECIDE)
@form
@retrying
def approve(purchase_id: UUID) -> Shown:
    """Approve a purchase: its sellers see their orders at once."""
    if posted():
        once = page_once(".approvals")
        reply = deciding.approve_purchase(current_actor(), purchase_id, once=once)
        return done(reply, gettext("已批准，供应商已收到订单"))
    return _decision(purchase_id, "managing/decide.html")


@blp.route("/purchases/<uuid:purchase_id>/reject", methods=["GET", "POST"])
@requires(Permission.PURCHASE_DECIDE)
@form
@retrying
def reject(purchase_id: UUID) -> Shown:
    """Send a purchase back with a reason; the stock goes back to sale."""
    if posted():
        reason = read_form(ReasonIn())["reason"]
        reply = deciding.reject_purchase(current_actor(), purchase_id, reason, once=page_once(".approvals"))
        return done(reply, gettext("已退回，库存放回；采购员会看到原因"))
    return _decision(purchase_id, "managing/reject.html")
