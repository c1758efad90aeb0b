"""Routes of invoices and payments."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from flask import Response
from flask_smorest import Blueprint

from marketplace.actors import Permission
from marketplace.clock import today
from marketplace.database import db
from marketplace.payments import queries, service
from marketplace.payments.schemas import (
    InvoiceArgs,
    InvoiceIn,
    InvoiceOut,
    InvoiceRowOut,
    PayIn,
    PaymentArgs,
    PaymentIn,
    PaymentOut,
    PaymentRowOut,
    PayoutIn,
    RefundIn,
    ResolveIn,
    SlipFileIn,
    SlipIn,
)
from marketplace.unit_of_work import retrying
from marketplace.web.edge import current_actor, expected_version, once, requires, sent, shown
from marketplace.web.schemas import ReasonIn, page_of

blp = Blueprint("payments", __name__, url_prefix="/api/v1", description="发票与付款 invoices and payments")
blueprints = [blp]

InvoicePage = page_of(InvoiceRowOut)
PaymentPage = page_of(PaymentRowOut)


@blp.route("/invoices", methods=["POST"])
@requires(Permission.INVOICE_ISSUE)
@blp.arguments(InvoiceIn)
@blp.response(201, InvoiceOut)
@retrying
def issue_invoice(data: dict[str, Any]) -> Response:
    """Hand in an invoice over accepted orders of one payer."""
    return sent(service.issue_invoice(current_actor(), **data, once=once(InvoiceOut(), status=201)))


@blp.route("/invoices", methods=["GET"])
@requires(Permission.INVOICE_READ)
@blp.arguments(InvoiceArgs, location="query")
@blp.response(200, InvoicePage)
def list_invoices(args: dict[str, Any]) -> Response:
    """Invoices of one's own side, the newest first."""
    return shown(InvoicePage, queries.list_invoices(db.session(), current_actor(), **args))


@blp.route("/invoices/<uuid:invoice_id>", methods=["GET"])
@requires(Permission.INVOICE_READ)
@blp.response(200, InvoiceOut)
def get_invoice(invoice_id: UUID) -> Response:
    """One invoice with the orders it covers."""
    return shown(InvoiceOut(), queries.invoice_view(db.session(), invoice_id, current_actor()))


@blp.route("/invoices/<uuid:invoice_id>/check", methods=["POST"])
@requires(Permission.INVOICE_CHECK)
@blp.response(200, InvoiceOut)
@retrying
def check_invoice(invoice_id: UUID) -> Response:
    """验票: the buyer has verified the invoice."""
    return sent(
        service.check_invoice(
            current_actor(), invoice_id, expected_version=expected_version(), once=once(InvoiceOut())
        )
    )


@blp.route("/invoices/<uuid:invoice_id>/return", methods=["POST"])
@requires(Permission.INVOICE_CHECK)
@blp.arguments(ReasonIn)
@blp.response(200, InvoiceOut)
@retrying
def return_invoice(data: dict[str, Any], invoice_id: UUID) -> Response:
    """Send a wrong invoice back to the seller."""
    return sent(
        service.return_invoice(
            current_actor(), invoice_id, **data, expected_version=expected_version(), once=once(InvoiceOut())
        )
    )


@blp.route("/payments", methods=["POST"])
@requires(Permission.PAYMENT_OPEN)
@blp.arguments(PaymentIn)
@blp.response(201, PaymentOut)
@retrying
def open_payment(data: dict[str, Any]) -> Response:
    """Ask for the payee, the amount and the code of a transfer for accepted orders."""
    return sent(service.open_payment(current_actor(), **data, once=once(PaymentOut(), status=201)))


@blp.route("/payments", methods=["GET"])
@requires(Permission.PAYMENT_READ)
@blp.arguments(PaymentArgs, location="query")
@blp.response(200, PaymentPage)
def list_payments(args: dict[str, Any]) -> Response:
    """Payments of one's own side, the newest first; `missing=true` lists those without a slip's file."""
    page = queries.list_payments(db.session(), current_actor(), today=today(), **args)
    return shown(PaymentPage, page)


@blp.route("/payments/<uuid:payment_id>", methods=["GET"])
@requires(Permission.PAYMENT_READ)
@blp.response(200, PaymentOut)
def get_payment(payment_id: UUID) -> Response:
    """One payment with its payee, orders and slips."""
    return shown(PaymentOut(), queries.payment_view(db.session(), payment_id, current_actor(), today=today()))


@blp.route("/payments/<uuid:payment_id>/pay", methods=["POST"])
@requires(Permission.PAYMENT_OPEN)
@blp.arguments(PayIn)
@blp.response(202, PaymentOut)
@retrying
def pay_online(data: dict[str, Any], payment_id: UUID) -> Response:
    """Pay by the gateway. Answers what was begun; read the payment for what became of it."""
    answer = once(PaymentOut(), status=202)
    return sent(service.pay_online(current_actor(), payment_id, **data, once=answer))


