"""Pay by the gateway, and give back: each act has a page that says what will happen. The states stand on the payment."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from flask import Blueprint, render_template
from flask_babel import gettext
from markupsafe import Markup

from marketplace.actors import Permission
from marketplace.clock import today
from marketplace.database import db
from marketplace.desks.online_views import online_acts, online_turn, refundable_fen
from marketplace.errors import NotFound
from marketplace.payments import queries, service
from marketplace.payments.comparing import gateways_account
from marketplace.payments.gateway import configured_gateway, merchant_of_record
from marketplace.payments.online_queries import list_held
from marketplace.payments.rules import MAX_GATEWAY_FEN
from marketplace.payments.schemas import DecideEventIn, PayIn, PayoutIn, RefundIn, ResolveIn
from marketplace.payments.set_aside import count_set_aside, list_set_aside
from marketplace.unit_of_work import Once, retrying
from marketplace.web.edge import current_actor, requires
from marketplace.web.forms import Shown, done, form, page_once, posted, read_form
from marketplace.web.language import N_
from marketplace.web.pages import page
from marketplace.web.sheets import Column, sheet_response, wants_sheet
from marketplace.web.sorting import found_rows, page_of, sorted_rows
from marketplace.web.words import WORDS, chip, word

blp = Blueprint("online", __name__)
blueprints = [blp]

HELD_BASIS = N_("口径：本账号可见的在线支付，已扣款、未退回、未登记结算的金额，按资金分录计算，最多列200笔。")
ASIDE_BASIS = N_("口径：签名无误、状态为“已停下”的渠道通知，按收到的先后，最多列200条。")


@blp.route("/payments/<uuid:payment_id>/pay", methods=["GET", "POST"])
@requires(Permission.PAYMENT_OPEN)
@form
@retrying
def pay(payment_id: UUID) -> Shown:
    """Choose a means and pay. What became of it stands on the payment, which is shown next."""
    if posted():
        reply = service.pay_online(current_actor(), payment_id, **read_form(PayIn()), once=_back(payment_id))
        return done(reply, gettext("已向支付渠道发起支付，结果见下"))
    return page("online/pay.html", **_shown(payment_id), gateway=configured_gateway())


@blp.route("/payments/<uuid:payment_id>/refund", methods=["GET", "POST"])
@requires(Permission.PAYMENT_CONFIRM, Permission.PAYMENT_UPHOLD)
@form
@retrying
def refund(payment_id: UUID) -> Shown:
    """Give back an amount of one order, with a reason."""
    if posted():
        reply = service.refund_payment(
            current_actor(), payment_id, **read_form(RefundIn()), once=_back(payment_id)
        )
        return done(reply, gettext("退款已提交，结果见下"))
    shown = _shown(payment_id)
    choices = [(o["order_id"], o["number"]) for o in shown["payment"]["orders"]]
    return page("online/refund.html", **shown, choices=choices)


@blp.route("/payments/<uuid:payment_id>/compare", methods=["GET", "POST"])
@requires(Permission.PAYMENT_UPHOLD, Permission.RECEIPT_RECORD)
@form
@retrying
def compare(payment_id: UUID) -> Shown:
    """Beside the gateway's own account of it: an attempt that was put aside is ended as captured or void."""
    if posted():
        reply = service.resolve_attempt(
            current_actor(), payment_id, **read_form(ResolveIn()), once=_back(payment_id)
        )
        return done(reply, gettext("已按支付渠道的说法了结"))
    account = gateways_account(current_actor(), payment_id)
    shown = _shown(payment_id)
    agrees = account is not None and account.agrees(shown["payment"]["amount_fen"])
    return page("online/compare.html", **shown, account=account, agrees=agrees)


@blp.route("/payments/<uuid:payment_id>/payout", methods=["GET", "POST"])
@requires(Permission.PAYMENT_CONFIRM, Permission.RECEIPT_RECORD)
@form
@retrying
def payout(payment_id: UUID) -> Shown:
    """By the gateway's statement: what it paid out of a payment, and the fee that it kept."""
    if posted():
        reply = service.settle_payout(
            current_actor(), payment_id, **read_form(PayoutIn()), once=_back(payment_id)
        )
        return done(reply, gettext("结算已登记"))
    return page("online/payout.html", **_shown(payment_id))


