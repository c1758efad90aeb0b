"""What the payment gateway calls: no page, but outside the API like one, as its caller is no client of ours."""

from __future__ import annotations

from flask import Blueprint, Response, request

from marketplace.payments import inbox
from marketplace.web.edge import public, without_key
from marketplace.web.security import cookieless

blp = Blueprint("payment_hooks", __name__)
blueprints = [blp]


@blp.route("/webhooks/payments", methods=["POST"])
@cookieless
@public
@without_key("an event has an id of its own")
def receive_event() -> Response:
    """A signed event of the gateway: kept and answered; the worker applies it."""
    inbox.receive(request.get_data(), request.headers.get("Stripe-Signature", ""))
    return Response(status=204)
