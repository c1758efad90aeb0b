"""A channel's statements by its programs: read, dispute line by line, agree, and say by which transfer it paid."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from flask import Response
from flask_smorest import Blueprint

from marketplace.actors import Permission
from marketplace.channels import statement_disputes, statement_paying, statement_views, statements
from marketplace.channels.statement_schemas import (
    StatementAnswerIn,
    StatementDisputeIn,
    StatementFilter,
    StatementHeadOut,
    StatementOut,
    StatementTransferIn,
)
from marketplace.database import db
from marketplace.unit_of_work import retrying
from marketplace.web.edge import current_actor, once, requires, sent, shown
from marketplace.web.schemas import page_of

blp = Blueprint("partner_statements", __name__, url_prefix="/partner/v1", description="渠道结算单")
blueprints = [blp]

ONE, LIST = StatementOut(), page_of(StatementHeadOut)


@blp.route("/statements")
@requires(Permission.CHANNEL_STATEMENTS)
@blp.arguments(StatementFilter, location="query")
@blp.response(200, LIST)
def list_statements(args: dict[str, Any]) -> Response:
    """The channel's statements, one for each seller and period, newest first."""
    return shown(LIST, statement_views.list_statements(db.session(), current_actor(), **args))


@blp.route("/statements/<uuid:statement_id>")
@requires(Permission.CHANNEL_STATEMENTS)
@blp.response(200, StatementOut)
def show_statement(statement_id: UUID) -> Response:
    """One statement with its lines and disputes."""
    return shown(ONE, statement_views.own_statement(db.session(), current_actor(), statement_id))


@blp.route("/statements/<uuid:statement_id>/disputes", methods=["POST"])
@requires(Permission.CHANNEL_STATEMENTS)
@blp.arguments(StatementDisputeIn)
@blp.response(200, StatementOut)
@retrying
def dispute_line(data: dict[str, Any], statement_id: UUID) -> Response:
    """Say that another quantity of one line is right; the seller answers, and nobody agrees until then."""
    return sent(statement_disputes.raise_dispute(current_actor(), statement_id, once=once(ONE), **data))


@blp.route("/statements/<uuid:statement_id>/disputes/<uuid:dispute_id>/answer", methods=["POST"])
@requires(Permission.CHANNEL_STATEMENTS)
@blp.arguments(StatementAnswerIn)
@blp.response(200, StatementOut)
@retrying
def answer_dispute(data: dict[str, Any], statement_id: UUID, dispute_id: UUID) -> Response:
    """Answer what the seller disputed: his quantity is taken (a red line and a new one follow), or the line stands."""
    return sent(
        statement_disputes.answer_dispute(current_actor(), statement_id, dispute_id, once=once(ONE), **data)
    )


@blp.route("/statements/<uuid:statement_id>/agree", methods=["POST"])
@requires(Permission.CHANNEL_STATEMENTS)
@blp.response(200, StatementOut)
@retrying
def agree_statement(statement_id: UUID) -> Response:
    """The channel's side finds the statement right; with the seller's it is agreed."""
    return sent(statements.agree_statement(current_actor(), statement_id, once=once(ONE)))


@blp.route("/statements/<uuid:statement_id>/transfer", methods=["POST"])
@requires(Permission.CHANNEL_STATEMENTS)
@blp.arguments(StatementTransferIn)
@blp.response(200, StatementOut)
@retrying
def declare_transfer(data: dict[str, Any], statement_id: UUID) -> Response:
    """Say by which transfer an agreed statement was paid; it is settled when the seller confirms the money."""
    return sent(statement_paying.declare_transfer(current_actor(), statement_id, once=once(ONE), **data))