@blp.route("/settlement", methods=["GET"])
@requires(Permission.PAYMENT_CONFIRM, Permission.RECEIPT_RECORD)
def settlement() -> Shown:
    """What the gateway, or the supervised account behind it, still holds for sellers; each is settled from here."""
    whole = list_held(db.session(), queries.visible_payments(current_actor()))
    rows = sorted_rows(found_rows(whole, "number", "seller"), "number", "seller", "held_fen")
    total = sum(row["held_fen"] for row in whole)
    if wants_sheet():
        columns = [
            Column("number", gettext("付款单"), width=20),
            Column("seller", gettext("供应商"), width=32),
            Column("merchant_of_record", gettext("收款商户"), width=32),
            Column("held_fen", gettext("代收金额（元）"), "yuan"),
            Column("settled_at", gettext("到账时间"), "time", 18),
        ]
        return sheet_response(gettext("渠道结算"), columns, rows, [gettext(HELD_BASIS)])
    decides = current_actor().can(Permission.RECEIPT_RECORD)
    aside = count_set_aside(db.session(), current_actor()) if decides else 0
    return page(
        "online/settlement.html",
        rows=page_of(rows),
        total_fen=total,
        merchant=merchant_of_record(),
        aside=aside,
        basis_text=gettext(HELD_BASIS),
    )


@blp.route("/settlement/messages", methods=["GET"])
@requires(Permission.PAYMENT_UPHOLD, Permission.RECEIPT_RECORD)
def messages() -> Shown:
    """The gateway's messages that agree with nothing here; each is applied anew or ended."""
    found = found_rows(_set_aside(), "event_id", "kind", "payment.number")
    rows = sorted_rows(found, "received_at", "why", "amount_fen")
    if wants_sheet():
        for row in rows:
            row["why_word"] = word("gateway_event_why", row["why"])
            row["payment_number"] = row["payment"]["number"] if row["payment"] else None
        columns = [
            Column("received_at", gettext("收到时间"), "time", 18),
            Column("event_id", gettext("通知编号"), width=32),
            Column("kind", gettext("通知种类"), width=28),
            Column("why_word", gettext("哪里对不上"), width=36),
            Column("amount_fen", gettext("渠道报的金额（元）"), "yuan"),
            Column("payment_number", gettext("付款单"), width=20),
        ]
        return sheet_response(gettext("对不上的渠道通知"), columns, rows, [gettext(ASIDE_BASIS)])
    return page("online/messages.html", rows=page_of(rows), basis_text=gettext(ASIDE_BASIS))


@blp.route("/settlement/messages/<int:number>", methods=["GET", "POST"])
@requires(Permission.PAYMENT_UPHOLD, Permission.RECEIPT_RECORD)
@form
@retrying
def message(number: int) -> Shown:
    """One of them, and what becomes of it."""
    if posted():
        decided = read_form(DecideEventIn())
        reply = service.end_set_aside(current_actor(), number, **decided, once=page_once("online.messages"))
        return done(reply, gettext("已处理这条通知"))
    row = next((row for row in _set_aside() if row["id"] == number), None)
    if row is None:
        raise NotFound(gettext("没有这条待处理的通知，可能已经处理过了"))
    return page("online/message.html", row=row)


def _set_aside() -> list[dict[str, Any]]:
    actor = current_actor()
    rows = list_set_aside(db.session(), actor, queries.visible_payments(actor))
    return [
        row | {"why": row["why"] if row["why"] in WORDS["gateway_event_why"] else "other"} for row in rows
    ]


def _back(payment_id: UUID) -> Once:
    return page_once("money.payment", payment_id=payment_id)


def _shown(payment_id: UUID) -> dict[str, Any]:
    found = queries.payment_view(db.session(), payment_id, current_actor(), today=today())
    return {"payment": found, "may": online_acts(found, current_actor()), "left_fen": refundable_fen(found)}


@blp.app_template_global()
def online_panel(payment: dict[str, Any]) -> Markup:
    """The attempts and refunds of a payment for the payment's own page; empty for a transfer."""
    may = online_acts(payment, current_actor())
    return Markup(render_template("online/panel.html", payment=payment, may=may))


@blp.app_template_global()
def payment_word(payment: dict[str, Any]) -> str:
    """The state of a payment in a word, on lists and papers; one for the gateway never waits for a slip."""
    code = online_turn(payment)
    return word("payment_document_state", payment["state"]) if code is None else word("online_turn", code)


@blp.app_template_global()
def payment_chip(payment: dict[str, Any], look: str | None = None) -> Markup:
    """`payment_word` as a chip. `look` is for the reader whose turn it is, so not while the gateway's answer is awaited."""
    code = online_turn(payment)
    if code is None:
        return chip("payment_document_state", payment["state"], look)
    return chip("online_turn", code, look if code == "unpaid" else None)


@blp.app_template_global()
def means_word(means: str) -> str:
    """The reader's word for a means of payment; one that the gateway alone knows keeps the gateway's name."""
    return word("payment_means", means) if means in WORDS["payment_means"] else means


@blp.app_template_global()
def ways_to_pay(total_fen: int) -> Markup:
    """The choice between transfer and gateway on the form that opens a payment, or why there is only transfer."""
    open_to = configured_gateway() is not None and total_fen <= MAX_GATEWAY_FEN
    return Markup(
        render_template("online/ways.html", open_to=open_to, total_fen=total_fen, limit_fen=MAX_GATEWAY_FEN)
    )
