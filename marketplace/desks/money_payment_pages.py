"""Payments: opened by the buyer, proved by a slip, confirmed by the seller, decided by the office where they differ."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from flask import Response, request
from flask_babel import gettext

from marketplace.accounts.queries import active_bank_account
from marketplace.actors import Actor, Permission
from marketplace.clock import now, today
from marketplace.database import db
from marketplace.desks import money_views
from marketplace.desks.money_files_pages import file_view, keep_file, kept_file
from marketplace.desks.money_pages import blp, list_wish, searched, state_of
from marketplace.desks.online_pages import payment_word
from marketplace.documents.models import DocumentKind
from marketplace.errors import NotFound
from marketplace.payments import queries, service, worklists
from marketplace.payments.capitals import in_capitals
from marketplace.payments.schemas import PaymentIn, SlipFileIn, SlipIn
from marketplace.payments.set_aside import count_set_aside
from marketplace.payments.states import PaymentDocState
from marketplace.unit_of_work import Once, retrying
from marketplace.web.edge import current_actor, requires
from marketplace.web.forms import FormInvalid, Shown, done, form, page_once, posted, read_form
from marketplace.web.pages import page
from marketplace.web.schemas import ReasonIn
from marketplace.web.sheets import MAX_ROWS, Column, sheet_response, wants_sheet

blueprints: list[Any] = []  # the routes stand on the blueprint of money_pages


@blp.route("/payments", methods=["GET"])
@requires(Permission.PAYMENT_READ)
def payments() -> Shown:
    """Payments of the reader's side with tabs by state; a buyer sees above them what is left to pay."""
    actor, state = current_actor(), state_of(PaymentDocState)
    if wants_sheet():
        return _sheet(actor, state=state, q=searched(), sort=request.args.get("sort"))
    return page(
        "money/payments.html",
        rows=queries.list_payments(db.session(), actor, today=today(), state=state, **list_wish()),
        counts=worklists.payment_counts(db.session(), actor),
        open_orders=worklists.to_pay(db.session(), actor) if actor.can(Permission.PAYMENT_OPEN) else [],
    )


@blp.route("/disputes", methods=["GET"])
@requires(Permission.PAYMENT_UPHOLD)
def disputes() -> Shown:
    """What the office has to decide: disputed slips, and slips that the seller left unanswered."""
    actor = current_actor()
    if wants_sheet():
        return _sheet(actor, for_office=True, q=searched(), sort=request.args.get("sort"))
    rows = queries.list_payments(db.session(), actor, today=today(), for_office=True, **list_wish())
    return page("money/disputes.html", rows=rows, aside=count_set_aside(db.session(), current_actor()))


def _sheet(actor: Actor, **wish: Any) -> Response:
    rows = queries.list_payments(db.session(), actor, today=today(), limit=MAX_ROWS, **wish)["items"]
    for row in rows:
        row["state_word"] = payment_word(row)
    columns = [
        Column("number", gettext("付款单号"), width=20),
        Column("buyer.name", gettext("采购单位"), width=32),
        Column("seller.name", gettext("供应商"), width=32),
        Column("amount_fen", gettext("金额（元）"), "yuan"),
        Column("due_on", gettext("付款期限"), "day"),
        Column("transfer_code", gettext("付款识别码"), width=14),
        Column("state_word", gettext("状态")),
    ]
    basis = [gettext("口径：本账号可见的付款单，金额为应付金额；到账以供应商确认或主管部门核定为准。")]
    return sheet_response(gettext("付款"), columns, rows, basis)


def _payment(payment_id: UUID) -> dict[str, Any]:
    return queries.payment_view(db.session(), payment_id, current_actor(), today=today())


def _turn(payment: dict[str, Any]) -> money_views.Turn:
    return money_views.turn(
        db.session(), payment["state"], payment["due_on"], payment["declared_at"], today()
    )


def _for_act(payment_id: UUID, *acts: str) -> dict[str, Any]:
    """A payment with what the reader may do. Raises NotFound where none of `acts` could ever be his."""
    payment = _payment(payment_id)
    side = {"confirm": "seller", "dispute": "seller", "uphold": None, "refuse": None}.get(acts[0], "buyer")
    if side is not None and current_actor().organisation_id != payment[side]["id"]:
        raise NotFound
    whose = _turn(payment)
    files = {slip["id"]: file_view(slip["document_id"]) for slip in payment["slips"]}
    may = money_views.payment_acts(payment, current_actor(), whose)
    return {"payment": payment, "turn": whose, "may": may, "files": files}


@blp.route("/payments/<uuid:payment_id>", methods=["GET"])
@requires(Permission.PAYMENT_READ)
def payment(payment_id: UUID) -> Shown:
    """One payment: where the money goes, its slips, who waits for whom until when."""
    found = _payment(payment_id)
    whose = _turn(found)
    return page(
        "money/payment.html",
        payment=found,
        turn=whose,
        may=money_views.payment_acts(found, current_actor(), whose),
        files={slip["id"]: file_view(slip["document_id"]) for slip in found["slips"]},
        capitals=in_capitals(found["amount_fen"]),
    )


