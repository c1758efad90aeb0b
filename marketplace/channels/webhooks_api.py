"""A channel's events: the feed in the order of their sealing, and addresses to which they are sent."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from flask import Response, current_app
from flask_smorest import Blueprint
from marshmallow import Schema

from marketplace.actors import Permission
from marketplace.channels import events, webhooks
from marketplace.channels.webhook_schemas import (
    PartnerEventArgs,
    PartnerEventPageOut,
    WebhookDeliveryOut,
    WebhookIn,
    WebhookListOut,
    WebhookOut,
    WebhookSecretOut,
)
from marketplace.database import db
from marketplace.unit_of_work import Reply, retrying
from marketplace.web.edge import (
    answer_response,
    current_actor,
    once,
    rendered,
    requires,
    sent,
    shown,
    without_key,
)
from marketplace.web.schemas import PageArgs, page_of

blp = Blueprint("partner_events", __name__, url_prefix="/partner/v1", description="渠道事件与推送")
blueprints = [blp]

EVENTS, ENDPOINT, SECRET, ENDPOINTS = (
    PartnerEventPageOut(),
    WebhookOut(),
    WebhookSecretOut(),
    WebhookListOut(),
)
DELIVERY, DELIVERIES = WebhookDeliveryOut(), page_of(WebhookDeliveryOut)
SHOWN_ONCE = "the answer holds a secret that is kept nowhere"
NO_STATE = "sends again what was sent before; the receiver knows it by its id"


def _unkept(schema: Schema, reply: Reply, status: int) -> Response:
    """An answer whose bytes are not stored."""
    response = answer_response(rendered(schema, reply.result, status))
    response.headers["Cache-Control"] = "no-store"
    return response


@blp.route("/events")
@requires(Permission.CHANNEL_EVENTS)
@blp.arguments(PartnerEventArgs, location="query")
@blp.response(200, PartnerEventPageOut)
def list_events(args: dict[str, Any]) -> Response:
    """What concerns the channel, oldest first; ask on with `after` the last `seq` that you have kept."""
    return shown(EVENTS, events.list_events(db.session(), current_actor(), **args))


@blp.route("/webhooks")
@requires(Permission.CHANNEL_EVENTS)
@blp.response(200, WebhookListOut)
def list_webhooks() -> Response:
    """The channel's addresses, newest first."""
    return shown(ENDPOINTS, webhooks.list_endpoints(db.session(), current_actor()))


@blp.route("/webhooks", methods=["POST"])
@requires(Permission.CHANNEL_EVENTS)
@blp.arguments(WebhookIn)
@blp.response(201, WebhookSecretOut)
@without_key(SHOWN_ONCE)
@retrying
def create_webhook(data: dict[str, Any]) -> Response:
    """Name an address (https, port 443 or 8443) for events from now on; its secret is shown once."""
    settings = current_app.config["SETTINGS"]
    return _unkept(SECRET, webhooks.create_endpoint(current_actor(), settings, **data), 201)


@blp.route("/webhooks/<uuid:webhook_id>/secret", methods=["POST"])
@requires(Permission.CHANNEL_EVENTS)
@blp.response(200, WebhookSecretOut)
@without_key(SHOWN_ONCE)
@retrying
def renew_webhook_secret(webhook_id: UUID) -> Response:
    """A new secret; for 24 hours events are signed with both."""
    settings = current_app.config["SETTINGS"]
    return _unkept(SECRET, webhooks.renew_secret(current_actor(), settings, webhook_id), 200)


@blp.route("/webhooks/<uuid:webhook_id>/disable", methods=["POST"])
@requires(Permission.CHANNEL_EVENTS)
@blp.response(200, WebhookOut)
@retrying
def disable_webhook(webhook_id: UUID) -> Response:
    """Stop an address; what is not delivered waits."""
    return sent(webhooks.disable(current_actor(), webhook_id, once=once(ENDPOINT)))


@blp.route("/webhooks/<uuid:webhook_id>/enable", methods=["POST"])
@requires(Permission.CHANNEL_EVENTS)
@blp.response(200, WebhookOut)
@retrying
def enable_webhook(webhook_id: UUID) -> Response:
    """Take an address up again; read what came meanwhile from the feed."""
    return sent(webhooks.enable(current_actor(), webhook_id, once=once(ENDPOINT)))


@blp.route("/webhooks/<uuid:webhook_id>/ping", methods=["POST"])
@requires(Permission.CHANNEL_EVENTS)
@blp.response(202, WebhookDeliveryOut)
@without_key(NO_STATE)
@retrying
def ping_webhook(webhook_id: UUID) -> Response:
    """Send a `test.ping`; how it went stands in the deliveries."""
    return answer_response(rendered(DELIVERY, webhooks.ping(current_actor(), webhook_id), 202))


@blp.route("/webhooks/<uuid:webhook_id>/deliveries")
@requires(Permission.CHANNEL_EVENTS)
@blp.arguments(PageArgs, location="query")
@blp.response(200, DELIVERIES)
def list_deliveries(args: dict[str, Any], webhook_id: UUID) -> Response:
    """Deliveries of an address with their last try, newest first."""
    return shown(DELIVERIES, webhooks.list_deliveries(db.session(), current_actor(), webhook_id, **args))


@blp.route("/webhooks/<uuid:webhook_id>/deliveries/<uuid:delivery_id>/redeliver", methods=["POST"])
@requires(Permission.CHANNEL_EVENTS)
@blp.response(202, WebhookDeliveryOut)
@without_key(NO_STATE)
@retrying
def redeliver(webhook_id: UUID, delivery_id: UUID) -> Response:
    """Send an event again, under its own id."""
    return answer_response(
        rendered(DELIVERY, webhooks.redeliver(current_actor(), webhook_id, delivery_id), 202)
    )
