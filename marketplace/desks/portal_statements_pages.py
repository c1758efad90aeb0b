"""The channel's statements in the portal: look through, dispute line by line, agree, and say how it paid."""

from __future__ import annotations

from uuid import UUID

from flask import Blueprint, Response, request
from flask_babel import gettext
from marshmallow import fields

from marketplace.actors import Permission
from marketplace.channels import (
    reconciliation,
    statement_disputes,
    statement_paying,
    statement_views,
    statements,
)
from marketplace.channels.statement_schemas import (
    StatementAnswerIn,
    StatementDisputeIn,
    StatementTransferIn,
)
from marketplace.database import db
from marketplace.desks import statements_sheet_pages
from marketplace.unit_of_work import retrying
from marketplace.web.attachments import attachment
from marketplace.web.edge import current_actor, requires
from marketplace.web.forms import Shown, done, form, page_once, posted, read_form, read_query
from marketplace.web.pages import page
from marketplace.web.schemas import InSchema
from marketplace.web.sheets import MAX_ROWS

blp = Blueprint("portal_statements", __name__, url_prefix="/portal")
blueprints = [blp]


class DayArgs(InSchema):
    day = fields.Date(required=True)


@blp.route("/statements", methods=["GET"])
@requires(Permission.CHANNEL_STATEMENTS)
def listed() -> Shown:
    """The channel's statements, one for each seller and period, and the daily file."""
    wish = read_query(statements_sheet_pages.StatementArgs())
    sheet = request.args.get("format") == "xlsx"
    limit = MAX_ROWS if sheet else 24
    found = statement_views.list_statements(db.session(), current_actor(), limit=limit, **wish)
    if sheet:
        return statements_sheet_pages.heads_sheet(found["items"])
    return page("statements/list.html", listed=found, wish=wish, last_day=statements_sheet_pages.last_day())


@blp.route("/statements/<uuid:statement_id>", methods=["GET"])
@requires(Permission.CHANNEL_STATEMENTS)
def one(statement_id: UUID) -> Shown:
    """One statement: its lines, what is disputed, whose turn it is."""
    view = statements_sheet_pages.one(db.session(), current_actor(), statement_id)
    if request.args.get("format") == "xlsx":
        return statements_sheet_pages.lines_sheet(view)
    return page("statements/one.html", row=view)


@blp.route("/statements/<uuid:statement_id>/lines/<uuid:line_id>/dispute", methods=["GET", "POST"])
@requires(Permission.CHANNEL_STATEMENTS)
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


@blp.route("/statements/<uuid:statement_id>/disputes/<uuid:dispute_id>", methods=["GET", "POST"])
@requires(Permission.CHANNEL_STATEMENTS)
@form
@retrying
def answer(statement_id: UUID, dispute_id: UUID) -> Shown:
    """Take the other side's quantity, or hold to the line."""
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


@blp.route("/statements/<uuid:statement_id>/agree", methods=["GET", "POST"])
@requires(Permission.CHANNEL_STATEMENTS)
@form
@retrying
def agree(statement_id: UUID) -> Shown:
    """Agree to the amount; it can't be taken back unless a line is disputed before the other side agrees."""
    if posted():
        once = page_once(".one", statement_id=statement_id)
        return done(statements.agree_statement(current_actor(), statement_id, once=once), gettext("已同意"))
    return page(
        "statements/agree.html", row=statements_sheet_pages.one(db.session(), current_actor(), statement_id)
    )


@blp.route("/statements/<uuid:statement_id>/transfer", methods=["GET", "POST"])
@requires(Permission.CHANNEL_STATEMENTS)
@form
@retrying
def transfer(statement_id: UUID) -> Shown:
    """Say by which transfer the statement was paid; the seller confirms."""
    if posted():
        given = read_form(StatementTransferIn())
        once = page_once(".one", statement_id=statement_id)
        reply = statement_paying.declare_transfer(current_actor(), statement_id, once=once, **given)
        return done(reply, gettext("付款已登记，等供应商确认到账"))
    view = statements_sheet_pages.one(db.session(), current_actor(), statement_id)
    return page("statements/pay.html", row=view, account=statements_sheet_pages.payee(db.session(), view))


@blp.route("/reconciliation", methods=["GET"])
@requires(Permission.CHANNEL_STATEMENTS)
def day_file() -> Response:
    """The file of a day that is over, as the channel's programs get it."""
    day = read_query(DayArgs())["day"]
    content, _ = reconciliation.daily_file(db.session(), current_actor(), day)
    return attachment(content, "text/csv", f"reconciliation-{day}.csv")
