"""Consignments: the seller sends and cancels, the channel's program reads them and takes them over."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from flask import Response
from flask_smorest import Blueprint

from marketplace.actors import Permission
from marketplace.channels import agreements, consignment, consignment_views
from marketplace.channels.consignment import Packs
from marketplace.channels.consignment_schemas import (
    ConsignmentFilter,
    ConsignmentIn,
    ConsignmentOut,
    ConsignmentSummaryOut,
    PartnerConsignmentOut,
    PartnerConsignmentSummaryOut,
    ShopStockListOut,
    TakeOverIn,
)
from marketplace.database import db
from marketplace.unit_of_work import retrying
from marketplace.web.edge import current_actor, once, requires, sent, shown
from marketplace.web.schemas import page_of

blp = Blueprint("consignments", __name__, url_prefix="/api/v1", description="代销送货")
partner = Blueprint("partner_consignments", __name__, url_prefix="/partner/v1", description="代销送货")
blueprints = [blp, partner]

CONSIGNMENT, CONSIGNMENTS = ConsignmentOut(), page_of(ConsignmentSummaryOut)
PARTNERS, PARTNERS_PAGE = PartnerConsignmentOut(), page_of(PartnerConsignmentSummaryOut)
STOCK = ShopStockListOut()


@blp.route("/consignments")
@requires(Permission.LOT_READ)
@blp.arguments(ConsignmentFilter, location="query")
@blp.response(200, CONSIGNMENTS)
def list_consignments(args: dict[str, Any]) -> Response:
    """What a seller sent to shops, newest first; offices see that of their region."""
    return shown(CONSIGNMENTS, consignment_views.list_consignments(db.session(), current_actor(), **args))


@blp.route("/consignments", methods=["POST"])
@requires(Permission.ORDER_SHIP)
@blp.arguments(ConsignmentIn)
@blp.response(201, ConsignmentOut)
@retrying
def add_consignment(data: dict[str, Any]) -> Response:
    """Send lots to a channel's shop; the packs are held until it takes them over."""
    return sent(
        consignment.send_goods(
            current_actor(),
            channel_id=agreements.channel_by_code(db.session(), data["channel_code"]),
            lines=[Packs(line["trace_code"], line["quantity"]) for line in data["lines"]],
            once=once(CONSIGNMENT, status=201),
        )
    )


@blp.route("/consignments/<uuid:consignment_id>")
@requires(Permission.LOT_READ)
@blp.response(200, ConsignmentOut)
def show_consignment(consignment_id: UUID) -> Response:
    """One consignment: its lots, what was sent and what the shop took over."""
    view = consignment_views.consignment_view(db.session(), current_actor(), consignment_id)
    return shown(CONSIGNMENT, view)


@blp.route("/consignments/<uuid:consignment_id>/cancel", methods=["POST"])
@requires(Permission.ORDER_SHIP)
@blp.response(200, ConsignmentOut)
@retrying
def cancel_consignment(consignment_id: UUID) -> Response:
    """Take back what the shop has not taken over; the packs are free again."""
    actor = current_actor()
    return sent(consignment.cancel_consignment(actor, consignment_id, once=once(CONSIGNMENT)))


@partner.route("/consignments")
@requires(Permission.CHANNEL_SALES)
@partner.arguments(ConsignmentFilter, location="query")
@partner.response(200, PARTNERS_PAGE)
def list_partner_consignments(args: dict[str, Any]) -> Response:
    """What sellers sent to the channel's shops, newest first."""
    return shown(PARTNERS_PAGE, consignment_views.list_consignments(db.session(), current_actor(), **args))


@partner.route("/consignments/<uuid:consignment_id>")
@requires(Permission.CHANNEL_SALES)
@partner.response(200, PartnerConsignmentOut)
def show_partner_consignment(consignment_id: UUID) -> Response:
    """One consignment: its lots with trace codes and best-before days."""
    view = consignment_views.consignment_view(db.session(), current_actor(), consignment_id)
    return shown(PARTNERS, view)


@partner.route("/consignments/<uuid:consignment_id>/take-over", methods=["POST"])
@requires(Permission.CHANNEL_SALES)
@partner.arguments(TakeOverIn)
@partner.response(200, PartnerConsignmentOut)
@retrying
def take_over(data: dict[str, Any], consignment_id: UUID) -> Response:
    """Take over what arrived: all of it, or of the named lots the packs that arrived well."""
    accepted = [Packs(line["trace_code"], line["accepted_quantity"]) for line in data["lines"]]
    return sent(
        consignment.take_over(current_actor(), consignment_id, accepted=accepted, once=once(PARTNERS))
    )


@partner.route("/shop-stock")
@requires(Permission.CHANNEL_SALES)
@partner.response(200, ShopStockListOut)
def list_shop_stock() -> Response:
    """What stands in the channel's shops now, by lot; it stays its seller's until it is sold."""
    return shown(STOCK, {"items": consignment_views.shop_stock(db.session(), current_actor())})
