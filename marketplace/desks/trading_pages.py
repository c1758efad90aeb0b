"""Orders for everybody who may see them: the list, the one page of an order, its cancellation."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from flask import Blueprint, Response, current_app, request, url_for
from flask_babel import gettext

from marketplace.actors import Permission, Role
from marketplace.clock import now, today
from marketplace.database import db
from marketplace.desks import order_views, trade_views
from marketplace.desks.order_sheet_pages import SORTS as LINE_SORTS
from marketplace.desks.order_sheet_pages import lines_sheet
from marketplace.orders import fulfilment
from marketplace.trace.codes import shown as in_fives
from marketplace.unit_of_work import retrying
from marketplace.web.edge import current_actor, requires
from marketplace.web.forms import Shown, done, form, page_once, posted, read_form
from marketplace.web.language import N_, translated
from marketplace.web.pages import days_text, moment, page
from marketplace.web.schemas import ReasonIn
from marketplace.web.sheets import MAX_ROWS, Column, sheet_response, wants_sheet
from marketplace.web.sorting import page_of, sorted_rows, typed
from marketplace.web.words import word

blp = Blueprint("trading", __name__)
blueprints = [blp]

SIDES = frozenset({Role.BUYER, Role.CONTRACTOR_BUYER, Role.MANAGER, Role.SELLER})
TABS = ("open", "mine", "theirs", "done")
COLUMNS = (
    Column("number", N_("订单号"), width=20),
    Column("buyer.name", N_("采购单位"), width=28),
    Column("seller.name", N_("供应商"), width=28),
    Column("goods", N_("货品"), width=40),
    Column("goods_fen", N_("货款（元）"), "yuan"),
    Column("accepted_fen", N_("已验收（元）"), "yuan"),
    Column("paid_fen", N_("已付（元）"), "yuan"),
    Column("state_word", N_("状态"), width=18),
    Column("counting_word", N_("份额"), width=28),
    Column("counted_fen", N_("已计入（元）"), "yuan"),
    Column("step_word", N_("下一步"), width=18),
    Column("deadline", N_("期限"), width=18),
)


@blp.route("/orders", methods=["GET"])
@requires(Permission.ORDER_READ)
def orders() -> Shown:
    """Orders by whose turn it is; an office reads all of its scope, open or done."""
    actor, session = current_actor(), db.session()
    tab = request.args.get("tab", "open")
    tab = tab if tab in TABS else "open"
    sheet = wants_sheet()
    if actor.role in SIDES and tab != "done":
        listed = trade_views.open_orders(session, actor, typed())
        counts: dict[str, int | None] = {"open": len(listed), "mine": sum(o["step"].mine for o in listed)}
        counts["theirs"] = len(listed) - sum(o["step"].mine for o in listed)
        counts["done"] = None if typed() else trade_views.count_done(session, actor)
        waits, owes = request.args.get("waits"), request.args.get("owes")
        items = _sorted(
            [
                o
                for o in listed
                if (tab == "open" or o["step"].mine == (tab == "mine"))
                and (waits is None or waits in o["standing"]["reasons"])
                and (owes is None or (str(o["buyer"]["id"]) == owes and o["owed_fen"] > 0))
            ]
        )
        found: dict[str, Any] = {"items": items, "next": None} if sheet else page_of(items)
    else:
        condition = trade_views.DONE if tab == "done" else trade_views.OPEN
        limit = MAX_ROWS if sheet else 24
        found = trade_views.page_of_orders(
            session,
            actor,
            condition,
            trade_views.found_by(typed()),
            sort=request.args.get("sort"),
            limit=limit,
            after=request.args.get("after"),
        )
        counts = {}
    if sheet:
        return _sheet(found["items"])
    return page("trading/orders.html", orders=found, tab=tab, counts=counts, sided=actor.role in SIDES)


def _sorted(items: list[dict[str, Any]]) -> list[dict[str, Any]]:
    sort = request.args.get("sort", "deadline")
    if sort.removeprefix("-") == "amount":
        return sorted(items, key=lambda o: (o["goods_fen"], str(o["id"])), reverse=sort.startswith("-"))
    return items[::-1] if sort == "-deadline" else items


def _sheet(items: list[dict[str, Any]]) -> Response:
    columns = [Column(c.key, translated(c.label), c.kind, c.width) for c in COLUMNS]
    basis = [
        gettext("金额为货款，含税，不含运费；已计入为计入预留份额的金额"),
        gettext("截至%(time)s（北京时间）", time=moment(now())),
    ]
    return sheet_response(gettext("订单"), columns, [_sheet_row(order) for order in items], basis)


def _sheet_row(order: dict[str, Any]) -> dict[str, Any]:
    step = order["step"]
    return {
        **order,
        "goods": "；".join(f"{line.product_name} {line.quantity}{line.pack_unit}" for line in order["lines"]),
        "state_word": word("order_headline", order["headline"]),
        "counting_word": counting_words(order["standing"]),
        "counted_fen": order["standing"]["counted_fen"],
        "step_word": translated(step.label),
        "deadline": step.deadline,
    }


def counting_words(standing: dict[str, Any]) -> str:
    """Where an order stands in counting, in one phrase."""
    if standing["reason"]:
        return str(gettext("不计入：")) + word("ineligible_reason", standing["reason"])
    if standing["waits_for"] == "nothing":
        return str(gettext("已计入"))
    if standing["waits_for"] == "ended":
        return str(gettext("不计入：没有成交"))
    return str(gettext("未计入：")) + word("waits_for", standing["waits_for"])


@blp.route("/orders/<uuid:order_id>", methods=["GET"])
@requires(Permission.ORDER_READ)
def order(order_id: UUID) -> Shown:
    """One order, the same page for every side; what may be done differs. `format=xlsx` gives its lines."""
    found = order_views.order_page(db.session(), current_actor(), order_id, today())
    if wants_sheet():
        return lines_sheet(gettext("订单%(number)s", number=found["number"]), [found])
    found["view"]["lines"] = sorted_rows(found["view"]["lines"], *LINE_SORTS)
    return page("trading/order.html", order=found, message=message_of(found))


def message_of(order: dict[str, Any]) -> str:
    """A short text for a chat: number, goods, place and time, link. No person's name and no phone number."""
    settings = current_app.config["SETTINGS"]
    lines = [
        gettext("订单%(number)s，%(seller)s", number=order["number"], seller=order["seller"]["name"]),
        *(f"{line.product_name} {line.spec} {line.quantity}{line.pack_unit}" for line in order["lines"]),
    ]
    if order["deliver_days"]:
        lines.append(gettext("送货：%(day)s", day=days_text(order["deliver_days"])))
    address = (order["view"].get("deliver_to") or {}).get("address")
    if address:
        lines.append(gettext("地址：%(address)s", address=address))
    codes = sorted({row["trace_code"] for s in order["shipments"] for row in s["lines"]})
    if codes:
        lines.append(gettext("追溯码：%(codes)s", codes="、".join(in_fives(code) for code in codes[:5])))
    lines.append(settings.public_base_url + url_for(".order", order_id=order["id"]))
    return "\n".join(lines)


@blp.route("/orders/<uuid:order_id>/cancel", methods=["GET", "POST"])
@requires(Permission.ORDER_CANCEL)
@form
@retrying
def cancel_order(order_id: UUID) -> Shown:
    """Cancel what has not left; after the seller's confirmation one side asks and the other agrees."""
    actor = current_actor()
    if posted():
        reason = read_form(ReasonIn())["reason"]
        once = page_once(".order", order_id=order_id)
        reply = fulfilment.cancel_order(actor, order_id, reason, once=once)
        return done(reply, _cancel_words(reply.result))
    brief = order_views.order_in_brief(db.session(), actor, order_id)
    return page("trading/cancel.html", order=brief, offer=order_views.cancel_offer(actor, brief))


def _cancel_words(order: dict[str, Any] | None) -> str:
    if order is not None and order["cancel_asked_by"] is not None:
        return str(gettext("已提出取消，等对方同意；对方同意前订单照常进行"))
    return str(gettext("已取消，库存放回"))
