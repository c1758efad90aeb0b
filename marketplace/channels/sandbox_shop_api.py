"""The sandbox's own routes of consignment. In the marketplace itself they are not there."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from flask import Response
from flask_smorest import Blueprint

from marketplace.actors import Permission
from marketplace.channels import sandbox_shop
from marketplace.channels.consignment_schemas import PartnerConsignmentOut
from marketplace.channels.sandbox_api import PLAY, sandbox_only
from marketplace.channels.sandbox_schemas import SandboxSendIn
from marketplace.channels.statement_schemas import StatementAnswerIn, StatementOut
from marketplace.database import db
from marketplace.unit_of_work import retrying
from marketplace.web.edge import current_actor, requires, shown, without_key

blp = Blueprint(
    "partner_sandbox_shop", __name__, url_prefix="/partner/v1/test", description="沙箱：只认测试密钥"
)
blueprints = [blp]

CONSIGNMENT, STATEMENT = PartnerConsignmentOut(), StatementOut()


@blp.route("/consignments", methods=["POST"])
@requires(Permission.CHANNEL_SALES)
@blp.arguments(SandboxSendIn)
@blp.response(201, PartnerConsignmentOut)
@without_key(PLAY)
@sandbox_only
@retrying
def sandbox_send(data: dict[str, Any]) -> Response:
    """Sandbox: the seller sends packs of a product to the channel's shop on consignment."""
    sent = sandbox_shop.send_to_shop(db.session(), current_actor(), **data)
    response = shown(CONSIGNMENT, sent.result)
    response.status_code = 201
    return response


@blp.route("/statements/<uuid:statement_id>/agree", methods=["POST"])
@requires(Permission.CHANNEL_STATEMENTS)
@blp.response(200, StatementOut)
@without_key(PLAY)
@sandbox_only
@retrying
def sandbox_agree(statement_id: UUID) -> Response:
    """Sandbox: the seller agrees on a statement."""
    return shown(STATEMENT, sandbox_shop.agree(db.session(), current_actor(), statement_id).result)


@blp.route("/statements/<uuid:statement_id>/disputes/<uuid:dispute_id>/answer", methods=["POST"])
@requires(Permission.CHANNEL_STATEMENTS)
@blp.arguments(StatementAnswerIn)
@blp.response(200, StatementOut)
@without_key(PLAY)
@sandbox_only
@retrying
def sandbox_answer(data: dict[str, Any], statement_id: UUID, dispute_id: UUID) -> Response:
    """Sandbox: the seller takes the quantity that the channel finds right, or holds to the line."""
    answered = sandbox_shop.answer(db.session(), current_actor(), statement_id, dispute_id, **data)
    return shown(STATEMENT, answered.result)


@blp.route("/statements/<uuid:statement_id>/confirm", methods=["POST"])
@requires(Permission.CHANNEL_STATEMENTS)
@blp.response(200, StatementOut)
@without_key(PLAY)
@sandbox_only
@retrying
def sandbox_confirm_money(statement_id: UUID) -> Response:
    """Sandbox: the seller confirms that the transfer of an agreed statement came."""
    return shown(STATEMENT, sandbox_shop.confirm_money(db.session(), current_actor(), statement_id).result)
