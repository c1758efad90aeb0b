"""Purchases and orders over HTTP."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from flask import Response
from flask_smorest import Blueprint

from marketplace.accounts.models import Purpose
from marketplace.actors import Permission
from marketplace.database import db
from marketplace.orders import deciding, evaluating, fulfilment, purchasing, queries, takeover
from marketplace.orders.rules import LineWish
from marketplace.orders.schemas import (
    AcceptIn,
    EvaluateIn,
    OrderFilter,
    OrderOut,
    OrderSummaryOut,
    PurchaseFilter,
    PurchaseIn,
    PurchaseOut,
    ReturnsIn,
    ShipIn,
)
from marketplace.plain_json import encoded
from marketplace.unit_of_work import retrying
from marketplace.web.edge import current_actor, expected_version, once, requires, sent, shown
from marketplace.web.schemas import ReasonIn, page_of

blp = Blueprint("orders", __name__, url_prefix="/api/v1", description="采购单和订单")
blueprints = [blp]

PURCHASE, ORDER = PurchaseOut(), OrderOut()
PURCHASES, ORDERS = page_of(PurchaseOut), page_of(OrderSummaryOut)


def purchase_wish(data: dict[str, Any]) -> purchasing.PurchaseWish:
    """What `PurchaseIn` loads, as the service takes it."""
    lines = [
        LineWish(
            position=n,
            product_id=line["product_id"],
            quantity=line["quantity"],
            deliver_on=line.get("deliver_on", data["deliver_on"]),
            funding_source=line.get("funding_source"),
        )
        for n, line in enumerate(data["lines"])
    ]
    rest = {k: v for k, v in data.items() if k not in ("lines", "purpose", "deliver_to")}
    return purchasing.PurchaseWish(
        purpose=Purpose(data["purpose"]),
        deliver_to=purchasing.DeliverTo(**data["deliver_to"]),
        lines=lines,
        **rest,
    )


@blp.route("/purchases", methods=["POST"])
@requires(Permission.PURCHASE_SUBMIT)
@blp.arguments(PurchaseIn())
@blp.response(201, PurchaseOut)
@retrying
def create_purchase(data: dict[str, Any]) -> Response:
    """Submit a purchase over any number of sellers; stock is held until it is decided."""
    wish = once(PURCHASE, 201, encode=encoded)
    return sent(purchasing.submit_purchase(current_actor(), purchase_wish(data), once=wish))


@blp.route("/purchases")
@requires(Permission.PURCHASE_READ)
@blp.arguments(PurchaseFilter, location="query")
@blp.response(200, PURCHASES)
def list_purchases(args: dict[str, Any]) -> Response:
    """Purchases in one's scope, newest first."""
    return shown(PURCHASES, queries.list_purchases(db.session(), current_actor(), **args))


@blp.route("/purchases/<uuid:purchase_id>")
@requires(Permission.PURCHASE_READ)
@blp.response(200, PurchaseOut)
def show_purchase(purchase_id: UUID) -> Response:
    """One purchase with its orders, lines and lots."""
    return shown(PURCHASE, queries.purchase_view(db.session(), current_actor(), purchase_id))


@blp.route("/purchases/<uuid:purchase_id>/approve", methods=["POST"])
@requires(Permission.PURCHASE_DECIDE)
@blp.response(200, PurchaseOut)
@retrying
def approve_purchase(purchase_id: UUID) -> Response:
    """Approve a purchase: its sellers see their orders."""
    actor, version = current_actor(), expected_version()
    return sent(deciding.approve_purchase(actor, purchase_id, once=once(PURCHASE), expected_version=version))


@blp.route("/purchases/<uuid:purchase_id>/reject", methods=["POST"])
@requires(Permission.PURCHASE_DECIDE)
@blp.arguments(ReasonIn)
@blp.response(200, PurchaseOut)
@retrying
def reject_purchase(data: dict[str, Any], purchase_id: UUID) -> Response:
    """Refuse a purchase with a reason; its stock goes back."""
    return sent(deciding.reject_purchase(current_actor(), purchase_id, data["reason"], once=once(PURCHASE)))


@blp.route("/purchases/<uuid:purchase_id>/cancel", methods=["POST"])
@requires(Permission.PURCHASE_CANCEL)
@blp.arguments(ReasonIn)
@blp.response(200, PurchaseOut)
@retrying
def cancel_purchase(data: dict[str, Any], purchase_id: UUID) -> Response:
    """Withdraw a purchase while no seller has confirmed."""
    return sent(deciding.cancel_purchase(current_actor(), purchase_id, data["reason"], once=once(PURCHASE)))


