"""Pages of statements that are the same for a channel and for its sellers: the list, one, disputes, agreement."""

from __future__ import annotations

from uuid import UUID

from flask import Blueprint
from flask_babel import gettext

from marketplace.actors import Permission
from marketplace.channels import statement_disputes, statement_views, statements
from marketplace.channels.statement_schemas import StatementAnswerIn, StatementDisputeIn
from marketplace.database import db
from marketplace.desks import statements_sheet_pages
from marketplace.desks.money_files_pages import file_view
from marketplace.unit_of_work import retrying
from marketplace.web.edge import current_actor, requires
from marketplace.web.forms import Shown, done, form, page_once, posted, read_form, read_query
from marketplace.web.pages import page
from marketplace.web.sheets import MAX_ROWS, wants_sheet
from marketplace.web.sorting import sorted_rows

blueprints: list[Blueprint] = []


def add_reading(blp: Blueprint, permission: Permission, base: str = "", *, daily: bool = False) -> None:
    """The list and one statement, also as workbooks, below `base`; `daily` offers the daily file beside the list."""

    @blp.route(base, methods=["GET"])
    @requires(permission)
    def listed() -> Shown:
        """Statements that one may see, one for each channel, seller and period."""
        wish = read_query(statements_sheet_pages.StatementArgs())
        sheet = wants_sheet()
        limit = MAX_ROWS if sheet else 24
        found = statement_views.list_statements(db.session(), current_actor(), limit=limit, **wish)
        if sheet:
            return statements_sheet_pages.heads_sheet(found["items"])
        last_day = statements_sheet_pages.last_day() if daily else None
        return page("statements/list.html", listed=found, wish=wish, last_day=last_day)

    @blp.route(f"{base}/<uuid:statement_id>", methods=["GET"])
    @requires(permission)
    def one(statement_id: UUID) -> Shown:
        """One statement: its lines, what is disputed, whose turn it is."""
        view = statements_sheet_pages.one(db.session(), current_actor(), statement_id)
        if wants_sheet():
            return statements_sheet_pages.lines_sheet(view)
        view["lines"] = sorted_rows(view["lines"], "position", "name", "day", "quantity", "amount_fen")
        return page("statements/one.html", row=view, slip=file_view(view["document_id"]))


def add_acts(blp: Blueprint, permission: Permission, base: str = "") -> None:
    """What both sides may do of a statement, beside its reading."""

    @blp.route(f"{base}/<uuid:statement_id>/lines/<uuid:line_id>/dispute", methods=["GET", "POST"])
    @requires(permission)
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

    @blp.route(f"{base}/<uuid:statement_id>/disputes/<uuid:dispute_id>", methods=["GET", "POST"])
    @requires(permission)
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
        return _of_dispute("statements/answer.html", statement_id, dispute_id)

    @blp.route(f"{base}/<uuid:statement_id>/disputes/<uuid:dispute_id>/withdraw", methods=["GET", "POST"])
    @requires(permission)
    @form
    @retrying
    def withdraw(statement_id: UUID, dispute_id: UUID) -> Shown:
        """Take one's own dispute back before the other side has answered it."""
        if posted():
            once = page_once(".one", statement_id=statement_id)
            reply = statement_disputes.withdraw_dispute(current_actor(), statement_id, dispute_id, once=once)
            return done(reply, gettext("异议已撤回"))
        return _of_dispute("statements/withdraw.html", statement_id, dispute_id)

    @blp.route(f"{base}/<uuid:statement_id>/agree", methods=["GET", "POST"])
    @requires(permission)
    @form
    @retrying
    def agree(statement_id: UUID) -> Shown:
        """Agree to the amount; it can't be taken back unless a line is disputed before the other side agrees."""
        if posted():
            once = page_once(".one", statement_id=statement_id)
            reply = statements.agree_statement(current_actor(), statement_id, once=once)
            return done(reply, gettext("已同意"))
        view = statements_sheet_pages.one(db.session(), current_actor(), statement_id)
        return page("statements/agree.html", row=view)


def _of_dispute(template: str, statement_id: UUID, dispute_id: UUID) -> Shown:
    view = statements_sheet_pages.one(db.session(), current_actor(), statement_id)
    return page(template, row=view, dispute=statements_sheet_pages.dispute_of(view, dispute_id))
