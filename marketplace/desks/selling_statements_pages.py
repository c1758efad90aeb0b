"""Statements of channels' shops for the seller, who answers, agrees and confirms the money; the office reads them."""

from __future__ import annotations

from uuid import UUID

from flask import Blueprint
from flask_babel import gettext

from marketplace.actors import Permission
from marketplace.channels import statement_paying
from marketplace.channels.statement_schemas import StatementSettleIn
from marketplace.database import db
from marketplace.desks import statements_sheet_pages
from marketplace.desks.money_files_pages import file_view
from marketplace.desks.statements_acts_pages import add_acts, add_reading
from marketplace.unit_of_work import retrying
from marketplace.web.edge import current_actor, requires
from marketplace.web.forms import Shown, done, form, page_once, posted, read_form
from marketplace.web.pages import page
from marketplace.web.schemas import ReasonIn

selling = Blueprint("selling_statements", __name__, url_prefix="/sell/channels/statements")
office = Blueprint("office_statements", __name__, url_prefix="/channels/statements")
blueprints = [selling, office]

add_reading(office, Permission.CHANNEL_MANAGE)
add_reading(selling, Permission.PAYMENT_CONFIRM)
add_acts(selling, Permission.PAYMENT_CONFIRM)


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
    return page("statements/pay.html", row=view, account=None, kept=file_view(view["document_id"]))


@selling.route("/<uuid:statement_id>/return-transfer", methods=["GET", "POST"])
@requires(Permission.PAYMENT_CONFIRM)
@form
@retrying
def return_transfer(statement_id: UUID) -> Shown:
    """Say why the transfer that the channel named is not the seller's money."""
    if posted():
        given = read_form(ReasonIn())
        once = page_once(".one", statement_id=statement_id)
        reply = statement_paying.return_transfer(current_actor(), statement_id, once=once, **given)
        return done(reply, gettext("付款登记已退回，等渠道重新登记"))
    view = statements_sheet_pages.one(db.session(), current_actor(), statement_id)
    return page("statements/return_transfer.html", row=view, slip=file_view(view["document_id"]))
