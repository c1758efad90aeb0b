"""Statements of channels' shops for the seller, who answers, agrees and confirms the money; the office reads them."""

from __future__ import annotations

from uuid import UUID

from flask import Blueprint, request
from flask_babel import gettext

from marketplace.actors import Permission
from marketplace.channels import statement_disputes, statement_paying, statement_views, statements
from marketplace.channels.statement_schemas import StatementAnswerIn, StatementDisputeIn, StatementSettleIn
from marketplace.database import db
from marketplace.desks import statements_sheet_pages
from marketplace.unit_of_work import retrying
from marketplace.web.edge import current_actor, requires
from marketplace.web.forms import Shown, done, form, page_once, posted, read_form, read_query
from marketplace.web.pages import page
from marketplace.web.sheets import MAX_ROWS

selling = Blueprint("selling_statements", __name__, url_prefix="/sell/channels/statements")
office = Blueprint("office_statements", __name__, url_prefix="/channels/statements")
blueprints = [selling, office]


@office.route("", methods=["GET"], endpoint="listed")
@requires(Permission.CHANNEL_MANAGE)
def of_office() -> Shown:
    """All statements that the office may see."""
    return _listed()


@office.route("/<uuid:statement_id>", methods=["GET"], endpoint="one")
@requires(Permission.CHANNEL_MANAGE)
def one_of_office(statement_id: UUID) -> Shown:
    """One statement, to read."""
    return _one(statement_id)


@selling.route("", methods=["GET"])
@requires(Permission.PAYMENT_CONFIRM)
def listed() -> Shown:
    """The seller's statements, one for each channel and period."""
    return _listed()


@selling.route("/<uuid:statement_id>", methods=["GET"])
@requires(Permission.PAYMENT_CONFIRM)
def one(statement_id: UUID) -> Shown:
    """One statement: its lines, what is disputed, whose turn it is."""
    return _one(statement_id)


def _listed() -> Shown:
    wish = read_query(statements_sheet_pages.StatementArgs())
    sheet = request.args.get("format") == "xlsx"
    limit = MAX_ROWS if sheet else 24
    found = statement_views.list_statements(db.session(), current_actor(), limit=limit, **wish)
    if sheet:
        return statements_sheet_pages.heads_sheet(found["items"])
    return page("statements/list.html", listed=found, wish=wish, last_day=None)


def _one(statement_id: UUID) -> Shown:
    view = statements_sheet_pages.one(db.session(), current_actor(), statement_id)
    if request.args.get("format") == "xlsx":
        return statements_sheet_pages.lines_sheet(view)
    return page("statements/one.html", row=view)


@selling.route("/<uuid:statement_id>/lines/<uuid:line_id>/dispute", methods=["GET", "POST"])
@requires(Permission.PAYMENT_CONFIRM)
@form
@retrying
def dispute(statement_id: UUID, line_id: UUID) -> Shown:
    """Say how many packs are right, and why."""
    if posted():
        given = read_form(StatementDisputeIn(), line_id=str(line_id))
        once = page_once(".one", statement_id=statement_id)
        reply = statement_disputes.raise_dispute(current_actor(), statement_id, once=once, **given)
        return done(reply, gettext("异议已提出，等对方答复"))
    view = statements_sheet_pages.one(db.session(), current_actor(), statement_id)
    return page("statements/dispute.html", row=view, line=statements_sheet_pages.line_of(view, line_id))


@selling.route("/<uuid:statement_id>/disputes/<uuid:dispute_id>", methods=["GET", "POST"])
@requires(Permission.PAYMENT_CONFIRM)
@form
@retrying
def answer(statement_id: UUID, dispute_id: UUID) -> Shown:
    """Take the channel's quantity, or hold to the line."""
    if posted():
        given = read_form(StatementAnswerIn())
        once = page_once(".one", statement_id=statement_id)
        reply = statement_disputes.answer_dispute(
            current_actor(), statement_id, dispute_id, once=once, **given
        )
        return done(reply, gettext("异议已答复"))
    view = statements_sheet_pages.one(db.session(), current_actor(), statement_id)
    return page(
        "statements/answer.html", row=view, dispute=statements_sheet_pages.dispute_of(view, dispute_id)
    )


@selling.route("/<uuid:statement_id>/agree", methods=["GET", "POST"])
@requires(Permission.PAYMENT_CONFIRM)
@form
@retrying
def agree(statement_id: UUID) -> Shown:
    """Agree to the amount."""
    if posted():
        once = page_once(".one", statement_id=statement_id)
        return done(statements.agree_statement(current_actor(), statement_id, once=once), gettext("已同意"))
    return page(
        "statements/agree.html", row=statements_sheet_pages.one(db.session(), current_actor(), statement_id)
    )


@selling.route("/<uuid:statement_id>/settle", methods=["GET", "POST"])
@requires(Permission.PAYMENT_CONFIRM)
@form
@retrying
def settle(statement_id: UUID) -> Shown:
    """The whole amount has come into the seller's bank."""
    if posted():
        given = read_form(StatementSettleIn())
        once = page_once(".one", statement_id=statement_id)
        reply = statement_paying.settle_statement(current_actor(), statement_id, once=once, **given)
        return done(reply, gettext("已确认到账，结算单结清"))
    view = statements_sheet_pages.one(db.session(), current_actor(), statement_id)
    return page("statements/pay.html", row=view, account=None)
