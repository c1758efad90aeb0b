"""Consignment by hand: the seller sends lots to a channel's shop, prints the note for them, and takes them back."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from flask import Blueprint, request
from flask_babel import gettext
from marshmallow import fields, validate

from marketplace.actors import Permission
from marketplace.channels import consignment, consignment_views
from marketplace.channels.consignment import Packs
from marketplace.channels.consignment_schemas import ConsignmentFilter, ConsignmentLineIn
from marketplace.channels.schemas import MAX_LINES
from marketplace.clock import today
from marketplace.database import db
from marketplace.desks.consignments_sheet_pages import consignments_sheet
from marketplace.errors import NotFound
from marketplace.unit_of_work import retrying
from marketplace.web.edge import current_actor, requires
from marketplace.web.forms import Shown, done, form, page_once, posted, read_form, read_query
from marketplace.web.pages import page
from marketplace.web.schemas import InSchema
from marketplace.web.sheets import wants_sheet

blp = Blueprint("consignment_pages", __name__)
blueprints = [blp]


class GoodsIn(InSchema):
    """Packs of the lots that the form lists; rows without a number are not sent."""

    lines = fields.List(
        fields.Nested(ConsignmentLineIn), load_default=list, validate=validate.Length(0, MAX_LINES)
    )


@blp.route("/sell/consignments", methods=["GET"])
@requires(Permission.ORDER_SHIP)
def sent() -> Shown:
    """What the seller sent to shops, newest first, and the shops to which he may send."""
    wish, session, actor = read_query(ConsignmentFilter()), db.session(), current_actor()
    if wants_sheet():
        return consignments_sheet(actor, wish["state"])
    found = consignment_views.list_consignments(
        session, actor, **wish | {"limit": 24, "sort": request.args.get("sort")}
    )
    shops = consignment_views.open_shops(session, actor.organisation_id, today())
    return page("consignments/sent.html", listed=found, shops=shops, state=wish["state"])


@blp.route("/sell/channels/<uuid:channel_id>/send", methods=["GET", "POST"])
@requires(Permission.ORDER_SHIP)
@form
@retrying
def send(channel_id: UUID) -> Shown:
    """Choose lots and packs for a channel's shop; they are held from then on."""
    if posted():
        given = read_form(GoodsIn(), rows={"lines": "quantity"})
        reply = consignment.send_goods(
            current_actor(),
            channel_id=channel_id,
            lines=[Packs(line["trace_code"], line["quantity"]) for line in given["lines"]],
            once=page_once(".shown", consignment_id=lambda made: made["id"]),
        )
        return done(reply, gettext("已送出；门店接收以前，这些货替门店留着，别人买不走"))
    session, seller_id = db.session(), current_actor().organisation_id
    shops = consignment_views.open_shops(session, seller_id, today())
    shop = next((row for row in shops if row["id"] == channel_id), None)
    if shop is None:
        raise NotFound(gettext("这个渠道没有生效的代销协议，或者没有选您的产品"))
    lots = [
        {**lot, "product_name": f"{lot['name']} {lot['spec']}"}
        for lot in consignment_views.sendable_lots(session, channel_id, today(), seller_id=seller_id)
    ]
    return page("consignments/send.html", shop=shop, lots=lots)


@blp.route("/sell/consignments/<uuid:consignment_id>", methods=["GET"])
@requires(Permission.ORDER_SHIP)
def shown(consignment_id: UUID) -> Shown:
    """One consignment: its lots, what the shop took over, the note to print."""
    return page("consignments/shown.html", sent=_read(consignment_id))


@blp.route("/sell/consignments/<uuid:consignment_id>/cancel", methods=["GET", "POST"])
@requires(Permission.ORDER_SHIP)
@form
@retrying
def cancel(consignment_id: UUID) -> Shown:
    """Take back what the shop has not taken over; the page asks first."""
    if posted():
        once = page_once(".shown", consignment_id=consignment_id)
        reply = consignment.cancel_consignment(current_actor(), consignment_id, once=once)
        return done(reply, gettext("已撤回，货又可以卖了"))
    return page("consignments/cancel.html", sent=_read(consignment_id))


def _read(consignment_id: UUID) -> dict[str, Any]:
    view = consignment_views.consignment_view(db.session(), current_actor(), consignment_id)
    return {**view, "packs": sum(line["quantity"] for line in view["lines"])}