@blp.route("/orders")
@requires(Permission.ORDER_READ)
@blp.arguments(OrderFilter, location="query")
@blp.response(200, ORDERS)
def list_orders(args: dict[str, Any]) -> Response:
    """Orders in one's scope, newest first."""
    return shown(ORDERS, queries.list_orders(db.session(), current_actor(), **args))


@blp.route("/orders/<uuid:order_id>")
@requires(Permission.ORDER_READ)
@blp.response(200, OrderOut)
def show_order(order_id: UUID) -> Response:
    """One order with its lines, lots and shipments."""
    return shown(ORDER, queries.order_view(db.session(), current_actor(), order_id))


@blp.route("/orders/<uuid:order_id>/confirm", methods=["POST"])
@requires(Permission.ORDER_CONFIRM)
@blp.response(200, OrderOut)
@retrying
def confirm_order(order_id: UUID) -> Response:
    """The seller takes the order."""
    return sent(fulfilment.confirm_order(current_actor(), order_id, once=once(ORDER)))


@blp.route("/orders/<uuid:order_id>/ship", methods=["POST"])
@requires(Permission.ORDER_SHIP)
@blp.arguments(ShipIn)
@blp.response(200, OrderOut)
@retrying
def ship_order(data: dict[str, Any], order_id: UUID) -> Response:
    """Send goods; the lots that really leave are named, others than planned are substitutions."""
    lines = [
        fulfilment.ShipLine(
            line["line_id"],
            line["quantity"],
            [(a["trace_code"], a["quantity"]) for a in line["allocations"]]
            if "allocations" in line
            else None,
        )
        for line in data["lines"]
    ]
    wish = fulfilment.ShipWish(
        lines, data["carrier"], data.get("tracking"), data.get("vehicle"), data.get("driver")
    )
    return sent(fulfilment.ship_order(current_actor(), order_id, wish, once=once(ORDER)))


@blp.route("/orders/<uuid:order_id>/cancel", methods=["POST"])
@requires(Permission.ORDER_CANCEL)
@blp.arguments(ReasonIn)
@blp.response(200, OrderOut)
@retrying
def cancel_order(data: dict[str, Any], order_id: UUID) -> Response:
    """Cancel an order, or ask the other side to agree once it is confirmed."""
    return sent(fulfilment.cancel_order(current_actor(), order_id, data["reason"], once=once(ORDER)))


def accept_wish(data: dict[str, Any]) -> takeover.AcceptWish:
    """What `AcceptIn` loads, as the service takes it."""
    lines = [
        takeover.AcceptLine(
            line["line_id"],
            line.get("trace_code"),
            line["accepted_quantity"],
            line["refused_quantity"],
            line["allowance_fen"],
            line.get("reason"),
        )
        for line in data["lines"]
    ]
    return takeover.AcceptWish(lines, tuple(data["inspectors"]), data.get("document_id"))


@blp.route("/orders/<uuid:order_id>/accept", methods=["POST"])
@requires(Permission.ORDER_ACCEPT)
@blp.arguments(AcceptIn)
@blp.response(200, OrderOut)
@retrying
def accept_order(data: dict[str, Any], order_id: UUID) -> Response:
    """Take goods over per line and lot, or refuse them with a reason."""
    return sent(takeover.accept_order(current_actor(), order_id, accept_wish(data), once=once(ORDER)))


@blp.route("/orders/<uuid:order_id>/agree-allowance", methods=["POST"])
@requires(Permission.ORDER_RETURN)
@blp.response(200, OrderOut)
@retrying
def agree_allowance(order_id: UUID) -> Response:
    """The seller agrees to the price reductions asked at acceptance."""
    return sent(takeover.agree_allowance(current_actor(), order_id, once=once(ORDER)))


@blp.route("/orders/<uuid:order_id>/returns", methods=["POST"])
@requires(Permission.ORDER_RETURN)
@blp.arguments(ReturnsIn)
@blp.response(200, OrderOut)
@retrying
def return_goods(data: dict[str, Any], order_id: UUID) -> Response:
    """The seller books refused goods back to stock or as loss."""
    lines = [takeover.ReturnLine(**line) for line in data["lines"]]
    return sent(takeover.return_goods(current_actor(), order_id, lines, once=once(ORDER)))


@blp.route("/orders/<uuid:order_id>/evaluate", methods=["POST"])
@requires(Permission.ORDER_EVALUATE)
@blp.arguments(EvaluateIn)
@blp.response(200, OrderOut)
@retrying
def evaluate_order(data: dict[str, Any], order_id: UUID) -> Response:
    """Evaluate an accepted order, once."""
    reply = evaluating.evaluate_order(
        current_actor(), order_id, data["score"], data.get("comment"), once=once(ORDER)
    )
    return sent(reply)
