"""The channel's statements in the portal: look through, dispute line by line, agree, and say how it paid."""

from __future__ import annotations

from uuid import UUID

from flask import Blueprint, Response
from flask_babel import gettext
from marshmallow import fields

from marketplace.actors import Permission
from marketplace.channels import reconciliation, statement_paying
from marketplace.channels.statement_schemas import StatementTransferIn
from marketplace.database import db
from marketplace.desks import statements_sheet_pages
from marketplace.desks.money_files_pages import file_view, keep_file, kept_file
from marketplace.desks.statements_acts_pages import add_acts, add_reading
from marketplace.documents.models import DocumentKind
from marketplace.unit_of_work import retrying
from marketplace.web.attachments import attachment
from marketplace.web.edge import current_actor, requires
from marketplace.web.forms import Shown, done, form, page_once, posted, read_form, read_query
from marketplace.web.pages import page
from marketplace.web.schemas import InSchema

blp = Blueprint("portal_statements", __name__, url_prefix="/portal")
blueprints = [blp]

add_reading(blp, Permission.CHANNEL_STATEMENTS, "/statements", daily=True)
add_acts(blp, Permission.CHANNEL_STATEMENTS, "/statements")


class DayArgs(InSchema):
    day = fields.Date(required=True)


@blp.route("/statements/<uuid:statement_id>/transfer", methods=["GET", "POST"])
@requires(Permission.CHANNEL_STATEMENTS)
@form
@retrying
def transfer(statement_id: UUID) -> Shown:
    """Say by which transfer the statement was paid, with the bank's slip if there is a file; the seller confirms."""
    view = statements_sheet_pages.one(db.session(), current_actor(), statement_id)
    slip = keep_file(DocumentKind.SLIP)
    if posted():
        given = read_form(StatementTransferIn(), **slip)
        once = page_once(".one", statement_id=statement_id)
        reply = statement_paying.declare_transfer(current_actor(), statement_id, once=once, **given)
        return done(reply, gettext("付款已登记，等供应商确认到账"))
    kept = kept_file() or file_view(view["document_id"])
    account = statements_sheet_pages.payee(db.session(), view)
    return page("statements/pay.html", row=view, account=account, kept=kept)


@blp.route("/reconciliation", methods=["GET"])
@requires(Permission.CHANNEL_STATEMENTS)
def day_file() -> Response:
    """The file of a day that is over, as the channel's programs get it."""
    day = read_query(DayArgs())["day"]
    content, _ = reconciliation.daily_file(db.session(), current_actor(), day)
    return attachment(content, "text/csv", f"reconciliation-{day}.csv")