@blp.route("/payments/<uuid:payment_id>/refunds", methods=["POST"])
@requires(Permission.PAYMENT_CONFIRM, Permission.PAYMENT_UPHOLD)
@blp.arguments(RefundIn)
@blp.response(202, PaymentOut)
@retrying
def refund_payment(data: dict[str, Any], payment_id: UUID) -> Response:
    """退款 of a gateway payment: by the seller, or by the office what is due back."""
    answer = once(PaymentOut(), status=202)
    return sent(service.refund_payment(current_actor(), payment_id, **data, once=answer))


@blp.route("/payments/<uuid:payment_id>/resolution", methods=["POST"])
@requires(Permission.PAYMENT_UPHOLD, Permission.RECEIPT_RECORD)
@blp.arguments(ResolveIn)
@blp.response(200, PaymentOut)
@retrying
def resolve_attempt(data: dict[str, Any], payment_id: UUID) -> Response:
    """End an attempt whose sum differed, as captured or void, by what the gateway says now."""
    answer = once(PaymentOut())
    return sent(service.resolve_attempt(current_actor(), payment_id, **data, once=answer))


@blp.route("/payments/<uuid:payment_id>/payouts", methods=["POST"])
@requires(Permission.PAYMENT_CONFIRM, Permission.RECEIPT_RECORD)
@blp.arguments(PayoutIn)
@blp.response(200, PaymentOut)
@retrying
def settle_payout(data: dict[str, Any], payment_id: UUID) -> Response:
    """结算: the gateway has paid out what it took, less its fee."""
    return sent(service.settle_payout(current_actor(), payment_id, **data, once=once(PaymentOut())))


@blp.route("/payments/<uuid:payment_id>/slips", methods=["POST"])
@requires(Permission.PAYMENT_OPEN)
@blp.arguments(SlipIn)
@blp.response(201, PaymentOut)
@retrying
def file_slip(data: dict[str, Any], payment_id: UUID) -> Response:
    """Hand in the bank's slip (付款凭证); the answer lists what is missing."""
    answer = once(PaymentOut(), status=201)
    return sent(
        service.file_slip(
            current_actor(), payment_id, **data, expected_version=expected_version(), once=answer
        )
    )


@blp.route("/payments/<uuid:payment_id>/slips/<uuid:slip_id>/document", methods=["POST"])
@requires(Permission.PAYMENT_OPEN)
@blp.arguments(SlipFileIn)
@blp.response(200, PaymentOut)
@retrying
def complete_slip(data: dict[str, Any], payment_id: UUID, slip_id: UUID) -> Response:
    """Hand in the file that a slip lacks."""
    return sent(service.complete_slip(current_actor(), payment_id, slip_id, **data, once=once(PaymentOut())))


@blp.route("/payments/<uuid:payment_id>/confirm", methods=["POST"])
@requires(Permission.PAYMENT_CONFIRM)
@blp.response(200, PaymentOut)
@retrying
def confirm_payment(payment_id: UUID) -> Response:
    """到账: the seller has the money."""
    return sent(
        service.confirm_payment(
            current_actor(), payment_id, expected_version=expected_version(), once=once(PaymentOut())
        )
    )


@blp.route("/payments/<uuid:payment_id>/dispute", methods=["POST"])
@requires(Permission.PAYMENT_CONFIRM)
@blp.arguments(ReasonIn)
@blp.response(200, PaymentOut)
@retrying
def dispute_payment(data: dict[str, Any], payment_id: UUID) -> Response:
    """The seller does not find the money."""
    return sent(
        service.dispute_payment(
            current_actor(), payment_id, **data, expected_version=expected_version(), once=once(PaymentOut())
        )
    )


@blp.route("/payments/<uuid:payment_id>/uphold", methods=["POST"])
@requires(Permission.PAYMENT_UPHOLD)
@blp.response(200, PaymentOut)
@retrying
def uphold_payment(payment_id: UUID) -> Response:
    """The office decides for the buyer, after a dispute or ten working days of silence."""
    return sent(
        service.uphold_payment(
            current_actor(), payment_id, expected_version=expected_version(), once=once(PaymentOut())
        )
    )


@blp.route("/payments/<uuid:payment_id>/refuse", methods=["POST"])
@requires(Permission.PAYMENT_UPHOLD)
@blp.arguments(ReasonIn)
@blp.response(200, PaymentOut)
@retrying
def refuse_payment(data: dict[str, Any], payment_id: UUID) -> Response:
    """The office decides for the seller."""
    return sent(
        service.refuse_payment(
            current_actor(), payment_id, **data, expected_version=expected_version(), once=once(PaymentOut())
        )
    )


@blp.route("/payments/<uuid:payment_id>/cancel", methods=["POST"])
@requires(Permission.PAYMENT_OPEN)
@blp.response(200, PaymentOut)
@retrying
def cancel_payment(payment_id: UUID) -> Response:
    """Take back a payment for which no slip was filed."""
    return sent(
        service.cancel_payment(
            current_actor(), payment_id, expected_version=expected_version(), once=once(PaymentOut())
        )
    )
