"""A channel's statements by its programs: read, dispute line by line, agree, and say by which transfer it paid."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from flask import Response
from flask_smorest import Blueprint

from marketplace.actors import Permission
from marketplace.channels import statement_paying
from marketplace.channels.statement_acts_api import ONE, add_routes
from marketplace.channels.statement_schemas import StatementOut, StatementTransferIn
from marketplace.unit_of_work import retrying
from marketplace.web.edge import current_actor, once, requires, sent

blp = Blueprint("partner_statements", __name__, url_prefix="/partner/v1", description="渠道结算单")
blueprints = [blp]

add_routes(blp, Permission.CHANNEL_STATEMENTS)


@blp.route("/statements/<uuid:statement_id>/transfer", methods=["POST"])
@requires(Permission.CHANNEL_STATEMENTS)
@blp.arguments(StatementTransferIn)
@blp.response(200, StatementOut)
@retrying
def declare_transfer(data: dict[str, Any], statement_id: UUID) -> Response:
    """Say by which transfer an agreed statement was paid; it is settled when the seller confirms the money."""
    return sent(statement_paying.declare_transfer(current_actor(), statement_id, once=once(ONE), **data))
