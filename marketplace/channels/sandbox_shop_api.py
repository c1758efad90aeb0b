"""The sandbox's own routes of consignment. In the marketplace itself they are not there."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from flask import Response
from flask_smorest import Blueprint

from marketplace.actors import Permission
from marketplace.channels import sandbox_shop
from marketplace.channels.consignment_schemas import PartnerConsignmentOut
from marketplace.channels.sandbox_api import play
from marketplace.channels.sandbox_schemas import SandboxReasonIn, SandboxSendIn
from marketplace.channels.statement_schemas import StatementAnswerIn, StatementOut
from marketplace.database import db
from marketplace.web.edge import current_actor, shown

blp = Blueprint(
    "partner_sandbox_shop", __name__, url_prefix="/partner/v1/test", description="沙箱：只认测试密钥"
)
blueprints = [blp]

CONSIGNMENT, STATEMENT = PartnerConsignmentOut(), StatementOut()


@play(
    blp,
    "/consignments",
    PartnerConsignmentOut,
    permission=Permission.CHANNEL_SALES,
    takes=SandboxSendIn,
    status=201,
)
def sandbox_send(data: dict[str, Any]) -> Response:
    """Sandbox: the seller sends packs of a product to the channel's shop on consignment."""
    sent = sandbox_shop.send_to_shop(db.session(), current_actor(), **data)
    response = shown(CONSIGNMENT, sent.result)
    response.status_code = 201
    return response


@play(blp, "/statements/<uuid:statement_id>/agree", StatementOut, permission=Permission.CHANNEL_STATEMENTS)
def sandbox_agree(statement_id: UUID) -> Response:
    """Sandbox: the seller agrees on a statement."""
    return shown(STATEMENT, sandbox_shop.agree(db.session(), current_actor(), statement_id).result)


@play(
    blp,
    "/statements/<uuid:statement_id>/disputes/<uuid:dispute_id>/answer",
    StatementOut,
    permission=Permission.CHANNEL_STATEMENTS,
    takes=StatementAnswerIn,
)
def sandbox_answer(data: dict[str, Any], statement_id: UUID, dispute_id: UUID) -> Response:
    """Sandbox: the seller takes the quantity that the channel finds right, or holds to the line."""
    answered = sandbox_shop.answer(db.session(), current_actor(), statement_id, dispute_id, **data)
    return shown(STATEMENT, answered.result)


@play(blp, "/statements/<uuid:statement_id>/confirm", StatementOut, permission=Permission.CHANNEL_STATEMENTS)
def sandbox_confirm_money(statement_id: UUID) -> Response:
    """Sandbox: the seller confirms that the transfer of an agreed statement came; below 0 he has paid it back himself."""
    return shown(STATEMENT, sandbox_shop.confirm_money(db.session(), current_actor(), statement_id).result)


@play(
    blp,
    "/statements/<uuid:statement_id>/return",
    StatementOut,
    permission=Permission.CHANNEL_STATEMENTS,
    takes=SandboxReasonIn,
)
def sandbox_return_money(data: dict[str, Any], statement_id: UUID) -> Response:
    """Sandbox: the seller does not find the transfer; the channel names another one."""
    returned = sandbox_shop.return_money(db.session(), current_actor(), statement_id, data["reason"])
    return shown(STATEMENT, returned.result)
