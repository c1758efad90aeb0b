"""What channels ask of a seller after their cut-off, with the two answers."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from flask import Blueprint, Response, request
from flask_babel import gettext

from marketplace.actors import Permission
from marketplace.channels import changing, order_views
from marketplace.clock import now
from marketplace.database import db
from marketplace.unit_of_work import retrying
from marketplace.web.edge import current_actor, requires
from marketplace.web.forms import Shown, done, form, page_once, posted, read_form
from marketplace.web.language import N_
from marketplace.web.pages import moment, page
from marketplace.web.schemas import ReasonIn
from marketplace.web.sheets import MAX_ROWS, Column, sheet_response, wants_sheet
from marketplace.web.sorting import typed
from marketplace.web.words import word

blp = Blueprint("selling_changes", __name__)
blueprints = [blp]

ANSWERED = ("agreed", "refused")
BASIS = N_("口径：渠道截单以后提的减货申请，新的在上；件数按各产品自己的包装单位。")


@blp.route("/sell/changes", methods=["GET"])
@requires(Permission.ORDER_CONFIRM)
def requests() -> Shown:
    """Requests that wait for an answer, or were answered, newest first; `format=xlsx` gives them as a file."""
    state = request.args.get("state")
    wish: dict[str, Any] = {
        "state": state if state in ANSWERED else "open",
        "q": typed(),
        "sort": request.args.get("sort"),
    }
    if wants_sheet():
        rows = order_views.change_requests(db.session(), current_actor(), **wish, limit=MAX_ROWS)["items"]
        return _sheet(rows)
    listed = order_views.change_requests(
        db.session(), current_actor(), **wish, after=request.args.get("after")
    )
    return page("portal/changes.html", listed=listed, state=wish["state"], answered=ANSWERED)


def _sheet(rows: list[dict[str, Any]]) -> Response:
    columns = [
        Column("order_number", gettext("订单"), width=20), Column("channel.name", gettext("渠道"), width=28),
        Column("asked_at", gettext("申请时间"), "time", 18), Column("less", gettext("要减"), width=48),
        Column("reason", gettext("原因"), width=40), Column("state_word", gettext("答复")),
        Column("decided_at", gettext("答复时间"), "time", 18),
    ]  # fmt: skip
    told = [
        {
            **row,
            "less": "；".join(f"{line['name']} {line['quantity']}{line['unit']}" for line in row["lines"]),
            "state_word": word("change_state", row["state"]),
        }
        for row in rows
    ]
    basis = [gettext(BASIS), gettext("截至%(time)s（北京时间）", time=moment(now()))]
    return sheet_response(gettext("渠道改单"), columns, told, basis)


@blp.route("/sell/changes/<uuid:request_id>/agree", methods=["GET", "POST"])
@requires(Permission.ORDER_CONFIRM)
@form
@retrying
def agree(request_id: UUID) -> Shown:
    """What will go from the order, then: agreed."""
    if posted():
        reply = changing.agree_change(current_actor(), request_id, once=page_once(".requests"))
        return done(reply, gettext("已同意改单，库存已放回"))
    return page(
        "portal/change.html", row=order_views.change_request(db.session(), current_actor(), request_id)
    )


@blp.route("/sell/changes/<uuid:request_id>/refuse", methods=["GET", "POST"])
@requires(Permission.ORDER_CONFIRM)
@form
@retrying
def refuse(request_id: UUID) -> Shown:
    """Why not, in a sentence that the channel reads."""
    if posted():
        given = read_form(ReasonIn())
        reply = changing.refuse_change(current_actor(), request_id, once=page_once(".requests"), **given)
        return done(reply, gettext("已答复渠道：按原订单供货"))
    return page(
        "portal/change.html", row=order_views.change_request(db.session(), current_actor(), request_id)
    )
