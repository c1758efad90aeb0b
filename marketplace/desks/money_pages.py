"""Invoices: the seller hands them in, the buyer checks or returns them, offices read them."""

from __future__ import annotations

from enum import StrEnum
from typing import Any, TypeVar
from uuid import UUID

from flask import Blueprint, Response, request
from flask_babel import gettext

from marketplace.actors import Actor, Permission
from marketplace.database import db
from marketplace.desks.money_files_pages import file_view, keep_file, kept_file
from marketplace.desks.money_views import comparisons, tax_names
from marketplace.documents.models import DocumentKind
from marketplace.documents.queries import readable_document
from marketplace.documents.service import content_of
from marketplace.payments import queries, service, worklists
from marketplace.payments.invoice_files import read_invoice
from marketplace.payments.models import Invoice
from marketplace.payments.schemas import InvoiceIn
from marketplace.payments.states import InvoiceDocState
from marketplace.unit_of_work import retrying
from marketplace.web.edge import current_actor, requires
from marketplace.web.forms import FormInvalid, Shown, done, form, page_once, posted, read_form
from marketplace.web.pages import page
from marketplace.web.schemas import ReasonIn
from marketplace.web.sheets import MAX_ROWS, Column, sheet_response, wants_sheet
from marketplace.web.words import word

blp = Blueprint("money", __name__)
blueprints = [blp]

S = TypeVar("S", bound=StrEnum)


def state_of(states: type[S]) -> S | None:
    """The state that the address filters by; None for all and for words that are none."""
    given = request.args.get("state")
    return next((state for state in states if state.value == given), None)


def list_wish() -> dict[str, Any]:
    return {"q": searched(), "sort": request.args.get("sort"), "after": request.args.get("after")}


def searched() -> str | None:
    """What was typed to find a paper by its number or code."""
    return (request.args.get("q") or "")[:80] or None


@blp.route("/invoices", methods=["GET"])
@requires(Permission.INVOICE_READ)
def invoices() -> Shown:
    """Invoices of the reader's side with tabs by state; a seller sees above them what is left to invoice."""
    actor, state = current_actor(), state_of(InvoiceDocState)
    if wants_sheet():
        return _invoice_sheet(actor, state)
    return page(
        "money/invoices.html",
        rows=queries.list_invoices(db.session(), actor, state=state, **list_wish()),
        counts=worklists.invoice_counts(db.session(), actor),
        open_orders=worklists.to_invoice(db.session(), actor) if actor.can(Permission.INVOICE_ISSUE) else [],
    )


def _invoice_sheet(actor: Actor, state: InvoiceDocState | None) -> Response:
    rows = queries.list_invoices(
        db.session(), actor, state=state, q=searched(), sort=request.args.get("sort"), limit=MAX_ROWS
    )["items"]
    for row in rows:
        row |= {
            "state_word": word("invoice_state", row["state"]),
            "kind_word": word("invoice_kind", row["kind"]),
        }
    columns = [
        Column("number", gettext("发票号码"), width=26),
        Column("kind_word", gettext("票种"), width=22),
        Column("issued_on", gettext("开票日期"), "day"),
        Column("seller.name", gettext("供应商"), width=32),
        Column("buyer.name", gettext("采购单位"), width=32),
        Column("amount_fen", gettext("金额（元）"), "yuan"),
        Column("state_word", gettext("状态")),
    ]
    return sheet_response(
        gettext("发票"), columns, rows, [gettext("口径：本账号可见的发票，按开票金额，含免税与应税。")]
    )


@blp.route("/invoices/<uuid:invoice_id>", methods=["GET"])
@requires(Permission.INVOICE_READ)
def invoice(invoice_id: UUID) -> Shown:
    """One invoice with its file, the orders it covers and what can be done now."""
    actor = current_actor()
    view = queries.invoice_view(db.session(), invoice_id, actor)
    mine = actor.can(Permission.INVOICE_CHECK) and actor.organisation_id == view["buyer"]["id"]
    may_act = mine and view["state"] is InvoiceDocState.ISSUED
    return page("money/invoice.html", invoice=view, file=file_view(view["document_id"]), may_act=may_act)


@blp.route("/orders/<uuid:order_id>/invoice", methods=["GET", "POST"])
@requires(Permission.INVOICE_ISSUE)
@form
@retrying
def issue(order_id: UUID) -> Shown:
    """What to write on the invoice, then its file; number, day and amount are read from it and confirmed here."""
    card = worklists.invoice_card(db.session(), current_actor(), order_id)
    given = keep_file(DocumentKind.INVOICE)
    if posted() and "_read" in request.form:
        return _confirm_read(card, given)
    if posted():
        values = read_form(InvoiceIn(), rows={"orders": "order_id"}, **given)
        once = page_once(".invoice", invoice_id=lambda r: r["id"])
        return done(
            service.issue_invoice(current_actor(), **values, once=once), gettext("发票已交给采购单位验票")
        )
    return _issue_page(card, {})


def _confirm_read(card: dict[str, Any], given: dict[str, Any]) -> str:
    """The second step: what the file says, to be compared with the paper."""
    kept = kept_file()
    if kept is None:
        raise FormInvalid(errors=[{"pointer": "#/file", "detail": gettext("请先选发票文件")}])
    row = readable_document(db.session(), current_actor(), kept["id"])
    read = read_invoice(content_of(row), row.content_type)
    return _issue_page(card, {**read, "tried": True, "differs": worklists.card_differences(card, read)})


def _issue_page(card: dict[str, Any], read: dict[str, Any]) -> str:
    kept = kept_file()
    return page(
        "money/issue.html",
        # A file that was refused is chosen anew; the other fields are asked for when there is one.
        choosing=kept is None and ("_read" in request.form or request.method == "GET"),
        card=card,
        names=tax_names(db.session(), card["lines"]),
        read=read,
        kept=kept,
    )


def _own_invoice(invoice_id: UUID) -> dict[str, Any]:
    """An invoice that the reader's organisation may check. Raises NotFound."""
    actor = current_actor()
    queries.find_invoice(db.session(), invoice_id, queries.is_party(Invoice.buyer_id, actor))
    return queries.invoice_view(db.session(), invoice_id, actor)


@blp.route("/invoices/<uuid:invoice_id>/check", methods=["GET", "POST"])
@requires(Permission.INVOICE_CHECK)
@form
@retrying
def check(invoice_id: UUID) -> Shown:
    """验票: the paper beside the payer's registered words, ticks and crosses; then checked or returned."""
    if posted():
        once = page_once(".invoice", invoice_id=invoice_id)
        return done(service.check_invoice(current_actor(), invoice_id, once=once), gettext("已验票"))
    view = _own_invoice(invoice_id)
    rows = comparisons(db.session(), current_actor(), view)
    return page("money/check.html", invoice=view, rows=rows, file=file_view(view["document_id"]))


@blp.route("/invoices/<uuid:invoice_id>/return", methods=["GET", "POST"])
@requires(Permission.INVOICE_CHECK)
@form
@retrying
def return_invoice(invoice_id: UUID) -> Shown:
    """Back to the seller with a reason; the number is spent, a new invoice is written."""
    if posted():
        once = page_once(".invoice", invoice_id=invoice_id)
        reply = service.return_invoice(current_actor(), invoice_id, **read_form(ReasonIn()), once=once)
        return done(reply, gettext("发票已退回供应商"))
    return page("money/return.html", invoice=_own_invoice(invoice_id))
