"""What channels ask of a seller after their cut-off, with the two answers."""

from __future__ import annotations

from uuid import UUID

from flask import Blueprint, request
from flask_babel import gettext

from marketplace.actors import Permission
from marketplace.channels import changing, order_views
from marketplace.database import db
from marketplace.unit_of_work import retrying
from marketplace.web.edge import current_actor, requires
from marketplace.web.forms import Shown, done, form, page_once, posted, read_form
from marketplace.web.pages import page
from marketplace.web.schemas import ReasonIn

blp = Blueprint("selling_changes", __name__)
blueprints = [blp]


@blp.route("/sell/changes", methods=["GET"])
@requires(Permission.ORDER_CONFIRM)
def requests() -> Shown:
    """Requests that wait for an answer, newest first."""
    after = request.args.get("after")
    return page(
        "portal/changes.html", listed=order_views.change_requests(db.session(), current_actor(), after=after)
    )


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
