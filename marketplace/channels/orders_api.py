"""Orders of partners: placed one by one or up to 500 a call, read, and changed."""

from __future__ import annotations

import json
from typing import Any
from uuid import UUID

from flask import Response, current_app
from flask_smorest import Blueprint
from marshmallow import ValidationError

from marketplace.actors import Permission
from marketplace.channels import certificates, changing, order_views, ordering
from marketplace.channels.schemas import (
    PartnerBatchIn,
    PartnerBatchOut,
    PartnerCancelIn,
    PartnerChangedOut,
    PartnerOrderFilter,
    PartnerOrderIn,
    PartnerOrderOut,
    PartnerOrderSummaryOut,
    PartnerReduceIn,
)
from marketplace.database import db
from marketplace.documents import service as documents
from marketplace.errors import MarketplaceError, RuleViolation
from marketplace.orders.purchasing import DeliverTo
from marketplace.plain_json import encoded
from marketplace.unit_of_work import Replayed, Reply, retrying
from marketplace.web.attachments import attachment
from marketplace.web.edge import current_actor, once, requires, sent, shown, without_key
from marketplace.web.problems import plain, problem_members, status_of, validation_errors
from marketplace.web.schemas import page_of

blp = Blueprint("partner_orders", __name__, url_prefix="/partner/v1", description="渠道订单")
blueprints = [blp]

ORDER, CHANGED, BATCH, ORDER_IN = PartnerOrderOut(), PartnerChangedOut(), PartnerBatchOut(), PartnerOrderIn()
ORDERS = page_of(PartnerOrderSummaryOut)
OWN_NUMBER = "the partner's own order number makes a repeat safe"


def _trace_base() -> str:
    return f"{current_app.config['SETTINGS'].public_base_url}/t/"


def _wish(data: dict[str, Any]) -> ordering.OrderWish:
    return ordering.OrderWish(
        body=data,
        partner_order_no=data["partner_order_no"],
        deliver_on=data["deliver_on"],
        deliver_to=DeliverTo(**data["deliver_to"]),
        lines=[
            ordering.OrderLine(line.get("product_id"), line.get("partner_sku"), line["quantity"])
            for line in data["lines"]
        ],
        note=data.get("note"),
    )


def _bytes(view: dict[str, Any]) -> bytes:
    return encoded(order_views.shape_placed(view))


@retrying
def _placed(data: dict[str, Any]) -> Reply:
    return ordering.place_order(current_actor(), _wish(data), _bytes)


@blp.route("/orders", methods=["POST"])
@requires(Permission.CHANNEL_ORDER)
@blp.arguments(PartnerOrderIn)
@blp.response(201, PartnerOrderOut)
@without_key(OWN_NUMBER)
def place_order(data: dict[str, Any]) -> Response:
    """Place one order. The same body again gets the first answer; another one under its number is refused with 409."""
    return sent(_placed(data))


@blp.route("/orders/batch", methods=["POST"])
@requires(Permission.CHANNEL_ORDER)
@blp.arguments(PartnerBatchIn)
@blp.response(200, PartnerBatchOut)
@without_key(OWN_NUMBER)
def place_orders(data: dict[str, Any]) -> Response:
    """Place up to 500 orders, each by itself and in this order; the whole call may be sent again."""
    return shown(BATCH, {"results": [_result(order) for order in data["orders"]]})


def _result(raw: dict[str, Any]) -> dict[str, Any]:
    """What one order of a call would have been answered alone."""
    number = raw.get("partner_order_no")
    named = {"partner_order_no": number if isinstance(number, str) else None}
    try:
        reply = _placed(ORDER_IN.load(raw))
    except ValidationError as error:
        errors = list(validation_errors({"json": error.messages}))
        members = problem_members(422, RuleViolation.slug, RuleViolation.title, None, {"errors": errors})
        return {**named, "status": 422, "problem": plain(members)}
    except Replayed as first:
        return {**named, "status": first.answer.status, "order": json.loads(first.answer.body)}
    except MarketplaceError as refusal:
        status = status_of(refusal)
        members = problem_members(status, refusal.code, refusal.title, refusal.detail, refusal.data)
        return {**named, "status": status, "problem": plain(members)}
    if reply.answer is None:
        raise RuntimeError("an order is always answered in bytes")
    return {**named, "status": 201, "order": json.loads(reply.answer.body)}


@blp.route("/orders")
@requires(Permission.CHANNEL_ORDER)
@blp.arguments(PartnerOrderFilter, location="query")
@blp.response(200, ORDERS)
def list_orders(args: dict[str, Any]) -> Response:
    """The channel's orders, newest first."""
    return shown(ORDERS, order_views.list_orders(db.session(), current_actor(), **args))


@blp.route("/orders/<partner_order_no>")
@requires(Permission.CHANNEL_ORDER)
@blp.response(200, PartnerOrderOut)
def show_order(partner_order_no: str) -> Response:
    """One order: states, shipments with trace codes, certificates, change requests."""
    view = order_views.order_view(db.session(), current_actor(), partner_order_no, _trace_base())
    return shown(ORDER, view)


@blp.route("/orders/<partner_order_no>/certificates/<uuid:document_id>")
@requires(Permission.CHANNEL_ORDER)
@blp.response(200, content_type="application/octet-stream")
def send_certificate(partner_order_no: str, document_id: UUID) -> Response:
    """The file of a certificate that came with the goods of this order."""
    row = certificates.certificate_file(db.session(), current_actor(), partner_order_no, document_id)
    # The connection goes back before the store is asked: a slow store must not hold it.
    db.session.remove()
    return attachment(documents.content_of(row), row.content_type, row.filename)


@blp.route("/orders/<partner_order_no>/cancel", methods=["POST"])
@requires(Permission.CHANNEL_ORDER)
@blp.arguments(PartnerCancelIn)
@blp.response(200, PartnerChangedOut)
@retrying
def cancel_order(data: dict[str, Any], partner_order_no: str) -> Response:
    """Cancel what has not been shipped: at once until the cut-off, afterwards by asking the sellers."""
    return sent(
        changing.change_order(
            current_actor(),
            partner_order_no,
            lines=None,
            trace_base=_trace_base(),
            once=once(CHANGED),
            **data,
        )
    )


@blp.route("/orders/<partner_order_no>/reduce", methods=["POST"])
@requires(Permission.CHANNEL_ORDER)
@blp.arguments(PartnerReduceIn)
@blp.response(200, PartnerChangedOut)
@retrying
def reduce_order(data: dict[str, Any], partner_order_no: str) -> Response:
    """Take packs off lines: at once until the cut-off, afterwards by asking the sellers."""
    lines = {line["line_id"]: line["quantity"] for line in data["lines"]}
    return sent(
        changing.change_order(
            current_actor(), partner_order_no, lines=lines, reason=data["reason"], trace_base=_trace_base(),
            once=once(CHANGED),
        )
    )  # fmt: skip
