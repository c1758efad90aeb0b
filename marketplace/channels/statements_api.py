"""Statements of consignment for sellers, who answer and confirm them, and for the office, which issues and reads them."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from flask import Response
from flask_smorest import Blueprint

from marketplace.actors import Permission
from marketplace.channels import agreements, statement_paying, statements
from marketplace.channels.statement_acts_api import ONE, add_routes
from marketplace.channels.statement_schemas import StatementIssueIn, StatementOut, StatementSettleIn
from marketplace.database import db
from marketplace.unit_of_work import retrying
from marketplace.web.edge import current_actor, once, requires, sent
from marketplace.web.schemas import ReasonIn

blp = Blueprint("statements", __name__, url_prefix="/api/v1", description="渠道结算单")
blueprints = [blp]

add_routes(blp, Permission.PAYMENT_CONFIRM, Permission.CHANNEL_MANAGE)


@blp.route("/statements", methods=["POST"])
@requires(Permission.CHANNEL_MANAGE)
@blp.arguments(StatementIssueIn)
@blp.response(201, StatementOut)
@retrying
def issue_statement(data: dict[str, Any]) -> Response:
    """Charge a channel with a period that has ended; the worker does so by itself two days after it."""
    channel_id = agreements.channel_by_code(db.session(), data.pop("channel_code"))
    return sent(
        statements.issue_statement(current_actor(), channel_id=channel_id, once=once(ONE, 201), **data)
    )


@blp.route("/statements/<uuid:statement_id>/return-transfer", methods=["POST"])
@requires(Permission.PAYMENT_CONFIRM)
@blp.arguments(ReasonIn)
@blp.response(200, StatementOut)
@retrying
def return_transfer(data: dict[str, Any], statement_id: UUID) -> Response:
    """Say why the transfer that the channel named is not the seller's money; the channel names it anew."""
    return sent(statement_paying.return_transfer(current_actor(), statement_id, once=once(ONE), **data))


@blp.route("/statements/<uuid:statement_id>/settle", methods=["POST"])
@requires(Permission.PAYMENT_CONFIRM)
@blp.arguments(StatementSettleIn)
@blp.response(200, StatementOut)
@retrying
def settle_statement(data: dict[str, Any], statement_id: UUID) -> Response:
    """到账: the whole amount of an agreed statement stands in the seller's bank."""
    return sent(statement_paying.settle_statement(current_actor(), statement_id, once=once(ONE), **data))