@blp.route("/payments/new", methods=["GET", "POST"])
@requires(Permission.PAYMENT_OPEN)
@form
@retrying
def open() -> Shown:
    """Choose the orders of one seller, see account and amount, get the code for the transfer's remark."""
    if posted():
        once = page_once(".payment", payment_id=lambda r: r["id"])
        reply = service.open_payment(
            current_actor(), **read_form(PaymentIn(), rows={"orders": "order_id"}), once=once
        )
        return done(reply, gettext("付款单已开。转账时把付款识别码写进附言"))
    choice = worklists.payment_choice(db.session(), current_actor(), _asked_order())
    account = active_bank_account(db.session(), choice["seller"]["id"], now())
    total = sum(row["left_fen"] for row in choice["orders"][:1])
    capitals = in_capitals(total) if total else ""
    return page("money/open.html", choice=choice, account=account, total=total, capitals=capitals)


def _asked_order() -> UUID:
    """The order of the address. Raises NotFound for none."""
    try:
        return UUID(request.args.get("order_id", ""))
    except ValueError:
        raise NotFound from None


@blp.route("/payments/<uuid:payment_id>/slip", methods=["GET", "POST"])
@requires(Permission.PAYMENT_OPEN)
@form
@retrying
def slip(payment_id: UUID) -> Shown:
    """The bank's slip: amount, day, reference, payer, and its file, which may follow later."""
    shown = _for_act(payment_id, "slip")
    given = keep_file(DocumentKind.SLIP)
    if posted():
        values = read_form(SlipIn(), rows=None, **given)
        once = _to_payment(payment_id)
        return done(
            service.file_slip(current_actor(), payment_id, **values, once=once),
            gettext("凭证已交，等供应商确认到账"),
        )
    return page("money/slip.html", **shown, kept=kept_file())


@blp.route("/payments/<uuid:payment_id>/slip-file", methods=["GET", "POST"])
@requires(Permission.PAYMENT_OPEN)
@form
@retrying
def complete_slip(payment_id: UUID) -> Shown:
    """The file that the newest slip lacks."""
    shown = _for_act(payment_id, "complete_slip")
    given = keep_file(DocumentKind.SLIP)
    bare = money_views.newest_bare_slip(shown["payment"])
    if posted() and bare is not None:
        if not given and "document_id" not in request.form:
            raise FormInvalid(errors=[{"pointer": "#/file", "detail": gettext("请选凭证文件")}])
        values = read_form(SlipFileIn(), rows=None, **given)
        reply = service.complete_slip(
            current_actor(), payment_id, bare, **values, once=_to_payment(payment_id)
        )
        return done(reply, gettext("凭证文件已补齐"))
    return page("money/complete_slip.html", **shown, kept=kept_file(), bare=bare)


def _to_payment(payment_id: UUID) -> Once:
    return page_once(".payment", payment_id=payment_id)


@blp.route("/payments/<uuid:payment_id>/confirm", methods=["GET", "POST"])
@requires(Permission.PAYMENT_CONFIRM)
@form
@retrying
def confirm(payment_id: UUID) -> Shown:
    """到账, beside the slip."""
    if posted():
        reply = service.confirm_payment(current_actor(), payment_id, once=_to_payment(payment_id))
        return done(reply, gettext("已确认到账"))
    return page("money/act.html", act="confirm", **_for_act(payment_id, "confirm"))


@blp.route("/payments/<uuid:payment_id>/dispute", methods=["GET", "POST"])
@requires(Permission.PAYMENT_CONFIRM)
@form
@retrying
def dispute(payment_id: UUID) -> Shown:
    """The seller does not find the money, with a reason."""
    if posted():
        values = read_form(ReasonIn())
        reply = service.dispute_payment(current_actor(), payment_id, **values, once=_to_payment(payment_id))
        return done(reply, gettext("已提出争议，由主管部门核定"))
    return page("money/act.html", act="dispute", **_for_act(payment_id, "dispute"))


@blp.route("/payments/<uuid:payment_id>/uphold", methods=["GET", "POST"])
@requires(Permission.PAYMENT_UPHOLD)
@form
@retrying
def uphold(payment_id: UUID) -> Shown:
    """The office finds by the slip that it was paid."""
    if posted():
        reply = service.uphold_payment(current_actor(), payment_id, once=_to_payment(payment_id))
        return done(reply, gettext("已核定为到账"))
    return page("money/act.html", act="uphold", **_for_act(payment_id, "uphold"))


@blp.route("/payments/<uuid:payment_id>/refuse", methods=["GET", "POST"])
@requires(Permission.PAYMENT_UPHOLD)
@form
@retrying
def refuse(payment_id: UUID) -> Shown:
    """The office finds that the slip proves nothing, with a reason."""
    if posted():
        values = read_form(ReasonIn())
        reply = service.refuse_payment(current_actor(), payment_id, **values, once=_to_payment(payment_id))
        return done(reply, gettext("凭证已驳回，款项仍应付"))
    return page("money/act.html", act="refuse", **_for_act(payment_id, "refuse"))


@blp.route("/payments/<uuid:payment_id>/cancel", methods=["GET", "POST"])
@requires(Permission.PAYMENT_OPEN)
@form
@retrying
def cancel(payment_id: UUID) -> Shown:
    """Take back a payment that nobody has paid yet."""
    if posted():
        reply = service.cancel_payment(current_actor(), payment_id, once=_to_payment(payment_id))
        return done(reply, gettext("付款单已取消，可以重新开"))
    return page("money/act.html", act="cancel", **_for_act(payment_id, "cancel"))
