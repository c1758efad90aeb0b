"""What channels ask of a seller after the cut-off."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from flask import Response
from flask_smorest import Blueprint

from marketplace.actors import Permission
from marketplace.channels import changing, order_views
from marketplace.channels.schemas import ChangeRequestFilter, ChangeRequestOut
from marketplace.database import db
from marketplace.unit_of_work import retrying
from marketplace.web.edge import current_actor, once, requires, sent, shown
from marketplace.web.schemas import ReasonIn, page_of

blp = Blueprint("changes", __name__, url_prefix="/api/v1", description="渠道改单")
blueprints = [blp]

REQUEST, REQUESTS = ChangeRequestOut(), page_of(ChangeRequestOut)


@blp.route("/change-requests")
@requires(Permission.ORDER_CONFIRM)
@blp.arguments(ChangeRequestFilter, location="query")
@blp.response(200, REQUESTS)
def list_change_requests(args: dict[str, Any]) -> Response:
    """Channels' wishes to this seller, newest first."""
    return shown(REQUESTS, order_views.change_requests(db.session(), current_actor(), **args))


@blp.route("/change-requests/<uuid:request_id>/agree", methods=["POST"])
@requires(Permission.ORDER_CONFIRM)
@blp.response(200, ChangeRequestOut)
@retrying
def agree_change(request_id: UUID) -> Response:
    """Let the packs go: the order is reduced, or cancelled, at once."""
    return sent(changing.agree_change(current_actor(), request_id, once=once(REQUEST)))


@blp.route("/change-requests/<uuid:request_id>/refuse", methods=["POST"])
@requires(Permission.ORDER_CONFIRM)
@blp.arguments(ReasonIn)
@blp.response(200, ChangeRequestOut)
@retrying
def refuse_change(data: dict[str, Any], request_id: UUID) -> Response:
    """Hold to the order as it was cut off."""
    return sent(changing.refuse_change(current_actor(), request_id, data["reason"], once=once(REQUEST)))
