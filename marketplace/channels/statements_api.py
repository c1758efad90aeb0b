"""Statements of consignment for sellers, who answer and confirm them, and for the office, which issues and reads them."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from flask import Response
from flask_smorest import Blueprint

from marketplace.actors import Permission
from marketplace.channels import (
    agreements,
    statement_disputes,
    statement_paying,
    statement_views,
    statements,
)
from marketplace.channels.statement_schemas import (
    StatementAnswerIn,
    StatementDisputeIn,
    StatementFilter,
    StatementHeadOut,
    StatementIssueIn,
    StatementOut,
    StatementSettleIn,
)
from marketplace.database import db
from marketplace.unit_of_work import retrying
from marketplace.web.edge import current_actor, once, requires, sent, shown
from marketplace.web.schemas import page_of

blp = Blueprint("statements", __name__, url_prefix="/api/v1", description="渠道结算单")
blueprints = [blp]

ONE, LIST = StatementOut(), page_of(StatementHeadOut)


@blp.route("/statements")
@requires(Permission.PAYMENT_CONFIRM, Permission.CHANNEL_MANAGE)
@blp.arguments(StatementFilter, location="query")
@blp.response(200, LIST)
def list_statements(args: dict[str, Any]) -> Response:
    """Statements of this seller, or of all sellers of the office; newest first."""
    return shown(LIST, statement_views.list_statements(db.session(), current_actor(), **args))


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


@blp.route("/statements/<uuid:statement_id>")
@requires(Permission.PAYMENT_CONFIRM, Permission.CHANNEL_MANAGE)
@blp.response(200, StatementOut)
def show_statement(statement_id: UUID) -> Response:
    """One statement with its lines and disputes."""
    return shown(ONE, statement_views.own_statement(db.session(), current_actor(), statement_id))


@blp.route("/statements/<uuid:statement_id>/disputes", methods=["POST"])
@requires(Permission.PAYMENT_CONFIRM)
@blp.arguments(StatementDisputeIn)
@blp.response(200, StatementOut)
@retrying
def dispute_line(data: dict[str, Any], statement_id: UUID) -> Response:
    """Say that another quantity of one line is right; the channel answers."""
    return sent(statement_disputes.raise_dispute(current_actor(), statement_id, once=once(ONE), **data))


@blp.route("/statements/<uuid:statement_id>/disputes/<uuid:dispute_id>/answer", methods=["POST"])
@requires(Permission.PAYMENT_CONFIRM)
@blp.arguments(StatementAnswerIn)
@blp.response(200, StatementOut)
@retrying
def answer_dispute(data: dict[str, Any], statement_id: UUID, dispute_id: UUID) -> Response:
    """Take the quantity that the channel says is right (a red line and a new one follow), or hold to the line."""
    return sent(
        statement_disputes.answer_dispute(current_actor(), statement_id, dispute_id, once=once(ONE), **data)
    )


@blp.route("/statements/<uuid:statement_id>/agree", methods=["POST"])
@requires(Permission.PAYMENT_CONFIRM)
@blp.response(200, StatementOut)
@retrying
def agree_statement(statement_id: UUID) -> Response:
    """The seller's side finds the statement right; with the channel's it is agreed."""
    return sent(statements.agree_statement(current_actor(), statement_id, once=once(ONE)))


@blp.route("/statements/<uuid:statement_id>/settle", methods=["POST"])
@requires(Permission.PAYMENT_CONFIRM)
@blp.arguments(StatementSettleIn)
@blp.response(200, StatementOut)
@retrying
def settle_statement(data: dict[str, Any], statement_id: UUID) -> Response:
    """到账: the whole amount of an agreed statement stands in the seller's bank."""
    return sent(statement_paying.settle_statement(current_actor(), statement_id, once=once(ONE), **data))
