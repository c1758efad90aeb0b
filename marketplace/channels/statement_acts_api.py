"""Routes of statements that are the same for a channel's programs and for its sellers: read, dispute, agree."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from flask import Response
from flask_smorest import Blueprint

from marketplace.actors import Permission
from marketplace.channels import statement_disputes, statement_views, statements
from marketplace.channels.statement_schemas import (
    StatementAnswerIn,
    StatementDisputeIn,
    StatementFilter,
    StatementHeadOut,
    StatementOut,
)
from marketplace.database import db
from marketplace.unit_of_work import retrying
from marketplace.web.edge import current_actor, once, requires, sent, shown
from marketplace.web.schemas import page_of

blueprints: list[Blueprint] = []

ONE, LIST = StatementOut(), page_of(StatementHeadOut)


def add_routes(blp: Blueprint, own: Permission, *readers: Permission) -> None:
    """Put the routes on `blp`: acts for the side with permission `own`, reading also for `readers`."""

    @blp.route("/statements")
    @requires(own, *readers)
    @blp.arguments(StatementFilter, location="query")
    @blp.response(200, LIST)
    def list_statements(args: dict[str, Any]) -> Response:
        """Statements that one may see, one for each channel, seller and period; newest first."""
        return shown(LIST, statement_views.list_statements(db.session(), current_actor(), **args))

    @blp.route("/statements/<uuid:statement_id>")
    @requires(own, *readers)
    @blp.response(200, StatementOut)
    def show_statement(statement_id: UUID) -> Response:
        """One statement with its lines and disputes."""
        return shown(ONE, statement_views.own_statement(db.session(), current_actor(), statement_id))

    @blp.route("/statements/<uuid:statement_id>/disputes", methods=["POST"])
    @requires(own)
    @blp.arguments(StatementDisputeIn)
    @blp.response(200, StatementOut)
    @retrying
    def dispute_line(data: dict[str, Any], statement_id: UUID) -> Response:
        """Say that another quantity of one line is right; the other side answers, and nobody agrees until then."""
        return sent(statement_disputes.raise_dispute(current_actor(), statement_id, once=once(ONE), **data))

    @blp.route("/statements/<uuid:statement_id>/disputes/<uuid:dispute_id>/withdraw", methods=["POST"])
    @requires(own)
    @blp.response(200, StatementOut)
    @retrying
    def withdraw_dispute(statement_id: UUID, dispute_id: UUID) -> Response:
        """Take back what one's own side disputed, while the other has not answered: the line stands as it was."""
        return sent(
            statement_disputes.withdraw_dispute(current_actor(), statement_id, dispute_id, once=once(ONE))
        )

    @blp.route("/statements/<uuid:statement_id>/disputes/<uuid:dispute_id>/answer", methods=["POST"])
    @requires(own)
    @blp.arguments(StatementAnswerIn)
    @blp.response(200, StatementOut)
    @retrying
    def answer_dispute(data: dict[str, Any], statement_id: UUID, dispute_id: UUID) -> Response:
        """Take the quantity that the other side says is right (a red line and a new one follow), or hold to the line."""
        return sent(
            statement_disputes.answer_dispute(
                current_actor(), statement_id, dispute_id, once=once(ONE), **data
            )
        )

    @blp.route("/statements/<uuid:statement_id>/agree", methods=["POST"])
    @requires(own)
    @blp.response(200, StatementOut)
    @retrying
    def agree_statement(statement_id: UUID) -> Response:
        """One's own side finds the statement right; with the other's it is agreed."""
        return sent(statements.agree_statement(current_actor(), statement_id, once=once(ONE)))
